/* SPDX-License-Identifier: MIT */
/* What is typed: to dom0 or to the debug keys, and what a terminal sends by itself. */
#include "fakes.h"

#include <stdlib.h>

#include <hv/evtchn.h>
#include <hv/pirq.h>
#include <hv/recorder.h>
#include <hv/smp.h>
#include <hv/softirq.h>
#include <hv/x86/trap.h>
#include <hv/x86/page_type.h>

#include "../../common/core/console_input.c"
#include "../../common/debug/keyhandler.c"

static u32 reboots, pressed;

void evtchn_send_global_virq(u32 virq) { (void)virq; }
void evtchn_print(struct domain *d) { (void)d; }
void irq_print(void) {}
void page_walk_print(u64 cr3, u64 va, const char *level)
{
    (void)cr3;
    (void)va;
    (void)level;
}
void registers_print(const struct cpu_user_regs *r, const char *level)
{
    (void)r;
    (void)level;
}
void console_force_unlock(bool video) { (void)video; }
void console_flush_late(void) {}
void console_replay(void) {}
void recorder_orderly_end(void) {}
void smp_stop_others(void) {}
void page_audit(struct domain *d) { (void)d; }
static jmp_buf restart;
void machine_restart(void)
{
    reboots++;
    longjmp(restart, 1);
}

static void count(void) { pressed++; }
KEYHANDLER('A', count, "a key that ends a terminal's sequences, too", "");

static void (*other_cpu)(void); /* has its turn when this one gives a lock back */

void spin_unlock(spinlock_t *lock)
{
    void (*turn)(void) = other_cpu;

    lock->head++;
    assert_int_equal(lock->head, lock->tail);
    other_cpu = NULL;
    if (turn)
        turn();
}

static void type(const char *s)
{
    while (*s)
        console_rx(*s++);
    if (!setjmp(restart))
        input_softirq();
}

static const char *at_dom0(void)
{
    static char text[100];

    text[console_read_dom0(text, sizeof(text) - 1)] = 0;
    return text;
}

static int setup(void **state)
{
    (void)state;
    fake_memory_init();
    hardware_domain = fake_domain(0, true);
    console_input_start();
    switch_seen = pressed = reboots = 0;
    last_key = 0;
    at_dom0();
    fake_reset();
    return 0;
}

#define SWITCH "\x01\x01\x01"

static void switching_shows_dom0_nothing(void **state)
{
    (void)state;
    type("a" SWITCH SWITCH "b");
    assert_string_equal(at_dom0(), "ab");
    type("\x01"); /* may become a switch */
    assert_string_equal(at_dom0(), "");
    type("k");
    assert_string_equal(at_dom0(), "\x01k");
    type("\x01\x01q" SWITCH SWITCH "\x01z");
    assert_string_equal(at_dom0(), "\x01\x01q\x01z");
}

static void answers_of_terminals_are_no_keys(void **state)
{
    (void)state;
    static const char *const sent[] = { "\x1b[24;80R",
                                        "\x1b[A",
                                        "\x1bOA",
                                        "\x1b[?1;2c",
                                        "\x1bP>|A R A\x1b\\",
                                        "\x1b]11;rgb:A\x07",
                                        "\x1b"
                                        "A",
                                        "\x1b[200~" };

    type(SWITCH);
    for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
        fake_log[0] = 0;
        type(sent[i]);
        assert_string_equal(fake_log, "");
        assert_int_equal(pressed, 0);
        type("A");
        assert_int_equal(pressed, 1);
        pressed = 0;
    }
    type("\x1b[12\rA"); /* one that was cut */
    assert_int_equal(pressed, 1);
    type(SWITCH "\x1b[24;80R");
    assert_string_equal(at_dom0(), "\x1b[24;80R");
    assert_int_equal(reboots, 0);
}

static void reboot_needs_two(void **state)
{
    (void)state;
    type(SWITCH "R");
    assert_int_equal(reboots, 0);
    assert_non_null(strstr(fake_log, "Once more 'R' reboots"));
    type("hR");
    type(SWITCH SWITCH "R");
    assert_int_equal(reboots, 0);
    type("R");
    assert_int_equal(reboots, 1);
}

static void unknown_keys_are_named(void **state)
{
    (void)state;
    type(SWITCH "x");
    assert_non_null(strstr(fake_log, "'x': no such key; 'h' lists them\n"));
    fake_log[0] = 0;
    type("\r\n");
    assert_string_equal(fake_log, "");
    type("\x7f");
    assert_non_null(strstr(fake_log, "' ': no such key"));
}

/* There is nobody to switch to yet. */
static void keys_before_dom0(void **state)
{
    (void)state;
    to_dom0 = said_to_dom0 = dom0_reads = false;
    type("A" SWITCH "A");
    assert_int_equal(pressed, 2);
    assert_null(strstr(fake_log, "Input goes"));
}

/* Nobody has taken them yet when more come: none is lost silently in the middle, and what is said is true in the end. */
static void more_than_fits(void **state)
{
    (void)state;
    type(SWITCH);
    console_rx(0); /* is no key, and does not end the others */
    for (u32 i = 0; i < 2 * sizeof(keys); i++)
        console_rx('A');
    console_rx(1), console_rx(1), console_rx(1);
    input_softirq();
    assert_int_equal(pressed, sizeof(keys));
    assert_true(to_dom0 && said_to_dom0);
    type("b");
    assert_string_equal(at_dom0(), "b");
}

static void switch_there(void)
{
    for (u32 i = 0; i < SWITCH_COUNT; i++)
        console_rx(CONSOLE_SWITCH);
}

static void assert_one_announcement(void)
{
    const char *said = strstr(fake_log, "Input goes to Caisson");

    assert_non_null(said);
    assert_null(strstr(said + 1, "Input goes"));
    assert_false(to_dom0 || said_to_dom0);
}

/* A switch that comes while the softirq finds that no key is left is announced once. */
static void switch_behind_the_last_key(void **state)
{
    (void)state;
    other_cpu = switch_there;
    input_softirq();
    input_softirq(); /* which the switch has raised */
    assert_one_announcement();
}

/* Two terminals, whose interrupts two CPUs take. */
static void two_softirqs(void **state)
{
    (void)state;
    switch_there();
    other_cpu = input_softirq;
    input_softirq();
    assert_one_announcement();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(switching_shows_dom0_nothing, setup),
        cmocka_unit_test_setup(answers_of_terminals_are_no_keys, setup),
        cmocka_unit_test_setup(keys_before_dom0, setup),
        cmocka_unit_test_setup(more_than_fits, setup),
        cmocka_unit_test_setup(switch_behind_the_last_key, setup),
        cmocka_unit_test_setup(two_softirqs, setup),
        cmocka_unit_test_setup(reboot_needs_two, setup),
        cmocka_unit_test_setup(unknown_keys_are_named, setup),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
