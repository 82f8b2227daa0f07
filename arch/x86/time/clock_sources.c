/* SPDX-License-Identifier: MIT */
/* The clocks of a PC whose rate is known, and the sources that state the TSC's rate. */
#include "calibrate.h"

#include <hv/acpi.h>
#include <hv/printk.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>

#define PIT_HZ 1193182
#define PM_TIMER_HZ 3579545 /* ACPI 6.4, 4.8.3.3 */
#define FEMTO 1000000000000000ULL
#define LOOKS 2000 /* at a counter, before it stands still: more than a millisecond on any bus */

/* Port 61h: gate of channel 2 and speaker, which are ours to give back. */
#define PORT_B 0x61
#define GATE_2 1
#define SPEAKER 2

/* HPET specification 1.0a, 2.3 */
enum { HPET_CAPABILITIES = 0, HPET_CONFIGURATION = 0x10, HPET_COUNTER = 0xf0 };
#define HPET_ENABLE 1
#define HPET_SIZE 1024
#define HPET_MAX_PERIOD 100000000 /* fs */
#define HPET_MIN_PERIOD 100000    /* fs: 10 GHz; all ones and all zeros are no HPET */

static u8 port_b;
static volatile u8 *hpet;
static u32 hpet_configuration;

static u32 pit_read(void)
{
    outb(0x43, 0x80); /* latch channel 2 */
    u32 low = inb(0x42), high = inb(0x42);
    return 0u - (low | high << 8);
}

/* Channel 2 counts down from 65536, again and again. Its output on port 61h is not looked at: some machines do not have it. */
static void pit_start(void)
{
    port_b = inb(PORT_B);
    outb(PORT_B, (u8)((port_b & ~SPEAKER) | GATE_2));
    outb(0x43, 0xb4); /* channel 2, low then high byte, mode 2 */
    outb(0x42, 0);
    outb(0x42, 0);
}

static u32 pm_timer_read(void) { return inl(acpi.pm_timer); }

static u32 hpet_reg(u32 reg) { return *(volatile u32 *)(hpet + reg); }

static u32 hpet_read(void) { return hpet_reg(HPET_COUNTER); }

/* The HPET's address as the firmware says; 0: it has none, or an impossible one. */
static paddr_t hpet_address(void)
{
    u32 length;
    const void *table = acpi_find_table("HPET", false, &length);
    paddr_t at;

    if (!table)
        return 0;
    if (acpi_hpet_address(table, length, &at))
        return at;
    printk(LOG_WARN "ACPI: table HPET makes no sense and is not used\n");
    return 0;
}

/* The HPET's period in fs, with its counter running; 0: there is none. */
static u64 hpet_start(void)
{
    paddr_t at = hpet_address();

    hpet = at ? hv_ioremap(at, HPET_SIZE) : NULL;
    if (!hpet)
        return 0;
    u32 period = hpet_reg(HPET_CAPABILITIES + 4);
    if (period < HPET_MIN_PERIOD || period > HPET_MAX_PERIOD) {
        hv_iounmap(hpet, HPET_SIZE);
        hpet = NULL;
        return 0;
    }
    hpet_configuration = hpet_reg(HPET_CONFIGURATION);
    *(volatile u32 *)(hpet + HPET_CONFIGURATION) = hpet_configuration | HPET_ENABLE;
    return period;
}

/* A port or register that is not there reads the same for ever. */
static bool counts(u32 (*read)(void), u32 mask)
{
    u32 first = read() & mask;

    for (u32 i = 0; i < LOOKS; i++)
        if ((read() & mask) != first)
            return true;
    return false;
}

u32 clock_sources_start(struct ref_clock *clocks)
{
    u64 period = hpet_start();
    u32 n = 0;

    if (period && counts(hpet_read, ~0u))
        clocks[n++] = (struct ref_clock){ "HPET", FEMTO / period, ~0u, hpet_read };
    if (acpi.pm_timer && counts(pm_timer_read, 0xffffff)) /* at least 24 bits count */
        clocks[n++] = (struct ref_clock){ "PM timer", PM_TIMER_HZ, 0xffffff, pm_timer_read };
    pit_start();
    if (counts(pit_read, 0xffff))
        clocks[n++] = (struct ref_clock){ "PIT", PIT_HZ, 0xffff, pit_read };
    return n;
}

void clock_sources_stop(void)
{
    outb(PORT_B, port_b);
    if (hpet) {
        *(volatile u32 *)(hpet + HPET_CONFIGURATION) = hpet_configuration;
        hv_iounmap(hpet, HPET_SIZE);
        hpet = NULL;
    }
}

/* A stated rate is the nominal one of a crystal, which is off by 50 ppm at most. */
static struct tsc_rate stated(const char *name, u64 hz) { return (struct tsc_rate){ name, hz - hz / 20000, hz + hz / 20000 }; }

static bool is(const struct cpuid_regs *r, const char *signature)
{
    return !memcmp(&r->ebx, signature, 4) && !memcmp(&r->ecx, signature + 4, 4) && !memcmp(&r->edx, signature + 8, 4);
}

#define HYPERV_FREQUENCY_MSRS (1u << 11) /* CPUID 40000003h EAX: Hyper-V TLFS, 2.4.3 */
#define MSR_HYPERV_TSC_HZ 0x40000022

/* Leaf 40000010h was VMware's first, EAX in kHz; KVM and others follow. Xen: its third leaf, ECX in kHz. */
static u64 hypervisor_hz(void)
{
    if (!(cpuid_count(1, 0).ecx >> 31))
        return 0;
    struct cpuid_regs r = cpuid_count(0x40000000, 0);
    u64 hz;
    if (is(&r, "Microsoft Hv"))
        return (cpuid_count(0x40000003, 0).eax & HYPERV_FREQUENCY_MSRS) && rdmsr_safe(MSR_HYPERV_TSC_HZ, &hz) ? hz : 0;
    if (is(&r, "XenVMMXenVMM") && r.eax >= 0x40000003)
        return cpuid_count(0x40000003, 0).ecx * 1000ULL;
    return r.eax >= 0x40000010 && r.eax < 0x40010000 ? cpuid_count(0x40000010, 0).eax * 1000ULL : 0;
}

/* SDM vol. 2, CPUID leaf 15h: EBX/EAX TSC ticks per tick of a crystal of ECX Hz. */
static u64 processor_hz(void)
{
    if (cpu.max_leaf < 0x15)
        return 0;
    struct cpuid_regs r = cpuid_count(0x15, 0);
    return r.eax && r.ebx ? (u64)r.ecx * r.ebx / r.eax : 0;
}

u32 clock_rates_stated(struct tsc_rate *rates)
{
    u64 processor = processor_hz(), hypervisor = hypervisor_hz();
    u32 n = 0;

    if (processor)
        rates[n++] = stated("CPUID leaf 15h", processor);
    if (hypervisor)
        rates[n++] = stated("hypervisor below", hypervisor);
    return n;
}

bool clock_rate_rounded(struct tsc_rate *rate)
{
    u64 hz = cpu.max_leaf >= 0x16 ? (cpuid_count(0x16, 0).eax & 0xffff) * 1000000ULL : 0;

    *rate = (struct tsc_rate){ "CPUID leaf 16h", hz, hz };
    return hz;
}

#define RTC_SECONDS 0
#define RTC_UPDATING 0x80  /* register A: from 244 us before an update until its end; the other registers are not to be read meanwhile */
#define RTC_LOOKS 20000000 /* a second has fewer */

/* The end of the update that makes the next second. A slow look can miss that it goes on, never that another second is there. */
static bool rtc_tick(struct clock_point *p)
{
    u8 first = cmos_read(RTC_SECONDS);

    if (first == 0xff)
        return false;
    p->before = rdtsc_ordered();
    for (u32 i = 0; i < RTC_LOOKS; i++) {
        u64 before = rdtsc_ordered();
        bool updating = cmos_read(CMOS_STATUS_A) & RTC_UPDATING;

        if (!updating && cmos_read(RTC_SECONDS) != first) {
            p->after = rdtsc_ordered();
            return true;
        }
        p->before = before;
    }
    return false;
}

bool clock_rate_rtc(struct tsc_rate *rate) { return tsc_measure_seconds("RTC", rtc_tick, rate); }
