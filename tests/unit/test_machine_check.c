/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/panic.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

#define BANKS 4
#define UCR (MCI_STATUS_VAL | MCI_STATUS_UC | MCI_STATUS_EN)
#define PHYS (MCI_STATUS_ADDRV | MCI_STATUS_MISCV)
#define PHYS_MISC 0x8c

static u64 mcg_cap, mcg_status, bank[BANKS][4], smca[64][16];
static u32 model_id, ras;
static u32 banks = BANKS, reads_of_no_bank;
static enum panic_code ended;
static char why_ended[200];
static jmp_buf end_of_machine;
static bool fixup_exists;

/* ---- the machine ---- */

static void (*other_cpu)(void); /* has its turn before this one gets a lock */

void spin_lock(spinlock_t *lock)
{
    void (*turn)(void) = other_cpu;

    other_cpu = NULL;
    if (turn)
        turn();
    assert_int_equal(lock->head, lock->tail);
    lock->tail++;
}

u64 fake_rdmsr(u32 msr)
{
    if (msr == MSR_MCG_CAP)
        return mcg_cap;
    if (msr == MSR_MCG_STATUS)
        return mcg_status;
    if (msr >= MSR_SMCA_MC0_CTL)
        return smca[(msr - MSR_SMCA_MC0_CTL) / 16][msr & 15];
    reads_of_no_bank += msr >= MSR_MC0_CTL + 4 * 32;
    return msr - MSR_MC0_CTL < 4 * BANKS ? bank[(msr - MSR_MC0_CTL) / 4][msr & 3] : 0;
}

void fake_wrmsr(u32 msr, u64 v)
{
    if (msr == MSR_MCG_STATUS)
        mcg_status = v;
    else if (msr >= MSR_SMCA_MC0_CTL)
        smca[(msr - MSR_SMCA_MC0_CTL) / 16][msr & 15] = v;
    else if (msr - MSR_MC0_CTL < 4 * BANKS)
        bank[(msr - MSR_MC0_CTL) / 4][msr & 3] = v;
}

struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf)
{
    (void)subleaf;
    return (struct cpuid_regs){ .eax = model_id, .edx = leaf == 1 ? 1 << 14 : 0, .ebx = leaf == 0x80000007 ? 2 | ras : 0 };
}

void fatal_trap(const struct cpu_user_regs *regs, enum panic_code code, const char *fmt, ...)
{
    va_list ap;

    (void)regs;
    ended = code;
    va_start(ap, fmt);
    hv_vsnprintf(why_ended, sizeof(why_ended), fmt, ap);
    va_end(ap);
    longjmp(end_of_machine, 1);
}

void fatal_note_address(u64 address) { (void)address; }

bool extable_fixup(struct cpu_user_regs *regs)
{
    regs->rip++;
    return fixup_exists;
}

static void power_on(u64 cap)
{
    fake_reset();
    fake_memory_init();
    memset(bank, 0, sizeof(bank));
    mcg_cap = cap | banks;
    cpu.amd = !(cap & MCG_CAP_SER_P);
    cpu.intel = !cpu.amd;
    cpu.max_ext_leaf = 0x80000008;
    machine_check_init();
    struct mc_event e;

    while (mc_event_take(&e)) /* what an earlier test left */
        ;
}

static void record(u32 n, u64 status, u64 address)
{
    bank[n][1] = status;
    bank[n][2] = address;
    bank[n][3] = PHYS_MISC;
}

/* True if the machine goes on. */
static bool hit(u64 mcg, u16 cs)
{
    struct cpu_user_regs regs = { .cs = cs, .rip = 0x1000 };

    mcg_status = mcg;
    ended = PANIC_CODE_COUNT;
    if (setjmp(end_of_machine))
        return false;
    machine_check_handle(&regs);
    assert_int_equal(mcg_status, 0);
    return true;
}

#define GUEST 0xe033
#define HYPERVISOR 0xe008
#define GOES_ON (MCG_STATUS_MCIP | MCG_STATUS_RIPV)

/* ---- tests ---- */

static void classes(void **state)
{
    (void)state;
    static const struct {
        u64 status;
        bool ser_p, amd;
        enum mc_severity want;
    } rows[] = {
        { 0, true, false, MC_NONE },
        { MCI_STATUS_VAL, true, false, MC_CORRECTED },
        { MCI_STATUS_VAL | MCI_STATUS_DEFERRED, true, false, MC_CORRECTED }, /* that bit is AMD's */
        { MCI_STATUS_VAL | MCI_STATUS_DEFERRED, false, true, MC_DEFERRED },
        { UCR | MCI_STATUS_PCC, true, false, MC_FATAL },
        { MCI_STATUS_VAL | MCI_STATUS_UC, true, false, MC_CORRECTED }, /* not enabled: not the one that signalled */
        { UCR, true, false, MC_DEFERRED },
        { UCR | MCI_STATUS_S, true, false, MC_OPTIONAL },
        { UCR | MCI_STATUS_S | MCI_STATUS_AR, true, false, MC_REQUIRED },
        { UCR | MCI_STATUS_S | MCI_STATUS_AR | MCI_STATUS_OVER, true, false, MC_FATAL },
        { UCR, false, false, MC_FATAL },
        { UCR, false, true, MC_REQUIRED },
        { UCR | MCI_STATUS_AR, false, true, MC_FATAL }, /* AMD's TCC */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(mc_classify(rows[i].status, rows[i].ser_p, rows[i].amd), rows[i].want);
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, PHYS_MISC, 0), 1);
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, 0x4c, 0), 0); /* a linear address */
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, MCI_STATUS_ADDRV, PHYS_MISC, 0), 0);
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, 0x80 | 6, 0), 1);  /* a cache line, */
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, 0x80 | 14, 0), 4); /* four frames, */
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, 0x80 | 21, 0), 512);
    assert_int_equal(mc_frames(MC_ADDRESSES_SER, PHYS, 0x80 | 40, 0), 0); /* somewhere */
    assert_int_equal(mc_frames(MC_ADDRESSES_ANY, MCI_STATUS_ADDRV, 0, 0), 1);
    assert_int_equal(mc_frames(MC_ADDRESSES_ANY, 0, 0, 0), 0);
    /* Scalable MCA: a load-store unit gives an address of the system, a memory controller one of its DRAM. */
    assert_int_equal(mc_frames(MC_ADDRESSES_SMCA, MCI_STATUS_ADDRV, 0, 0x001000b000000001), 1);
    assert_int_equal(mc_frames(MC_ADDRESSES_SMCA, MCI_STATUS_ADDRV, 0, 0x000000b000000000), 1);
    assert_int_equal(mc_frames(MC_ADDRESSES_SMCA, MCI_STATUS_ADDRV, 0, 0x0000009600150f00), 0);
    assert_int_equal(mc_frames(MC_ADDRESSES_SMCA, MCI_STATUS_ADDRV | MCI_STATUS_POISON, 0, 0x0000009600150f00), 1);
    assert_int_equal(mc_frames(MC_ADDRESSES_SMCA, 0, 0, 0x000000b000000000), 0);
    assert_string_equal(mc_severity_name((enum mc_severity)0x422), "unknown");
    assert_string_equal(mc_severity_name(MC_REQUIRED), "action required");
}

static void owners(void **state)
{
    (void)state;
    struct mc_event e;

    power_on(MCG_CAP_SER_P | MCG_CAP_CTL_P);
    assert_true(mc_recovery_supported());
    struct domain *d = fake_domain(0, true);
    struct page_info *guests = fake_page(d), *ours = page_alloc(0, 0);
    u64 guest_at = page_to_mfn(guests) << PAGE_SHIFT, our_at = page_to_mfn(ours) << PAGE_SHIFT;

    /* A guest's frame: contained, whoever was running, while nobody has used it. */
    record(2, UCR | MCI_STATUS_S | PHYS, guest_at);
    assert_true(hit(GOES_ON, HYPERVISOR));
    assert_true(mc_event_take(&e));
    assert_int_equal(e.severity, MC_OPTIONAL);
    assert_int_equal(e.bank, 2);
    assert_true(e.nr_frames && !e.in_guest && !e.copy_failed);
    assert_false(mc_event_take(&e));
    assert_int_equal(bank[2][1], 0);
    assert_true(fake_softirqs & (1u << SOFTIRQ_MACHINE_CHECK));
    /* Used by a guest. */
    record(2, UCR | MCI_STATUS_S | MCI_STATUS_AR | PHYS, guest_at);
    assert_true(hit(MCG_STATUS_MCIP | MCG_STATUS_EIPV, GUEST));
    assert_true(mc_event_take(&e));
    assert_true(e.in_guest && !e.restartable);
    /* Used by the hypervisor: only where there is another way on, and only for a guest's frame. */
    record(2, UCR | MCI_STATUS_S | MCI_STATUS_AR | PHYS, guest_at);
    assert_false(hit(GOES_ON | MCG_STATUS_EIPV, HYPERVISOR));
    assert_int_equal(ended, PANIC_MC_CONSUMED);
    fixup_exists = true;
    record(2, UCR | MCI_STATUS_S | MCI_STATUS_AR | PHYS, guest_at);
    assert_true(hit(MCG_STATUS_MCIP | MCG_STATUS_EIPV, HYPERVISOR));
    assert_true(mc_event_take(&e));
    assert_true(e.copy_failed && e.restartable);
    fixup_exists = false;
    /* Ours. */
    record(2, UCR | MCI_STATUS_S | PHYS, our_at);
    assert_false(hit(GOES_ON, GUEST));
    assert_int_equal(ended, PANIC_MC_FRAME);
    assert_non_null(strstr(why_ended, "the hypervisor's memory, frame"));
    record(2, UCR | MCI_STATUS_PCC, 0);
    assert_false(hit(GOES_ON, GUEST));
    assert_int_equal(ended, PANIC_MC_CONTEXT);
    bank[2][1] = 0;
    /* Nothing logged here: another CPU's. Without a way back it is the end. */
    assert_true(hit(GOES_ON, HYPERVISOR));
    assert_false(hit(MCG_STATUS_MCIP, HYPERVISOR));
    assert_int_equal(ended, PANIC_MC_CONTEXT);
}

static void events(void **state)
{
    (void)state;
    struct mc_event e;

    power_on(MCG_CAP_SER_P);
    /* More than fit: the rest is dropped, nothing else happens. */
    for (int i = 0; i < 40; i++) {
        record(1, MCI_STATUS_VAL, 0);
        machine_check_poll();
    }
    int n = 0;

    while (mc_event_take(&e))
        n++;
    assert_int_equal(n, 32);
    /* Polling leaves what has an #MC of its own. */
    record(1, UCR | MCI_STATUS_S, 0);
    machine_check_poll();
    assert_false(mc_event_take(&e));
    assert_true(bank[1][1]);
    bank[1][1] = 0;
    /* From another CPU: the first is sent an interrupt. */
    boot_percpu.id = 3;
    record(1, UCR | MCI_STATUS_S, 0);
    assert_true(hit(GOES_ON, GUEST));
    boot_percpu.id = 0;
    assert_false(mc_event_take(&e)); /* for the CPU whose guest it was */
    boot_percpu.id = 3;
    assert_true(mc_event_take(&e));
    boot_percpu.id = 0;
}

static u32 taken_there;

static void take_there(void)
{
    struct mc_event e;

    while (mc_event_take(&e))
        taken_there++;
}

/* The polls of all CPUs come at the same time. */
static void one_taker(void **state)
{
    struct mc_event e;

    (void)state;
    power_on(MCG_CAP_SER_P);
    record(1, MCI_STATUS_VAL, 0);
    machine_check_poll();
    taken_there = 0;
    other_cpu = take_there;
    assert_false(mc_event_take(&e));
    assert_int_equal(taken_there, 1);
}

static void injection(void **state)
{
    (void)state;
    struct mc_event e;

    power_on(MCG_CAP_SER_P);
    assert_int_equal(mc_interpose(0xc0000080, 1), -EINVAL);
    assert_int_equal(mc_interpose(MSR_MC0_CTL, 1), -EINVAL);
    assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * BANKS + 1, 1), -EINVAL);
    assert_int_equal(mc_interpose(MSR_MC0_STATUS, 1), 0);
    assert_int_equal(mc_interpose(MSR_MC0_STATUS, UCR | MCI_STATUS_S), 0);
    assert_int_equal(mc_interpose(MSR_MCG_STATUS, GOES_ON), 0);
    assert_true(hit(0, GUEST));
    assert_true(mc_event_take(&e));
    assert_int_equal(e.status, UCR | MCI_STATUS_S);
    /* Once only. */
    assert_true(hit(0, GUEST));
    assert_false(mc_event_take(&e));
    for (u32 i = 0; i < 8; i++)
        assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * (i / 3) + 1 + i % 3, 1), 0);
    assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * 3 + 1, 1), -ENOSPC);
    assert_true(hit(GOES_ON, GUEST)); /* values that make no record are gone after it, too */
    assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * 3 + 1, 1), 0);
    assert_true(hit(GOES_ON, GUEST));
}

static void without_banks(void **state)
{
    (void)state;
    struct mc_event e;

    power_on(0);
    assert_false(mc_recovery_supported());
    record(0, UCR | MCI_STATUS_ADDRV, page_to_mfn(fake_page(fake_domain(0, true))) << PAGE_SHIFT);
    assert_true(hit(GOES_ON, GUEST)); /* AMD: recoverable by its CPUID */
    assert_true(mc_event_take(&e));
    assert_int_equal(e.severity, MC_REQUIRED);
}

static bool has_legacy_banks(u32 msr) { return msr < MSR_MC0_CTL + 4 * 32; }
static bool has_all_banks(u32 msr) { return msr < MSR_MC0_CTL + 4 * 32 || msr >= MSR_SMCA_MC0_CTL; }

/* The registers behind the 32nd bank's are none, or other ones. */
static void many_banks(void **state)
{
    (void)state;
    struct mc_event e;

    banks = 40;
    reads_of_no_bank = 0;
    fake_msr_exists = has_legacy_banks;
    power_on(MCG_CAP_SER_P);
    machine_check_poll();
    power_on(0);
    ras = 8; /* says it has scalable MCA, and has not: a hypervisor below */
    power_on(0);
    machine_check_poll();
    assert_int_equal(reads_of_no_bank, 0);
    /* Scalable MCA: all of them, and their addresses without what else is in that register. */
    fake_msr_exists = has_all_banks;
    power_on(0);
    u64 at = page_to_mfn(fake_page(fake_domain(0, true))) << PAGE_SHIFT;

    smca[39][1] = UCR | MCI_STATUS_ADDRV;
    smca[39][2] = at | 12ULL << 56;
    smca[39][5] = 0x000000b000000000; /* LS */
    assert_true(hit(GOES_ON, GUEST));
    assert_true(mc_event_take(&e));
    assert_int_equal(e.bank, 39);
    assert_int_equal(e.address, at);
    assert_int_equal(smca[39][1], 0);
    /* What a memory controller calls an address is nobody's frame, the hypervisor's least of all. */
    smca[17][1] = MCI_STATUS_VAL | MCI_STATUS_DEFERRED | MCI_STATUS_ADDRV;
    smca[17][2] = page_to_mfn(page_alloc(0, 0)) << PAGE_SHIFT;
    smca[17][5] = 0x0000009600150f00;
    machine_check_poll();
    assert_true(mc_event_take(&e));
    assert_int_equal(e.nr_frames, 0);
    /* Made-up values name the banks by the numbers that the ABI knows. */
    assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * 3 + 1, UCR), 0);
    assert_true(hit(GOES_ON, GUEST));
    assert_true(mc_event_take(&e));
    assert_int_equal(e.bank, 3);
    banks = BANKS;
    ras = 0;
    fake_msr_exists = NULL;
}

static void setup_of_banks(void **state)
{
    (void)state;
    power_on(MCG_CAP_SER_P);
    /* What a reset has left is said before it is cleared. */
    record(1, UCR | MCI_STATUS_PCC | MCI_STATUS_ADDRV, 0x1234000);
    u64 status = bank[1][1];

    fake_reset();
    machine_check_init_cpu();
    assert_non_null(strstr(fake_log, "before this start: CPU 0, bank 1"));
    assert_non_null(strstr(fake_log, "1234000"));
    assert_true(status && !bank[1][1]);
    /* Core 2 and before: bank 0 reports what the firmware has chosen. */
    cpu.intel = true;
    cpu.amd = false;
    model_id = 0x000106a0; /* model 1Ah */
    power_on(MCG_CAP_SER_P);
    assert_int_equal(bank[0][0], ~0ULL);
    model_id = 0x000006f6; /* model 0Fh */
    power_on(MCG_CAP_SER_P);
    assert_int_equal(bank[0][0], 0);
    assert_int_equal(bank[1][0], ~0ULL);
    model_id = 0;
}

/* A range that is one bit too large for a frame: its first frame is the guest's, the next one ours. */
static void ranges(void **state)
{
    (void)state;
    struct mc_event e;

    power_on(MCG_CAP_SER_P);
    struct domain *d = fake_domain(0, true);
    struct page_info *pg[4];

    for (u32 i = 0; i < 4; i++)
        pg[i] = fake_page(d);
    u64 at = page_to_mfn(pg[0]) << PAGE_SHIFT;

    record(2, UCR | MCI_STATUS_S | PHYS, at);
    bank[2][3] = 0x80 | 13;
    mfn_t first = at >> PAGE_SHIFT & ~1ULL;
    enum frame_owner a = frame_owner(first), b = frame_owner(first + 1);
    bool contained = hit(GOES_ON, GUEST);

    assert_int_equal(contained, a != FRAME_HYPERVISOR && b != FRAME_HYPERVISOR);
    if (contained) {
        assert_true(mc_event_take(&e));
        assert_int_equal(e.nr_frames, 2);
        assert_int_equal(e.address, first << PAGE_SHIFT);
    }
    mfn_to_page(first + 1)->ref_info = 0; /* not a guest's */
    mfn_to_page(first)->ref_info = PGR_ALLOCATED | 1;
    record(2, UCR | MCI_STATUS_S | PHYS, at);
    bank[2][3] = 0x80 | 13;
    assert_int_equal(hit(GOES_ON, GUEST), frame_owner(first + 1) != FRAME_HYPERVISOR);
    bank[2][1] = 0;
}

/* Nine values, twice as many as fit: the list stays what it is, whoever frees its slots. */
static void injection_is_bounded(void **state)
{
    (void)state;
    power_on(MCG_CAP_SER_P);
    for (u32 turn = 0; turn < 3; turn++) {
        u32 taken = 0;

        for (u32 i = 0; i < 12; i++)
            taken += !mc_interpose(MSR_MC0_CTL + 4 * (i / 3) + 1 + i % 3, 0);
        assert_int_equal(taken, 8);
        /* Polling clears one that it has read, an #MC all. */
        assert_int_equal(mc_interpose(MSR_MC0_STATUS, MCI_STATUS_VAL), 0);
        machine_check_poll();
        assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * 3 + 3, 0), 0);
        assert_int_equal(mc_interpose(MSR_MC0_CTL + 4 * 3 + 2, 0), -ENOSPC);
        assert_true(hit(GOES_ON, GUEST));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),        cmocka_unit_test(owners),        cmocka_unit_test(events),
        cmocka_unit_test(injection),      cmocka_unit_test(without_banks), cmocka_unit_test(many_banks),
        cmocka_unit_test(setup_of_banks), cmocka_unit_test(ranges),        cmocka_unit_test(injection_is_bounded),
        cmocka_unit_test(one_taker)
    };

    return cmocka_run_group_tests_name("machine check", tests, NULL, NULL);
}
