/* SPDX-License-Identifier: MIT */
/* Hypercalls with arguments that are wrong in one way each: the error is the one that the ABI's callers expect, and nothing has happened. */
#include "guest.h"
#include <public/grant_table.h>

#define ERR_PERM (-1)
#define ERR_NOENT (-2)
#define ERR_SRCH (-3)
#define ERR_NXIO (-6)
#define ERR_FAULT (-14)
#define ERR_INVAL (-22)
#define ERR_NOSYS (-38)
#define ERR_NODATA (-61)
#define ERR_TIME (-62)
#define NOBODY 77

static void *const nowhere = (void *)0x1000;                 /* not mapped */
static void *const hypervisors = (void *)0xffff830000000000; /* not the guest's to name */

static void version(void)
{
    static const u32 writers[] = { XENVER_extraversion,        XENVER_compile_info, XENVER_capabilities, XENVER_changeset,
                                   XENVER_platform_parameters, XENVER_get_features, XENVER_guest_handle, XENVER_commandline };
    struct xen_feature_info f = { .submap_idx = 1 };

    for (u32 i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, writers[i], nowhere), ERR_FAULT);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, writers[i], hypervisors), ERR_FAULT);
    }
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_get_features, &f), ERR_INVAL);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, XENVER_build_id, 0), ERR_NODATA);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, NOBODY, 0), ERR_NOSYS);
}

static long grant(u32 cmd, void *arg) { return HYPERCALL3(__HYPERVISOR_grant_table_op, cmd, arg, 1); }

static void grants(void)
{
    u64 frames[4];
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 2, .frame_list = frames };
    struct gnttab_query_size q = { .dom = NOBODY };
    struct gnttab_get_version v = { .dom = NOBODY };

    CHECK_EQ(grant(GNTTABOP_setup_table, nowhere), ERR_FAULT);
    CHECK_EQ(grant(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_okay);
    CHECK(frames[0] != frames[1]);
    s.frame_list = nowhere;
    CHECK_EQ(grant(GNTTABOP_setup_table, &s), ERR_FAULT);
    s.nr_frames = 1u << 20;
    CHECK_EQ(grant(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_general_error);
    s.dom = NOBODY;
    CHECK_EQ(grant(GNTTABOP_setup_table, &s), 0);
    CHECK_EQ(s.status, GNTST_bad_domain);
    CHECK_EQ(grant(GNTTABOP_query_size, &q), 0);
    CHECK_EQ(q.status, GNTST_bad_domain);
    q.dom = DOMID_SELF;
    CHECK_EQ(grant(GNTTABOP_query_size, &q), 0);
    CHECK(q.status == GNTST_okay && q.nr_frames == 2);
    CHECK_EQ(grant(GNTTABOP_get_version, &v), ERR_SRCH);
    v.dom = DOMID_SELF;
    CHECK_EQ(grant(GNTTABOP_get_version, &v), 0);
    CHECK_EQ(v.version, 1);
    CHECK_EQ(grant(NOBODY, &v), ERR_NOSYS);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, nowhere, 0), 0); /* of no structures */
}

static void scheduling(void)
{
    u32 ports[2] = { ~0u, 0 };
    struct sched_poll poll = { .ports = ports, .nr_ports = 129 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, NOBODY, 0), ERR_NOSYS);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, nowhere), ERR_FAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, nowhere), ERR_FAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), ERR_INVAL);
    poll.nr_ports = 1;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), ERR_INVAL);
    poll.ports = nowhere;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), ERR_FAULT);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_timer_op, 0), 0);
}

static long vcpu(u32 cmd, u32 id, void *arg) { return HYPERCALL3(__HYPERVISOR_vcpu_op, cmd, id, arg); }

static void vcpus(void)
{
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area r = { .addr.p = (u64)hypervisors };
    struct vcpu_set_periodic_timer p = { .period_ns = 1 };
    struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future };
    struct vcpu_register_vcpu_info info = { .offset = 4 };

    CHECK_EQ(vcpu(VCPUOP_is_up, NOBODY, 0), ERR_NOENT);
    CHECK_EQ(vcpu(NOBODY, 0, 0), ERR_NOSYS);
    CHECK_EQ(vcpu(VCPUOP_is_up, 0, 0), 1);
    CHECK_EQ(vcpu(VCPUOP_up, 0, 0), 0);
    CHECK_EQ(vcpu(VCPUOP_initialise, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_get_runstate_info, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_register_runstate_memory_area, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_register_runstate_memory_area, 0, &r), ERR_FAULT);
    r.addr.p = (u64)&area;
    CHECK_EQ(vcpu(VCPUOP_register_runstate_memory_area, 0, &r), 0);
    CHECK_EQ(area.state, RUNSTATE_running);
    CHECK_EQ(vcpu(VCPUOP_set_periodic_timer, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_set_periodic_timer, 0, &p), ERR_INVAL);
    p.period_ns = ~0UL;
    CHECK_EQ(vcpu(VCPUOP_set_periodic_timer, 0, &p), ERR_INVAL);
    p.period_ns = 1000000000;
    CHECK_EQ(vcpu(VCPUOP_set_periodic_timer, 0, &p), 0);
    CHECK_EQ(vcpu(VCPUOP_stop_periodic_timer, 0, 0), 0);
    CHECK_EQ(vcpu(VCPUOP_set_singleshot_timer, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_set_singleshot_timer, 0, &s), ERR_TIME);
    CHECK_EQ(vcpu(VCPUOP_stop_singleshot_timer, 0, 0), 0);
    CHECK_EQ(vcpu(VCPUOP_register_vcpu_info, 0, nowhere), ERR_FAULT);
    CHECK_EQ(vcpu(VCPUOP_register_vcpu_info, 0, &info), ERR_NXIO);
    info.offset = 4096 - 8;
    CHECK_EQ(vcpu(VCPUOP_register_vcpu_info, 0, &info), ERR_NXIO);
    info.offset = 0;
    info.mfn = ~0UL;
    CHECK_EQ(vcpu(VCPUOP_register_vcpu_info, 0, &info), ERR_INVAL);
}

static long memory(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }

/* Each answers how many extents were done. */
static void reservations(void)
{
    static const u32 commands[] = { XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap };
    u64 frame = ~0UL;
    long before = memory(XENMEM_current_reservation, &(u16){ DOMID_SELF });

    for (u32 i = 0; i < 3; i++) {
        struct xen_memory_reservation r = { .extent_start = hypervisors, .nr_extents = 1, .domid = DOMID_SELF };

        CHECK_EQ(memory(commands[i], nowhere), ERR_FAULT);
        if (commands[i] != XENMEM_increase_reservation)
            CHECK_EQ(memory(commands[i], &r), 0);
        r.extent_start = &frame;
        r.domid = NOBODY;
        CHECK_EQ(memory(commands[i], &r), 0);
        r.domid = DOMID_SELF;
        r.extent_order = 13;
        CHECK_EQ(memory(commands[i], &r), 0);
        r.extent_order = 0;
        r.mem_flags = 1; /* below address 2 */
        CHECK_EQ(memory(commands[i], &r), 0);
        r.nr_extents = 0;
        CHECK_EQ(memory(commands[i], &r), 0);
    }
    CHECK_EQ(memory(XENMEM_current_reservation, &(u16){ DOMID_SELF }), before);
    CHECK_EQ(memory(XENMEM_current_reservation, &(u16){ NOBODY }), ERR_SRCH);
    CHECK_EQ(memory(XENMEM_maximum_reservation, nowhere), ERR_FAULT);
    CHECK_EQ(memory(63, nowhere), ERR_NOSYS);
}

static void exchanges(void)
{
    u64 frame = ~0UL, place = 0;
    const struct xen_memory_exchange sound = { .in = { .extent_start = &frame, .nr_extents = 1, .domid = DOMID_SELF },
                                               .out = { .extent_start = &place, .nr_extents = 1, .domid = DOMID_SELF } };
    struct xen_memory_exchange e = sound;

    CHECK_EQ(memory(XENMEM_exchange, nowhere), ERR_FAULT);
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_INVAL); /* no such frame */
    e.in.domid = NOBODY;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_INVAL);
    e.out.domid = NOBODY;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_SRCH);
    e = sound;
    e.out.extent_order = 13;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_PERM);
    e = sound;
    e.out.nr_extents = 2;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_INVAL);
    e = sound;
    e.nr_exchanged = 2;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_INVAL);
    e = sound;
    e.in.extent_start = nowhere;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_FAULT);
    e.in.extent_start = hypervisors;
    CHECK_EQ(memory(XENMEM_exchange, &e), ERR_FAULT);
}

static void maps(void)
{
    struct e820entry entry;
    struct xen_memory_map m = { .nr_entries = 1, .buffer = nowhere };

    CHECK_EQ(memory(XENMEM_machphys_mapping, nowhere), ERR_FAULT);
    CHECK_EQ(memory(XENMEM_machine_memory_map, nowhere), ERR_FAULT);
    CHECK_EQ(memory(XENMEM_machine_memory_map, &m), ERR_FAULT);
    m.buffer = &entry;
    CHECK_EQ(memory(XENMEM_machine_memory_map, &m), 0);
    CHECK_EQ(m.nr_entries, 1);
}

static void batches(void)
{
    struct multicall_entry list[2] = { { .op = __HYPERVISOR_multicall }, { .op = 999 } };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, hypervisors, 1), ERR_FAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, nowhere, 1), ERR_FAULT);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, list, 2), 0);
    CHECK_EQ(list[0].result, ERR_INVAL);
    CHECK_EQ(list[1].result, ERR_NOSYS);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_write, 5, nowhere), ERR_FAULT);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_console_io, NOBODY, 0, 0), ERR_NOSYS);
}

void test_main(void)
{
    version();
    grants();
    scheduling();
    vcpus();
    reservations();
    exchanges();
    maps();
    batches();
}
