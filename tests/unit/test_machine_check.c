#include "fakes.h"

#include <hv/panic.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

#define BANKS 4
#define UCR (MCI_STATUS_VAL | MCI_STATUS_UC | MCI_STATUS_EN)
#define PHYS (MCI_STATUS_ADDRV | MCI_STATUS_MISCV)
#define PHYS_MISC 0x8c

static u64 mcg_cap, mcg_status, bank[BANKS][4];
static enum panic_code ended;
static char why_ended[200];
static jmp_buf end_of_machine;
static bool fixup_exists;

/* ---- the machine ---- */

u64 fake_rdmsr(u32 msr)
{
    if (msr == MSR_MCG_CAP)
        return mcg_cap;
    if (msr == MSR_MCG_STATUS)
        return mcg_status;
    return msr - MSR_MC0_CTL < 4 * BANKS ? bank[(msr - MSR_MC0_CTL) / 4][msr & 3] : 0;
}

void fake_wrmsr(u32 msr, u64 v)
{
    if (msr == MSR_MCG_STATUS)
        mcg_status = v;
    else if (msr - MSR_MC0_CTL < 4 * BANKS)
        bank[(msr - MSR_MC0_CTL) / 4][msr & 3] = v;
}

struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf)
{
    (void)subleaf;
    return (struct cpuid_regs){ .edx = leaf == 1 ? 1 << 14 : 0, .ebx = leaf == 0x80000007 ? 2 : 0 };
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
    mcg_cap = cap | BANKS;
    cpu.amd = !(cap & MCG_CAP_SER_P);
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
    assert_true(mc_has_frame(PHYS, PHYS_MISC, true));
    assert_false(mc_has_frame(PHYS, 0x4c, true)); /* a linear address */
    assert_false(mc_has_frame(MCI_STATUS_ADDRV, PHYS_MISC, true));
    assert_true(mc_has_frame(MCI_STATUS_ADDRV, 0, false));
    assert_false(mc_has_frame(0, 0, false));
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
    assert_true(e.has_frame && !e.in_guest && !e.copy_failed);
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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(classes), cmocka_unit_test(owners), cmocka_unit_test(events),
                                        cmocka_unit_test(injection), cmocka_unit_test(without_banks) };

    return cmocka_run_group_tests_name("machine check", tests, NULL, NULL);
}
