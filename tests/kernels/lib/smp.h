/* SPDX-License-Identifier: MIT */
/* Other vCPUs of a test kernel. They run one function each and take no traps, and events only where smp_callback says how. */
#ifndef SMP_H
#define SMP_H

#include "guest.h"
#include <public/domctl.h>

#define MAX_VCPUS 8
static u8 smp_stacks[MAX_VCPUS][16384] __attribute__((aligned(16)));
static struct vcpu_guest_context smp_context;
static u64 smp_callback; /* the upcall of vCPUs that start from here on; 0: none */

/* smp_context for vCPU `id` to begin at fn, which must not return. */
static inline void smp_make_context(u32 id, void (*fn)(u32 id))
{
    struct vcpu_guest_context *c = &smp_context;

    memory_set(c, 0, sizeof(*c));
    c->flags = 4; /* VGCF_in_kernel */
    c->user_regs.rip = (u64)fn;
    c->user_regs.rdi = id;
    c->user_regs.rsp = (u64)&smp_stacks[id][sizeof(smp_stacks[0]) - 16] - 8;
    c->user_regs.cs = FLAT_CS64;
    c->user_regs.ss = FLAT_SS;
    c->user_regs.rflags = 0x200;
    c->event_callback_eip = smp_callback;
    c->kernel_ss = FLAT_SS;
    c->kernel_sp = (u64)&smp_stacks[id][sizeof(smp_stacks[0]) / 2];
    c->ctrlreg[3] = va_to_mfn((void *)start_info->pt_base) << 12;
}

static inline void smp_start(u32 id, void (*fn)(u32 id))
{
    smp_make_context(id, fn);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, id, &smp_context), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_up, id, 0), 0);
}

static inline u64 smp_atomic_add(volatile u64 *p, u64 n) { return __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST); }

static inline void smp_stop(u32 id)
{
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_down, id, 0);
    for (;;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static inline u64 smp_running_ns(u32 id)
{
    struct vcpu_runstate_info r;

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, id, &r), 0);
    return r.time[RUNSTATE_running];
}

static struct xen_domctl smp_op;
static inline long smp_domctl(u32 cmd)
{
    smp_op.cmd = cmd;
    smp_op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    smp_op.domain = DOMID_SELF;
    return HYPERCALL1(__HYPERVISOR_domctl, &smp_op);
}

static inline long smp_pin(u32 vcpu, u64 cpus)
{
    u64 map = cpus;

    smp_op.u.vcpuaffinity = (struct xen_domctl_vcpuaffinity){ vcpu, XEN_VCPUAFFINITY_HARD, { (u64)&map, 64 }, { 0, 0 } };
    return smp_domctl(XEN_DOMCTL_setvcpuaffinity);
}

/* XENPF_cpu_online, _offline or get_cpuinfo, whose answer is in smp_platform.u.pcpu_info. */
static struct xen_platform_op smp_platform;
static inline long smp_cpu_change(u32 cmd, u32 cpu)
{
    smp_platform.cmd = cmd;
    smp_platform.interface_version = XENPF_INTERFACE_VERSION;
    if (cmd == XENPF_get_cpuinfo)
        smp_platform.u.pcpu_info.xen_cpuid = cpu;
    else
        smp_platform.u.cpu_ol.cpuid = cpu;
    return HYPERCALL1(__HYPERVISOR_platform_op, &smp_platform);
}

#endif
