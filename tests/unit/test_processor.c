/* SPDX-License-Identifier: MIT */
/* Processors of many kinds: what is found out about them, what is turned on, what is said, and what their guests see. */
#define _GNU_SOURCE
#include "fakes.h"

#include <signal.h>
#include <ucontext.h>
#include <hv/cmdline.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/speculation.h>
#include <hv/x86/vectors.h>

/* ---- the processor ---- */

#define ON_A_HYPERVISOR (1u << 31)
#define HAS_XSAVE (1u << 26)
#define HAS_DEADLINE (1u << 24)
#define SMEP_SMAP (1u << 7 | 1u << 20)

static struct processor {
    const char *vendor, *model;
    u32 max_leaf, signature, features, max_ext_leaf;
    struct cpuid_regs leaf7, xsave, hypervisor;
    u32 leaf7_1_edx, leaf7_2_edx, xsave_1_eax, ext1_edx, ext7_edx, ext8_eax, ext8_ebx, ext21_eax, ext21_ecx;
    u64 arch_capabilities, misc_enable, platform_info;
    bool no_msrs; /* a hypervisor below refuses them */
} now;

static struct cpuid_regs string_regs(const char *s)
{
    struct cpuid_regs r = { 0 };
    u32 *words[] = { &r.eax, &r.ebx, &r.ecx, &r.edx };

    for (size_t i = 0; i < 16 && s[i]; i++)
        *words[i / 4] |= (u32)s[i] << i % 4 * 8;
    return r;
}

struct cpuid_regs fake_cpuid(u32 leaf, u32 sub)
{
    struct cpuid_regs name = string_regs(now.vendor);

    /* What is above the highest leaf is junk, as on Intel's processors. */
    if (leaf < 0x40000000 ? leaf > now.max_leaf : leaf >= 0x80000000 && leaf > MAX(now.max_ext_leaf, 0x80000001u))
        return (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
    switch (leaf) {
    case 0: return (struct cpuid_regs){ now.max_leaf, name.eax, name.ecx, name.ebx };
    case 1: return (struct cpuid_regs){ .eax = now.signature, .ecx = now.features };
    case 7:
        return !sub                ? now.leaf7 :
               sub > now.leaf7.eax ? (struct cpuid_regs){ .edx = ~0u } :
                                     (struct cpuid_regs){ .edx = sub == 1 ? now.leaf7_1_edx : now.leaf7_2_edx };
    case 13: return sub ? (struct cpuid_regs){ .eax = now.xsave_1_eax } : now.xsave;
    case 0x40000000: return now.hypervisor;
    case 0x80000000: return (struct cpuid_regs){ .eax = now.max_ext_leaf };
    case 0x80000001: return (struct cpuid_regs){ .edx = now.ext1_edx };
    case 0x80000002: return string_regs(now.model ? now.model : "");
    case 0x80000007: return (struct cpuid_regs){ .edx = now.ext7_edx };
    case 0x80000008: return (struct cpuid_regs){ .eax = now.ext8_eax, .ebx = now.ext8_ebx };
    case 0x80000021: return (struct cpuid_regs){ .eax = now.ext21_eax, .ecx = now.ext21_ecx };
    default: return (struct cpuid_regs){ 0 };
    }
}

static struct {
    u32 msr;
    u64 value;
} msrs[16];
static size_t nr_msrs;
static bool lfence_bit_sticks;

static bool written(u32 msr, u64 *v)
{
    *v = ~0ULL;
    for (size_t i = 0; i < nr_msrs; i++)
        if (msrs[i].msr == msr)
            *v = msrs[i].value;
    return *v != ~0ULL;
}
u64 fake_rdmsr(u32 msr)
{
    u64 v;

    return written(msr, &v)             ? v :
           msr == MSR_ARCH_CAPABILITIES ? now.arch_capabilities :
           msr == MSR_MISC_ENABLE       ? now.misc_enable :
           msr == MSR_PLATFORM_INFO     ? now.platform_info :
                                          0;
}
void fake_wrmsr(u32 msr, u64 v)
{
    assert_true(nr_msrs < ARRAY_SIZE(msrs));
    msrs[nr_msrs].msr = msr;
    msrs[nr_msrs++].value = msr == MSR_AMD_DE_CFG && !lfence_bit_sticks ? 0 : v;
}
static bool msr_exists(u32 msr) { return !now.no_msrs || msr == MSR_PAT; }
static void assert_msr(u32 msr, u64 value)
{
    u64 v;

    assert_true(written(msr, &v));
    assert_true(v == value);
}
static void assert_unwritten(u32 msr)
{
    u64 v;

    assert_false(written(msr, &v));
}

void fake_write_cr4(u64 v) { fake_cr4 = v; }
u64 fake_read_cr3(void) { return 0; }
void fake_write_cr3(u64 v) { (void)v; }

/* What only ring 0 may do raises #GP here. */
static u64 xcr0;
static u32 cache_flushes, fpu_claims;

static void privileged(int signal, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const u8 *insn = (const u8 *)r[REG_RIP];

    (void)info;
    if (insn[0] != 0x0f)
        goto unknown;
    if (insn[1] == 0x01 && insn[2] == 0xd1) { /* XSETBV */
        xcr0 = (u64)r[REG_RDX] << 32 | (u32)r[REG_RAX];
        r[REG_RIP] += 3;
        return;
    }
    if (insn[1] != 0x06 && insn[1] != 0x09)
        goto unknown;
    *(insn[1] == 0x06 ? &fpu_claims : &cache_flushes) += 1; /* CLTS, WBINVD */
    r[REG_RIP] += 2;
    return;
unknown:
    (void)sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

/* In each test anew: cmocka takes the signal between them. */
static void take_privileged(void)
{
    const struct sigaction action = { .sa_sigaction = privileged, .sa_flags = SA_SIGINFO };

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

/* ---- code that is patched ---- */

const u64 __smap_clac_start[] = { 0x1000, 0x1100 }, __smap_stac_start[] = { 0x1200 };
const struct patch_site __patch_sites_start[] = {
    { 0x2000, 0x3000, SPEC_RETPOLINE, PATCH_JMP },
    { 0x2100, 0x2000, SPEC_ENTRY, PATCH_CALL },
    { 0x2200, 0, SPEC_EXIT, PATCH_NOP },
};
__asm__(".globl __smap_clac_end, __smap_stac_end, __patch_sites_end\n"
        ".set __smap_clac_end, __smap_clac_start + 16\n.set __smap_stac_end, __smap_stac_start + 8\n"
        ".set __patch_sites_end, __patch_sites_start + 72");

static struct {
    u64 at;
    u8 bytes[8];
} patches[8];
static size_t nr_patches;

void text_write(u64 at, const u8 *bytes, size_t n)
{
    assert_true(nr_patches < ARRAY_SIZE(patches) && n <= 8);
    patches[nr_patches].at = at;
    memcpy(patches[nr_patches++].bytes, bytes, n);
}

static void assert_patched(u64 at, const void *bytes, size_t n)
{
    for (size_t i = 0; i < nr_patches; i++)
        if (patches[i].at == at) {
            assert_non_null(bytes);
            assert_memory_equal(patches[i].bytes, bytes, n);
            return;
        }
    assert_null(bytes);
}

static bool smap_broken;
static u32 smap_trials, rsb_fills;
bool smap_breaks_iret(void)
{
    smap_trials++;
    return smap_broken;
}
void spec_fill_rsb(void) { rsb_fills++; }

/* ---- machines ---- */

static const struct processor skylake = {
    .vendor = "GenuineIntel",
    .model = "Six Lakes",
    .max_leaf = 13,
    .signature = 0x506e3,
    .features = HAS_XSAVE | HAS_DEADLINE,
    .max_ext_leaf = 0x80000008,
    .leaf7 = { .ebx = 1 | SMEP_SMAP | 1u << 11, .ecx = 4, .edx = L7D_MD_CLEAR | L7D_IBRS_IBPB | L7D_STIBP | L7D_SSBD },
    .xsave = { .eax = 0x2ff, .edx = 0x80000000, .ebx = 0xa80 },
    .xsave_1_eax = 1,
    .ext1_edx = 3u << 26,
    .ext7_edx = 1u << 8,
    .ext8_eax = 39,
    .misc_enable = 1,
};
static const struct processor zen3 = {
    .vendor = "AuthenticAMD",
    .max_leaf = 13,
    .signature = 0xa20f10,
    .features = HAS_XSAVE,
    .max_ext_leaf = 0x80000021,
    .leaf7 = { .ebx = SMEP_SMAP },
    .xsave = { .eax = 7, .ebx = 0x340 },
    .ext8_eax = 60,
    .ext8_ebx = 4 | E8B_IBPB | E8B_STIBP | E8B_SSBD | E8B_BTC_NO,
    .ext21_eax = 4 | E21A_VERW_CLEAR,
};

static void boot(struct processor p, const char *options)
{
    take_privileged();
    now = p;
    memset(&cpu, 0, sizeof(cpu));
    fake_reset();
    cmdline_parse("smep smap=yes spec-ctrl=yes cet=yes xpti=default pv-l1tf=default");
    cmdline_parse(options);
    assert_string_equal(fake_log, "");
    fake_cr4 = CR4_PGE;
    nr_patches = nr_msrs = smap_trials = cache_flushes = rsb_fills = 0;
    xcr0 = 0;
    cpu_identify();
}

static void start(struct processor p, const char *options)
{
    boot(p, options);
    cpu_enable_features();
}

static void mitigate(struct processor p, const char *options)
{
    boot(p, options);
    spec_init();
}

static void assert_said(const char *line)
{
    if (!strstr(fake_log, line))
        fail_msg("'%s' is not in:\n%s", line, fake_log);
}

/* ---- identification ---- */

static void identified(void **state)
{
    (void)state;
    boot(skylake, "");
    assert_string_equal(cpu.vendor, "GenuineIntel");
    assert_true(cpu.intel && !cpu.amd && !cpu.tcg && cpu.fast_strings && cpu.smep && cpu.smap && cpu.umip && cpu.fsgsbase);
    assert_true(cpu.tsc_deadline && cpu.invariant_tsc && cpu.page1gb && cpu.rdtscp && cpu.xsaveopt && !cpu.x87_pointers_stay);
    assert_true(!cpu.shadow_stacks && !cpu.branch_tracking);
    assert_int_equal(cpu.phys_bits, 39);
    assert_true(cpu.xcr0_mask == 0xe7); /* of what it has, what guests are shown */
    assert_memory_equal(cpu.model, "Six Lakes", 10);

    boot(zen3, "");
    assert_true(cpu.amd && !cpu.intel && cpu.fast_strings && !cpu.x87_pointers_stay && !cpu.tsc_deadline && !cpu.invariant_tsc);
    assert_int_equal(cpu.phys_bits, 52); /* page tables have no room for more */
    assert_true(!cpu.page1gb && !cpu.rdtscp && !cpu.xsaveopt && cpu.xcr0_mask == 7);

    struct processor p = zen3;

    p.vendor = "HygonGenuine";
    p.ext8_ebx &= ~4u;
    boot(p, "");
    assert_true(cpu.amd && cpu.x87_pointers_stay);
    p.vendor = "CentaurHauls";
    boot(p, "");
    assert_true(!cpu.amd && !cpu.intel && !cpu.x87_pointers_stay);

    /* The firmware has turned fast strings off; no such register. */
    p = skylake;
    p.misc_enable = 0;
    boot(p, "");
    assert_false(cpu.fast_strings);
    p.no_msrs = true;
    boot(p, "");
    assert_true(cpu.fast_strings);
}

/* CPUID is made to fault for guests of whom the toolstack says what it shows, and only when that changes. */
static void cpuid_faulting(void **state)
{
    (void)state;
    struct processor p = skylake, z = zen3;

    boot(p, "");
    cpu_fault_cpuid(true);
    assert_int_equal(nr_msrs, 0);
    p.platform_info = 1ULL << 31;
    boot(p, "");
    fake_wrmsr(MSR_MISC_FEATURES, 2);
    cpu_fault_cpuid(true);
    assert_msr(MSR_MISC_FEATURES, 3);
    cpu_fault_cpuid(true);
    assert_int_equal(nr_msrs, 2);
    cpu_fault_cpuid(false);
    assert_msr(MSR_MISC_FEATURES, 2);
    p.no_msrs = true;
    boot(p, "");
    assert_int_equal(cpu.cpuid_fault_msr, 0);
    z.ext21_eax |= 1u << 17;
    boot(z, "");
    cpu_fault_cpuid(true);
    assert_msr(MSR_AMD_HWCR, 1ULL << 35);
    cpu_fault_cpuid(false);
    assert_msr(MSR_AMD_HWCR, 0);
}

static void old_processors(void **state)
{
    (void)state;
    struct processor p = { .vendor = "GenuineIntel", .max_leaf = 5, .signature = 0xf41, .max_ext_leaf = 0x80000001 };

    boot(p, "");
    assert_true(!cpu.smep && !cpu.smap && !cpu.umip && !cpu.fsgsbase && !cpu.shadow_stacks && !cpu.branch_tracking);
    assert_true(!cpu.xsave && !cpu.xsaveopt && !cpu.xcr0_mask && !cpu.invariant_tsc);
    assert_int_equal(cpu.phys_bits, 36);
    assert_int_equal(cpu.model[0], 0);
    cpu_enable_features();
    assert_true((spec.what & SPEC_XPTI) && !fake_cr4); /* no global pages where guests have tables of their own */
    assert_int_equal(cpu.xsave_size, 512);
    assert_true(xcr0 == 0);
    assert_said("CPU: GenuineIntel, no XSAVE\n");
}

static void emulators(void **state)
{
    (void)state;
    struct processor p = skylake;

    p.hypervisor = (struct cpuid_regs){ 0x40000001, 0x54474354, 0x43544743, 0x47435447 }; /* TCGTCGTCGTCG */
    boot(p, "");
    assert_false(cpu.tcg); /* leaf 40000000 is anything where there is no hypervisor */
    p.features |= ON_A_HYPERVISOR;
    boot(p, "");
    assert_true(cpu.tcg);
    cpu_enable_features();
    assert_said("in use: SPEC_CTRL and PRED_CMD for guests\n");
    assert_true(!spec.what && !spec.ibpb_switch);
    assert_true(fake_cr4 & CR4_OSXSAVE);

    p.xsave_1_eax = 0; /* without the compact forms it stops at XSAVE */
    start(p, "");
    assert_true(!cpu.xsave && !(fake_cr4 & CR4_OSXSAVE) && cpu.xsave_size == 512);
    assert_said("XSAVE: left off");
    p.leaf7.edx = 0;
    start(p, "");
    assert_said("in use: nothing, QEMU's emulator does not speculate\n");
    p.hypervisor.edx++;
    boot(p, "");
    assert_false(cpu.tcg);
}

/* Families that always do; those that have to be told, and may not listen. */
static void lfence(void **state)
{
    (void)state;
    const struct {
        const char *vendor;
        u32 signature, ext21_eax;
        bool sticks, no_msrs, serialises, asked;
    } rows[] = {
        { "GenuineIntel", 0x506e3, 4, true, false, false, false },  { "AuthenticAMD", 0x00f51, 0, true, false, true, false },
        { "AuthenticAMD", 0x200f31, 0, true, false, true, false },  { "AuthenticAMD", 0x100f43, 0, true, false, true, true },
        { "AuthenticAMD", 0x100f43, 0, false, false, false, true }, { "AuthenticAMD", 0x800f11, 0, true, true, false, false },
        { "AuthenticAMD", 0xa20f10, 4, false, false, true, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct processor p = zen3;
        u64 v;

        p.vendor = rows[i].vendor;
        p.signature = rows[i].signature;
        p.ext21_eax = rows[i].ext21_eax;
        p.max_ext_leaf -= !rows[i].ext21_eax; /* it ends before that */
        p.no_msrs = rows[i].no_msrs;
        lfence_bit_sticks = rows[i].sticks;
        start(p, "spec-ctrl=no");
        assert_int_equal(cpu.lfence_serialises, rows[i].serialises);
        assert_int_equal(written(MSR_AMD_DE_CFG, &v), rows[i].asked);
        /* Another CPU that finds it set has nothing to do. */
        nr_msrs = 0;
        if (rows[i].asked && rows[i].sticks) {
            fake_wrmsr(MSR_AMD_DE_CFG, DE_CFG_LFENCE | 0x100);
            lfence_bit_sticks = false;
            cpu_load_features();
            assert_true(cpu.lfence_serialises);
            assert_msr(MSR_AMD_DE_CFG, DE_CFG_LFENCE | 0x100);
        }
    }
}

/* ---- protections ---- */

static void protections(void **state)
{
    (void)state;
    const struct {
        const char *options;
        bool broken, smep, smap;
        u32 trials;
    } rows[] = {
        { "", false, true, true, 1 },          { "smep=no", false, false, true, 1 }, { "smap=no", false, true, false, 0 },
        { "smap=force", true, true, true, 0 }, { "", true, true, false, 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        boot(skylake, rows[i].options);
        smap_broken = rows[i].broken;
        cpu_enable_features();
        assert_int_equal(!!(fake_cr4 & CR4_SMEP), rows[i].smep);
        assert_int_equal(!!(fake_cr4 & CR4_SMAP), rows[i].smap);
        assert_int_equal(smap_trials, rows[i].trials);
        assert_true((fake_cr4 & CR4_UMIP) && (fake_cr4 & CR4_OSXSAVE) && this_cpu()->cr4 == fake_cr4);
        assert_true(xcr0 == 0xe7 && this_cpu()->xcr0 == 0xe7 && cpu.xsave_size == 0xa80 && cache_flushes == 1);
        assert_patched(0x1000, rows[i].smap ? "\x0f\x01\xca" : NULL, 3);
        assert_patched(0x1100, rows[i].smap ? "\x0f\x01\xca" : NULL, 3);
        assert_patched(0x1200, rows[i].smap ? "\x0f\x01\xcb" : NULL, 3);
        assert_msr(MSR_PAT, 0x0000050100070406);
        assert_unwritten(MSR_S_CET);
        if (rows[i].trials && rows[i].broken)
            assert_said("SMAP: left off, with it IRET fails in guests");
    }
    boot(skylake, "");
    smap_broken = false;
    cpu_enable_features();
    assert_said("CPU: Six Lakes, SMEP SMAP UMIP FSGSBASE XSAVE\n");
}

static void control_flow(void **state)
{
    (void)state;
    struct processor p = zen3;

    p.leaf7.eax = 2;
    p.leaf7.ecx = 1u << 7;
    p.leaf7.edx = 1u << 20;
    start(p, "spec-ctrl=bti-thunk=jmp");
    assert_true((fake_cr4 & CR4_CET) && shadow_stacks_in_use() && spec.branch_tracking);
    assert_msr(MSR_S_CET, 0); /* what the firmware had on is off */
    assert_msr(MSR_U_CET, 0);
    assert_said("CET-SS CET-IBT ");
    assert_said("shadow stacks, branch tracking");
    fake_wrmsr(MSR_S_CET, S_CET_SHSTK_EN);
    branch_tracking_start();
    assert_msr(MSR_S_CET, S_CET_SHSTK_EN | S_CET_ENDBR_EN);
    branch_tracking_stop();
    assert_msr(MSR_S_CET, S_CET_SHSTK_EN);

    for (unsigned i = 0; i < IST_COUNT; i++)
        boot_percpu.tss.ist[i] = 0x100000 + STACK_BLOCK_SIZE * (i + 1) - 64;
    shadow_stack_init_cpu(&boot_percpu, (void *)0x200000);
    assert_msr(MSR_PL0_SSP, 0x200000 + SHADOW_STACK_TOKEN);
    assert_msr(MSR_INTERRUPT_SSP_TABLE, (u64)boot_percpu.ist_ssp);
    for (unsigned i = 0; i < IST_COUNT; i++)
        assert_true(boot_percpu.ist_ssp[i + 1] == 0x100000 + STACK_BLOCK_SIZE * i + SHADOW_STACK_TOKEN);

    start(p, ""); /* retpolines and shadow stacks exclude each other */
    assert_true(!shadow_stacks_in_use() && spec.branch_tracking && (fake_cr4 & CR4_CET));
    assert_said("CET: no shadow stacks, they go together with neither retpolines");

    p.features |= ON_A_HYPERVISOR;
    start(p, "spec-ctrl=bti-thunk=jmp");
    assert_said("CET: no shadow stacks, this machine is virtual");
    p.leaf7_1_edx = 1u << 18; /* it promises */
    start(p, "spec-ctrl=bti-thunk=jmp");
    assert_true(shadow_stacks_in_use());
    p.leaf7.eax = 0; /* where there is no place for the promise */
    start(p, "spec-ctrl=bti-thunk=jmp");
    assert_false(shadow_stacks_in_use());
    start(p, "spec-ctrl=bti-thunk=jmp cet=no");
    assert_true(!shadow_stacks_in_use() && !spec.branch_tracking && !(fake_cr4 & CR4_CET));
    assert_said("CET: no shadow stacks, cet= says so");
    nr_msrs = 0;
    branch_tracking_start();
    branch_tracking_stop();
    assert_unwritten(MSR_S_CET);

    p.no_msrs = true; /* it shows the features and refuses the register */
    start(p, "spec-ctrl=bti-thunk=jmp");
    assert_true(!shadow_stacks_in_use() && !spec.branch_tracking && !(fake_cr4 & CR4_CET));
}

/* ---- speculation ---- */

static void mitigations_of_intel(void **state)
{
    (void)state;
    mitigate(skylake, "spec-ctrl=ssbd,stibp,rsb,ibpb-entry");
    assert_said("the processor suffers from Meltdown, L1TF, MDS, TAA\n");
    assert_said(
        "in use: IBRS on entry, STIBP, SSBD, RSB filled, IBPB on entry, IBPB between vCPUs, RSB filled between vCPUs, VERW on exit, "
        "guests' page tables isolated (XPTI), not-present page-table entries checked, SPEC_CTRL and PRED_CMD for guests\n");
    assert_null(strstr(fake_log, "missing"));
    assert_patched(0x2000, NULL, 0);
    assert_patched(0x2100, "\xe8\xfb\xfe\xff\xff", 5); /* a call to what is 0x105 before its end */
    assert_patched(0x2200, "\x0f\x1f\x44\x00\x00", 5);
    spec_init_cpu();
    assert_msr(MSR_SPEC_CTRL, SPEC_CTRL_STIBP | SPEC_CTRL_SSBD);
    assert_true(spec_ctrl_for(SPEC_CTRL_IBRS) == (SPEC_CTRL_IBRS | SPEC_CTRL_STIBP | SPEC_CTRL_SSBD));
    nr_msrs = 0;
    spec_ctrl_load(7); /* the exits do it */
    assert_unwritten(MSR_SPEC_CTRL);
    spec_barrier();
    assert_msr(MSR_PRED_CMD, PRED_CMD_IBPB);
    assert_int_equal(rsb_fills, 1);
    assert_true(!(spec_guest_leaf7_edx() ^ skylake.leaf7.edx));

    cpu.cr4 = CR4_PGE | CR4_SMEP;
    spec_init();
    assert_true(cpu.cr4 == CR4_SMEP); /* no global translation outlives a change to the guest's tables */
    boot(skylake, "xpti=no pv-l1tf=no spec-ctrl=no-msr-sc,no-ibpb,no-rsb,bti-thunk=lfence,no-ibrs,no-verw");
    cpu.cr4 = CR4_PGE;
    spec_init();
    assert_said("in use: LFENCE before branches\n");
    assert_true(cpu.cr4 == CR4_PGE && !nr_patches);
    spec_init_cpu();
    spec_ctrl_load(7);
    spec_barrier();
    assert_true(!nr_msrs && !rsb_fills);
    assert_int_equal(spec_guest_leaf7_edx(), L7D_MD_CLEAR); /* what it takes no MSR to use */
    mitigate(skylake, "spec-ctrl=no xpti=no");
    assert_said("in use: nothing\n");
}

static void enhanced_ibrs(void **state)
{
    (void)state;
    struct processor p = skylake;

    p.signature = 0x606a6;
    p.leaf7.eax = 2;
    p.leaf7.edx |= L7D_ARCH_CAPABILITIES;
    p.leaf7_2_edx = L72D_BHI_CTRL;
    p.arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO | 1ull << 63;
    mitigate(p, "");
    assert_said("in use: IBRS always on, BHI_DIS_S, IBPB between vCPUs, RSB filled between vCPUs, SPEC_CTRL and PRED_CMD for guests\n");
    assert_null(strstr(fake_log, "suffers"));
    assert_true(spec_guest_arch_capabilities() == (ARCH_CAP_RDCL_NO | ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO)); /* not that IBRS is enough */
    spec_ctrl_load(spec_ctrl_for(SPEC_CTRL_STIBP));
    assert_msr(MSR_SPEC_CTRL, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S | SPEC_CTRL_STIBP);

    p.leaf7.eax = 1; /* no leaf 7.2 */
    mitigate(p, "");
    assert_null(strstr(fake_log, "BHI_DIS_S"));
    p.no_msrs = true; /* the register is shown and refused: the worst is taken to be true */
    mitigate(p, "");
    assert_said("suffers from Meltdown, L1TF, MDS, TAA\n");
    assert_true(spec_guest_arch_capabilities() == 0);
    p.leaf7.edx &= ~L7D_MD_CLEAR & ~L7D_IBRS_IBPB;
    mitigate(p, "");
    assert_said("missing, an update of the microcode may bring it: VERW that clears buffers, IBPB\n");
}

static void mitigations_of_amd(void **state)
{
    (void)state;
    mitigate(zen3, "");
    assert_said("suffers from SRSO, TSA\n");
    assert_said("in use: retpolines, IBPB between vCPUs, RSB filled between vCPUs, VERW on exit, SPEC_CTRL and PRED_CMD for guests\n");
    assert_patched(0x2000, "\xe9\xfb\x0f\x00\x00", 5);
    assert_patched(0x2100, NULL, 0);
    assert_patched(0x2200, "\x0f\x1f\x44\x00\x00", 5);
    assert_true(spec_guest_ext8_ebx() == (zen3.ext8_ebx & ~4u)); /* and nothing that is not about speculation */
    spec_ctrl_load(SPEC_CTRL_SSBD);
    assert_msr(MSR_SPEC_CTRL, SPEC_CTRL_SSBD);

    struct processor p = zen3;

    p.ext21_ecx = E21C_TSA_SQ_NO | E21C_TSA_L1_NO;
    p.ext21_eax |= E21A_SRSO_NO;
    mitigate(p, "spec-ctrl=no-msr-sc");
    assert_null(strstr(fake_log, "suffers"));
    assert_int_equal(spec_guest_ext8_ebx(), E8B_BTC_NO);
    p.max_ext_leaf = 0x80000020; /* what a leaf that is not there gives is not believed */
    mitigate(p, "");
    assert_said("suffers from SRSO, TSA\n");
    assert_said("missing, an update of the microcode may bring it: VERW that clears buffers\n");
    spec_warn_of_guests();
    assert_said("start with spec-ctrl=ibpb-entry\n");
    *strstr(fake_log, "spec-ctrl=ibpb-entry") = '-';
    spec_warn_of_guests(); /* once */
    assert_null(strstr(fake_log, "spec-ctrl=ibpb-entry"));
    p.max_ext_leaf = 0x80000007;
    mitigate(p, "");
    assert_int_equal(spec_guest_ext8_ebx(), 0);
    assert_false(spec.guest_msrs);
}

/* ---- the FPU, which is this machine's ---- */

static u32 read_mxcsr(void)
{
    u32 v;

    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}
static void set_mxcsr(u32 v) { __asm__ volatile("ldmxcsr %0" ::"m"(v)); }

/* one: with something in ST(0), and what XSAVEOPT may have left of SSE. */
static void legacy_image(char *one, char *other)
{
    static u8 image[512], back[512];
    u64 *header = (u64 *)(((u64)one + 63) / 64 * 64) + 64;

    if (cpu.xsave) {
        memset((u8 *)header - 512 + 160, 0xaa, 256);
        *header = 1;
    }
    fpu_get_legacy(one, image);
    assert_true(image[32 + 9] == 0x3f && image[32 + 8] == 0xff); /* 1.0, as the x87 has it */
    assert_true(image[160] == 0 && image[415] == 0);
    if (cpu.xsave)
        *header = 2;
    fpu_get_legacy(one, image);
    assert_int_equal(image[160], cpu.xsave ? 0xaa : 0);
    assert_int_equal(image[32 + 9], cpu.xsave ? 0 : 0x3f);
    assert_int_equal(image[0] | image[1] << 8, 0x37f);
    cpu.mxcsr_mask = 0xffbf;
    assert_true(fpu_legacy_ok(image));
    image[24] |= 0x40; /* DAZ, which this processor has not */
    assert_false(fpu_legacy_ok(image));
    image[24] &= 0xbf;
    image[160] = 7;
    memset(other - 40, 0xff, 0x340);
    fpu_set_legacy(other, image);
    fpu_get_legacy(other, back);
    assert_memory_equal(image, back, sizeof(back));
    u64 *set = (u64 *)(((u64)other + 63) / 64 * 64) + 64;

    if (cpu.xsave)
        assert_true(set[0] == 3 && !set[1] && !set[2] && !set[7]);
}

static void fpu_registers(void **state)
{
    (void)state;
    static char areas[2][16384];
    const struct {
        bool xsave, xsaveopt, pointers_stay;
    } kinds[] = { { false, false, false }, { true, false, false }, { true, true, false }, { true, true, true }, { false, false, true } };
    u32 usual = read_mxcsr(), eax, ebx, ecx = 0, edx;

    take_privileged();
    __asm__("cpuid" : "=a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx) : "a"(1));
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if ((kinds[i].xsave && !(ecx >> 27 & 1)) || (kinds[i].xsaveopt && !__builtin_cpu_supports("xsaveopt")))
            continue; /* not here */
        memset(areas, 0, sizeof(areas));
        cpu = (struct cpu_features){ .xsave = kinds[i].xsave, .xsaveopt = kinds[i].xsaveopt, .xcr0_mask = 7, .xsave_size = 0x340 };
        cpu.x87_pointers_stay = kinds[i].pointers_stay;
        assert_true(fpu_area_size() == 0x340 + 64);
        this_cpu()->xcr0 = 3;
        xcr0 = 0;
        fpu_claims = 0;
        char *one = areas[0] + 8, *other = areas[1] + 40; /* they align themselves */

        fpu_area_init(other);
        __asm__ volatile("fninit; fld1");
        set_mxcsr(0x1fa0);
        fpu_save(one);
        assert_true(xcr0 == (kinds[i].xsave ? 7 : 0)); /* whole, whatever the guest had chosen */
        set_mxcsr(0x1fc0);
        fpu_restore(other, 1);
        u32 fresh = read_mxcsr();
        u16 fcw, fsw;

        __asm__ volatile("fnstcw %0; fnstsw %1" : "=m"(fcw), "=m"(fsw));
        assert_int_equal(fcw, 0x37f);
        assert_int_equal(fsw & 0x3800, 0);
        assert_true(xcr0 == (kinds[i].xsave ? 1 : 0) && this_cpu()->xcr0 == (kinds[i].xsave ? 1 : 3));
        fpu_restore(one, 7);
        u32 again = read_mxcsr();
        double top = 0;

        __asm__ volatile("fstpl %0" : "=m"(top));
        set_mxcsr(usual);
        assert_true(top == 1.0);
        assert_int_equal(fresh, 0x1f80);
        assert_int_equal(again, 0x1fa0);
        assert_int_equal(fpu_claims, 3);
        legacy_image(one, other);
    }
    cpu.xsave_size = 0;
    assert_true(fpu_area_size() == 512 + 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identified),         cmocka_unit_test(cpuid_faulting), cmocka_unit_test(old_processors),
        cmocka_unit_test(emulators),          cmocka_unit_test(lfence),         cmocka_unit_test(protections),
        cmocka_unit_test(control_flow),       cmocka_unit_test(enhanced_ibrs),  cmocka_unit_test(mitigations_of_intel),
        cmocka_unit_test(mitigations_of_amd), cmocka_unit_test(fpu_registers),
    };

    fake_msr_exists = msr_exists;
    return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
