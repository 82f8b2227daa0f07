/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a timer proves twice a second that the first CPU still runs timers; NMIs from the
 * PIT look whether it does (nmi.c). A hypervisor that loops with interrupts off is reported
 * instead of standing still.
 */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/time.h>
#include <hv/watchdog.h>

#define BEAT_NS 500000000ULL
#define PIT_MODE_PORT 0x43
#define PIT_CHANNEL0_PORT 0x40
#define TICK_NS (65536ULL * 1000000000 / 1193182)

static bool opt_watchdog;

/* "force" is Xen's word for "even if its trial fails": there is no trial here. */
static int parse_watchdog(const char *value, void *var) { return option_bool(strcmp(value, "force") ? value : "on", var); }
OPTION("watchdog", parse_watchdog, opt_watchdog,
       "a report if the first CPU runs no timer for `watchdog_timeout` seconds (NMIs look); `force` is the same", "off");
static u32 opt_timeout = 5;
OPTION("watchdog_timeout", option_u32, opt_timeout, "seconds without a timer until the report", "`5`");

static struct timer beat_timer;

static void watchdog_beat(__unused void *data)
{
    WRITE_ONCE(nmi_watchdog.last_beat, rdtsc());
    timer_set(&beat_timer, system_time_ns() + BEAT_NS);
}

void watchdog_start(void)
{
    if (!opt_watchdog || !opt_timeout)
        return;
    if (irq_route_hypervisor_nmi(0)) {
        printk(LOG_WARN "watchdog: the PIT's interrupt cannot be had; it stays off\n");
        return;
    }
    timer_init(&beat_timer, watchdog_beat, NULL);
    watchdog_beat(NULL);
    nmi_watchdog.period = nmi_watchdog.credit = tsc_at_ns(TICK_NS) - tsc_at_ns(0);
    nmi_watchdog.last_nmi = rdtsc();
    nmi_watchdog.limit = tsc_at_ns((u64)opt_timeout * 1000000000) - tsc_at_ns(0);
    nmi_watchdog.seconds = opt_timeout;
    outb(PIT_MODE_PORT, 0x34); /* channel 0, rate generator: every 55 ms */
    outb(PIT_CHANNEL0_PORT, 0);
    outb(PIT_CHANNEL0_PORT, 0);
    printk(LOG_INFO "watchdog: on, %u s\n", opt_timeout);
}
BOOT_STEP(watchdog_start, NEEDS(options, dom0, interrupts, apic_timer), GIVES(NOTHING), EVERYWHERE);
