/* SPDX-License-Identifier: MIT */
/*
 * #MC: the banks are scanned; whatever cannot be contained ends the machine here and now, the
 * rest becomes events for the softirq. No lock, no allocation, no `current`. The handler of a CPU raises that CPU's
 * softirq; where that one sleeps on, the first CPU's polling takes the event.
 *
 * A second #MC before MCG_STATUS.MCIP is cleared shuts the processor down (SDM vol. 3, 16.3.1.2);
 * one between that and the IRETQ finds its IST stack in use: 25 instructions, the price of IST.
 */
#include <hv/boot_step.h>
#include <hv/mm.h>
#include <hv/printk.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/trap.h>

/* The MSRs behind those of the 32nd bank are others (480h: VMX). Only AMD's scalable MCA has more banks, at other numbers. */
#define MAX_BANKS 32
#define MAX_BANKS_SMCA 64
enum { REG_CTL, REG_STATUS, REG_ADDR, REG_MISC, REG_IPID = 5 };

static u32 nr_banks;
static bool ser_p, amd_recovers, smca;

static u32 bank_msr(u32 bank, u32 reg) { return smca ? MSR_SMCA_MC0_CTL + 16 * bank + reg : MSR_MC0_CTL + 4 * bank + reg; }

/* ---- events: filled by any CPU's handler, taken by softirqs ---- */

#define MAX_EVENTS 32
static struct {
    struct mc_event event;
    u32 full;
} events[MAX_EVENTS];
static u32 events_dropped;

/*
 *   CPU A (here, in #MC's handler or a poll):   full from 0 to 2, by compare-and-exchange; writes the event; full = 1
 *   CPU B (mc_event_take(), in a softirq):      sees 1; copies the event; full = 0
 *
 * The slot is A's while it is 2: another handler takes the next one, and B does not see half an event. Takers hold poll_lock: of two that saw 1
 * both would tell of the error, and the slower one would free the slot under an event that has come since.
 */
static void put_event(const struct mc_event *e)
{
    for (u32 i = 0; i < MAX_EVENTS; i++) {
        u32 empty = 0;

        if (!__atomic_compare_exchange_n(&events[i].full, &empty, 2, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        events[i].event = *e;
        __atomic_store_n(&events[i].full, 1, __ATOMIC_RELEASE);
        return;
    }
    events_dropped++;
}

static spinlock_t poll_lock = SPINLOCK_INIT(LOCK_LEAF); /* CPUs share banks and events: each is dealt with once */

bool mc_event_take(struct mc_event *e)
{
    u32 id = this_cpu()->id;

    spin_lock_scope(&poll_lock);
    for (u32 i = 0; i < MAX_EVENTS; i++) {
        if (__atomic_load_n(&events[i].full, __ATOMIC_ACQUIRE) != 1)
            continue;
        /* An event that hit a guest is taken by the CPU whose `current` that guest is. */
        if ((events[i].event.in_guest || events[i].event.copy_failed) && events[i].event.cpu != id)
            continue;
        *e = events[i].event;
        __atomic_store_n(&events[i].full, 0, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

/* ---- access to the banks, with injected values in front of them ---- */

/*
 * The first CPU's. Each slot stands for itself, so nothing is counted: one CPU at a time fills a free one (the caller's
 * lock), value first; the first CPU's polling and its #MC, which may interrupt that, read and free them at any time.
 */
static struct injection {
    u32 msr; /* 0: free */
    u64 value;
} injected[8];

/* The slot of an MSR; of a free one if msr is 0. NULL: none. */
static struct injection *injected_slot(u32 msr)
{
    for (u32 i = 0; i < ARRAY_SIZE(injected); i++)
        if (__atomic_load_n(&injected[i].msr, __ATOMIC_ACQUIRE) == msr)
            return &injected[i];
    return NULL;
}

static u64 mc_read(u32 msr)
{
    const struct injection *slot = this_cpu()->id ? NULL : injected_slot(msr);

    return unlikely(slot) ? slot->value : rdmsr(msr);
}

static void mc_clear(u32 msr)
{
    struct injection *slot = this_cpu()->id ? NULL : injected_slot(msr);

    if (unlikely(slot))
        WRITE_ONCE(slot->msr, 0);
    else
        wrmsr(msr, 0);
}

int mc_interpose(u32 msr, u64 value)
{
    u32 bank = (msr - MSR_MC0_CTL) / 4, reg = msr & 3;

    if (msr != MSR_MCG_STATUS) {
        if (msr < MSR_MC0_CTL || bank >= MIN(nr_banks, (u32)MAX_BANKS) || reg == REG_CTL)
            return -EINVAL;
        msr = bank_msr(bank, reg);
    }
    struct injection *slot = injected_slot(msr);
    if (!slot)
        slot = injected_slot(0);
    if (!slot)
        return -ENOSPC;
    WRITE_ONCE(slot->value, value);
    __atomic_store_n(&slot->msr, msr, __ATOMIC_RELEASE);
    return 0;
}

/* ---- what a record means ---- */

const char *mc_severity_name(enum mc_severity s)
{
    static const char *const names[] = { "nothing", "corrected", "deferred", "action optional", "action required", "fatal" };

    return (u32)s < ARRAY_SIZE(names) ? names[s] : "unknown";
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

/* Of the banks of scalable MCA, those whose addresses are the system's: a memory controller's counts in its own DRAM. */
static bool smca_address_is_physical(u64 status, u64 ipid)
{
    static const u32 types[] = { 0x000b0, 0x100b0, 0x200b0, 0x1000b0, 0x0002e, 0x2002e }; /* LS, IF, L2, LS, CS, CS */
    u32 type = (u32)(ipid >> 48) << 16 | (ipid >> 32 & 0xfff);

    for (u32 i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i] == type)
            return true;
    return status & MCI_STATUS_POISON; /* used: by a core, at an address of the system's */
}

u32 mc_frames(enum mc_addresses kind, u64 status, u64 misc, u64 ipid)
{
    u32 lsb = MCI_MISC_ADDR_LSB(misc);

    if (!(status & MCI_STATUS_ADDRV))
        return 0;
    if (kind != MC_ADDRESSES_SER)
        return kind == MC_ADDRESSES_ANY || smca_address_is_physical(status, ipid);
    if (!(status & MCI_STATUS_MISCV) || MCI_MISC_ADDR_MODE(misc) != MCI_MISC_ADDR_PHYSICAL)
        return 0;
    return lsb <= PAGE_SHIFT ? 1 : lsb <= MC_RANGE_SHIFT_MAX ? 1u << (lsb - PAGE_SHIFT) : 0;
}

bool mc_recovery_supported(void) { return ser_p; }

/* ---- the handler ---- */

static void __noreturn mc_end_machine(const struct cpu_user_regs *regs, enum panic_code code, const struct mc_event *e, const char *why)
{
    fatal_note_address(e->nr_frames ? e->address : 0);
    if (e->nr_frames)
        fatal_trap(regs, code, "machine check: %s, frame %#lx (bank %u, status %016lx)", why, e->address >> PAGE_SHIFT, e->bank, e->status);
    fatal_trap(regs, code, "machine check: %s (bank %u, status %016lx, MCG_STATUS %lx)", why, e->bank, e->status, e->mcg_status);
}

static enum frame_owner owner_of_area(const struct mc_event *e)
{
    enum frame_owner first = e->nr_frames ? frame_owner(e->address >> PAGE_SHIFT) : FRAME_NONE;

    for (u32 i = 1; i < e->nr_frames; i++)
        if (frame_owner((e->address >> PAGE_SHIFT) + i) == FRAME_HYPERVISOR)
            return FRAME_HYPERVISOR; /* the worst of a range decides */
    return first;
}

/* Ends the machine, or leaves *e to be dealt with later. */
static void mc_contain_event(struct cpu_user_regs *regs, struct mc_event *e)
{
    enum frame_owner owner = owner_of_area(e);

    if (e->severity == MC_FATAL)
        mc_end_machine(regs, PANIC_MC_CONTEXT, e, "an uncorrected error, the processor's context is corrupt");
    if (e->severity < MC_OPTIONAL)
        return;
    if (owner == FRAME_HYPERVISOR)
        mc_end_machine(regs, PANIC_MC_FRAME, e, "an error in the hypervisor's memory");
    if (e->severity == MC_OPTIONAL || e->in_guest)
        return;
    /* Used by the hypervisor itself: only a copy from or to a guest can be given up. */
    if (owner == FRAME_GUEST && (e->mcg_status & MCG_STATUS_EIPV) && extable_fixup(regs)) {
        e->copy_failed = e->restartable = true;
        return;
    }
    mc_end_machine(regs, e->nr_frames ? PANIC_MC_CONSUMED : PANIC_MC_UNKNOWN, e, "damaged data was used by the hypervisor");
}

/* The record of a bank, if it has one. */
static bool read_bank(u32 bank, struct mc_event *e)
{
    e->cpu = this_cpu()->id;
    e->bank = bank;
    e->tsc = rdtsc();
    e->status = mc_read(bank_msr(bank, REG_STATUS));
    e->severity = mc_classify(e->status, ser_p, amd_recovers);
    if (e->severity == MC_NONE)
        return false;
    if (e->status & MCI_STATUS_MISCV)
        e->misc = mc_read(bank_msr(bank, REG_MISC));
    if (e->status & MCI_STATUS_ADDRV)
        e->address = mc_read(bank_msr(bank, REG_ADDR));
    u64 ipid = smca ? rdmsr(bank_msr(bank, REG_IPID)) : 0;
    e->nr_frames = mc_frames(smca ? MC_ADDRESSES_SMCA : ser_p ? MC_ADDRESSES_SER : MC_ADDRESSES_ANY, e->status, e->misc, ipid);
    if (e->nr_frames) /* AMD has how exact it is in the upper bits */
        e->address &= (1ULL << cpu.phys_bits) - 1;
    if (e->nr_frames > 1)
        e->address = ROUND_DOWN(e->address, (u64)e->nr_frames << PAGE_SHIFT);
    return true;
}

void machine_check_poll(void)
{
    spin_lock_scope(&poll_lock);
    for (u32 i = 0; i < nr_banks; i++) {
        struct mc_event e = { .restartable = true };

        /* A more severe record is signalled by #MC, here or on another CPU that shares the bank. */
        if (!read_bank(i, &e) || e.severity > MC_DEFERRED)
            continue;
        put_event(&e);
        mc_clear(bank_msr(i, REG_STATUS));
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

void machine_check_handle(struct cpu_user_regs *regs)
{
    u64 mcg = nr_banks ? mc_read(MSR_MCG_STATUS) : 0;
    bool seen = false;

    scan_begin();
    for (u32 i = 0; i < nr_banks; i++) {
        struct mc_event e = {
            .mcg_status = mcg, .in_guest = regs_from_guest(regs), .restartable = mcg & MCG_STATUS_RIPV, .rip = regs->rip
        };

        if (!read_bank(i, &e))
            continue;
        mc_contain_event(regs, &e);
        put_event(&e);
        /* On this CPU: an interrupt to another would come between the two halves of one that we have interrupted. */
        softirq_raise(SOFTIRQ_MACHINE_CHECK);
        mc_clear(bank_msr(i, REG_STATUS));
        seen |= e.copy_failed || e.in_guest;
    }
    __atomic_store_n(&scanning, 0, __ATOMIC_RELEASE);
    /* Nothing can return to where this came from; a guest ends alone (mca.c). */
    if ((mcg & MCG_STATUS_MCIP) && !(mcg & MCG_STATUS_RIPV) && !seen)
        fatal_trap(regs, PANIC_MC_CONTEXT, "machine check: the interrupted program cannot go on (MCG_STATUS %lx)", mcg);
    if (nr_banks)
        mc_clear(MSR_MCG_STATUS); /* the next #MC would shut the processor down otherwise */
    for (u32 i = 0; i < ARRAY_SIZE(injected) && !this_cpu()->id; i++)
        WRITE_ONCE(injected[i].msr, 0); /* for one #MC */
}

/* ---- setup ---- */

/* Banks keep their records over a warm reset: an error that caused it is still there. */
static void log_left_record(u32 bank)
{
    u64 status = 0, address = 0;

    if (!rdmsr_safe(bank_msr(bank, REG_STATUS), &status) || !(status & MCI_STATUS_VAL))
        return;
    if ((status & MCI_STATUS_ADDRV) && !rdmsr_safe(bank_msr(bank, REG_ADDR), &address))
        address = 0;
    printk(LOG_WARN "Machine check from before this start: CPU %u, bank %u, status %016lx, address %#lx\n", this_cpu()->id, bank, status,
           address);
}

/* Family 6 before model 1Ah: the firmware alone sets what bank 0 reports (SDM vol. 3, 16.3.2.1). */
static bool control_is_firmwares(u32 bank)
{
    u32 id = cpuid_count(1, 0).eax;

    return !bank && cpu.intel && (id >> 8 & 15) == 6 && ((id >> 12 & 0xf0) | (id >> 4 & 15)) < 0x1a;
}

void machine_check_init_cpu(void)
{
    u64 cap;

    if (!nr_banks || !rdmsr_safe(MSR_MCG_CAP, &cap))
        return;
    if ((cap & MCG_CAP_CTL_P) && !wrmsr_safe(MSR_MCG_CTL, ~0ULL))
        printk(LOG_WARN "machine check: MCG_CTL cannot be written\n");
    for (u32 i = 0; i < nr_banks; i++) {
        log_left_record(i);
        if ((!control_is_firmwares(i) && !wrmsr_safe(bank_msr(i, REG_CTL), ~0ULL)) || !wrmsr_safe(bank_msr(i, REG_STATUS), 0))
            printk(LOG_WARN "machine check: bank %u cannot be enabled\n", i);
    }
}

/* How many banks there are whose registers can be read: the handler does so without a safety net. */
static u32 count_banks(u32 said)
{
    u64 ignored;
    u32 n = 0;

    while (n < MIN(said, (u32)(smca ? MAX_BANKS_SMCA : MAX_BANKS)) && rdmsr_safe(bank_msr(n, REG_STATUS), &ignored))
        n++;
    return n;
}

void machine_check_init(void)
{
    u64 cap;

    if (!(cpuid_count(1, 0).edx & (1 << 14)) || !rdmsr_safe(MSR_MCG_CAP, &cap))
        return;
    ser_p = cap & MCG_CAP_SER_P;
    /* AMD: software-uncorrectable error containment and recovery (CPUID 8000_0007, EBX bit 1). */
    u32 amd_ras = cpu.amd && cpu.max_ext_leaf >= 0x80000007 ? cpuid_count(0x80000007, 0).ebx : 0;
    u64 ignored;
    amd_recovers = amd_ras & 2;
    smca = (amd_ras & 8) && rdmsr_safe(MSR_SMCA_MC0_CTL + REG_IPID, &ignored);
    nr_banks = count_banks((u32)(cap & MCG_CAP_COUNT));
    machine_check_init_cpu();
}
BOOT_STEP(machine_check_init, NEEDS(current, cpu_features), GIVES(machine_checks), EVERYWHERE);
