/* SPDX-License-Identifier: MIT */
/*
 * MSRs of guests (Intel SDM vol. 4; AMD: APM vol. 2, appendix A). Unknown ones are refused (#GP), which stock kernels expect, once they have a
 * #GP handler; before that, reads give 0.
 */
#include <hv/pv.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/speculation.h>
#include <hv/x86/vectors.h>

#define MSR_UCODE_REV 0x8b
#define MSR_FEATURE_CONTROL 0x3a
#define FEATURE_CONTROL_LOCKED 1 /* and nothing is enabled: no VMX, no SGX */
#define MSR_HYPERCALL_PAGE 0x40000000
#define MISC_ENABLE_HIDDEN (1UL << 7 | 1UL << 18)             /* performance monitoring, MONITOR */
#define MISC_ENABLE_FIXED (1UL << 11 | 1UL << 12 | 1UL << 23) /* no BTS, no PEBS, no xTPR messages */

enum vendor { ANY, AMD };

/* MSRs with nothing behind them for a guest: zeroes, as the ABI's kernels find them; writes vanish or are refused. */
static const struct {
    u32 first, last;
    enum vendor vendor;
    bool writable;
} empty[] = {
    { 0x0, 0x1, ANY, false }, /* P5_MC_ADDR, P5_MC_TYPE */
    { MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, ANY, false },
    { MSR_MCG_CTL, MSR_MCG_CTL, ANY, true },
    { 0x280, 0x29f, ANY, true },                        /* MCi_CTL2 */
    { 0x345, 0x345, ANY, false },                       /* PERF_CAPABILITIES */
    { MSR_MC0_CTL + 4 * VMCE_BANKS, 0x47f, ANY, true }, /* further banks */
    { MSR_HYPERCALL_PAGE, MSR_HYPERCALL_PAGE, ANY, false },
    { 0xc0010000, 0xc0010007, AMD, true },  /* performance counters */
    { 0xc0010010, 0xc0010010, AMD, false }, /* SYSCFG */
    { 0xc001001f, 0xc001001f, AMD, true },  /* NB_CFG */
    { 0xc0010061, 0xc001006b, AMD, true },  /* P-states */
    { 0xc0010200, 0xc001020b, AMD, true },  /* performance counters of family 15h */
};

static bool is_empty(u32 msr, bool write)
{
    for (u32 i = 0; i < ARRAY_SIZE(empty); i++)
        if (msr >= empty[i].first && msr <= empty[i].last)
            return (empty[i].vendor == ANY || cpu.amd) && (empty[i].writable || !write);
    return false;
}

/* A reserved bit would be refused by the processor, at an exit to the guest. */
static bool set_spec_ctrl(struct vcpu *v, u64 val)
{
    if (!spec.guest_spec_ctrl || val & ~spec.guest_spec_ctrl)
        return false;
    v->pv.spec_ctrl = val;
    v->pv.spec_ctrl_hw = spec_ctrl_for(val);
    spec_ctrl_load(v->pv.spec_ctrl_hw);
    return true;
}

static bool msr_prediction_command(u32 msr, u64 val, u64 bit, bool permitted)
{
    if (!permitted || val & ~bit)
        return false;
    if (val)
        wrmsr(msr, val);
    return true;
}

bool pv_rdmsr(struct vcpu *v, u32 msr, u64 *val)
{
    *val = 0;
    switch (msr) {
    case MSR_KERNEL_GS_BASE: /* once per context switch of the guest */
    case MSR_GS_BASE:
    case MSR_FS_BASE: *val = rdmsr(msr); return true;
    case MSR_TSC: *val = pv_tsc_read(v); return true;
    case MSR_EFER: *val = rdmsr(MSR_EFER); return true;
    case MSR_APIC_BASE: *val = LOCAL_APIC_DEFAULT | APIC_BASE_ENABLE | (v->id == 0 ? APIC_BASE_BSP : 0); return true;
    case MSR_PAT: *val = rdmsr(MSR_PAT); return true;
    case MSR_TSC_AUX: *val = v->pv.tsc_aux; return cpu.rdtscp;
    case MSR_SPEC_CTRL: *val = v->pv.spec_ctrl; return spec.guest_spec_ctrl;
    case MSR_ARCH_CAPABILITIES: *val = spec_guest_arch_capabilities(); return spec_guest_leaf7_edx() & L7D_ARCH_CAPABILITIES;
    case MSR_UCODE_REV: /* for its drivers of processors */ return !v->domain->is_hardware || rdmsr_safe(msr, val);
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_MC0_CTL ... MSR_MC0_CTL + 4 * VMCE_BANKS - 1: return vmce_rdmsr(v, msr, val);
    case MSR_MISC_ENABLE:
        if (rdmsr_safe(msr, val))
            *val = (*val & ~MISC_ENABLE_HIDDEN) | MISC_ENABLE_FIXED;
        else
            *val = 0;
        return true;
    case MSR_MISC_FEATURES: return true;
    case MSR_FEATURE_CONTROL: *val = FEATURE_CONTROL_LOCKED; return cpu.intel;
    case MSR_AMD_HWCR: return cpu.amd;
    case MSR_AMD_DE_CFG: *val = cpu.lfence_serialises ? DE_CFG_LFENCE : 0; return cpu.amd;
    default:
        /* Or a kernel that cannot take a #GP yet. */
        return is_empty(msr, false) || !v->pv.traps[VEC_GP].address;
    }
}

bool pv_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!is_canonical(val))
            return false;
        wrmsr(msr, val);
        return true;
    case MSR_TSC_AUX:
        if (!cpu.rdtscp || val >> 32)
            return false;
        v->pv.tsc_aux = val;
        wrmsr(MSR_TSC_AUX, val);
        return true;
    case MSR_SPEC_CTRL: return set_spec_ctrl(v, val);
    case MSR_PRED_CMD: return msr_prediction_command(msr, val, PRED_CMD_IBPB, spec.guest_ibpb);
    case MSR_FLUSH_CMD: return msr_prediction_command(msr, val, FLUSH_CMD_L1D, spec_guest_leaf7_edx() & L7D_L1D_FLUSH);
    case MSR_UCODE_REV: /* written with 0 before it is read */ return cpu.intel && val == 0;
    case MSR_HYPERCALL_PAGE: return !(val & (PAGE_SIZE - 1)) && !pv_init_hypercall_page(v->domain, val >> PAGE_SHIFT);
    case MSR_MISC_ENABLE: return true; /* stays as it is */
    case MSR_PAT: return val == rdmsr(MSR_PAT);
    case MSR_EFER: return val == rdmsr(MSR_EFER);
    case MSR_MCG_CAP: return true; /* read-only: the write vanishes */
    case MSR_MCG_STATUS:
    case MSR_MC0_CTL ... MSR_MC0_CTL + 4 * VMCE_BANKS - 1: return vmce_wrmsr(v, msr, val);
    case MSR_AMD_HWCR:
    case MSR_AMD_DE_CFG: return cpu.amd;
    case MSR_MISC_FEATURES: return val == 0;
    default: return is_empty(msr, true);
    }
}
