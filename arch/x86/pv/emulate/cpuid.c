/* SPDX-License-Identifier: MIT */
/*
 * CPUID as PV kernels see it: the machine's, less what a PV guest cannot use. Masks keep the
 * features that work without the hypervisor's help; what is not known is hidden.
 */
#include <hv/printk.h>
#include <hv/version.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/speculation.h>

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define L1_ECX 0x76d83203u
/* Leaf 1 EDX: FPU DE TSC MSR PAE MCE CX8 APIC MCA CMOV PAT CLFLUSH ACPI MMX FXSR SSE SSE2 SS HTT */
#define L1_EDX 0x1fc9c3f5u
/* SEP is hidden: the SYSENTER callback is never called, 32-bit programs use INT 80h. */
#define L1_EDX_MTRR (1u << 12)
#define L1_ECX_XSAVE (1u << 26)
#define L1_ECX_OSXSAVE (1u << 27)
#define L1_ECX_HYPERVISOR (1u << 31)
#define L1_ECX_BY_XSAVE (L1_ECX_XSAVE | 1u << 12 | 1u << 28 | 1u << 29) /* FMA XSAVE AVX F16C */
/* Leaf 7 EBX: FSGSBASE BMI1 AVX2 BMI2 ERMS AVX512F/DQ RDSEED ADX AVX512IFMA CLFLUSHOPT CLWB AVX512CD SHA AVX512BW/VL */
#define L7_EBX 0xf1af0329u
/* Leaf 7 ECX: AVX512VBMI VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ RDPID */
#define L7_ECX 0x00405f42u
/* Leaf 7 EDX: AVX512 4VNNIW 4FMAPS, FSRM, SERIALIZE */
#define L7_EDX 0x0000401cu
#define L7_EBX_ERMS (1u << 9)
#define L7_EDX_FSRM (1u << 4)
/* 80000001 ECX: LAHF ABM SSE4A MISALIGN 3DNOWPREFETCH XOP FMA4 TBM */
#define E1_ECX 0x002109e1u
/* 80000001 EDX: leaf 1's copies on AMD, SYSCALL NX MMXEXT FFXSR RDTSCP LM 3DNOW */
#define E1_EDX 0xe9d1cbf5u
/* 80000021 EAX: LFENCE serialises. The leaf is shown where that holds, even if the processor ends below it. */
#define E21_EAX_LFENCE (1u << 2)

static void hypervisor_leaf(const struct domain *d, u32 leaf, u32 sub, u32 o[4])
{
    const struct emulated_tsc *t = &d->pv.tsc;

    switch (leaf & 0xff) {
    case 0: /* the ABI's signature */
        o[0] = 0x40000005;
        o[1] = 0x566e6558;
        o[2] = 0x65584d4d;
        o[3] = 0x4d4d566e;
        break;
    case 1: o[0] = abi_version; break;
    case 2:
        o[0] = 1;
        o[1] = 0x40000000;
        o[2] = 1; /* MMU_PT_UPDATE_PRESERVE_AD */
        break;
    case 3:
        if (sub == 0) {
            o[0] = (t->emulated ? 1 : 0) | (cpu.invariant_tsc ? 2 : 0) | (cpu.rdtscp ? 4 : 0);
            o[1] = t->mode;
            o[2] = t->khz ? t->khz : (u32)tsc_khz;
            o[3] = t->incarnation;
        } else if (sub == 1) {
            struct tsc_scale scale = t->emulated ? t->scale : tsc_scale;

            o[0] = t->emulated ? (u32)t->start : 0;
            o[1] = t->emulated ? (u32)(t->start >> 32) : 0;
            o[2] = scale.mul;
            o[3] = (u8)scale.shift;
        } else if (sub == 2) {
            o[0] = (u32)tsc_khz;
        }
        break;
    case 5:
        o[1] = PAGE_SHIFT + 1 + bit_last(max_mfn); /* width of machine addresses */
        break;
    }
}

static void leaf_1(u32 o[4], u32 more_edx)
{
    o[1] &= 0xffff;
    o[2] = (o[2] & L1_ECX) | L1_ECX_HYPERVISOR;
    if (!cpu.xsave)
        o[2] &= ~L1_ECX_BY_XSAVE;
    o[3] &= L1_EDX | more_edx;
}

static void leaf_7(u32 sub, u32 o[4])
{
    if (sub) {
        o[0] = o[1] = o[2] = o[3] = 0;
        return;
    }
    o[0] = 0;
    o[1] &= L7_EBX & (cpu.fsgsbase ? ~0u : ~1u);
    o[2] &= L7_ECX;
    o[3] = (o[3] & L7_EDX) | spec_guest_leaf7_edx();
    /* Linux drops ERMS where IA32_MISC_ENABLE says so, and its memmove() does not work with FSRM alone. */
    if (!cpu.fast_strings) {
        o[1] &= ~L7_EBX_ERMS;
        o[3] &= ~L7_EDX_FSRM;
    }
}

static void leaf_d(u32 sub, u32 o[4])
{
    bool shown = cpu.xsave && (sub < 2 || (sub < 64 && cpu.xcr0_mask >> sub & 1));

    if (shown && sub == 0) {
        o[0] = (u32)cpu.xcr0_mask;
        o[1] = o[2] = cpu.xsave_size;
        o[3] = 0;
    } else if (shown && sub == 1) {
        o[0] &= 0x5; /* XSAVEOPT, XGETBV with ECX 1; no compaction, no XSAVES */
        o[1] = o[2] = o[3] = 0;
    } else if (!shown)
        o[0] = o[1] = o[2] = o[3] = 0;
}

static force_inline void machine_leaf(u32 leaf, u32 sub, u32 o[4])
{
    struct cpuid_regs r = { 0 };

    if (leaf <= (leaf >> 31 ? cpu.max_ext_leaf : cpu.max_leaf))
        r = cpuid_count(leaf, sub);
    o[0] = r.eax;
    o[1] = r.ebx;
    o[2] = r.ecx;
    o[3] = r.edx;
}

void cpuid_machine(u32 leaf, u32 sub, u32 o[4]) { machine_leaf(leaf, sub, o); }

/* more_edx: features in EDX of leaves 1 and 80000001h beside the usual ones. */
static force_inline void offered(u32 leaf, u32 sub, u32 o[4], u32 more_edx)
{
    o[0] = o[1] = o[2] = o[3] = 0;
    if (leaf == CPUID_LAST_EXT)
        o[0] = cpu.lfence_serialises ? E21_EAX_LFENCE : 0;
    if (leaf >= 0x80000000 ? leaf > MIN(cpu.max_ext_leaf, CPUID_LAST_EXT - 1) : leaf > MIN(cpu.max_leaf, CPUID_LAST_BASIC))
        return;
    machine_leaf(leaf, sub, o);
    switch (leaf) {
    case 0: o[0] = MIN(o[0], CPUID_LAST_BASIC); break;
    case 1: leaf_1(o, more_edx); break;
    case 3:
    case 5:
    case 6:
    case 9:
    case 0xa:
    case 0xb: /* serial number, MONITOR, power, DCA, PMU, topology */ o[0] = o[1] = o[2] = o[3] = 0; break;
    case 7: leaf_7(sub, o); break;
    case 0xd: leaf_d(sub, o); break;
    case 0x80000000: o[0] = cpu.lfence_serialises ? CPUID_LAST_EXT : MIN(o[0], CPUID_LAST_EXT); break;
    case 0x80000001:
        o[2] &= E1_ECX;
        o[3] &= E1_EDX | more_edx;
        break;
    case 0x80000007:
        o[0] = o[1] = o[2] = 0;
        o[3] &= 1u << 8; /* invariant TSC */
        break;
    case 0x80000008:
        o[0] = (o[0] & 0xff) | 48 << 8;
        o[1] = (o[1] & 1) | spec_guest_ext8_ebx(); /* CLZERO */
        o[2] = o[3] = 0;
        break;
    case 0x8000000a:
    case 0x8000001b ... CPUID_LAST_EXT - 1: /* SVM, IBS, topology, SEV */ o[0] = o[1] = o[2] = o[3] = 0; break;
    }
}

void pv_cpuid_offered(u32 leaf, u32 sub, u32 o[4]) { offered(leaf, sub, o, 0); }

struct xen_cpuid_leaf *cpuid_find(struct xen_cpuid_leaf *list, u32 count, u32 leaf, u32 sub)
{
    for (struct xen_cpuid_leaf *l = list; l < list + count; l++)
        if (l->leaf == leaf && (l->subleaf == sub || l->subleaf == XEN_CPUID_NO_SUBLEAF))
            return l;
    return NULL;
}

/* As the toolstack has it for this domain, which may have it end early. What it says nothing of is as the machine has it for guests. */
static noinline void policy_leaf(const struct domain *d, u32 leaf, u32 sub, u32 o[4])
{
    const struct xen_cpuid_leaf *l = cpuid_find(d->pv.cpuid, d->pv.nr_cpuid, leaf, sub);
    const struct xen_cpuid_leaf *last = cpuid_find(d->pv.cpuid, d->pv.nr_cpuid, leaf & 0x80000000, 0);

    if (last && leaf > last->a)
        o[0] = o[1] = o[2] = o[3] = 0;
    else if (l)
        memcpy(o, &l->a, 4 * sizeof(u32));
    else
        pv_cpuid_offered(leaf, sub, o);
}

void pv_cpuid(const struct vcpu *v, u32 leaf, u32 sub, u32 o[4])
{
    if ((leaf & 0xffffff00) == 0x40000000) {
        o[0] = o[1] = o[2] = o[3] = 0;
        if ((leaf & 0xff) <= 5)
            hypervisor_leaf(v->domain, leaf, sub, o);
        return;
    }
    if (v->domain->pv.cpuid)
        policy_leaf(v->domain, leaf, sub, o);
    else /* MTRRs: the hardware domain reads memory types by platform_op. No operation asks here, so no table can say so. */
        offered(leaf, sub, o, v->domain->is_hardware ? L1_EDX_MTRR : 0);
    if (leaf == 1) {
        o[1] |= v->id * 2 << 24 | MAX(1u, v->domain->max_vcpus) << 16;
        o[2] |= o[2] & L1_ECX_XSAVE ? L1_ECX_OSXSAVE : 0;
    }
    if (leaf == 0xd && sub == 0 && o[0]) { /* the size for what is enabled */
        u32 native[4];

        cpuid_machine(leaf, sub, native);
        o[1] = v->pv.xcr0 ? native[1] : FPU_XSAVE_LEAST;
    }
}

/* ---- what guests do not see, and why: told in the log, and docs/unsupported.md is made of it ---- */

static const struct {
    u32 leaf;
    u8 word, bit; /* of EAX, EBX, ECX, EDX */
    const char *name, *reason;
} hidden[] = {
    { 1, 2, 3, "MONITOR", "idle CPUs are the hypervisor's" },
    { 1, 2, 5, "VMX", "guests have no hardware virtualisation to give on" },
    { 1, 2, 15, "PDCM", "performance counters are not given to guests" },
    { 1, 2, 17, "PCID", "CR3 and CR4 are the hypervisor's" },
    { 1, 2, 21, "x2APIC", "interrupts are events" },
    { 1, 2, 24, "TSC_DEADLINE", "timers are hypercalls" },
    { 1, 3, 3, "PSE", "PV guests have pages of 4 KiB" },
    { 1, 3, 11, "SEP", "SYSENTER is not handled; 32-bit programs use INT 80h" },
    { 1, 3, 13, "PGE", "guests' translations are never global" },
    { 1, 3, 17, "PSE36", "PV guests have pages of 4 KiB" },
    { 7, 1, 4, "HLE", "transactions leak what they abort on" },
    { 7, 1, 11, "RTM", "transactions leak what they abort on" },
    { 7, 1, 7, "SMEP", "a PV kernel shares its ring with its programs" },
    { 7, 1, 10, "INVPCID", "CR3 and CR4 are the hypervisor's" },
    { 7, 1, 12, "PQM", "resource control is not given to guests" },
    { 7, 1, 14, "MPX", "its state is not switched" },
    { 7, 1, 15, "PQE", "resource control is not given to guests" },
    { 7, 1, 20, "SMAP", "a PV kernel shares its ring with its programs" },
    { 7, 2, 2, "UMIP", "it is always on, and what it stops is emulated" },
    { 7, 2, 3, "PKU", "its state is not switched" },
    { 7, 2, 5, "WAITPKG", "waiting is the hypervisor's matter" },
    { 7, 2, 7, "CET_SS", "shadow stacks are the hypervisor's own" },
    { 7, 2, 16, "LA57", "PV guests have four levels of page tables" },
    { 7, 3, 20, "CET_IBT", "branch tracking is the hypervisor's own" },
    { 7, 3, 22, "AMX", "its state is not switched" },
    { 0x80000001, 2, 2, "SVM", "guests have no hardware virtualisation to give on" },
    { 0x80000001, 2, 10, "IBS", "performance counters are not given to guests" },
    { 0x80000001, 3, 26, "1 GiB pages", "PV guests have pages of 4 KiB" },
};

void cpuid_tell_hidden(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        bool there = hidden[i].leaf <= (hidden[i].leaf >> 31 ? cpu.max_ext_leaf : cpu.max_leaf);
        struct cpuid_regs r = cpuid_count(hidden[i].leaf, 0);
        const u32 words[] = { r.eax, r.ebx, r.ecx, r.edx };

        if (there && words[hidden[i].word] >> hidden[i].bit & 1)
            printk(LOG_DEBUG "CPU: guests do not see %s: %s\n", hidden[i].name, hidden[i].reason);
    }
}
