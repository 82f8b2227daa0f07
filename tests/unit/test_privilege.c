/* SPDX-License-Identifier: MIT */
/* What a domain without privileges is told: who may not ask learns nothing, not even whether there is such a thing. */
#include "fakes.h"

#include <hv/boot_info.h>
#include <hv/grant.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/version.h>
#include <public/grant_table.h>

void page_put_and_type(struct page_info *pg) { (void)pg; }
long hypercall_not_offered(u64 hypercall, u64 op)
{
    (void)hypercall;
    (void)op;
    return -ENOSYS;
}

void domain_share_page(struct domain *d, struct page_info *pg, enum page_type type)
{
    (void)d;
    (void)pg;
    (void)type;
}

static struct domain *dom0, *guest;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    dom0 = fake_domain(0, true);
    guest = fake_domain(5, false); /* and calls */
    assert_int_equal(grant_init_domain(dom0), 0);
    assert_int_equal(grant_init_domain(guest), 0);
    return 0;
}

static long grant(u32 cmd, void *arg) { return do_grant_table_op(cmd, guest_ptr((u64)arg), 1); }
static long ask(u32 cmd, void *arg) { return do_xen_version(cmd, guest_ptr((u64)arg)); }

static void calls_as(const struct domain *d) { boot_percpu.curr = d->vcpu[0]; }

static void grant_tables_of_others(void **state)
{
    (void)state;
    static const domid_t others[] = { 0, 77, DOMID_XEN, DOMID_IO };

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        u64 frame = 1;
        struct gnttab_setup_table s = { .dom = others[i], .nr_frames = 1, .frame_list = guest_ptr((u64)&frame) };
        struct gnttab_query_size q = { .dom = others[i], .nr_frames = 99 };
        struct gnttab_get_version v = { .dom = others[i], .version = 99 };

        assert_int_equal(grant(GNTTABOP_setup_table, &s), 0);
        assert_int_equal(s.status, GNTST_permission_denied);
        assert_int_equal(frame, 1);
        assert_int_equal(grant(GNTTABOP_query_size, &q), 0);
        assert_int_equal(q.status, GNTST_permission_denied);
        assert_int_equal(q.nr_frames, 99);
        assert_int_equal(grant(GNTTABOP_get_version, &v), -EPERM);
        assert_int_equal(v.version, 99);
    }
    /* Its own, by either name. */
    static const domid_t own[] = { 5, DOMID_SELF };

    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        struct gnttab_query_size q = { .dom = own[i] };

        assert_int_equal(grant(GNTTABOP_query_size, &q), 0);
        assert_int_equal(q.status, GNTST_okay);
        assert_int_equal(q.nr_frames, 1);
    }
}

static void grant_tables_for_the_privileged(void **state)
{
    (void)state;
    struct gnttab_query_size there = { .dom = 5 }, absent = { .dom = 77 };
    struct gnttab_get_version v = { .dom = 77 };

    calls_as(dom0);
    assert_int_equal(grant(GNTTABOP_query_size, &there), 0);
    assert_int_equal(there.status, GNTST_okay);
    assert_int_equal(grant(GNTTABOP_query_size, &absent), 0);
    assert_int_equal(absent.status, GNTST_bad_domain);
    assert_int_equal(grant(GNTTABOP_get_version, &v), -ESRCH);
}

static void version_texts(void **state)
{
    (void)state;
    static const char cmdline[] = "com1=115200 loglvl=all";
    char text[1024];
    struct xen_feature_info f = { 0 };
    struct {
        u32 len;
        char buf[64];
    } var = { .len = 21 };

    strlcpy(boot_info.cmdline, cmdline, sizeof(boot_info.cmdline));
    assert_int_equal(ask(XENVER_commandline, text), 0);
    assert_string_equal(text, "<denied>");
    assert_int_equal(ask(XENVER_changeset, text), 0);
    assert_string_equal(text, "<denied>");
    assert_int_equal(ask(XENVER_get_features, &f), 0);
    assert_false(f.submap & (1u << XENFEAT_dom0));
    assert_int_equal(ask(XENVER_commandline2, NULL), -EPERM);
    assert_int_equal(ask(XENVER_changeset2, &var), -EPERM);
    assert_int_equal(ask(XENVER_extraversion2, NULL), strlen(".caisson-" CAISSON_VERSION));
    calls_as(dom0);
    assert_int_equal(ask(XENVER_commandline2, NULL), 22);
    assert_int_equal(ask(XENVER_commandline2, &var), -ENOBUFS);
    var.len = 22;
    assert_int_equal(ask(XENVER_commandline2, &var), 22);
    assert_memory_equal(var.buf, "com1=115200 loglvl=all\0\0", 24); /* without an end of its own */
    assert_int_equal(ask(XENVER_commandline, text), 0);
    assert_string_equal(text, cmdline);
    assert_int_equal(ask(XENVER_changeset, text), 0);
    assert_non_null(strstr(text, "caisson"));
    assert_int_equal(ask(XENVER_get_features, &f), 0);
    assert_true(f.submap & (1u << XENFEAT_dom0));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(grant_tables_of_others, setup),
                                        cmocka_unit_test_setup(grant_tables_for_the_privileged, setup),
                                        cmocka_unit_test_setup(version_texts, setup) };

    return cmocka_run_group_tests_name("privilege", tests, NULL, NULL);
}
