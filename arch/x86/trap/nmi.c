/* SPDX-License-Identifier: MIT */
/*
 * NMI. Safe in every phase and between any two instructions: no lock, no allocation, no `current`.
 * What the machine says of its cause (ports 61h) is read by the first CPU; only that one gets
 * the machine's NMIs, the others get those that one CPU sends to another.
 */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/domain.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/system_state.h>
#include <hv/watchdog.h>
#include <hv/x86/trap.h>

enum { NMI_FATAL, NMI_DOM0, NMI_IGNORE };
static int opt_nmi = NMI_DOM0;

static int parse_nmi(const char *value, void *var)
{
    static const char *const names[] = { "fatal", "dom0", "ignore" };
    int which = word_index(value, names, ARRAY_SIZE(names));

    *(int *)var = which;
    return which < 0 ? which : 0;
}
OPTION("nmi", parse_nmi, opt_nmi, "`dom0` (deliver to dom0), `fatal` (report and stop), `ignore`", "`dom0`");

#define PORT_NMI_STATUS 0x61
#define NMI_SERR 0x80
#define NMI_IOCHK 0x40
#define CLEAR_SERR 4
#define CLEAR_IOCHK 8

static u64 serr_count, iochk_count; /* since the last line about them */

static void nmi_acknowledge(u8 reason)
{
    u8 clear = (u8)((reason & NMI_SERR ? CLEAR_SERR : 0) | (reason & NMI_IOCHK ? CLEAR_IOCHK : 0));

    /* The source stays disabled until reason_softirq(): a stuck line would bring one NMI after the other. */
    if (clear)
        outb(PORT_NMI_STATUS, (u8)((reason & 0x0f) | clear));
}

/*
 * The NMI handler (A) adds to nmis_for_dom0 and raises the softirq; the softirq (B, deliver_to_dom0()) takes all by an exchange with 0. A may
 * interrupt B between any two instructions: with a load and a store instead, the NMIs that A adds in between would be lost.
 */
static void nmi_raise_for_dom0(u8 reason)
{
    unsigned long *told = &hardware_domain->shared_info->arch.nmi_reason;
    unsigned long bits = reason & NMI_SERR ? XEN_NMIREASON_pci_serr : reason & NMI_IOCHK ? XEN_NMIREASON_io_error : XEN_NMIREASON_unknown;

    __atomic_fetch_or(told, bits, __ATOMIC_RELAXED);
    __atomic_fetch_add(&this_cpu()->nmis_for_dom0, 1, __ATOMIC_RELAXED);
    softirq_raise(SOFTIRQ_NMI_DOM0); /* delivery takes locks and may fault: at the next softirq point */
}

struct nmi_watchdog nmi_watchdog;

/*
 * Ticks come one a period. Each costs a period of credit, which time brings; what comes on time leaves half a
 * period over, so that one NMI too many shows at once or at the next tick. Late ticks may come close together.
 */
#define LATE_TICKS 20
static bool tick_is_due(u64 now)
{
    struct nmi_watchdog *w = &nmi_watchdog;
    u64 since = now - w->last_nmi, slack = w->period / 8;
    bool on_time = since >= w->period - slack && since <= w->period + slack;
    u64 most = on_time ? w->period + w->period / 2 : LATE_TICKS * w->period;

    w->last_nmi = now;
    w->credit = MIN(w->credit + since + since / 64, most); /* a little more: the two clocks may differ */
    if (w->credit < w->period)
        return false;
    w->credit -= w->period;
    return true;
}

/* True if the NMI is the watchdog's own. */
static bool watchdog_tick(const struct cpu_user_regs *regs)
{
    u64 limit = READ_ONCE(nmi_watchdog.limit), now = rdtsc();

    if (!limit)
        return false;
    /* A firmware may take seconds to clean up its flash; interrupts are off meanwhile. */
    if (now - READ_ONCE(nmi_watchdog.last_beat) > limit && !(this_cpu()->inside & INSIDE_FIRMWARE))
        fatal_trap(regs, PANIC_WATCHDOG, "watchdog: CPU 0 has run no timer for %u seconds", nmi_watchdog.seconds);
    return tick_is_due(now);
}

void nmi_handle(struct cpu_user_regs *regs)
{
    this_cpu()->nmi_count++;
    smp_stop_if_asked();
    if (this_cpu()->id)
        return;
    u8 reason = inb(PORT_NMI_STATUS);
    if (!(reason & (NMI_SERR | NMI_IOCHK)) && watchdog_tick(regs))
        return;
    if (opt_nmi == NMI_FATAL) {
        if (reason & NMI_SERR)
            fatal_trap(regs, PANIC_NMI_SERR, "NMI: PCI system error");
        if (reason & NMI_IOCHK)
            fatal_trap(regs, PANIC_NMI_IOCHK, "NMI: I/O channel check");
        fatal_trap(regs, PANIC_NMI_OPTION, "NMI (nmi=fatal)");
    }
    nmi_acknowledge(reason);
    if (reason & (NMI_SERR | NMI_IOCHK)) {
        serr_count += !!(reason & NMI_SERR);
        iochk_count += !!(reason & NMI_IOCHK);
        softirq_raise(SOFTIRQ_NMI_REASON);
    }
    /* A domain exists from the building of dom0 on; its handler only when guests run. */
    if (opt_nmi == NMI_DOM0 && booted_past(PHASE_ACTIVE) && hardware_domain)
        nmi_raise_for_dom0(reason);
}

static void deliver_to_dom0(void)
{
    vcpu_add_nmis(hardware_domain->vcpu[0], __atomic_exchange_n(&this_cpu()->nmis_for_dom0, 0, __ATOMIC_RELAXED));
}

/* Runs when this CPU is idle (softirq.c): then the line is let go again, so a stuck one costs idle time only. */
static void reason_softirq(void)
{
    printk(LOG_WARN "NMI: %lu PCI system errors, %lu I/O channel checks\n", serr_count, iochk_count);
    serr_count = iochk_count = 0;
    outb(PORT_NMI_STATUS, inb(PORT_NMI_STATUS) & 0x03);
}

void nmi_init(void)
{
    softirq_register(SOFTIRQ_NMI_DOM0, deliver_to_dom0);
    softirq_register(SOFTIRQ_NMI_REASON, reason_softirq);
}
BOOT_STEP(nmi_init, NEEDS(trap_stacks), GIVES(guest_nmis), EVERYWHERE);
