/* SPDX-License-Identifier: MIT */
/*
 * System time from the TSC: ns = (((tsc - tsc0) << shift) * mul) >> 32. The rate is measured against every clock that the machine has, and
 * compared with what the processor or a hypervisor below states.
 */
#include "calibrate.h"

#include <hv/boot_step.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/x86/percpu.h>

u64 tsc_khz __ro_after_init;
static u64 tsc0 __ro_after_init;
struct tsc_scale tsc_scale __ro_after_init;

#define DOUBTFUL_PPM 500 /* what NTP can steer against */

/* a * b / c; all ones where that does not fit 64 bits, which the instruction would answer with #DE. */
static inline u64 muldiv(u64 a, u64 b, u64 c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    u64 q = (u64)product, high = (u64)(product >> 64);

    if (high >= c)
        return ~0ULL;
    __asm__("divq %2" : "+a"(q), "+d"(high) : "r"(c) : "cc");
    return q;
}

inline u64 tsc_scale_to_ns(struct tsc_scale s, u64 ticks)
{
    return (u64)(((unsigned __int128)(s.shift < 0 ? ticks >> -s.shift : ticks << s.shift) * s.mul) >> 32);
}

u64 tsc_scale_to_ticks(struct tsc_scale s, u64 ns)
{
    u64 ticks = muldiv(ns, 1ULL << 32, s.mul);

    return s.shift < 0 ? ticks << -s.shift : ticks >> s.shift;
}

u64 system_time_ns(void)
{
    if (!tsc_khz)
        return 0;
    return tsc_scale_to_ns(tsc_scale, rdtsc_ordered() + (u64)this_cpu()->tsc_offset - tsc0);
}

u64 tsc_at_ns(u64 ns) { return tsc0 - (u64)this_cpu()->tsc_offset + muldiv(ns, tsc_khz, 1000000); }

u64 tsc_start(void) { return tsc0 - (u64)this_cpu()->tsc_offset; }

/* mul = 10^6 * 2^32 / khz, brought into 32 bits by the shift. */
struct tsc_scale tsc_scale_for(u64 khz)
{
    u64 tps = khz * 1000;
    s8 shift = 0;

    for (; tps > 2000000000ULL; shift--)
        tps >>= 1;
    for (; tps <= 1000000000ULL; shift++)
        tps <<= 1;
    return (struct tsc_scale){ (u32)muldiv(1000000000ULL, 1ULL << 32, tps), shift };
}

#define ROUNDS 3 /* of measuring, while clocks contradict each other */

static void print_rate(const char *loglvl, const char *text, const struct tsc_rate *r, const char *rest)
{
    u64 khz = tsc_rate_hz(r) / 1000;

    printk("%s%s%lu.%03lu MHz (%s)%s\n", loglvl, text, khz / 1000, khz % 1000, r->name, rest);
}

/* Prints the sources that contradict the rate in use, and a warning if that rate is known badly. */
static void print_doubts(const struct tsc_rate *rates, u32 n, const struct tsc_rate *used)
{
    for (u32 i = 0; i < n; i++)
        if (rates[i].high && !tsc_rates_agree(&rates[i], used))
            print_rate(LOG_WARN, "TSC: not used: ", &rates[i], ", which nothing else supports");
    u64 ppm = (used->high - used->low) / 2 / (used->high / 1000000);
    if (ppm > DOUBTFUL_PPM)
        printk(LOG_WARN "TSC: its rate may be %lu ppm off; dom0's clock drifts by as much\n", ppm);
}

/* Measured and stated rates, until none contradicts the one that most support. */
static struct tsc_rate rate_by_clocks(void)
{
    struct ref_clock clocks[MAX_CLOCKS];
    struct tsc_rate rates[MAX_CLOCKS + 2];
    u32 measured = clock_sources_start(clocks), n = measured + clock_rates_stated(rates + measured), against = 1;
    const struct tsc_rate *best = NULL;

    for (u32 i = 0; i < ROUNDS && against; i++) {
        tsc_measure(clocks, measured, rates);
        best = tsc_rate_choose(rates, n, &against);
    }
    clock_sources_stop();
    if (!best)
        return (struct tsc_rate){ 0 };
    print_doubts(rates, n, best);
    return *best;
}

/* For machines without other clocks: the RTC, which ticks once a second, then CPUID leaf 16h, which is rounded to MHz. */
static struct tsc_rate rate_of_last_resort(void)
{
    struct tsc_rate r;

    if (clock_rate_rtc(&r)) {
        print_doubts(&r, 1, &r);
        return r;
    }
    if (clock_rate_rounded(&r))
        printk(LOG_WARN "TSC: its rate is known to 1 MHz only; dom0's clock may drift by 500 ppm and more\n");
    return r;
}

void tsc_init(void)
{
    struct tsc_rate rate = rate_by_clocks();

    if (!rate.high)
        rate = rate_of_last_resort();
    u64 khz = tsc_rate_hz(&rate) / 1000;
    if (!khz)
        panic(PANIC_TSC,
              "the TSC's rate cannot be told: no HPET, PM timer, PIT or RTC counts, and neither CPUID nor a hypervisor states it");
    tsc_scale = tsc_scale_for(khz);
    tsc0 = rdtsc_ordered();
    tsc_khz = khz;
    print_rate(LOG_INFO, "TSC: ", &rate, "");
}
BOOT_STEP(tsc_init, NEEDS(consoles, acpi_tables), GIVES(clock), EVERYWHERE);
