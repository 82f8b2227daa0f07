/*
 * #MC: the banks are scanned; whatever cannot be contained ends the machine here and now, the
 * rest becomes events for the softirq. No lock, no allocation, no `current`.
 *
 * A second #MC before MCG_STATUS.MCIP is cleared shuts the processor down (SDM vol. 3, 16.3.1.2);
 * one between that and the IRETQ finds its IST stack in use: 25 instructions, the price of IST.
 */
#include <hv/lib.h>
#include <hv/mm.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

#define MAX_BANKS 64
#define BANK_MSR(bank, reg) (MSR_MC0_CTL + 4 * (bank) + (reg))
enum { REG_CTL, REG_STATUS, REG_ADDR, REG_MISC };

static u32 nr_banks;
static bool ser_p, amd_recovers;

/* ---- events: filled by any CPU's handler, taken by softirqs ---- */

#define MAX_EVENTS 32
static struct {
    struct mc_event event;
    u32 full;
} events[MAX_EVENTS];
static u32 events_dropped;

static void put_event(const struct mc_event *e)
{
    for (u32 i = 0; i < MAX_EVENTS; i++) {
        u32 empty = 0;

        /* 2 while it is being written */
        if (!__atomic_compare_exchange_n(&events[i].full, &empty, 2, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        events[i].event = *e;
        __atomic_store_n(&events[i].full, 1, __ATOMIC_RELEASE);
        return;
    }
    events_dropped++;
}

bool mc_event_take(struct mc_event *e)
{
    u32 cpu = this_cpu()->id;

    for (u32 i = 0; i < MAX_EVENTS; i++) {
        if (__atomic_load_n(&events[i].full, __ATOMIC_ACQUIRE) != 1)
            continue;
        /* What hit a guest is for the CPU that runs it. */
        if ((events[i].event.in_guest || events[i].event.copy_failed) && events[i].event.cpu != cpu)
            continue;
        *e = events[i].event;
        __atomic_store_n(&events[i].full, 0, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

/* ---- access to the banks, with injected values in front of them ---- */

static struct {
    u32 msr;
    u64 value;
} injected[8];
static u32 nr_injected; /* the first CPU's */

static u64 mc_read(u32 msr)
{
    for (u32 i = 0; i < nr_injected && !this_cpu()->id; i++)
        if (injected[i].msr == msr)
            return injected[i].value;
    return rdmsr(msr);
}

static void mc_clear(u32 msr)
{
    for (u32 i = 0; i < nr_injected && !this_cpu()->id; i++)
        if (injected[i].msr == msr) {
            injected[i] = injected[--nr_injected];
            return;
        }
    wrmsr(msr, 0);
}

int mc_interpose(u32 msr, u64 value)
{
    if (msr != MSR_MCG_STATUS && (msr < BANK_MSR(0, REG_CTL) || msr >= BANK_MSR(nr_banks, REG_CTL) || (msr & 3) == REG_CTL))
        return -EINVAL;
    for (u32 i = 0; i < nr_injected; i++)
        if (injected[i].msr == msr) {
            injected[i].value = value;
            return 0;
        }
    if (nr_injected == ARRAY_SIZE(injected))
        return -ENOSPC;
    injected[nr_injected].msr = msr;
    injected[nr_injected++].value = value;
    return 0;
}

/* ---- what a record means ---- */

const char *mc_severity_name(enum mc_severity s)
{
    static const char *const names[] = { "nothing", "corrected", "deferred", "action optional", "action required", "fatal" };

    return names[s];
}

enum mc_severity mc_classify(u64 status, bool with_ser_p, bool recovers)
{
    if (!(status & MCI_STATUS_VAL))
        return MC_NONE;
    if (!(status & MCI_STATUS_UC))
        return !with_ser_p && (status & MCI_STATUS_DEFERRED) ? MC_DEFERRED : MC_CORRECTED;
    if (status & MCI_STATUS_PCC)
        return MC_FATAL;
    if (!(status & MCI_STATUS_EN))
        return MC_CORRECTED; /* logged, but not what signalled: another CPU's, seen in a shared bank */
    if (!with_ser_p)
        return recovers && !(status & MCI_STATUS_AR) ? MC_REQUIRED : MC_FATAL;
    if (!(status & MCI_STATUS_S))
        return MC_DEFERRED;
    if (status & MCI_STATUS_AR)
        return status & MCI_STATUS_OVER ? MC_FATAL : MC_REQUIRED; /* the record of another one is lost */
    return MC_OPTIONAL;
}

bool mc_has_frame(u64 status, u64 misc, bool with_ser_p)
{
    if (!(status & MCI_STATUS_ADDRV))
        return false;
    return !with_ser_p || ((status & MCI_STATUS_MISCV) && MCI_MISC_ADDR_MODE(misc) == MCI_MISC_ADDR_PHYSICAL);
}

bool mc_recovery_supported(void)
{
    return ser_p;
}

/* ---- the handler ---- */

static void end(const struct cpu_user_regs *regs, enum panic_code code, const struct mc_event *e, const char *why) __noreturn;
static void end(const struct cpu_user_regs *regs, enum panic_code code, const struct mc_event *e, const char *why)
{
    fatal_note_address(e->has_frame ? e->address : 0);
    if (e->has_frame)
        fatal_trap(regs, code, "machine check: %s, frame %lx (bank %u, status %016lx)", why, e->address >> PAGE_SHIFT, e->bank,
                   e->status);
    fatal_trap(regs, code, "machine check: %s (bank %u, status %016lx, MCG_STATUS %lx)", why, e->bank, e->status, e->mcg_status);
}

static enum frame_owner owner_of(const struct mc_event *e)
{
    return e->has_frame ? frame_owner(e->address >> PAGE_SHIFT) : FRAME_NONE;
}

/* Ends the machine, or leaves *e to be dealt with later. */
static void contain(struct cpu_user_regs *regs, struct mc_event *e)
{
    enum frame_owner owner = owner_of(e);

    if (e->severity == MC_FATAL)
        end(regs, PANIC_MC_CONTEXT, e, "an uncorrected error, the processor's context is corrupt");
    if (e->severity < MC_OPTIONAL)
        return;
    if (owner == FRAME_HYPERVISOR)
        end(regs, PANIC_MC_FRAME, e, "an error in the hypervisor's memory");
    if (e->severity == MC_OPTIONAL || e->in_guest)
        return;
    /* Used by the hypervisor itself: only a copy from or to a guest can be given up. */
    if (owner == FRAME_GUEST && (e->mcg_status & MCG_STATUS_EIPV) && extable_fixup(regs)) {
        e->copy_failed = e->restartable = true;
        return;
    }
    end(regs, PANIC_MC_CONSUMED, e, "damaged data was used by the hypervisor");
}

static void tell(bool here)
{
    softirq_raise_on(here ? this_cpu() : &boot_percpu, SOFTIRQ_MACHINE_CHECK);
}

/* The record of a bank, if it has one. */
static bool read_bank(u32 bank, struct mc_event *e)
{
    e->cpu = this_cpu()->id;
    e->bank = bank;
    e->tsc = rdtsc();
    e->status = mc_read(BANK_MSR(bank, REG_STATUS));
    e->severity = mc_classify(e->status, ser_p, amd_recovers);
    if (e->severity == MC_NONE)
        return false;
    if (e->status & MCI_STATUS_MISCV)
        e->misc = mc_read(BANK_MSR(bank, REG_MISC));
    if (e->status & MCI_STATUS_ADDRV)
        e->address = mc_read(BANK_MSR(bank, REG_ADDR));
    e->has_frame = mc_has_frame(e->status, e->misc, ser_p);
    return true;
}

void machine_check_poll(void)
{
    for (u32 i = 0; i < nr_banks; i++) {
        struct mc_event e = { .restartable = true };

        /* What is more than deferred has its #MC, or is another CPU's. */
        if (!read_bank(i, &e) || e.severity > MC_DEFERRED)
            continue;
        put_event(&e);
        tell(false);
        mc_clear(BANK_MSR(i, REG_STATUS));
    }
}

/*
 * Banks can be shared, and Intel's #MC comes to all CPUs at once: they scan one after the other, so
 * that each record is dealt with once. The wait has a bound; a CPU that reports does not come back.
 */
#define SCAN_POLLS 10000000
static u32 scanning;

static void scan_begin(void)
{
    for (u32 i = 0; i < SCAN_POLLS && __atomic_exchange_n(&scanning, 1, __ATOMIC_ACQUIRE); i++)
        cpu_relax();
}

static void scan_end(void)
{
    __atomic_store_n(&scanning, 0, __ATOMIC_RELEASE);
}

void machine_check_handle(struct cpu_user_regs *regs)
{
    u64 mcg = nr_banks ? mc_read(MSR_MCG_STATUS) : 0;
    bool seen = false;

    scan_begin();
    for (u32 i = 0; i < nr_banks; i++) {
        struct mc_event e = { .mcg_status = mcg, .in_guest = regs_from_guest(regs), .restartable = mcg & MCG_STATUS_RIPV,
                              .rip = regs->rip };

        if (!read_bank(i, &e))
            continue;
        contain(regs, &e);
        put_event(&e);
        tell(e.in_guest || e.copy_failed);
        mc_clear(BANK_MSR(i, REG_STATUS));
        seen |= e.copy_failed || e.in_guest;
    }
    scan_end();
    /* Nothing can return to where this came from; a guest ends alone (mca.c). */
    if ((mcg & MCG_STATUS_MCIP) && !(mcg & MCG_STATUS_RIPV) && !seen)
        fatal_trap(regs, PANIC_MC_CONTEXT, "machine check: the interrupted program cannot go on (MCG_STATUS %lx)", mcg);
    if (nr_banks)
        mc_clear(MSR_MCG_STATUS); /* the next #MC would shut the processor down otherwise */
    if (!this_cpu()->id)
        nr_injected = 0; /* for one #MC */
}

/* ---- setup ---- */

void machine_check_init_cpu(void)
{
    u64 cap;

    if (!nr_banks || !rdmsr_safe(MSR_MCG_CAP, &cap))
        return;
    if ((cap & MCG_CAP_CTL_P) && !wrmsr_safe(MSR_MCG_CTL, ~0ULL))
        printk(LOG_WARN "machine check: MCG_CTL cannot be written\n");
    for (u32 i = 0; i < nr_banks; i++)
        if (!wrmsr_safe(BANK_MSR(i, REG_CTL), ~0ULL) || !wrmsr_safe(BANK_MSR(i, REG_STATUS), 0))
            printk(LOG_WARN "machine check: bank %u cannot be enabled\n", i);
}

void machine_check_init(void)
{
    u64 cap;

    if (!(cpuid_count(1, 0).edx & (1 << 14)) || !rdmsr_safe(MSR_MCG_CAP, &cap))
        return;
    nr_banks = MIN((u32)(cap & MCG_CAP_COUNT), (u32)MAX_BANKS);
    ser_p = cap & MCG_CAP_SER_P;
    /* AMD: software-uncorrectable error containment and recovery (CPUID 8000_0007, EBX bit 1). */
    amd_recovers = cpu.amd && cpu.max_ext_leaf >= 0x80000007 && (cpuid_count(0x80000007, 0).ebx & 2);
    machine_check_init_cpu();
}
