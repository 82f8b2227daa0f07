/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/cmdline.h>
#include <hv/panic.h>
#include <hv/recorder.h>

/* Each test is a boot: the module's own state is forgotten by running it in a fresh copy of it. */
#include "../../common/core/recorder.c"

bool opt_noreboot;
static u64 memory[RECORDER_SIZE / 8];

enum phase machine_phase = PHASE_BOOT;
const char *system_phase_name(void) { return "boot"; }
const char *panic_code_name(enum panic_code code) { return code == PANIC_KERNEL ? "K02" : "T0E"; }

static void reboot(void)
{
    record = NULL;
    quoting = false;
    opt_recorder = true;
    opt_noreboot = false;
    memset(&previous, 0, sizeof(previous));
    previous_text[0] = previous_log[0] = 0;
    fake_reset();
    recorder_look(memory);
    recorder_init(memory);
}

static void crash(void)
{
    struct recorder_report r = { .code = PANIC_KERNEL, .phase = "smp_boot", .cpu = 3, .rip = 0x1234 };

    strlcpy(r.why, "the kernel is bad", sizeof(r.why));
    recorder_report(&r);
}

static int cold_start(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
        memory[i] = i * 0x9e3779b97f4a7c15;
    reboot();
    return 0;
}

static void nothing_to_tell(void **state)
{
    (void)state;
    recorder_print_previous();
    assert_string_equal(fake_log, "");
    assert_string_equal(recorder_previous(), "");
    assert_string_equal(recorder_previous_log(), "");
    recorder_orderly_end();
    reboot();
    recorder_print_previous();
    assert_string_equal(fake_log, "");
}

static void a_crash(void **state)
{
    (void)state;
    recorder_log("(CAI) first line\r\n(CAI) bad \x01\xff byte\n", 35);
    crash();
    reboot();
    recorder_print_previous();
    assert_string_equal(recorder_previous(), "Previous boot ended in phase smp_boot on CPU 3: CAI-K02 the kernel is bad");
    assert_non_null(strstr(fake_log, "| first line\n"));
    assert_non_null(strstr(fake_log, "| bad    byte\n") ? fake_log : strstr(fake_log, "| bad "));
    assert_non_null(strstr(recorder_previous_log(), "first line"));
}

/* The record was kept at another place: it is told once, and nothing is left of it there. */
static void another_place(void **state)
{
    (void)state;
    static u64 elsewhere[RECORDER_SIZE / 8];

    crash();
    memcpy(elsewhere, memory, sizeof(memory));
    cold_start(state);
    recorder_orderly_end();
    memset(&previous, 0, sizeof(previous));
    recorder_look(memory);
    recorder_look(elsewhere);
    assert_true(!head_valid((void *)elsewhere) && !head_valid((void *)memory));
    assert_int_equal(previous.state, RECORD_ENDED); /* the first place's counts */
    memset(&previous, 0, sizeof(previous));
    recorder_look(elsewhere);
    assert_int_equal(previous.magic, 0);
}

static void a_reset(void **state)
{
    (void)state;
    recorder_phase(PHASE_BOOT);
    reboot();
    recorder_print_previous();
    assert_non_null(strstr(fake_log, "in phase boot without a report"));
    recorder_guest_end("no handler");
    reboot();
    assert_string_equal(recorder_previous(), "Previous boot ended with a crash of dom0: no handler");
}

static void a_loop(void **state)
{
    (void)state;
    crash();
    reboot();
    recorder_print_previous();
    crash();
    reboot();
    expect_assert_failure(recorder_print_previous());
    assert_true(opt_noreboot);
    /* So do boots that ended in a halt: a person has reset the machine. */
    for (int i = 0; i < 4; i++) {
        reboot();
        recorder_print_previous();
        opt_noreboot = true;
        crash();
    }
    /* The one after the stop begins to count again; a guest that ran forgives. */
    reboot();
    recorder_print_previous();
    recorder_phase(PHASE_ACTIVE);
    crash();
    reboot();
    recorder_print_previous();
}

static void damage(void **state)
{
    (void)state;
    crash();
    for (size_t bit = 0; bit < sizeof(struct record_head) * 8; bit += 13) {
        u64 kept[RECORDER_SIZE / 8];

        memcpy(kept, memory, sizeof(kept));
        ((u8 *)memory)[bit / 8] ^= (u8)(1 << (bit & 7));
        reboot();
        assert_string_equal(recorder_previous(), "");
        memcpy(memory, kept, sizeof(kept));
    }
    /* The log's length is not under the CRC: any value must do. */
    ((struct record *)memory)->log_end = ~0ULL - 5;
    reboot();
    recorder_print_previous();
    assert_non_null(strstr(fake_log, "CAI-K02"));
}

static void switched_off(void **state)
{
    (void)state;
    crash();
    reboot();
    opt_recorder = false;
    recorder_print_previous();
    assert_string_equal(fake_log, "");
    recorder_log("x", 1);
    recorder_phase(PHASE_BOOT);
    recorder_orderly_end();
    recorder_guest_end("x");
    crash();
    reboot();
    assert_string_equal(recorder_previous(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_to_tell, cold_start), cmocka_unit_test_setup(another_place, cold_start),
        cmocka_unit_test_setup(a_crash, cold_start),         cmocka_unit_test_setup(a_reset, cold_start),
        cmocka_unit_test_setup(a_loop, cold_start),          cmocka_unit_test_setup(damage, cold_start),
        cmocka_unit_test_setup(switched_off, cold_start),
    };

    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
