/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

#include <hv/softirq.h>

static void (*run_timers)(void);
static u32 fired[256], order[100000], nr_fired;
static struct timer timers[256];

void softirq_register(enum softirq nr, void (*fn)(void))
{
    if (nr == SOFTIRQ_TIMER)
        run_timers = fn;
}

static void fire(void *data)
{
    u32 i = (u32)(u64)data;

    assert_true(timers[i].expires <= fake_now);
    fired[i]++;
    order[nr_fired++ % ARRAY_SIZE(order)] = i;
}

static int setup(void **state)
{
    (void)state;
    static bool reserved;

    fake_reset();
    timers_init();
    if (!reserved) {
        fake_memory_init();
        assert_int_equal(timers_reserve(256), 0);
    }
    reserved = true;
    for (u64 i = 0; i < 256; i++)
        timer_init(&timers[i], fire, (void *)i);
    memset(fired, 0, sizeof(fired));
    nr_fired = 0;
    return 0;
}

static void ordered(void **state)
{
    (void)state;
    timer_set(&timers[1], 300);
    timer_set(&timers[2], 100);
    timer_set(&timers[3], 200);
    assert_int_equal(fake_timer_deadline, 100);
    fake_now = 99;
    run_timers();
    assert_int_equal(nr_fired, 0);
    fake_now = 250;
    run_timers();
    assert_int_equal(nr_fired, 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 3);
    assert_int_equal(fake_timer_deadline, 300);
    timer_stop(&timers[1]);
    assert_int_equal(fake_timer_deadline, ~0ULL);
    timer_stop(&timers[1]); /* again is harmless */
    fake_now = 1000;
    run_timers();
    assert_int_equal(nr_fired, 2);
}

static void replaced(void **state)
{
    (void)state;
    timer_set(&timers[1], 100);
    timer_set(&timers[1], 500);
    assert_int_equal(fake_timer_deadline, 500);
    timer_set(&timers[1], 50);
    assert_int_equal(fake_timer_deadline, 50);
    fake_now = 60;
    run_timers();
    run_timers();
    assert_int_equal(fired[1], 1);
}

static void random_load(void **state)
{
    (void)state;
    srandom(6);
    static u64 deadline[256];

    for (u32 i = 0; i < 50000; i++) {
        u32 k = (u32)random() % 256;

        if ((u32)random() % 4) {
            deadline[k] = fake_now + (u32)random() % 1000;
            timer_set(&timers[k], deadline[k]);
        } else {
            deadline[k] = 0;
            timer_stop(&timers[k]);
        }
        if (i % 8 == 0) {
            fake_now += (u32)random() % 50;
            memset(fired, 0, sizeof(fired));
            run_timers();
            u64 next = ~0ULL;

            for (u32 j = 0; j < 256; j++) {
                bool due = deadline[j] && deadline[j] <= fake_now;

                assert_int_equal(fired[j], due);
                if (due)
                    deadline[j] = 0;
                else if (deadline[j])
                    next = MIN(next, deadline[j]);
            }
            assert_int_equal(fake_timer_deadline, next);
        }
    }
}

/* Room for all timers that there are, on each CPU, also on those that come later. */
static void many(void **state)
{
    (void)state;
    static struct timer more[5000];
    static struct percpu second = { .id = 1 };

    cpu_table[1] = &second;
    assert_int_equal(timers_reserve(2000), 0);
    assert_int_equal(timers_init_cpu(&second), 0);
    assert_int_equal(timers_reserve(3000), 0);
    for (u32 id = 0; id < 2; id++) {
        boot_percpu.id = id;
        for (u64 i = 0; i < 5000; i++) {
            timer_init(&more[i], fire, (void *)(i % 256));
            timer_set(&more[i], 1000000 + i * 7919 % 5000);
        }
        assert_int_equal(fake_timer_deadline, 1000000);
        for (u32 i = 0; i < 5000; i++)
            timer_stop(&more[i]);
        assert_int_equal(fake_timer_deadline, ~0ULL);
    }
    boot_percpu.id = 0;
    timers_release(5000);
    assert_int_equal(timers_reserve(1u << 28), -ENOMEM);
    assert_int_equal(timers_reserve(100), 0);
    timers_release(100);
}

static struct timer rearms;
static u32 rearmed;

/* Killed from its own handler's side as if another CPU did so meanwhile: what it sets then stays unset. */
static void rearm(void *data)
{
    rearmed++;
    if (data)
        rearms.fn = NULL;
    timer_set(&rearms, fake_now + 10);
}

static void killed(void **state)
{
    (void)state;
    timer_init(&rearms, rearm, NULL);
    timer_set(&rearms, 10);
    timer_set(&timers[1], 50);
    fake_now = 10;
    run_timers();
    assert_int_equal(rearmed, 1);
    timer_kill(&rearms);
    assert_int_equal(fake_timer_deadline, 50);
    timer_set(&rearms, 15);
    assert_int_equal(fake_timer_deadline, 50);
    fake_now = 40;
    run_timers();
    assert_int_equal(rearmed, 1);
    timer_kill(&rearms); /* as good twice */

    timer_init(&rearms, rearm, &rearms);
    timer_set(&rearms, 45);
    fake_now = 100;
    run_timers();
    fake_now = 200;
    run_timers();
    assert_int_equal(rearmed, 2);
    assert_int_equal(fired[1], 1);
    assert_int_equal(rearms.slot, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(ordered, setup), cmocka_unit_test_setup(many, setup),
                                        cmocka_unit_test_setup(replaced, setup), cmocka_unit_test_setup(killed, setup),
                                        cmocka_unit_test_setup(random_load, setup) };

    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
