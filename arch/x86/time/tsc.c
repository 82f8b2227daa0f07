/*
 * System time from the TSC: ns = (((tsc - tsc0) << shift) * mul) >> 32. The rate comes from
 * CPUID leaf 15h, or is measured against the PIT's channel 2 or the ACPI PM timer.
 */
#include <hv/acpi.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/time.h>
#include <hv/x86/cpu.h>
#include <hv/x86/processor.h>

u64 tsc_khz;
static u64 tsc0;
static u32 scale_mul;
static s8 scale_shift;

#define PIT_HZ 1193182
#define PM_TIMER_HZ 3579545 /* ACPI 6.4, 4.8.3.3 */
#define PM_TIMER_MASK 0xffffff /* at least 24 bits count */
#define CALIBRATE_MS 5

static inline u64 mul_u64_u32_shift32(u64 a, u32 b)
{
    return (u64)(((unsigned __int128)a * b) >> 32);
}

/* a * b / c, where the result fits 64 bits. */
static inline u64 muldiv(u64 a, u64 b, u64 c)
{
    u64 q, high;

    __asm__("mulq %3\n\tdivq %4" : "=a"(q), "=&d"(high) : "0"(a), "rm"(b), "r"(c) : "cc");
    return q;
}

static inline u64 scale(u64 delta)
{
    return mul_u64_u32_shift32(scale_shift < 0 ? delta >> -scale_shift : delta << scale_shift, scale_mul);
}

u64 system_time_ns(void)
{
    if (!tsc_khz)
        return 0;
    return scale(rdtsc_ordered() + (u64)this_cpu()->tsc_offset - tsc0);
}

u64 tsc_at_ns(u64 ns)
{
    return tsc0 - (u64)this_cpu()->tsc_offset + muldiv(ns, tsc_khz, 1000000);
}

u64 tsc_scale(u32 *mul, s8 *shift)
{
    *mul = scale_mul;
    *shift = scale_shift;
    return tsc0 - (u64)this_cpu()->tsc_offset;
}

/* TSC ticks during CALIBRATE_MS of channel 2, by its output on port 61h; 0 if it never came. */
static u64 pit_measure(void)
{
    u16 latch = PIT_HZ * CALIBRATE_MS / 1000;
    u8 gate = inb(0x61);

    outb(0x61, (gate & ~2u) | 1); /* speaker off, gate on */
    outb(0x43, 0xb0);             /* channel 2, mode 0 */
    outb(0x42, (u8)latch);
    outb(0x42, (u8)(latch >> 8));
    u64 start = rdtsc_ordered();

    for (u32 i = 0; i < 10000000; i++)
        if (inb(0x61) & 0x20)
            return rdtsc_ordered() - start;
    return 0;
}

/* The same against the ACPI PM timer, for machines whose firmware stops the PIT's clock. */
static u64 pm_timer_measure(void)
{
    u32 ticks = PM_TIMER_HZ * CALIBRATE_MS / 1000, first;
    u64 start;

    if (!acpi.pm_timer)
        return 0;
    first = inl(acpi.pm_timer);
    start = rdtsc_ordered();
    for (u32 i = 0; i < 10000000; i++)
        if (((inl(acpi.pm_timer) - first) & PM_TIMER_MASK) >= ticks)
            return rdtsc_ordered() - start;
    return 0;
}

static u64 tsc_rate(const char **source)
{
    if (cpu.max_leaf >= 0x15) {
        struct cpuid_regs r = cpuid_count(0x15, 0);

        if (r.eax && r.ebx && r.ecx) {
            *source = "CPUID";
            return (u64)r.ecx * r.ebx / r.eax / 1000;
        }
    }
    u64 ticks = pit_measure();

    *source = "PIT";
    if (!ticks) {
        *source = "PM timer";
        ticks = pm_timer_measure();
    }
    return ticks / CALIBRATE_MS;
}

void tsc_init(void)
{
    const char *source;
    u64 khz = tsc_rate(&source);

    if (!khz)
        panic(PANIC_TSC, "the TSC's rate cannot be measured: neither the PIT (ports 40h to 43h, 61h) nor the ACPI PM timer counts");
    /* mul = 10^6 * 2^32 / khz, brought into 32 bits by the shift. */
    u64 tps = khz * 1000;

    scale_shift = 0;
    while (tps > 2000000000ULL) {
        tps >>= 1;
        scale_shift--;
    }
    while (tps <= 1000000000ULL) {
        tps <<= 1;
        scale_shift++;
    }
    scale_mul = (u32)muldiv(1000000000ULL, 1ULL << 32, tps);
    tsc0 = rdtsc_ordered();
    tsc_khz = khz;
    printk(LOG_INFO "TSC: %lu.%03lu MHz (%s)\n", khz / 1000, khz % 1000, source);
}
