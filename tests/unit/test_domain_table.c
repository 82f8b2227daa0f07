/* SPDX-License-Identifier: MIT */
/* The table of domains: references, ids that go upwards, walks while domains come and go. */
#include "fakes.h"

#include <hv/softirq.h>

#define MANY 200
static struct domain *dom0, domains[MANY];

static int setup(void **state)
{
    (void)state;
    for (u32 i = 0; i < MANY; i++)
        domains[i].refs = 0;
    while (domain_table_take_unheld()) /* before dom0, which is linked with them, is wiped */
        ;
    fake_reset();
    fake_memory_init();
    memset(domains, 0, sizeof(domains));
    dom0 = fake_domain(0, true);
    return 0;
}

static struct domain *add(u32 i, domid_t id)
{
    domains[i].refs = 1;
    return domain_table_add(&domains[i], id) ? NULL : &domains[i];
}

static void held_means_there(void **state)
{
    (void)state;
    struct domain *d = add(0, 7);

    assert_ptr_equal(domain_by_id(7), d);
    assert_int_equal(d->refs, 2);
    assert_null(domain_by_id(8));
    domain_put(d); /* as domain_kill() does at its end: our look-up still holds it */
    assert_int_equal(fake_softirqs, 0);
    assert_null(domain_table_take_unheld());
    domain_done(d);
    assert_true(fake_softirqs & 1u << SOFTIRQ_DOMAIN_END);
    assert_null(domain_by_id(7)); /* nobody finds one that is going */
    assert_null(domain_from_id(1));
    assert_int_equal(add(1, 7) != NULL, 0); /* and its id is not free before it has gone */
    assert_ptr_equal(domain_table_take_unheld(), d);
    assert_null(domain_table_take_unheld());
    assert_non_null(add(1, 7));
}

static void own_domain_is_not_counted(void **state)
{
    (void)state;
    u32 refs = dom0->refs;
    struct domain *d __held_domain = NULL;

    assert_ptr_equal(domain_by_id(DOMID_SELF), dom0);
    assert_int_equal(domain_for_caller(0, &d), 0);
    assert_int_equal(dom0->refs, refs);
    domain_done(d);
    assert_int_equal(dom0->refs, refs);
}

static void callers(void **state)
{
    (void)state;
    struct domain *other = add(0, 9), *d;

    assert_int_equal(domain_for_caller(9, &d), 0);
    assert_ptr_equal(d, other);
    domain_done(d);
    assert_int_equal(domain_for_caller(10, &d), -ESRCH);
    assert_null(d);
    dom0->is_control = false; /* no difference between those that exist and those that do not */
    assert_int_equal(domain_for_caller(9, &d), -EPERM);
    assert_null(d);
    assert_int_equal(domain_for_caller(10, &d), -EPERM);
    assert_int_equal(domain_for_caller(DOMID_XEN, &d), -EPERM);
    assert_int_equal(domain_for_caller(0, &d), 0);
    assert_int_equal(other->refs, 1);
}

static void ids_go_upwards(void **state)
{
    (void)state;
    domid_t last = 0;

    for (u32 i = 0; i < MANY; i++) {
        struct domain *d = add(i % 8, DOMID_INVALID);

        assert_non_null(d);
        if (i)
            assert_int_equal(d->id, last + 1);
        last = d->id;
        if (i % 8 == 7)
            for (u32 j = 0; j < 8; j++)
                domain_put(&domains[j]);
        while (i % 8 == 7 && domain_table_take_unheld())
            ;
    }
    /* At the end of the numbers they begin anew, behind dom0's and without those in use. */
    assert_non_null(add(0, 1));
    for (u32 id = last; id != 2; id = domains[1].id) {
        assert_non_null(add(1, DOMID_INVALID));
        assert_true(domains[1].id > id || (id == DOMID_FIRST_RESERVED - 1 && domains[1].id == 2));
        domain_put(&domains[1]);
        assert_ptr_equal(domain_table_take_unheld(), &domains[1]);
    }
}

static void walks(void **state)
{
    (void)state;
    u32 seen = 0;

    for (u32 i = 0; i < MANY; i++) /* not in the order of their ids */
        assert_non_null(add(i, (domid_t)(1 + i * 7 % MANY)));
    domid_t next = 0;

    for_each_domain(d) {
        assert_int_equal(d->id, next++);
        assert_int_equal(d->refs, 2);
        seen++;
    }
    assert_int_equal(seen, MANY + 1);
    /* Each goes while the walk stands on it, and takes its successor along. */
    seen = 0;
    for_each_domain(d) {
        seen++;
        if (d == dom0)
            continue;
        for (u32 i = 0; i < MANY; i++)
            if (domains[i].id == d->id || domains[i].id == d->id + 1u)
                domain_put(&domains[i]);
        while (domain_table_take_unheld())
            ;
    }
    assert_int_equal(seen, 1 + MANY / 2);
    while (domain_table_take_unheld())
        ;
    for (u32 i = 0; i < MANY; i++)
        assert_int_equal(domains[i].refs, 0);
    assert_int_equal(dom0->refs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(held_means_there, setup),
                                        cmocka_unit_test_setup(own_domain_is_not_counted, setup), cmocka_unit_test_setup(callers, setup),
                                        cmocka_unit_test_setup(ids_go_upwards, setup), cmocka_unit_test_setup(walks, setup) };

    return cmocka_run_group_tests_name("domain_table", tests, NULL, NULL);
}
