/* SPDX-License-Identifier: MIT */
/* The processor's features, and which of them the hypervisor turns on. */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/printk.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/page_table.h>

struct cpu_features cpu __ro_after_init;

static bool opt_smep = true;
OPTION("smep", option_bool, opt_smep, "supervisor-mode execution prevention, where the CPU has it", "on");

struct smap_option {
    bool on, force;
};
static struct smap_option opt_smap = { .on = true };

static int parse_smap(const char *value, void *var)
{
    struct smap_option *o = var;

    o->force = !strcmp(value, "force");
    return o->force ? 0 : option_bool(value, &o->on);
}
OPTION("smap", parse_smap, opt_smap,
       "supervisor-mode access prevention, where the CPU has it; left off where a trial at boot shows that "
       "IRET in ring 3 fails with it (QEMU 7.2's emulator), unless `smap=force`",
       "on");

extern const u64 __smap_clac_start[], __smap_clac_end[], __smap_stac_start[], __smap_stac_end[];

/* PAT as the ABI requires: WB WT UC- UC WC WP UC- UC. Linux refuses to use it otherwise. */
#define PAT_VALUE 0x0000050100070406ULL

static bool on_tcg(void)
{
    struct cpuid_regs r = cpuid_count(0x40000000, 0);

    return (cpuid_count(1, 0).ecx >> 31) && r.ebx == 0x54474354 && r.ecx == 0x43544743 && r.edx == 0x47435447;
}

/*
 * AMD: LFENCE waits for all before it. Families 0fh and 11h and the newest do so always, the others once this CPU has been
 * told. AMD APM vol. 2, 3.2.2 and the white paper on speculation.
 */
static bool make_lfence_serialise(void)
{
    u32 eax = cpuid_count(1, 0).eax, family = (eax >> 8 & 15) + ((eax >> 8 & 15) == 15 ? eax >> 20 & 0xff : 0);
    u64 cfg;

    if (!cpu.amd)
        return false;
    if (family == 0xf || family == 0x11 || (cpu.max_ext_leaf >= 0x80000021 && cpuid_count(0x80000021, 0).eax & 4))
        return true;
    if (rdmsr_safe(MSR_AMD_DE_CFG, &cfg) && !(cfg & DE_CFG_LFENCE) && wrmsr_safe(MSR_AMD_DE_CFG, cfg | DE_CFG_LFENCE))
        cfg = rdmsr_safe(MSR_AMD_DE_CFG, &cfg) ? cfg : 0;
    return cfg & DE_CFG_LFENCE;
}

/* Intel: "CPUID Faulting" in the application note on virtualization technology FlexMigration; AMD APM vol. 2, CpuidUserDis. */
static void find_cpuid_faulting(void)
{
    u64 info = 0;

    cpu.cpuid_fault_msr = 0;
    if (cpu.intel && rdmsr_safe(MSR_PLATFORM_INFO, &info) && info & PLATFORM_INFO_CPUID_FAULTING) {
        cpu.cpuid_fault_msr = MSR_MISC_FEATURES;
        cpu.cpuid_fault_bit = MISC_FEATURES_CPUID_FAULTING;
    } else if (cpu.amd && cpu.max_ext_leaf >= 0x80000021 && cpuid_count(0x80000021, 0).eax >> 17 & 1) {
        cpu.cpuid_fault_msr = MSR_AMD_HWCR;
        cpu.cpuid_fault_bit = HWCR_CPUID_USER_DIS;
    }
}

void cpu_fault_cpuid(bool on)
{
    struct percpu *c = this_cpu();

    if (!cpu.cpuid_fault_msr || c->cpuid_faults == on)
        return;
    c->cpuid_faults = on;
    wrmsr(cpu.cpuid_fault_msr, (rdmsr(cpu.cpuid_fault_msr) & ~cpu.cpuid_fault_bit) | (on ? cpu.cpuid_fault_bit : 0));
}

void cpu_identify(void)
{
    struct cpuid_regs r = cpuid_count(0, 0);

    cpu.max_leaf = r.eax;
    memcpy(cpu.vendor, &r.ebx, 4);
    memcpy(cpu.vendor + 4, &r.edx, 4);
    memcpy(cpu.vendor + 8, &r.ecx, 4);
    cpu.intel = !strcmp(cpu.vendor, "GenuineIntel");
    cpu.amd = !strcmp(cpu.vendor, "AuthenticAMD") || !strcmp(cpu.vendor, "HygonGenuine");
    cpu.max_ext_leaf = cpuid_count(0x80000000, 0).eax;
    for (u32 i = 0; i < 3 && cpu.max_ext_leaf >= 0x80000004; i++) {
        r = cpuid_count(0x80000002 + i, 0);
        memcpy(cpu.model + 16 * i, &r, 16);
    }
    r = cpuid_count(1, 0);
    cpu.xsave = r.ecx >> 26 & 1;
    cpu.tsc_deadline = r.ecx >> 24 & 1;
    if (cpu.max_leaf >= 7) {
        r = cpuid_count(7, 0);
        cpu.fsgsbase = r.ebx & 1;
        cpu.smep = r.ebx >> 7 & 1;
        cpu.smap = r.ebx >> 20 & 1;
        cpu.umip = r.ecx >> 2 & 1;
        cpu.shadow_stacks = r.ecx >> 7 & 1;
        cpu.branch_tracking = r.edx >> 20 & 1;
    }
    if (cpu.xsave) {
        r = cpuid_count(13, 0);
        /* MPX and PKRU are hidden from guests, AMX has no room in the areas */
        cpu.xcr0_mask = (((u64)r.edx << 32) | r.eax) & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
        cpu.xsaveopt = cpuid_count(13, 1).eax & 1;
    }
    u64 misc = 1;
    cpu.fast_strings = !cpu.intel || !rdmsr_safe(MSR_MISC_ENABLE, &misc) || misc & 1;
    r = cpuid_count(0x80000001, 0);
    cpu.page1gb = r.edx >> 26 & 1;
    cpu.rdtscp = r.edx >> 27 & 1;
    if (cpu.max_ext_leaf >= 0x80000007)
        cpu.invariant_tsc = cpuid_count(0x80000007, 0).edx >> 8 & 1;
    r = cpu.max_ext_leaf >= 0x80000008 ? cpuid_count(0x80000008, 0) : (struct cpuid_regs){ .eax = 36 };
    cpu.phys_bits = MIN(r.eax & 0xff, 52u);
    cpu.x87_pointers_stay = cpu.amd && !(r.ebx >> 2 & 1); /* RstrFpErrPtrs */
    cpu.tcg = on_tcg();
    find_cpuid_faulting();
    cpu_find_topology();
}
BOOT_STEP(cpu_identify, NEEDS(trap_stacks), GIVES(cpu_features), EVERYWHERE);

void cpu_write_cr4(u64 cr4)
{
    this_cpu()->cr4 = cr4;
    write_cr4(cr4);
}

static void patch_sites(const u64 *site, const u64 *end, u8 last_byte)
{
    const u8 insn[] = { 0x0f, 0x01, last_byte }; /* CLAC 0f 01 ca, STAC 0f 01 cb */

    for (; site < end; site++)
        text_write(*site, insn, sizeof(insn));
}

void cpu_load_pat(void) { wrmsr(MSR_PAT, PAT_VALUE); }
BOOT_STEP(cpu_load_pat, NEEDS(cpu_features), GIVES(memory_types), EVERYWHERE);

void cpu_load_features(void)
{
    cpu.lfence_serialises = make_lfence_serialise(); /* the same on all CPUs */
    if (cpu.cr4 & CR4_CET) {
        /* Firmware or a loader may have left CET on, and INIT does not change these MSRs. */
        wrmsr(MSR_U_CET, 0);
        wrmsr(MSR_S_CET, 0);
    }
    cpu_write_cr4(cpu.cr4);
    if (cpu.xsave)
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)cpu.xcr0_mask), "d"((u32)(cpu.xcr0_mask >> 32)));
    this_cpu()->xcr0 = cpu.xcr0_mask;
    cpu_load_pat();
    spec_init_cpu();
    wbinvd();
    write_cr3(read_cr3());
}

void cpu_enable_features(void)
{
    u64 cr4 = read_cr4();

    if (cpu.smep && opt_smep)
        cr4 |= CR4_SMEP;
    if (cpu.umip)
        cr4 |= CR4_UMIP;
    if (cpu.smap && opt_smap.on && !opt_smap.force && smap_breaks_iret()) {
        printk(LOG_INFO "SMAP: left off, with it IRET fails in guests: an error of this emulator (smap=force uses it)\n");
        cpu.smap = false;
    }
    if (cpu.smap && opt_smap.on) {
        patch_sites(__smap_clac_start, __smap_clac_end, 0xca);
        patch_sites(__smap_stac_start, __smap_stac_end, 0xcb);
        cr4 |= CR4_SMAP;
    }
    if (cpu.xsave && cpu.tcg && !cpuid_count(13, 1).eax) {
        printk(LOG_INFO "XSAVE: left off, this emulator stops with it on such a CPU model\n");
        cpu.xsave = false;
    }
    if (cpu.xsave)
        cr4 |= CR4_OSXSAVE;
    cpu.cr4 = cr4;
    spec_init();
    if (shadow_stacks_in_use() || spec.branch_tracking)
        cpu.cr4 |= CR4_CET;
    cpu_load_features();
    cpu.xsave_size = cpu.xsave ? cpuid_count(13, 0).ebx : 512;
    cpu.mxcsr_mask = fpu_mxcsr_mask();
    printk(LOG_INFO "CPU: %s, %s%s%s%s%s%s%s\n", cpu.model[0] ? cpu.model : cpu.vendor, cr4 & CR4_SMEP ? "SMEP " : "",
           cr4 & CR4_SMAP ? "SMAP " : "", cr4 & CR4_UMIP ? "UMIP " : "", shadow_stacks_in_use() ? "CET-SS " : "",
           spec.branch_tracking ? "CET-IBT " : "", cpu.fsgsbase ? "FSGSBASE " : "", cpu.xsave ? "XSAVE" : "no XSAVE");
}
BOOT_STEP(cpu_enable_features, NEEDS(options, consoles, page_allocator), GIVES(protections), EVERYWHERE);
