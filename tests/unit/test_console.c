/* SPDX-License-Identifier: MIT */
/* The console's lock: what happens when another CPU breaks it. */
#include "fakes.h"

#include <hv/console.h>
#include <hv/serial.h>

void serial_set_sync(void) {}
void serial_flush(void) {}
bool serial_key_pressed(void) { return false; }
bool keyboard_key_pressed(void) { return false; }
void recorder_log(const char *s, size_t n)
{
    (void)s;
    (void)n;
}

static char shown[64];
static size_t nr_shown;
static u32 locks_in_sink;
static bool machine_ends;

/* The other CPU's part: the machine ends while this one writes. */
static void write_shown(__unused struct console_sink *to, const char *s, size_t n)
{
    memcpy(shown + nr_shown, s, n);
    shown[nr_shown += n] = 0;
    locks_in_sink = boot_percpu.locks_held;
    if (machine_ends)
        console_force_unlock(true);
}

static struct console_sink sink = { .name = "shown", .which = SINK_COM1, .write = write_shown };

static int setup(void **state)
{
    (void)state;
    fake_reset();
    boot_percpu.locks_held = boot_percpu.inside = 0;
    shown[nr_shown = 0] = 0;
    machine_ends = false;
    console_lock_again();
    sink.enabled = true;
    return 0;
}

static void locked(void **state)
{
    (void)state;
    console_write("text", 4, CONSOLE_SINKS);
    assert_string_equal(shown, "text");
    assert_int_equal(locks_in_sink, 1);
    assert_int_equal(boot_percpu.locks_held, 0);
}

/* CPU A is in the middle of a line when CPU B ends the machine. A reaches its next softirq before B's NMI reaches it. */
static void broken_meanwhile(void **state)
{
    (void)state;
    machine_ends = true;
    console_write("a", 1, CONSOLE_SINKS);
    assert_int_equal(locks_in_sink, 1);
    assert_int_equal(boot_percpu.locks_held, 0);
    assert_int_equal(boot_percpu.inside, 0);
    console_write("b", 1, CONSOLE_SINKS); /* nobody waits for a lock whose holder may have been stopped */
    assert_int_equal(locks_in_sink, 0);
    assert_string_equal(shown, "ab");
}

/* What dom0 printed may hold sequences that a terminal answers: a replay has none. */
static void replay_is_text(void **state)
{
    (void)state;
    static const char said[] = "\x1b[6n~\r\t\xe4\n";

    console_write(said, sizeof(said) - 1, 0);
    console_replay();
    assert_non_null(strstr(shown, " [6n~   \n"));
    for (size_t i = 0; i < nr_shown; i++)
        assert_true(shown[i] == '\n' || (shown[i] >= ' ' && shown[i] < 127));
}

/* What the toolstack reads: the latest messages, each once, whatever place it names. */
static void messages_are_read(void **state)
{
    (void)state;
    char buf[64];
    u32 at = 0, start;

    while (console_read_messages(false, &at, buf, sizeof(buf)))
        ;
    start = at;
    fake_softirqs = 0;
    console_write("dom0's", 6, CONSOLE_SINKS);
    assert_int_equal(fake_softirqs, 0);
    console_write("one ", 4, CONSOLE_MESSAGES);
    assert_int_equal(fake_softirqs, 1u << SOFTIRQ_MESSAGES);
    console_write("two", 3, CONSOLE_MESSAGES);
    assert_int_equal(console_read_messages(false, &at, buf, 5), 5);
    assert_memory_equal(buf, "one t", 5);
    assert_int_equal(console_read_messages(false, &at, buf, 5), 2);
    assert_int_equal(console_read_messages(false, &at, buf, 5), 0);
    assert_int_equal(at, start + 7);
    console_forget_messages(start + 4);
    for (u32 strange = 0; strange < 2; strange++) {
        at = strange ? start + 8 : start; /* not written yet; gone */
        assert_int_equal(console_read_messages(false, &at, buf, sizeof(buf)), 3);
        assert_memory_equal(buf, "two", 3);
    }
    console_forget_messages(start + 99);
    console_forget_messages(start);
    assert_int_equal(console_read_messages(true, &at, buf, sizeof(buf)), 3);
    for (u32 i = 0; i <= CONSOLE_MESSAGES_SIZE / 4; i++)
        console_write("abcd", 4, CONSOLE_MESSAGES);
    u32 n = 0;

    for (size_t got = 1; got; n += (u32)got)
        got = console_read_messages(!n, &at, buf, sizeof(buf));
    assert_int_equal(n, CONSOLE_MESSAGES_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(locked, setup), cmocka_unit_test_setup(broken_meanwhile, setup),
                                        cmocka_unit_test_setup(replay_is_text, setup), cmocka_unit_test_setup(messages_are_read, setup) };

    console_register_sink(&sink);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
