/* SPDX-License-Identifier: MIT */
/*
 * The trap matrix, cell by cell, in the machine (make TRAP_TEST=1). traptest=all raises, in each
 * phase, every vector in every context that the phase can have, and says for each cell what
 * came of it; a report returns here instead of ending the machine. traptest=guest leaves the raising
 * to a guest (tests/kernels/trap_cells.c), which goes on after a report. traptest=PHASE/CONTEXT/VECTOR
 * raises one, and the report ends the machine as it would have. matrix_tests.py reads the output.
 */
#include <hv/acpi.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/hypercall.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/system_state.h>
#include <hv/trap_test.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/tlb.h>
#include <hv/x86/trap.h>
#include <hv/x86/vectors.h>
#include "trap_matrix.h"

#define MCG_RIPV 1
#define MCG_MCIP 4
/* Of guests: what is no vector. tests/kernels/trap_stuck_cpus.c has them too. */
#define TRAP_TEST_DEAF 0x100
#define TRAP_TEST_IN_CONSOLE 0x101
#define TRAP_TEST_STUCK 0x102           /* how many of the two there are */
#define TRAP_TEST_FAIL_ALLOCATION 0x103 /* after so many, one is refused; how many of them are still to come, of the last such order */
#define TRAP_TEST_FREE_FRAMES 0x104
#define CORRECTED 0x9000000000000000ULL /* VAL, EN */

static char opt_traptest[48];
static int parse_traptest(const char *value, void *var)
{
    return strlcpy(var, value, sizeof(opt_traptest)) < sizeof(opt_traptest) ? 0 : -EINVAL;
}
OPTION("traptest", parse_traptest, opt_traptest, "of test builds: what to raise, and where", "nothing");

/* The TLB clock wraps after hours of flushes: tests start it shortly before, or let it run faster. */
static u32 opt_tlb_tick = 1;
OPTION("tlb-tick", option_u32, opt_tlb_tick, "of test builds: ticks of the TLB clock in each flush", "`1`");
OPTION("tlb-clock", option_u32, tlb_flush_clock, "of test builds: where the TLB clock starts", "`1`");
u32 trap_test_tlb_tick(void) { return opt_tlb_tick; }

typedef u64 raise_fn(void);
#define X(v, name, dpl, ist, err, what) extern raise_fn raise_##name, fixed_##name;
VECTOR_LIST(X)
#undef X
extern raise_fn raise_IRQ, fixed_IRQ;

static raise_fn *const raises[] = {
#define X(v, name, dpl, ist, err, what) [v] = raise_##name,
    VECTOR_LIST(X)
#undef X
        [VECTOR_ROW_IRQ] = raise_IRQ,
};
static raise_fn *const fixed[] = {
#define X(v, name, dpl, ist, err, what) [v] = fixed_##name,
    VECTOR_LIST(X)
#undef X
        [VECTOR_ROW_IRQ] = fixed_IRQ,
};

/* ---- the guard: where a report returns to ---- */

static void *guard[5];
static bool guarded, reported, armed_report;
static u64 raised_at, latency;
static raise_fn *armed; /* to be called in the context that is waited for */
static u64 armed_result;
static bool armed_ran;
static u64 guard_ssp;
static u32 redirect; /* the next guest trap counts as this vector */

static bool one_cell(void) { return strchr(opt_traptest, '/') != NULL; }

void trap_test_first_line(void)
{
    if (!latency)
        latency = rdtsc() - raised_at;
    if (armed_report && armed) {
        raise_fn *fn = armed;

        armed = NULL;
        armed_ran = true;
        armed_result = fn();
    }
}

/* The shadow stack goes back to `ssp`, from whichever stack the trap led to. */
static force_inline void unwind_shadow_stack(u64 ssp)
{
    if (!ssp)
        return;
    for (unsigned i = 1; i <= IST_COUNT; i++)
        __asm__ volatile("clrssbsy %0" ::"m"(*(u64 *)this_cpu()->ist_ssp[i]) : "memory", "cc");
    __asm__ volatile("wrssq %0, -8(%1); rstorssp -8(%1); incsspq %2" ::"r"(ssp | 1), "r"(ssp), "r"(1UL) : "memory", "cc");
}

static void back(u32 *reporter) __noreturn;
static void back(u32 *reporter)
{
    struct percpu *c = this_cpu();

    reported = true;
    if (c->curr == CURRENT_POISON && c->hidden_curr)
        c->curr = c->hidden_curr; /* the handler that hid it does not return */
    c->inside = 0;
    c->locks_held = 0;
    __asm__ volatile("clts; fninit");
    console_lock_again();
    WRITE_ONCE(*reporter, 0);
    if (booted_past(PHASE_ACTIVE))
        branch_tracking_start(); /* the report has stopped it */
    if (guarded)
        __builtin_longjmp(guard, 1);
    /* A guest's trap: the guest goes on behind it. */
    nmi_unblock();
    unwind_shadow_stack(shadow_stacks_in_use() ? shadow_stack_token(guest_cpu_user_regs()) : 0);
    __asm__ volatile("mov %0, %%rsp; jmp exit_to_guest" ::"r"(guest_cpu_user_regs()));
    __builtin_unreachable();
}

static u32 *nested_reporter;

bool trap_test_goes_on(void) { return opt_traptest[0] && !one_cell(); }

void trap_test_report_over(u32 *reporter)
{
    nested_reporter = reporter;
    if (trap_test_goes_on())
        back(reporter);
}

void trap_test_nested(u32 *depth) { *depth = 0; }

/* Runs fn; true if it came back by itself, its result in *result. */
static noinline bool run(raise_fn *fn, u64 *result)
{
    reported = false;
    latency = 0;
    guarded = true;
    guard_ssp = 0;
    __asm__ volatile("rdsspq %0" : "+r"(guard_ssp));
    if (__builtin_setjmp(guard) == 0) {
        raised_at = rdtsc();
        *result = fn();
    } else {
        unwind_shadow_stack(guard_ssp);
    }
    guarded = false;
    nmi_unblock(); /* the handler that was left may have blocked them */
    if (cpu.max_leaf && (cpuid_count(1, 0).edx & (1 << 14)))
        wrmsr(MSR_MCG_STATUS, 0);
    __asm__ volatile("mov %0, %%ds" ::"r"(0));
    return !reported;
}

/* ---- NMI and #MC ---- */

static volatile u32 *apic; /* mapped by install() */

u64 raise_NMI(void)
{
    /* By number: the shorthand for "self" takes fixed vectors only (Intel SDM vol. 3, 11.6.1). */
    if (rdmsr(MSR_APIC_BASE) & 0x400) {
        wrmsr(0x830, rdmsr(0x802) << 32 | 0x4400); /* NMI */
    } else {
        apic[0x310 / 4] = apic[0x20 / 4];
        apic[0x300 / 4] = 0x4400;
    }
    for (int i = 0; i < 1000; i++)
        cpu_relax();
    return 0;
}

static void prepare_corrected_error(void)
{
    if (!(cpuid_count(1, 0).edx & (1 << 14)))
        return;
    wrmsr(MSR_MC0_STATUS + 4 * 2, CORRECTED);
    wrmsr(MSR_MCG_STATUS, MCG_MCIP | MCG_RIPV);
}

u64 fixed_NMI(void) { return 0; /* has no fixup to test; the table of both kinds is filled from one list */ }

/* ---- contexts ---- */

void trap_test_inside(void)
{
    raise_fn *fn = armed;

    if (!fn || armed_report)
        return;
    armed = NULL;
    armed_ran = true;
    armed_result = fn();
}

static void sink_write(__unused struct console_sink *to, __unused const char *s, size_t n)
{
    if (!n) /* enter_console()'s; reports enable all sinks */
        trap_test_inside();
}
static struct console_sink sink = { .name = "traptest", .write = sink_write };

static u64 enter_hypervisor(void)
{
    raise_fn *fn = armed;

    armed = NULL;
    armed_ran = true;
    return armed_result = fn();
}

static u64 enter_console(void)
{
    sink.enabled = true;
    console_write("", 0, CONSOLE_SINKS);
    sink.enabled = false;
    return armed_result;
}

static u64 enter_nmi(void)
{
    raise_NMI();
    return armed_result;
}

static u64 enter_mc(void)
{
    prepare_corrected_error();
    raise_MC();
    return armed_result;
}

static u64 enter_panic(void)
{
    armed_report = true;
    return raise_UD();
}

static raise_fn *const enter[TRAP_CONTEXT_COUNT] = {
    [TRAP_CONTEXT_HYPERVISOR] = enter_hypervisor,
    [TRAP_CONTEXT_CONSOLE] = enter_console,
    [TRAP_CONTEXT_NMI] = enter_nmi,
    [TRAP_CONTEXT_MC] = enter_mc,
};

/* ---- cells ---- */

static const char *vector_name(u32 v) { return v < 32 ? vector_infos[v].mnemonic : "IRQ"; }

static void try(const char *phase, u32 context, u32 v, raise_fn *fn, bool in_panic, const char *how)
{
    u64 result = 99, nmis = this_cpu()->nmi_count;

    /* Contexts that #MC makes need its handler; the error is there before the trap. */
    if (v == VEC_MC)
        prepare_corrected_error();
    armed = fn;
    armed_ran = armed_report = false;
    armed_result = 99;
    printk("{ %s %s %s %s\n", phase, trap_context_name(context), vector_name(v), how);
    bool returned = run(in_panic ? enter_panic : enter[context], &result);

    sink.enabled = false;
    armed = NULL;
    armed_report = false;
    printk("} %s %s %s %s: %s%s, result %lu, NMIs %lu, latency %lu\n", phase, trap_context_name(context), vector_name(v), how,
           armed_ran ? "" : "NOT RAISED, ", returned ? "returned" : "reported", armed_result, this_cpu()->nmi_count - nmis, latency);
}

static u64 touch_direct_map(void)
{
    /* 3 MiB further than anything has touched yet in early boot. */
    static u64 next = GiB(3);

    return *(volatile u64 *)phys_to_virt(next += MiB(4)) * 0 + 2;
}

static void cell(const char *phase, u32 context, u32 v, bool in_panic)
{
    u32 outcome = trap_outcome(v, in_panic ? (u32)TRAP_PHASE_PANIC : trap_phase(), context);

    if (outcome == OUTCOME_NONE)
        return;
    if (outcome == OUTCOME_EARLY_FAULT)
        try(phase, context, v, touch_direct_map, in_panic, "mapped");
    if (outcome == OUTCOME_FIXUP || outcome == OUTCOME_EARLY_FAULT)
        try(phase, context, v, fixed[v], in_panic, "fixed");
    try(phase, context, v, raises[v], in_panic, "plain");
}

static void install(void)
{
    static bool done;
    u64 *gdt = this_cpu()->gdt;

    apic = phys_to_virt(rdmsr(MSR_APIC_BASE) & PTE_ADDR_MASK);
    if (booted_past(PHASE_BOOT) && direct_map_add(virt_to_phys((void *)(u64)apic), PAGE_SIZE))
        panic(PANIC_ASSERT, "no memory to map the local APIC");
    gdt[7] = 0x00cf12000000ffffULL; /* e038: data, not present */
    if (!done)
        console_register_sink(&sink);
    done = true;
}

static void one(const char *phase, bool in_panic)
{
    const char *slash = strchr(opt_traptest, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
    size_t n = slash ? (size_t)(slash - opt_traptest) : 0;

    if (!second || strlen(phase) != n || strncmp(phase, opt_traptest, n))
        return;
    install();
    for (u32 c = 0; c < TRAP_CONTEXT_GUEST_KERNEL; c++)
        for (u32 v = 0; v <= VECTOR_ROW_IRQ; v++)
            if (!strcmp(second + 1, vector_name(v)) && !strncmp(trap_context_name(c), slash + 1, (size_t)(second - slash - 1)))
                try(phase, c, v, raises[v], in_panic, "plain");
}

void trap_test_phase(const char *phase)
{
    if (one_cell()) {
        one(phase, false);
        if (!strcmp(phase, "active"))
            one("panic", true);
        return;
    }
    if (strcmp(opt_traptest, "all"))
        return;
    install();
    for (u32 c = 0; c < TRAP_CONTEXT_GUEST_KERNEL; c++)
        for (u32 v = 0; v <= VECTOR_ROW_IRQ; v++)
            cell(phase, c, v, false);
    if (!strcmp(phase, "active"))
        for (u32 v = 0; v <= VECTOR_ROW_IRQ; v++)
            cell("panic", TRAP_CONTEXT_HYPERVISOR, v, true);
}

/* ---- guests ---- */

void trap_test_redirect(struct cpu_user_regs *regs)
{
    if (!redirect || (regs->entry_vector & 0xff) != VEC_BP)
        return;
    regs->entry_vector = redirect;
    regs->error_code = 0;
    redirect = 0;
}

/* ---- CPUs that are in the way of the machine's end ---- */

static u32 stuck;
static u64 stay(void) __noreturn;
static u64 stay(void)
{
    __atomic_fetch_add(&stuck, 1, __ATOMIC_SEQ_CST);
    for (;;)
        cpu_relax();
}

/* In an NMI's handler, so that no other NMI reaches this CPU. */
static long stay_deaf(void)
{
    install();
    armed = stay;
    raise_NMI();
    return -EINVAL;
}

/* With console_lock held; an NMI stops it there. */
static long stay_in_console(void)
{
    install();
    armed = stay;
    enter_console();
    return -EINVAL;
}

static u32 allocations_left; /* 0: no more are refused */

bool trap_test_allocation_fails(void) { return READ_ONCE(allocations_left) && !__atomic_sub_fetch(&allocations_left, 1, __ATOMIC_RELAXED); }

long do_trap_test(u64 what, u64 value)
{
    switch (what) {
    case TRAP_TEST_DEAF: return stay_deaf();
    case TRAP_TEST_IN_CONSOLE: return stay_in_console();
    case TRAP_TEST_STUCK: return READ_ONCE(stuck);
    case TRAP_TEST_FAIL_ALLOCATION: return __atomic_exchange_n(&allocations_left, (u32)value, __ATOMIC_RELAXED);
    case TRAP_TEST_FREE_FRAMES: return (long)page_free_count();
    case VEC_MC: prepare_corrected_error(); return 0;
    default: redirect = (u32)what; return 0;
    }
}

/* ---- starting CPUs ---- */

#define TRAMPOLINE_FAULTS 64
static u32 patience = 1;

u32 trap_test_trampolines(void) { return strcmp(opt_traptest, "all") ? 0 : TRAMPOLINE_FAULTS + 1; }

u32 trap_test_patience(void)
{
    u32 p = patience;

    patience = strcmp(opt_traptest, "all") ? 1 : 300;
    return p;
}

/*
 * Puts the n-th of the 64 faults (32 in real mode, 32 in protected mode) into the copied trampoline,
 * or, after the last, an endless loop.
 */
void trap_test_break_trampoline(u8 *text16, u8 *text32, u32 n)
{
    patience = 1;
    if (n == TRAMPOLINE_FAULTS) {
        text32[0] = 0xeb; /* jmp to itself */
        text32[1] = 0xfe;
        return;
    }
    static const struct {
        u8 vector, length, bytes[12];
    } real[] = {
        { VEC_DE, 4, { 0x31, 0xc9, 0xf7, 0xf1 } },       /* xor cx, cx; div cx */
        { VEC_BP, 1, { 0xcc } },                         /* int3 */
        { VEC_OF, 5, { 0xb0, 0x7f, 0x04, 0x7f, 0xce } }, /* mov 7fh, al; add 7fh, al; into */
        { VEC_UD, 2, { 0x0f, 0x0b } },                   /* ud2 */
    };
    u32 v = n % 32;
    u8 *at = n < 32 ? text16 : text32;

    at[0] = 0xcd;
    at[1] = (u8)v;
    for (size_t i = 0; i < ARRAY_SIZE(real); i++)
        if (real[i].vector == v)
            memcpy(at, real[i].bytes, real[i].length);
    printk("{ %s hypervisor %s plain\n", n < 32 ? "ap_real" : "ap_32", vector_name(v));
}
