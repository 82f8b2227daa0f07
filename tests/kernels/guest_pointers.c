/* SPDX-License-Identifier: MIT */
/* Addresses that are no guest's, given to the hypervisor to read from and to write to: -EFAULT, and nothing else happens. */
#include "guest.h"

#define EFAULT 14
#define HYPERVISOR_START 0xffff800000000000UL
#define HYPERVISOR_END 0xffff880000000000UL
#define DIRECT_MAP 0xffff830000000000UL

static const u64 not_ours[] = {
    0x00007fffffffffffUL, 0x0000800000000000UL, 0x00008300000f0000UL,  0x7fffffffffffffffUL,      0x8000000000000000UL,
    0xdead000000000000UL, 0xffff7fffffffffffUL, HYPERVISOR_START,      HYPERVISOR_START + 0x8000, 0xffff820000000000UL,
    0xffff82d040004000UL, DIRECT_MAP,           DIRECT_MAP + 0x100000, HYPERVISOR_END - 1,        ~0UL,
};

static void try(u64 at)
{
    /* Words in line: read (a vCPU's runstate area), written (features), both (an event channel's status). */
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, at), -EFAULT);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, at), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_platform_parameters, at), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, at), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, at), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_trap_table, at, 0), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, at, 1), -EFAULT);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, at, 1, 0, DOMID_SELF), -EFAULT);
    /* By the copy routines. */
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, at, 512 * 14), -EFAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_extraversion, at), -EFAULT);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_console_io, 0, 16, at), -EFAULT);
}

void test_main(void)
{
    for (u32 i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++) {
        try(not_ours[i]);
        /* That end on the first byte that is the guest's, or begin on its last one. */
        try(not_ours[i] & ~7UL);
    }

    /* Numbers that are in no table. */
    const u64 numbers[] = { 64, 255, 4096, 0x7fffffff, 0xffffffff, (1UL << 40) + 200, ~0UL };

    for (u32 i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct multicall_entry m = { .op = numbers[i] };
        struct evtchn_send s = { (u32)numbers[i] };
        struct evtchn_bind_ipi ipi = { .vcpu = (u32)numbers[i] };
        struct physdev_eoi eoi = { (u32)numbers[i] | 4096 };

        CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, &m, 1), 0);
        CHECK_EQ(m.result, -38);
        CHECK_EQ(hypercall(numbers[i], 0, 0, 0, 0, 0), -38);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, numbers[i], 0), -2);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, (u32)numbers[i], 0, 0), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, (u32)numbers[i], &s), -38);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, (u32)numbers[i], &s, 1), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, (u32)numbers[i], &s), -38);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, &eoi), -22);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi), -2);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &s), -22);
        CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, numbers[i] << 20, 0), -22);
        CHECK_EQ(mmu_update_one(numbers[i] << 40, 0), -22);
        CHECK_EQ(HYPERCALL1(__HYPERVISOR_get_debugreg, numbers[i]), -19);
    }
}
