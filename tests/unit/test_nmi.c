/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/cmdline.h>
#include <hv/panic.h>
#include <hv/softirq.h>
#include <hv/system_state.h>
#include <hv/watchdog.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

extern const struct option __options_start[], __options_end[];

static u8 port61;
static enum panic_code ended;
static jmp_buf end_of_machine;
enum phase machine_phase;
static void (*handlers[SOFTIRQ_COUNT])(void);

u8 fake_inb(u16 port) { return port == 0x61 ? port61 : 0xff; }
void fake_outb(u16 port, u8 v)
{
    if (port != 0x61)
        return;
    /* Bits 2 and 3 clear and hold the two reasons. */
    port61 = (u8)((port61 & 0xc0) | (v & 0x0f));
    if (v & 4)
        port61 &= 0x7f;
    if (v & 8)
        port61 &= 0xbf;
}
void softirq_register(enum softirq nr, void (*fn)(void)) { handlers[nr] = fn; }
void fatal_trap(const struct cpu_user_regs *regs, enum panic_code code, const char *fmt, ...)
{
    (void)regs;
    (void)fmt;
    ended = code;
    longjmp(end_of_machine, 1);
}

static void set(const char *value)
{
    for (const struct option *o = __options_start; o < __options_end; o++)
        if (!strcmp(o->name, "nmi"))
            assert_int_equal(o->parse(value, o->var), 0);
}

/* True if the machine goes on. */
static bool nmi(u8 reason)
{
    struct cpu_user_regs regs = { 0 };

    port61 = (u8)(0x0f & 0x01) | reason;
    if (setjmp(end_of_machine))
        return false;
    nmi_handle(&regs);
    return true;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    hardware_domain = fake_domain(0, true);
    nmi_init();
    machine_phase = PHASE_ACTIVE;
    set("dom0");
    return 0;
}

static void fatal(void **state)
{
    (void)state;
    set("fatal");
    assert_false(nmi(0));
    assert_int_equal(ended, PANIC_NMI_OPTION);
    assert_false(nmi(0x80));
    assert_int_equal(ended, PANIC_NMI_SERR);
    assert_false(nmi(0x40));
    assert_int_equal(ended, PANIC_NMI_IOCHK);
}

static void to_dom0(void **state)
{
    (void)state;
    struct vcpu *v = hardware_domain->vcpu[0];

    assert_true(nmi(0));
    assert_int_equal(hardware_domain->shared_info->arch.nmi_reason, XEN_NMIREASON_unknown);
    assert_true(fake_softirqs & (1u << SOFTIRQ_NMI_DOM0));
    handlers[SOFTIRQ_NMI_DOM0]();
    assert_int_equal(v->nmi_pending, 1);
    /* One waits behind the one that is due, no more; behind one in progress, one. */
    for (int i = 0; i < 5; i++)
        assert_true(nmi(0));
    handlers[SOFTIRQ_NMI_DOM0]();
    assert_int_equal(v->nmi_pending, 2);
    v->nmi_masked = true;
    assert_true(nmi(0));
    handlers[SOFTIRQ_NMI_DOM0]();
    assert_int_equal(v->nmi_pending, 1);
    assert_true(nmi(0x80));
    assert_true(nmi(0x40));
    assert_int_equal(hardware_domain->shared_info->arch.nmi_reason,
                     XEN_NMIREASON_unknown | XEN_NMIREASON_pci_serr | XEN_NMIREASON_io_error);
}

static void reasons(void **state)
{
    (void)state;
    set("ignore");
    handlers[SOFTIRQ_NMI_REASON](); /* counts of earlier tests */
    fake_reset();
    assert_true(nmi(0x80));
    assert_int_equal(port61 & 0x84, 4); /* cleared, and held so */
    assert_true(fake_softirqs == 1u << SOFTIRQ_NMI_REASON);
    assert_true(nmi(0x40));
    handlers[SOFTIRQ_NMI_REASON]();
    assert_non_null(strstr(fake_log, "1 PCI system errors, 1 I/O channel checks"));
    assert_int_equal(port61 & 0x0c, 0); /* let go again */
}

static void early_and_elsewhere(void **state)
{
    (void)state;
    machine_phase = PHASE_SMP_BOOT;
    assert_true(nmi(0));
    assert_int_equal(fake_softirqs, 0); /* no guest runs yet */
    machine_phase = PHASE_ACTIVE;
    boot_percpu.id = 1; /* another CPU than the first: the reason is not its business */
    port61 = 0x80;
    assert_true(nmi(0x80));
    assert_int_equal(port61, 0x81);
    boot_percpu.id = 0;
}

static void watchdog(void **state)
{
    (void)state;
    nmi_watchdog = (struct nmi_watchdog){ .last_beat = rdtsc(), .limit = 1ULL << 50, .seconds = 7 };
    assert_true(nmi(0)); /* its own */
    assert_int_equal(fake_softirqs, 0);
    assert_true(nmi(0x80)); /* not its own */
    assert_true(fake_softirqs & (1u << SOFTIRQ_NMI_DOM0));
    nmi_watchdog.limit = 1;
    assert_false(nmi(0));
    assert_int_equal(ended, PANIC_WATCHDOG);
    nmi_watchdog.limit = 0;
}

/* RDTSC is the machine's: the last tick's stamp is set as far back as the time that shall have passed. */
static bool tick_after(u64 ticks)
{
    nmi_watchdog.last_nmi = rdtsc() - ticks;
    fake_softirqs = 0;
    assert_true(nmi(0));
    return !(fake_softirqs & (1u << SOFTIRQ_NMI_DOM0)); /* else it was somebody else's */
}

/* One NMI too many is found within a tick; late ticks and clocks that differ a little are none. */
static void button_beside_the_watchdog(void **state)
{
    (void)state;
    const u64 period = 1ULL << 40; /* so long that the test's own time does not count */

    nmi_watchdog = (struct nmi_watchdog){ .last_beat = rdtsc(), .limit = 1ULL << 62, .seconds = 7, .period = period, .credit = period };
    for (int i = 0; i < 1000; i++)
        assert_true(tick_after(period - period / 5000 * (i % 2)));
    for (u64 phase = 1; phase < 10; phase++) {
        u32 own = tick_after(period * phase / 10);

        own += tick_after(period - period * phase / 10);
        assert_int_equal(own, 1);
        for (int i = 0; i < 100; i++)
            assert_true(tick_after(period));
    }
    /* Held up, and then one after the other. */
    assert_true(tick_after(period * 16 / 10));
    assert_true(tick_after(period * 4 / 10));
    assert_true(tick_after(period));
    assert_true(tick_after(period * 7));
    for (int i = 0; i < 6; i++)
        assert_true(tick_after(period / 100));
    nmi_watchdog.limit = 0;
}

/* In the firmware the timers stand still, and that is no hang. */
static void firmware_takes_its_time(void **state)
{
    (void)state;
    nmi_watchdog = (struct nmi_watchdog){ .last_beat = 0, .limit = 1, .seconds = 7 };
    boot_percpu.inside = INSIDE_FIRMWARE | INSIDE_NMI;
    assert_true(nmi(0));
    boot_percpu.inside = INSIDE_NMI;
    assert_false(nmi(0));
    assert_int_equal(ended, PANIC_WATCHDOG);
    boot_percpu.inside = 0;
    nmi_watchdog.limit = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(fatal, setup),
                                        cmocka_unit_test_setup(to_dom0, setup),
                                        cmocka_unit_test_setup(reasons, setup),
                                        cmocka_unit_test_setup(early_and_elsewhere, setup),
                                        cmocka_unit_test_setup(watchdog, setup),
                                        cmocka_unit_test_setup(button_beside_the_watchdog, setup),
                                        cmocka_unit_test_setup(firmware_takes_its_time, setup) };

    return cmocka_run_group_tests_name("NMI", tests, NULL, NULL);
}
