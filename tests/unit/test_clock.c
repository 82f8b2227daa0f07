/* SPDX-License-Identifier: MIT */
/* The TSC's rate and what is computed from it: simulated clocks that are disturbed, contradict each other, or are not there. */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/time.h>
#include <hv/x86/cpu.h>

#include "../../arch/x86/time/calibrate.h"

#define TSC_HZ 2596138000ULL
#define SEC 1000000000000ULL /* the simulation counts picoseconds */

struct acpi_info acpi;
static u64 now;           /* ps */
static u64 read_ps;       /* what one access to a clock takes */
static u32 disturb_every; /* accesses between two long pauses; 0: none */
static u64 disturb_ps;
static u32 accesses;
static u32 nr_clocks, nr_stated;
static struct ref_clock the_clocks[MAX_CLOCKS];
static struct tsc_rate the_stated[2];
static bool use_rtc;
static struct tsc_rate rounded;

u64 fake_rdtsc_ordered(void)
{
    now += 10000; /* 10 ns */
    return (u64)((unsigned __int128)now * TSC_HZ / SEC);
}

static u32 access_at(u64 hz)
{
    now += read_ps / 2;
    u32 value = (u32)((unsigned __int128)now * hz / SEC);

    now += read_ps / 2;
    /* What stops this CPU comes before or after the moment of the reading. */
    accesses++;
    if (disturb_every && accesses % disturb_every == 0)
        now += disturb_ps;
    return value;
}

static u32 read_hpet(void) { return access_at(100000000); }
static u32 read_pm(void) { return access_at(3579545) & 0xffffff; }
static u32 read_pit(void) { return access_at(1193182) & 0xffff; }
static u32 read_fast_pit(void) { return access_at(1193182 * 3 / 2) & 0xffff; } /* half as fast again as it should be */
static u32 read_stuck(void) { return access_at(0); }
static u32 read_noise(void) { return access_at(0) + accesses * 2654435761u; }

#define HPET                              \
    {                                     \
        "HPET", 100000000, ~0u, read_hpet \
    }
#define PM                                     \
    {                                          \
        "PM timer", 3579545, 0xffffff, read_pm \
    }
#define PIT                              \
    {                                    \
        "PIT", 1193182, 0xffff, read_pit \
    }

u32 clock_sources_start(struct ref_clock *c)
{
    memcpy(c, the_clocks, sizeof(the_clocks));
    return nr_clocks;
}
void clock_sources_stop(void) {}
u32 clock_rates_stated(struct tsc_rate *r)
{
    memcpy(r, the_stated, nr_stated * sizeof(*r));
    return nr_stated;
}
static u32 missed_ticks; /* by bits */
static u32 ticks;

/* Seconds, with what disturbs the look at each. */
static bool rtc_tick(struct clock_point *p)
{
    do
        now += SEC - now % SEC;
    while (missed_ticks >> ticks++ & 1);
    now -= 30000000;
    p->before = fake_rdtsc_ordered();
    now += 30000000 + (ticks % 4 == 2 ? 3000000000ULL : 0); /* one in four is seen 3 ms late */
    p->after = fake_rdtsc_ordered();
    return true;
}

bool clock_rate_rtc(struct tsc_rate *r) { return use_rtc && tsc_measure_seconds("RTC", rtc_tick, r); }
bool clock_rate_rounded(struct tsc_rate *r)
{
    *r = rounded;
    return rounded.high;
}

static void use(u32 n, const struct ref_clock *clocks)
{
    nr_clocks = n;
    memcpy(the_clocks, clocks, n * sizeof(*clocks));
}
#define USE(...)                                       \
    do {                                               \
        const struct ref_clock c_[] = { __VA_ARGS__ }; \
        use(ARRAY_SIZE(c_), c_);                       \
    } while (0)

static int setup(void **state)
{
    (void)state;
    fake_reset();
    tsc_khz = 0;
    now = SEC / 7;
    read_ps = 1000000;
    disturb_every = accesses = nr_clocks = nr_stated = 0;
    use_rtc = false;
    missed_ticks = ticks = 0;
    rounded = (struct tsc_rate){ 0 };
    return 0;
}

static u64 ppm_off(void)
{
    u64 hz = tsc_khz * 1000;

    return (hz > TSC_HZ ? hz - TSC_HZ : TSC_HZ - hz) * 1000000 / TSC_HZ;
}

static void said(const char *text, bool yes)
{
    if (!strstr(fake_log, text) == yes)
        fail_msg("'%s' was %ssaid: %s", text, yes ? "not " : "", fake_log);
}

static void each_alone(void **state)
{
    (void)state;
    const struct ref_clock all[] = { HPET, PM, PIT };

    for (u32 i = 0; i < 3; i++) {
        for (read_ps = 100000; read_ps <= 8000000; read_ps *= 2) { /* 0.1 to 6.4 us an access */
            tsc_khz = 0;
            use(1, &all[i]);
            tsc_init();
            assert_in_range(ppm_off(), 0, 150);
        }
    }
}

static void disturbed(void **state)
{
    (void)state;
    /* This CPU stands still for up to 80 ms, longer than a PIT's period, each so many accesses. */
    for (disturb_ps = SEC / 100000; disturb_ps <= SEC * 8 / 100; disturb_ps *= 3) {
        for (disturb_every = 3; disturb_every < 40000; disturb_every = disturb_every * 5 / 2) {
            tsc_khz = 0;
            USE(HPET, PM, PIT);
            tsc_init();
            assert_in_range(ppm_off(), 0, 200);
        }
    }
}

static void one_of_three_lies(void **state)
{
    (void)state;
    USE(HPET, PM, { "PIT", 1193182, 0xffff, read_fast_pit });
    tsc_init();
    assert_in_range(ppm_off(), 0, 150);
    said("TSC: not used: 1730.7", true);
    setup(NULL);
    USE({ "HPET", 150000000, ~0u, read_hpet }, PM, PIT); /* a wrong period in its registers */
    tsc_init();
    assert_in_range(ppm_off(), 0, 150);
    said("not used: 3894.2", true);
}

static void not_there(void **state)
{
    (void)state;
    USE({ "PM timer", 3579545, 0xffffff, read_stuck }, PIT);
    tsc_init();
    assert_in_range(ppm_off(), 0, 150);
    setup(NULL);
    USE({ "HPET", 100000000, ~0u, read_noise }, { "PM timer", 3579545, 0xffffff, read_stuck });
    use_rtc = true;
    tsc_init();
    said("(RTC)", true);
    assert_in_range(ppm_off(), 0, 150);
    setup(NULL);
    use_rtc = true;
    missed_ticks = 0x1a;
    tsc_init();
    assert_in_range(ppm_off(), 0, 150);
    setup(NULL);
    rounded = (struct tsc_rate){ "CPUID leaf 16h", 2600000000, 2600000000 };
    tsc_init();
    assert_int_equal(tsc_khz, 2600000);
    said("known to 1 MHz only", true);
}

static void stated(void **state)
{
    (void)state;
    nr_stated = 1;
    the_stated[0] = (struct tsc_rate){ "CPUID leaf 15h", TSC_HZ - 100000, TSC_HZ + 100000 };
    tsc_init();
    assert_int_equal(tsc_khz, TSC_HZ / 1000);
    setup(NULL);
    /* A stated rate that two clocks deny. */
    nr_stated = 1;
    the_stated[0] = (struct tsc_rate){ "CPUID leaf 15h", 2400000000, 2400100000 };
    USE(PM, PIT);
    tsc_init();
    assert_in_range(ppm_off(), 0, 150);
    said("not used: 2400.050 MHz (CPUID leaf 15h)", true);
}

/* Scales of any rate that a guest may have: there and back within a tick, for years. */
static void scales(void **state)
{
    (void)state;
    for (u64 khz = 1000; khz <= 100000000; khz = khz * 7 / 5 + 1) {
        struct tsc_scale s = tsc_scale_for(khz);

        for (u64 ns = 1; ns < 1ULL << 58; ns = ns * 3 + 1) {
            u64 ticks = tsc_scale_to_ticks(s, ns), back = tsc_scale_to_ns(s, ticks);

            if (ticks < 1ULL << 59) { /* and no shift takes bits away */
                assert_true(back <= ns);
                assert_true(ns - back <= 2 + 2000000 / khz);
            }
        }
        assert_true(tsc_scale_to_ticks(s, 1000000000) >= khz * 1000 - khz / 1000 - 2 &&
                    tsc_scale_to_ticks(s, 1000000000) <= khz * 1000 + khz / 1000 + 2);
    }
}

/* What a processor or a hypervisor states may be anything: no TSC has such a rate. */
static void stated_nonsense(void **state)
{
    (void)state;
    const struct tsc_rate wrong[] = { { "CPUID leaf 15h", 1, 1 },
                                      { "CPUID leaf 15h", 2000000, 2000200 },
                                      { "CPUID leaf 15h", ~0ULL / 2, ~0ULL / 2 + 1 },
                                      { "CPUID leaf 15h", ~0ULL - 9, 5 } };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        setup(NULL);
        nr_stated = 1;
        the_stated[0] = wrong[i];
        rounded = (struct tsc_rate){ "CPUID leaf 16h", 2600000000, 2600000000 };
        tsc_init();
        assert_int_equal(tsc_khz, 2600000);
        tsc_khz = 0;
        USE(PIT);
        tsc_init();
        assert_in_range(ppm_off(), 0, 150);
    }
}

/* Deadlines at the ends of u64 are no divide error, and lie in no near past. */
static void ends_of_time(void **state)
{
    (void)state;
    USE(HPET);
    tsc_init();
    u64 start = tsc_at_ns(0);

    assert_true(tsc_at_ns(1000000000) - start - tsc_khz * 1000 + 1 <= 2);
    for (u64 t = 1ULL << 63; t; t >>= 1) {
        assert_true(tsc_at_ns(t) - start >= t);
        assert_true(tsc_at_ns(t - 1) - start >= t - 1);
        assert_true(tsc_at_ns(0 - t) - start >= MIN(0 - t, 1ULL << 63));
    }
    tsc_khz = 100000; /* slower than 1 GHz: everything fits */
    assert_true(tsc_at_ns(~0ULL) - start == ~0ULL / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(each_alone, setup),
                                        cmocka_unit_test_setup(disturbed, setup),
                                        cmocka_unit_test_setup(one_of_three_lies, setup),
                                        cmocka_unit_test_setup(not_there, setup),
                                        cmocka_unit_test_setup(stated, setup),
                                        cmocka_unit_test_setup(stated_nonsense, setup),
                                        cmocka_unit_test(scales),
                                        cmocka_unit_test_setup(ends_of_time, setup) };

    return cmocka_run_group_tests_name("the TSC's rate", tests, NULL, NULL);
}
