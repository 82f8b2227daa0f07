/* SPDX-License-Identifier: MIT */
/* Measuring the TSC's rate against clocks whose rate is known. */
#pragma once

#include <hv/time.h>

#define MAX_CLOCKS 4

/* A counter whose rate is known. Functions run on the boot CPU, during boot only. */
struct ref_clock {
    const char *name;
    u64 hz;
    u32 mask;          /* bits that count */
    u32 (*read)(void); /* counts upward */
};

/* The TSC's rate by one source: between low and high, in Hz. Both 0: the source does not tell. */
struct tsc_rate {
    const char *name;
    u64 low, high;
};

/*
 * Measures against all clocks at once, each until two windows in a row agree and its rate is known to within 100 ppm either way, or
 * half a second has gone. A rate of a clock that stands still or contradicts itself is nothing.
 */
void tsc_measure(const struct ref_clock *clocks, u32 n, struct tsc_rate *rates);
/*
 * The same against a clock that only ticks, each second; tick() waits for the next one, false: there is none. Takes some seconds; one that is
 * missed makes them more. False: there is no rate.
 */
bool tsc_measure_seconds(const char *name, bool (*tick)(struct clock_point *), struct tsc_rate *rate);
/*
 * The rate that most others support, the narrowest of those; earlier ones win a tie. NULL: none says anything. *against: how many
 * of the others say something else.
 */
const struct tsc_rate *tsc_rate_choose(const struct tsc_rate *rates, u32 n, u32 *against);
bool tsc_rates_agree(const struct tsc_rate *a, const struct tsc_rate *b);
static inline u64 tsc_rate_hz(const struct tsc_rate *r) { return r->low + (r->high - r->low) / 2; }

/* The clocks that this machine has and that count; their number, MAX_CLOCKS - 1 at most. clock_sources_stop() restores their registers. */
u32 clock_sources_start(struct ref_clock *clocks);
void clock_sources_stop(void);
/* Rates that the processor or a hypervisor below states: their number, two at most. */
u32 clock_rates_stated(struct tsc_rate *rates);
/* From CPUID leaf 16h, which is rounded to MHz. False: there is none. */
bool clock_rate_rounded(struct tsc_rate *rate);
/* From the real-time clock's seconds. False: there is none. */
bool clock_rate_rtc(struct tsc_rate *rate);
