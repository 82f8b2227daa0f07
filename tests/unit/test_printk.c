/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdio.h>

#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/printk.h>

extern const struct option __options_start[], __options_end[];
static char shown[65536], logged[65536];

void console_write(const char *s, size_t n, u32 where)
{
    size_t l = strlen(logged), t = strlen(shown);

    memcpy(logged + l, s, n);
    logged[l + n] = 0;
    if (!where)
        return;
    memcpy(shown + t, s, n);
    shown[t + n] = 0;
}

static int set(const char *name, const char *value)
{
    for (const struct option *o = __options_start; o < __options_end; o++)
        if (!strcmp(o->name, name))
            return o->parse(value, o->var);
    return 1;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    shown[0] = logged[0] = 0;
    set("loglvl", "info");
    set("guest_loglvl", "warning");
    set("console_timestamps", "no");
    return 0;
}

static void levels(void **state)
{
    (void)state;
    printk(LOG_INFO "seen\n");
    printk(LOG_DEBUG "hidden\n");
    printk("plain %s\n", "text");
    printk(LOG_ERR "");
    assert_string_equal(shown, "(CAI) seen\n(CAI) plain text\n");
    assert_string_equal(logged, "(CAI) seen\n(CAI) hidden\n(CAI) plain text\n");
    assert_int_equal(set("loglvl", "none"), 0);
    printk(LOG_ERR "not even this\n");
    printk("half ");
    printk("line\n");
    assert_null(strstr(shown, "not even"));
    assert_non_null(strstr(shown, "(CAI) half line\n"));
    assert_int_equal(set("loglvl", "loud"), -EINVAL);
    assert_int_equal(set("loglvl", "all/error"), 0);
    printk(LOG_DEBUG "debug now\n");
    assert_non_null(strstr(shown, "debug now"));
}

static void timestamps(void **state)
{
    (void)state;
    static const struct {
        const char *how, *seen;
        u64 start;
    } some[] = {
        { "boot", "(CAI) [   12.345678] x\n", 1700000000 },
        { "yes", "(CAI) [   12.345678] x\n", 0 }, /* no date yet */
        { "", "(CAI) [2023-11-14 22:13:32] x\n", 1700000000 },
        { "datems", "(CAI) [2023-11-14 22:13:32.345] x\n", 1700000000 },
        { "date", "(CAI) [1970-01-01 00:00:13] x\n", 1 },
        { "date", "(CAI) [2000-02-29 00:00:11] x\n", 951782399 },
        { "date", "(CAI) [2000-03-01 00:00:11] x\n", 951868799 },
        { "date", "(CAI) [2100-03-01 00:00:11] x\n", 4107542399 },
        { "date", "(CAI) [2024-12-31 23:59:59] x\n", 1735689587 },
        { "date", "(CAI) [   12.345678] x\n", ~0ULL },
        { "none", "(CAI) x\n", 1700000000 },
    };

    fake_now = 12345678000;
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        shown[0] = 0;
        assert_int_equal(set("console_timestamps", some[i].how), 0);
        timestamp_set_wallclock(some[i].start, 0);
        printk("x\n");
        assert_string_equal(shown, some[i].seen);
    }
    shown[0] = 0;
    assert_int_equal(set("console_timestamps", "raw"), 0);
    printk("x\n");
    assert_int_equal(strlen(shown), strlen("(CAI) [0123456789abcdef] x\n"));
    assert_int_equal(set("console_timestamps", "sometimes"), -EINVAL);
}

/* What guests cause is limited: a burst, then a trickle, and the number of what was left out. */
static void rate(void **state)
{
    (void)state;
    fake_now = 1000000000000;
    for (int i = 0; i < 500; i++)
        printk(GUEST_ERR "guest %d\n", i);
    assert_non_null(strstr(shown, "guest 39\n"));
    assert_null(strstr(shown, "guest 40\n"));
    fake_now += 10000000000;
    printk(GUEST_ERR "later\n");
    assert_non_null(strstr(shown, "460 messages about guests were suppressed\n"));
    assert_non_null(strstr(shown, "later\n"));
    /* A clock that another CPU has read a little later brings nothing. */
    for (int i = 0; i < 100; i++)
        printk(GUEST_ERR "burst %d\n", i);
    fake_now -= 1000;
    for (int i = 0; i < 100; i++)
        printk(GUEST_ERR "again %d\n", i);
    assert_null(strstr(shown, "again"));
    printk(GUEST_INFO "below the threshold\n");
    assert_null(strstr(shown, "below"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(levels, setup), cmocka_unit_test_setup(timestamps, setup),
                                        cmocka_unit_test_setup(rate, setup) };

    return cmocka_run_group_tests_name("printk", tests, NULL, NULL);
}
