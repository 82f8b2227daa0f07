/* SPDX-License-Identifier: MIT */
/* What several CPUs rely on: the order of locks (debug builds), and the comparison of TSCs. */
#include "fakes.h"

#include <hv/time.h>
#include <hv/x86/tlb.h>

static spinlock_t event_low = SPINLOCK_INIT(LOCK_EVENT), irq = SPINLOCK_INIT(LOCK_IRQ), leaf = SPINLOCK_INIT(LOCK_LEAF),
                  other_leaf = SPINLOCK_INIT(LOCK_LEAF), console = SPINLOCK_INIT(LOCK_CONSOLE), unranked;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    boot_percpu.locks_held = 0;
    return 0;
}

static void in_order(void **state)
{
    (void)state;
    spin_lock(&event_low);
    spin_lock(&irq);
    spin_lock(&leaf);
    spin_lock(&console);
    assert_int_equal(boot_percpu.locks_held, 4);
    spin_unlock(&irq); /* released in any order */
    spin_unlock(&console);
    spin_unlock(&event_low);
    assert_ptr_equal(boot_percpu.held[0], &leaf);
    spin_unlock(&leaf);
    assert_int_equal(boot_percpu.locks_held, 0);
}

static void out_of_order(void **state)
{
    (void)state;
    spin_lock(&irq);
    expect_assert_failure(spin_lock(&event_low));
    expect_assert_failure(spin_lock(&irq)); /* would wait for itself */
    expect_assert_failure(spin_unlock(&leaf));
    spin_lock(&leaf);
    expect_assert_failure(spin_lock(&other_leaf));
    spin_unlock(&leaf);
    spin_unlock(&irq);
    expect_assert_failure(spin_lock(&unranked));
}

static void two_domains(void **state)
{
    (void)state;
    spinlock_t two[2] = { SPINLOCK_INIT(LOCK_EVENT), SPINLOCK_INIT(LOCK_EVENT) };

    spin_lock(&two[0]);
    spin_lock(&two[1]);
    spin_unlock(&two[0]);
    spin_unlock(&two[1]);
    spin_lock(&two[1]);
    expect_assert_failure(spin_lock(&two[0]));
    spin_unlock(&two[1]);
}

/* Whoever holds the lock waits for a flush of the CPU that wants it. */
static spinlock_t *wanted;
static u32 waited;

void tlb_serve(void)
{
    if (wanted)
        wanted->head++;
    wanted = NULL;
}
void fake_cpu_relax(void) { assert_true(++waited < 10); }

static void flush_for_the_holder(void **state)
{
    (void)state;
    leaf.tail++; /* taken, elsewhere */
    wanted = &leaf;
    spin_lock(&leaf);
    assert_null(wanted);
    spin_unlock(&leaf);
}

static void skew(void **state)
{
    (void)state;
    /* The way takes 100 there and 100 back; the other clock is ahead or behind by `by`. */
    for (s64 by = -5000; by <= 5000; by += 50) {
        struct tsc_sample s[3] = { { 10000, (u64)(10400 + by), 10900 },
                                   { 20000, (u64)(20100 + by), 20200 },
                                   { 30000, (u64)(30250 + by), 30500 } };
        s64 found = tsc_skew(s, 3);

        /* Within the quickest round trip nothing can be told. */
        assert_int_equal(found, by > 100 || by < -100 ? by : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(in_order, setup), cmocka_unit_test_setup(out_of_order, setup),
                                        cmocka_unit_test_setup(two_domains, setup), cmocka_unit_test_setup(flush_for_the_holder, setup),
                                        cmocka_unit_test(skew) };

    return cmocka_run_group_tests_name("several CPUs", tests, NULL, NULL);
}
