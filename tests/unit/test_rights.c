/* SPDX-License-Identifier: MIT */
/*
 * Who may call what: the table of hypercalls, and the tables of their operations, with a handler of the test's in each row, run by the real
 * dispatcher as domains that have any mix of rights.
 */
#include "fakes.h"

#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <public/domctl.h>
#include <public/event_channel.h>
#include <public/grant_table.h>
#include <public/mca.h>
#include <public/memory.h>
#include <public/physdev.h>
#include <public/platform.h>
#include <public/sysctl.h>
#include <public/vcpu.h>

#define ALL 0xffff

/* What needs a right. Everything else is for anybody. */
static const struct {
    u32 hypercall, op;
    u8 who;
} wanted[] = {
    { __HYPERVISOR_domctl, ALL, CONTROL },
    { __HYPERVISOR_sysctl, ALL, CONTROL },
    { __HYPERVISOR_platform_op, ALL, CONTROL },
    { __HYPERVISOR_mca, ALL, CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_machine_memory_map, CONTROL | HARDWARE },
    { __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_set_memory_map, CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_claim_pages, CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_acquire_resource, CONTROL },
    { __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, CONTROL },
    { __HYPERVISOR_sched_op, SCHEDOP_pin_override, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_apic_read, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_apic_write, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_alloc_irq_vector, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_setup_gsi, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_manage_pci_add, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_manage_pci_remove, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_manage_pci_add_ext, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_pci_mmcfg_reserved, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_remove, HARDWARE },
    { __HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_reset, HARDWARE },
    { __HYPERVISOR_memory_op, XENMEM_current_reservation, OWN_OR_CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_maximum_reservation, OWN_OR_CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_maximum_gpfn, OWN_OR_CONTROL },
    { __HYPERVISOR_memory_op, XENMEM_get_vnumainfo, OWN_OR_CONTROL },
    { __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, OWN_OR_CONTROL },
    { __HYPERVISOR_event_channel_op, EVTCHNOP_status, OWN_OR_CONTROL },
    { __HYPERVISOR_event_channel_op, EVTCHNOP_reset, OWN_OR_CONTROL },
    { __HYPERVISOR_grant_table_op, GNTTABOP_get_version, OWN_OR_CONTROL },
};

static const struct subops *const tables[] = {
#define X(name) &name##_table,
    SUBOPS_LIST(X)
#undef X
};

static struct domain *d;
static unsigned ran;
static u8 guest_memory[SUBOP_MAX_ARG];

static long fake_run(void *arg, void *target)
{
    (void)arg;
    assert_true(!target || target == &ran || target == d);
    ran++;
    return 0;
}

static long fake_call(const struct subop *row, void *arg, void *target)
{
    assert_ptr_equal(target, &ran);
    return row->run(arg, target);
}

static u8 right_of(u32 hypercall, u32 op)
{
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        if (wanted[i].hypercall == hypercall && (wanted[i].op == ALL || wanted[i].op == op))
            return wanted[i].who;
    return ANYBODY;
}

/* As one with these rights, on domain id; what the dispatcher answers. */
static long try(const struct subops *table, u32 op, u8 rights, u32 version, domid_t id)
{
    struct subop rows[128] = { 0 };
    struct subops copy = *table;

    assert_true(op < table->count && table->count <= ARRAY_SIZE(rows));
    assert_true(table->head + table->rows[op].size <= SUBOP_MAX_ARG && table->whole <= SUBOP_MAX_ARG);
    rows[op] = table->rows[op];
    rows[op].run = fake_run;
    copy.rows = rows;
    copy.call = table->call ? fake_call : NULL;
    d->is_control = rights & CONTROL;
    d->is_hardware = rights & HARDWARE;
    ((u32 *)guest_memory)[0] = table->version ? op : id;
    ((u32 *)guest_memory)[1] = version;
    return subop_dispatch(&copy, op, guest_ptr((u64)guest_memory), &ran);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    d = fake_domain(5, false);
    return 0;
}

static void each_row(void **state)
{
    (void)state;
    unsigned rows = 0;

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct subops *t = tables[i]; t; t = t->newer)
            for (u32 op = 0; op < t->count; op++) {
                if (!t->rows[op].run) {
                    assert_int_equal(t->rows[op].size, 0); /* its handler would not be linked */
                    continue;
                }
                for (u8 rights = 0; rights < 4; rights++) {
                    u8 who = right_of(t->hypercall, op);
                    bool own = who == OWN_OR_CONTROL, may = who == ANYBODY || own || (who & rights);

                    ran = 0;
                    assert_int_equal(try(t, op, rights, t->version, DOMID_SELF), may ? 0 : -EPERM);
                    assert_int_equal(ran, may);
                    /* About a domain that there is not; other operations do not look at the number. */
                    assert_int_equal(try(t, op, rights, t->version, 77), !may ? -EPERM : !own ? 0 : rights & CONTROL ? -ESRCH : -EPERM);
                    assert_int_equal(ran, may + (may && !own));
                }
                rows++;
            }
    assert_true(rows >= 155);
}

/* Whole hypercalls, which are asked before anything of theirs is looked at. */
static void each_hypercall(void **state)
{
    static const bool control[HYPERCALL_MAX] = {
        [__HYPERVISOR_platform_op] = true, [__HYPERVISOR_domctl] = true, [__HYPERVISOR_sysctl] = true,
        [__HYPERVISOR_hypfs_op] = true,    [__HYPERVISOR_mca] = true,
    };
#define X(name, ...) [__HYPERVISOR_##name] = (void *)do_##name,
    static void *const handlers[HYPERCALL_MAX] = { HYPERCALL_LIST(X) };
#undef X

    (void)state;
    for (u32 nr = 0; nr < HYPERCALL_MAX; nr++) {
        if (!control[nr]) {
            assert_ptr_equal(hypercall_table[nr], handlers[nr]);
            continue;
        }
        for (u32 hardware = 0; hardware < 2; hardware++) {
            d->is_control = false;
            d->is_hardware = hardware;
            assert_ptr_not_equal(hypercall_table[nr], handlers[nr]);
            assert_int_equal(hypercall_table[nr](0, 0, 0, 0, 0, 0), -EPERM);
        }
    }
}

/* What has a handler has no row in not_offered.c, of which docs/unsupported.md is made. */
static void no_row_is_stale(void **state)
{
    (void)state;
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (u32 op = 0; op < tables[t]->count; op++) {
            if (!tables[t]->rows[op].run)
                continue;
            fake_log[0] = 0;
            hypercall_not_offered(tables[t]->hypercall, op);
            if (!strstr(fake_log, "is not known"))
                fail_msg("it has a handler, and a row in not_offered.c: %s", fake_log);
        }
}

/* An older toolstack is told so, whatever it asks for. */
static void versions(void **state)
{
    (void)state;
    u32 versioned = 0;

    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        if (tables[t]->version) {
            ran = 0;
            assert_int_equal(try(tables[t], tables[t]->count - 1, CONTROL, tables[t]->version - 1, DOMID_SELF), -EACCES);
            assert_int_equal(ran, 0);
            versioned++;
        }
    assert_int_equal(versioned, 4);
}

static long answer(u32 version, u32 op)
{
    static const struct subop rows[] = { { CONTROL, ARG_IN(u8[8], fake_run, NULL) }, { CONTROL, ARG_IN(u8[8], fake_run, NULL) } };
    static const struct subop newer_rows[] = { [1] = { ANYBODY, ARG_OUT(u8[16], fake_run, NULL) } };
    static const struct subops newer = { newer_rows, ARRAY_SIZE(newer_rows), __HYPERVISOR_domctl, .version = 7, .whole = 24, .head = 8 };
    static const struct subops table = {
        rows, ARRAY_SIZE(rows), __HYPERVISOR_domctl, .version = 5, .whole = 24, .head = 8, .newer = &newer
    };

    memset(guest_memory, 0x55, sizeof(guest_memory));
    ((u32 *)guest_memory)[0] = op;
    ((u32 *)guest_memory)[1] = version;
    return subop_dispatch(&table, 0, guest_ptr((u64)guest_memory), NULL);
}

/* Of two versions the newer has one row of its own, with its own rights and size; the other is the older's. */
static void newer_versions(void **state)
{
    (void)state;
    assert_int_equal(answer(5, 1), -EPERM);
    assert_int_equal(answer(7, 0), -EPERM);
    assert_int_equal(answer(7, 1), 0);
    assert_int_equal(answer(7, 2), -ENOSYS);
    for (u32 version = 0; version < 10; version++)
        if (version != 5 && version != 7)
            assert_int_equal(answer(version, 1), -EACCES);
}

static long fill(void *arg)
{
    memset(arg, 0xaa, 3);
    return ran++ ? -EINVAL : 0;
}

/* Out goes the argument, after success only, and nothing of what was on the stack. */
static void copies(void **state)
{
    (void)state;
    static const struct subop rows[] = { { ANYBODY, ARG_OUT(u8[8], fill) }, { ANYBODY, ARG_IN(u8[8], fill) } };
    const struct subops table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_sched_op };

    memset(guest_memory, 0x55, sizeof(guest_memory));
    ran = 0;
    assert_int_equal(subop_dispatch(&table, 0, guest_ptr((u64)guest_memory), NULL), 0);
    assert_memory_equal(guest_memory, "\xaa\xaa\xaa\0\0\0\0\0\x55", 9);
    memset(guest_memory, 0x55, sizeof(guest_memory));
    assert_int_equal(subop_dispatch(&table, 0, guest_ptr((u64)guest_memory), NULL), -EINVAL);
    ran = 0;
    assert_int_equal(subop_dispatch(&table, 1, guest_ptr((u64)guest_memory), NULL), 0);
    assert_memory_equal(guest_memory, "\x55\x55\x55\x55", 4);
    assert_int_equal(subop_dispatch(&table, 2, guest_ptr((u64)guest_memory), NULL), -ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(each_row, setup),        cmocka_unit_test_setup(each_hypercall, setup),
                                        cmocka_unit_test_setup(no_row_is_stale, setup), cmocka_unit_test_setup(versions, setup),
                                        cmocka_unit_test_setup(newer_versions, setup),  cmocka_unit_test_setup(copies, setup) };

    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
