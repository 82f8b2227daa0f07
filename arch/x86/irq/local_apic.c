/* SPDX-License-Identifier: MIT */
/* The local APIC: xAPIC through its page, x2APIC through MSRs. Intel SDM vol. 3, chapter 11. */
#include <hv/acpi.h>
#include <hv/boot_step.h>
#include <hv/printk.h>
#include <hv/softirq.h>
#include <hv/time.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>
#include <hv/x86/vectors.h>

enum {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INIT = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};
#define ICR_PENDING 0x1000
#define LVT_MASKED 0x10000
#define LVT_NMI 0x400
#define LVT_ACTIVE_LOW 0x2000
#define LVT_LEVEL 0x8000 /* processors take an NMI as an edge all the same (SDM vol. 3, 11.5.1) */
#define LVT_TSC_DEADLINE 0x40000
#define SVR_ENABLE 0x100
#define DIVIDE_BY_1 0xb /* SDM vol. 3, figure 11-10 */

#define CALIBRATE_NS 2000000
#define MAX_AHEAD_NS 1000000000ULL

static volatile u8 *registers;
static bool x2apic, tsc_deadline;
static u32 timer_mode;
static u64 ticks_per_ms;

static u32 apic_read(u32 reg) { return x2apic ? (u32)rdmsr(0x800 + (reg >> 4)) : *(volatile u32 *)(registers + reg); }

static void apic_write(u32 reg, u32 v)
{
    if (x2apic)
        wrmsr(0x800 + (reg >> 4), v);
    else
        *(volatile u32 *)(registers + reg) = v;
}

void local_apic_eoi(void) { apic_write(APIC_EOI, 0); }

#define MSR_INTERRUPT_PENDING 0xc0010055 /* BKDG for family 10h; also late 0Fh */
#define C1E_ON_HALT (3ULL << 27)

/*
 * In AMD's families 0Fh and 10h the APIC's timer stops in C1E, which the processor enters by itself when all of its cores are
 * halted (erratum 400): it is switched off. Firmware may switch it on again when dom0 turns ACPI on.
 */
static void leave_c1e(void)
{
    u32 signature = cpuid_count(1, 0).eax, family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    u64 v;

    if (!cpu.amd || (family != 0xf && family != 0x10) || !rdmsr_safe(MSR_INTERRUPT_PENDING, &v) || !(v & C1E_ON_HALT))
        return;
    printk(LOG_INFO "CPU %u: C1E is switched off, as the timer stops in it\n", this_cpu()->id);
    if (!wrmsr_safe(MSR_INTERRUPT_PENDING, v & ~C1E_ON_HALT))
        printk(LOG_WARN "CPU %u: C1E cannot be switched off; switch it off in the firmware setup\n", this_cpu()->id);
}

/* Enabled first: while an APIC is off, its LVT entries cannot be unmasked (SDM vol. 3, 11.4.7.2). */
static void program_defaults(void)
{
    apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_MASKED);
    apic_write(APIC_LVT_ERROR, VECTOR_LAPIC_ERROR);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    leave_c1e();
}

/* The machine's NMIs are the first CPU's. */
static void open_nmi_inputs(void)
{
    static const u32 inputs[] = { APIC_LVT_LINT0, APIC_LVT_LINT1 };
    bool level, active_low, some = false;

    for (u8 i = 0; i < 2; i++)
        if (acpi_nmi_at(this_cpu()->apic_id, i, &level, &active_low)) {
            apic_write(inputs[i], LVT_NMI | (level ? LVT_LEVEL : 0) | (active_low ? LVT_ACTIVE_LOW : 0));
            some = true;
        }
    if (!some)
        printk(LOG_WARN "ACPI: NMIs come to other processors than the first: they are not taken, and an NMI button does nothing\n");
}

/* The write to the LVT must have arrived before the first deadline is set (SDM vol. 3, 11.5.4.1): one is memory, the other is not. */
static void start_timer(void)
{
    apic_write(APIC_LVT_TIMER, timer_mode | VECTOR_TIMER);
    mfence();
}

void local_apic_init_cpu(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    program_defaults();
    start_timer();
}

static void wait_for_delivery(void)
{
    for (u32 i = 0; !x2apic && i < 1000000 && (apic_read(APIC_ICR) & ICR_PENDING); i++)
        cpu_relax();
}

void local_apic_send(u32 apic_id, u32 command)
{
    if (x2apic) {
        /* This WRMSR does not serialise: what the other CPU is to see must be in memory before it (SDM vol. 3, 11.12.3). */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(0x800 + (APIC_ICR >> 4), ((u64)apic_id << 32) | command);
        return;
    }
    wait_for_delivery();
    apic_write(APIC_ICR_HIGH, apic_id << 24);
    apic_write(APIC_ICR, command);
}

bool local_apic_reaches(u32 apic_id) { return apic_id != ~0u && (x2apic || apic_id < 0xff); }

static bool ids_need_x2apic(void)
{
    for (u32 i = 0; i < acpi.nr_cpus; i++)
        if (acpi.cpus[i].enabled && acpi.cpus[i].apic_id >= 0xff)
            return true;
    return false;
}

/* Firmware that has switched to x2APIC must be followed: the way back needs a reset. Else it is used where a CPU cannot be reached without. */
static bool wants_x2apic(u64 base)
{
    if (base & APIC_BASE_X2APIC)
        return true;
    return ids_need_x2apic() && (cpuid_count(1, 0).ecx & 1u << 21) && !acpi.no_x2apic;
}

/* Guests are kept from where the registers really lie, which is not always where the MADT has them. */
static void map_registers(paddr_t base)
{
    if (base != acpi.local_apic)
        printk(LOG_WARN "Local APIC: at %lx, not where ACPI has it (%lx)\n", base, acpi.local_apic);
    acpi.local_apic = base;
    registers = x2apic ? NULL : hv_ioremap(base, PAGE_SIZE);
    if (!x2apic && !registers)
        panic(PANIC_BOOT_MEMORY, "no memory to map the local APIC");
}

void local_apic_init(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    if (!(cpuid_count(1, 0).edx & (1 << 9)))
        panic(PANIC_LOCAL_APIC, "this processor reports no local APIC. Enable it in the firmware setup.");
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    x2apic = wants_x2apic(base);
    map_registers(base & PTE_ADDR_MASK);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    this_cpu()->apic_id = apic_read(APIC_ID) >> (x2apic ? 0 : 24);
    program_defaults();
    open_nmi_inputs();
    tsc_deadline = cpu.tsc_deadline && cpu.invariant_tsc;
    printk(LOG_INFO "Local APIC: id %u, %s%s\n", this_cpu()->apic_id, x2apic ? "x2APIC" : "xAPIC",
           tsc_deadline ? ", TSC deadline timer" : "");
}
BOOT_STEP(local_apic_init, NEEDS(acpi_tables, page_allocator), GIVES(local_apic), EVERYWHERE);

static u32 timer_count(void) { return ~apic_read(APIC_TIMER_CURRENT); /* counts down from all ones */ }

void local_apic_timer_calibrate(void)
{
    if (tsc_deadline) {
        timer_mode = LVT_TSC_DEADLINE;
        start_timer();
        return;
    }
    apic_write(APIC_TIMER_INIT, ~0u);
    struct clock_point a = clock_point_take(timer_count);
    delay_ns(CALIBRATE_NS);
    struct clock_point b = clock_point_take(timer_count);

    /* Readings of equal length at both ends: whatever a disturbance adds to one of them is bounded by the quickest of several. */
    ticks_per_ms = (u64)(b.count - a.count) * tsc_khz / (b.before / 2 + b.after / 2 - a.before / 2 - a.after / 2);
    apic_write(APIC_TIMER_INIT, 0);
    if (!ticks_per_ms)
        panic(PANIC_APIC_TIMER, "the local APIC timer does not count");
    start_timer();
    printk(LOG_INFO "Local APIC timer: %lu kHz\n", ticks_per_ms);
}
BOOT_STEP(local_apic_timer_calibrate, NEEDS(local_apic, clock), GIVES(apic_timer), EVERYWHERE);

void apic_timer_program(u64 expires)
{
    /* At most a second at a time, in either mode: guests may name any time, and the handler programs the rest. */
    u64 now = system_time_ns(), at = MIN(expires, now + MAX_AHEAD_NS);

    if (tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, expires == ~0ULL ? 0 : tsc_at_ns(at));
        return;
    }
    if (expires == ~0ULL) {
        apic_write(APIC_TIMER_INIT, 0);
        return;
    }
    u64 ticks = (at > now ? at - now : 0) * ticks_per_ms / 1000000;
    apic_write(APIC_TIMER_INIT, (u32)MIN(MAX(ticks, 1ULL), 0xffffffffULL));
}
