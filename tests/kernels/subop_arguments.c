/* SPDX-License-Identifier: MIT */
/*
 * The argument of each sub-operation, where it cannot be read: -EFAULT, alone and in a batch, whatever the upper half of the command says; and
 * as many bytes of it are read as the ABI's structure has.
 */
#include "guest.h"
#include <public/grant_table.h>

#define EFAULT 14

static const u64 not_ours[] = {
    0,
    0x00007fffffffffffUL,
    0x0000800000000000UL,
    0x7fffffffffffffffUL,
    0x8000000000000000UL,
    0xdead000000000000UL,
    0xffff7fffffffffffUL,
    0xffff800000000000UL,
    0xffff82d040004000UL,
    0xffff830000100000UL,
    0xffff87fffffffff9UL,
    ~0UL,
};

/* Filled with 1s, or with 0s, each is refused or without effect. */
#define LEFT_OUT 1 /* of fills: the operation would end us, or keep the argument */
#define ROW(hypercall, op, type, fill)                   \
    {                                                    \
        __HYPERVISOR_##hypercall, op, sizeof(type), fill \
    }
static const struct row {
    u8 hypercall, op;
    u16 bytes;
    u8 fill;
} rows[] = {
    ROW(memory_op, XENMEM_increase_reservation, struct xen_memory_reservation, 0xff),
    ROW(memory_op, XENMEM_decrease_reservation, struct xen_memory_reservation, 0xff),
    ROW(memory_op, XENMEM_populate_physmap, struct xen_memory_reservation, 0xff),
    ROW(memory_op, XENMEM_current_reservation, domid_t, 0xff),
    ROW(memory_op, XENMEM_maximum_reservation, domid_t, 0xff),
    ROW(memory_op, XENMEM_exchange, struct xen_memory_exchange, 0xff),
    ROW(grant_table_op, GNTTABOP_map_grant_ref, struct gnttab_map_grant_ref, 0xff),
    ROW(grant_table_op, GNTTABOP_unmap_grant_ref, struct gnttab_unmap_grant_ref, 0xff),
    ROW(grant_table_op, GNTTABOP_copy, struct gnttab_copy, 0xff),
    ROW(grant_table_op, GNTTABOP_unmap_and_replace, struct gnttab_unmap_and_replace, 0xff),
    ROW(grant_table_op, GNTTABOP_swap_grant_ref, struct gnttab_swap_grant_ref, 0xff),
    ROW(grant_table_op, GNTTABOP_setup_table, struct gnttab_setup_table, 0xff),
    ROW(grant_table_op, GNTTABOP_query_size, struct gnttab_query_size, 0xff),
    ROW(grant_table_op, GNTTABOP_set_version, struct gnttab_set_version, 0xff),
    ROW(grant_table_op, GNTTABOP_get_version, struct gnttab_get_version, 0xff),
    ROW(vcpu_op, VCPUOP_register_runstate_memory_area, struct vcpu_register_runstate_memory_area, 0),
    ROW(vcpu_op, VCPUOP_set_periodic_timer, struct vcpu_set_periodic_timer, 0xff),
    ROW(vcpu_op, VCPUOP_register_vcpu_info, struct vcpu_register_vcpu_info, 0xff),
    ROW(vcpu_op, VCPUOP_register_vcpu_time_memory_area, struct vcpu_register_time_memory_area, 0),
    ROW(sched_op, SCHEDOP_shutdown, struct sched_shutdown, LEFT_OUT),
    ROW(sched_op, SCHEDOP_poll, struct sched_poll, 0xff),
    ROW(sched_op, SCHEDOP_remote_shutdown, struct sched_remote_shutdown, 0xff),
    ROW(sched_op, SCHEDOP_shutdown_code, struct sched_shutdown, LEFT_OUT),
    ROW(sched_op, SCHEDOP_watchdog, struct sched_watchdog, 0xff),
    ROW(sched_op, SCHEDOP_pin_override, struct sched_pin_override, 0xff),
    ROW(callback_op, CALLBACKOP_register, struct callback_register, 0xff),
    ROW(callback_op, CALLBACKOP_unregister, struct callback_unregister, 0xff),
    ROW(event_channel_op, EVTCHNOP_bind_interdomain, struct evtchn_bind_interdomain, 0xff),
    ROW(event_channel_op, EVTCHNOP_bind_virq, struct evtchn_bind_virq, 0xff),
    ROW(event_channel_op, EVTCHNOP_bind_pirq, struct evtchn_bind_pirq, 0xff),
    ROW(event_channel_op, EVTCHNOP_close, struct evtchn_close, 0xff),
    ROW(event_channel_op, EVTCHNOP_send, struct evtchn_send, 0xff),
    ROW(event_channel_op, EVTCHNOP_status, struct evtchn_status, 0xff),
    ROW(event_channel_op, EVTCHNOP_alloc_unbound, struct evtchn_alloc_unbound, 0xff),
    ROW(event_channel_op, EVTCHNOP_bind_ipi, struct evtchn_bind_ipi, 0xff),
    ROW(event_channel_op, EVTCHNOP_bind_vcpu, struct evtchn_bind_vcpu, 0xff),
    ROW(event_channel_op, EVTCHNOP_unmask, struct evtchn_unmask, 0xff),
    ROW(event_channel_op, EVTCHNOP_reset, struct evtchn_reset, 0xff),
    ROW(event_channel_op, EVTCHNOP_init_control, struct evtchn_init_control, 0xff),
    ROW(event_channel_op, EVTCHNOP_expand_array, struct evtchn_expand_array, 0xff),
    ROW(event_channel_op, EVTCHNOP_set_priority, struct evtchn_set_priority, 0xff),
    ROW(physdev_op, PHYSDEVOP_irq_status_query, struct physdev_irq_status_query, 0xff),
    ROW(physdev_op, PHYSDEVOP_set_iopl, struct physdev_set_iopl, 0xff),
    ROW(physdev_op, PHYSDEVOP_set_iobitmap, struct physdev_set_iobitmap, 0xff),
    ROW(physdev_op, PHYSDEVOP_apic_read, struct physdev_apic, 0xff),
    ROW(physdev_op, PHYSDEVOP_alloc_irq_vector, struct physdev_irq, 0xff),
    ROW(physdev_op, PHYSDEVOP_eoi, struct physdev_eoi, 0xff),
    ROW(physdev_op, PHYSDEVOP_map_pirq, struct physdev_map_pirq, 0xff),
    ROW(physdev_op, PHYSDEVOP_unmap_pirq, struct physdev_unmap_pirq, 0xff),
    ROW(physdev_op, PHYSDEVOP_setup_gsi, struct physdev_setup_gsi, 0xff),
};

static long call(const struct row *r, u64 above, u64 at, bool in_batch)
{
    struct multicall_entry m = { .op = r->hypercall, .args = { above | r->op, at, 1 } };

    if (r->hypercall == __HYPERVISOR_vcpu_op) {
        m.args[1] = 0; /* the vCPU */
        m.args[2] = at;
    }
    if (!in_batch)
        return HYPERCALL3(m.op, m.args[0], m.args[1], m.args[2]);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, &m, 1), 0);
    return (long)m.result;
}

void test_main(void)
{
    u8 *page = page_new(), *end = page_new();

    CHECK_EQ(end - page, PAGE_SIZE);
    CHECK_EQ(remap(end, 0), 0);
    for (const struct row *r = rows; r < rows + sizeof(rows) / sizeof(rows[0]); r++) {
        u64 above = r->hypercall == __HYPERVISOR_memory_op ? 0 : 0xffffffffUL << 32; /* memory_op has the extent there */
        long wrong = 0;

        for (u32 i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++)
            wrong += call(r, 0, not_ours[i], false) != -EFAULT || call(r, above, not_ours[i], true) != -EFAULT;
        memory_set(page, r->fill, PAGE_SIZE);
        for (u32 n = 0; n < r->bytes; n++)
            wrong += call(r, above, (u64)end - n, n & 1) != -EFAULT;
        if (r->fill != LEFT_OUT)
            wrong += call(r, 0, (u64)end - r->bytes, false) == -EFAULT;
        if (wrong)
            print("hypercall %u, operation %u\n", r->hypercall, r->op);
        CHECK_EQ(wrong, 0);
    }
}
