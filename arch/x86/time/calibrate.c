/* SPDX-License-Identifier: MIT */
/*
 * The TSC's rate against clocks whose rate is known.
 *
 * A reading of a clock takes time, and an SMI, a hypervisor below or an emulator can stretch that without bound. So nothing here assumes that
 * two things happen at once: a clock's count is known to be that of some moment between two readings of the TSC, and a rate is an interval
 * that holds whatever happened in between. What disturbs a measurement makes it less narrow, never wrong.
 */
#include "calibrate.h"

#define READS 16 /* of which the quickest counts */
#define MAX_WINDOWS 24
#define WINDOWS_PER_SECOND 50
#define MAX_TICKS 12
#define MIN_HZ 10000000ULL       /* emulators that count instructions have the slowest TSCs; a clock that does not count gives less */
#define MAX_HZ 100000000000ULL   /* no TSC is faster: a source that states more is wrong */
#define GOOD_PPM 200             /* width of a rate, lowest to highest */
#define AGREE_PPM 500            /* what crystals may differ in, and stated rates be rounded by */
#define STUCK_TICKS (1ULL << 32) /* of the TSC: more than twenty windows */

struct clock_point clock_point_take(u32 (*read)(void))
{
    struct clock_point best = { 0, ~0ULL, 0 };

    for (u32 i = 0; i < READS; i++) {
        u64 before = rdtsc_ordered();
        u32 count = read();
        u64 after = rdtsc_ordered();

        if (after - before < best.after - best.before)
            best = (struct clock_point){ before, after, count };
    }
    return best;
}

/* Both counts are rounded down: n ticks are more than n - 1 and less than n + 1 of the clock's periods. */
static struct tsc_rate rate_between(const struct ref_clock *c, const struct clock_point *a, const struct clock_point *b)
{
    u64 n = (b->count - a->count) & c->mask;

    if (n < 2 || b->before <= a->after)
        return (struct tsc_rate){ c->name, 0, 0 };
    return (struct tsc_rate){ c->name, (b->before - a->after) * c->hz / (n + 1), (b->after - a->before) * c->hz / (n - 1) };
}

static bool overlap(const struct tsc_rate *a, const struct tsc_rate *b, u64 ppm)
{
    return a->low - a->low / 1000000 * ppm <= b->high && b->low - b->low / 1000000 * ppm <= a->high;
}

static bool tsc_rate_makes_sense(const struct tsc_rate *r) { return r->low >= MIN_HZ && r->low <= MAX_HZ && r->high >= r->low; }

bool tsc_rates_agree(const struct tsc_rate *a, const struct tsc_rate *b) { return overlap(a, b, AGREE_PPM); }

static bool narrow(const struct tsc_rate *r) { return r->high - r->low <= r->high / 1000000 * GOOD_PPM; }

/* How far the measurement of one clock has come. */
struct progress {
    struct clock_point last;
    struct tsc_rate rate; /* what all windows since the last contradiction allow */
    u32 windows;          /* since then */
    bool done;
};

/*
 * A counter of 16 bits can wrap unseen while this CPU does not run, and a glitch can show a false count: a window then says something that
 * the next one contradicts, and measuring starts anew.
 */
static void add_window(const struct ref_clock *c, struct progress *p)
{
    struct clock_point now = clock_point_take(c->read);
    struct tsc_rate r = rate_between(c, &p->last, &now);

    p->last = now;
    if (p->windows && !overlap(&p->rate, &r, 0))
        p->windows = 0;
    p->rate = p->windows ? (struct tsc_rate){ r.name, MAX(p->rate.low, r.low), MIN(p->rate.high, r.high) } : r;
    p->windows = r.low < MIN_HZ ? 0 : p->windows + 1;
    p->done = p->windows >= 2 && narrow(&p->rate);
}

/* Until the clock has counted for a window, by its own count. False: it stands still. */
static bool wait_window(const struct ref_clock *c)
{
    u32 start = c->read();
    u64 begin = rdtsc_ordered();

    while (((c->read() - start) & c->mask) < c->hz / WINDOWS_PER_SECOND) {
        if (rdtsc_ordered() - begin > STUCK_TICKS)
            return false;
        cpu_relax();
    }
    return true;
}

static bool add_windows(const struct ref_clock *clocks, u32 n, struct progress *p)
{
    bool done = true;

    for (u32 i = 0; i < n; i++) {
        if (!p[i].done)
            add_window(&clocks[i], &p[i]);
        done &= p[i].done;
    }
    return done;
}

void tsc_measure(const struct ref_clock *clocks, u32 n, struct tsc_rate *rates)
{
    struct progress p[MAX_CLOCKS] = { 0 };
    u32 pace = 0; /* the clock that the windows' length is told by */
    bool done = false;

    for (u32 i = 0; i < n; i++)
        p[i].last = clock_point_take(clocks[i].read);
    for (u32 w = 0; w < MAX_WINDOWS && pace < n && !done; w++) {
        if (!wait_window(&clocks[pace]))
            pace++;
        done = add_windows(clocks, n, p);
    }
    for (u32 i = 0; i < n; i++)
        rates[i] = p[i].windows >= 2 ? p[i].rate : (struct tsc_rate){ clocks[i].name, 0, 0 };
}

static struct tsc_rate rate_of_ticks(const char *name, const struct clock_point *a, const struct clock_point *b, u64 seconds)
{
    return (struct tsc_rate){ name, (b->before - a->after) / seconds, (b->after - a->before) / seconds };
}

/* A tick may be seen late, or not at all: two seconds in a row must be of one length, and the first such two that are known well are taken. */
bool tsc_measure_seconds(const char *name, bool (*tick)(struct clock_point *), struct tsc_rate *rate)
{
    struct clock_point a, b = { 0 }, c = { 0 };

    *rate = (struct tsc_rate){ name, 0, 0 };
    for (u32 i = 0; i < MAX_TICKS; i++) {
        a = b;
        b = c;
        if (!tick(&c))
            break;
        struct tsc_rate first = rate_of_ticks(name, &a, &b, 1), second = rate_of_ticks(name, &b, &c, 1);
        if (i < 2 || !tsc_rate_makes_sense(&first) || !tsc_rates_agree(&first, &second))
            continue;
        *rate = rate_of_ticks(name, &a, &c, 2);
        if (narrow(rate))
            break;
    }
    return rate->high;
}

static u32 supporters(const struct tsc_rate *rates, u32 n, const struct tsc_rate *of)
{
    u32 count = 0;

    for (u32 i = 0; i < n; i++)
        count += rates[i].high && overlap(&rates[i], of, AGREE_PPM);
    return count;
}

const struct tsc_rate *tsc_rate_choose(const struct tsc_rate *rates, u32 n, u32 *against)
{
    const struct tsc_rate *best = NULL;
    u32 most = 0, speaking = 0;

    for (u32 i = 0; i < n; i++) {
        if (!tsc_rate_makes_sense(&rates[i]))
            continue;
        u32 s = supporters(rates, n, &rates[i]);
        speaking++;
        if (s > most || (s == most && overlap(&rates[i], best, AGREE_PPM) && rates[i].high - rates[i].low < best->high - best->low)) {
            most = s;
            best = &rates[i];
        }
    }
    *against = speaking - most;
    return best;
}
