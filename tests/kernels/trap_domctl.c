/* SPDX-License-Identifier: MIT */
/* The machine-check state of another vCPU, read and set as a toolstack does. Needs dom0_max_vcpus=2. */
#include "guest.h"
#include <public/domctl.h>

#define MCG_STATUS 0x17a
#define MC1_STATUS 0x405
#define UCR 0xb000000000000000UL /* VAL UC EN */
#define S (1UL << 56)
#define AR (1UL << 55)
#define PCC (1UL << 57)

static struct xen_domctl op;
static struct xen_domctl_vcpu_msr msrs[8];

static long domctl(u32 cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = DOMID_SELF;
    return HYPERCALL1(__HYPERVISOR_domctl, &op);
}

static long set(u64 mcg, u64 status)
{
    msrs[0] = (struct xen_domctl_vcpu_msr){ MCG_STATUS, 0, mcg };
    msrs[1] = (struct xen_domctl_vcpu_msr){ MC1_STATUS, 0, status };
    msrs[2] = (struct xen_domctl_vcpu_msr){ MC1_STATUS + 1, 0, 0x5000 };
    msrs[3] = (struct xen_domctl_vcpu_msr){ MC1_STATUS + 2, 0, 0x8c };
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 1, 4, (u64)msrs };
    return domctl(XEN_DOMCTL_set_vcpu_msrs);
}

static u32 get(void)
{
    memory_set(msrs, 0, sizeof(msrs));
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 1, 8, (u64)msrs };
    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), 0);
    return op.u.vcpu_msrs.msr_count;
}

static void refusals(void)
{
    op.interface_version = 1;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_domctl, &op), -13);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_domctl, 0xffff830000000000), -14);
    CHECK_EQ(domctl(9999), -38);
    op.cmd = XEN_DOMCTL_get_vcpu_msrs;
    op.domain = 4711;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_domctl, &op), -3);
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 0, 0, 0 };
    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), -22); /* the caller's own */
    op.u.vcpu_msrs.vcpu = 77;
    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), -3);
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 1, 0, 0 };
    CHECK_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), 0);
    CHECK_EQ(op.u.vcpu_msrs.msr_count, 6);
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 1, 99, (u64)msrs };
    CHECK_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs), -22);
    msrs[0] = (struct xen_domctl_vcpu_msr){ 0xc0000080, 0, 0 };
    op.u.vcpu_msrs.msr_count = 1;
    CHECK_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs), -22);
    msrs[0] = (struct xen_domctl_vcpu_msr){ 0xc0000103, 0, 1UL << 40 };
    CHECK_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs), -22);
}

void test_main(void)
{
    refusals();
    CHECK_EQ(get(), 0);
    /* Optional: asynchronous. Required: synchronous, and said so. */
    CHECK_EQ(set(5, UCR | S), 0);
    CHECK_EQ(get(), 4);
    CHECK_EQ(msrs[0].value, 5);
    CHECK_EQ(msrs[1].value, UCR | S);
    CHECK_EQ(set(7, UCR | S | AR), 0);
    CHECK_EQ(set(5, UCR | S | AR), -22);
    CHECK_EQ(set(7, UCR | S), -22);
    CHECK_EQ(set(5, UCR | S | PCC), -22);
    CHECK_EQ(set(5, 1UL << 63), -22); /* corrected errors are not signalled */
    CHECK_EQ(set(4, UCR | S), -22);
    CHECK_EQ(set(0x85, UCR | S), -22);
    CHECK_EQ(set(0, 0), 0);
    op.u.ext_vcpucontext.vcpu = 1;
    CHECK_EQ(domctl(XEN_DOMCTL_get_ext_vcpucontext), 0);
    CHECK_EQ(op.u.ext_vcpucontext.size, 64);
    CHECK_EQ(op.u.ext_vcpucontext.vmce.caps & 0xff, 2);
    CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext), 0);
    op.u.ext_vcpucontext.vmce.caps |= 1 << 10; /* CMCI */
    CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext), -1);
    op.u.ext_vcpucontext.vmce.caps = 2;
    op.u.ext_vcpucontext.vmce.mci_ctl2_bank1 = 1UL << 30;
    CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext), -1);
    op.u.ext_vcpucontext.size = 32;
    CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext), 0);
    op.u.ext_vcpucontext.syscall32_callback_eip = 1UL << 63;
    CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext), -22);
}
