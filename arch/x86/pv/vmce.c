/* SPDX-License-Identifier: MIT */
/*
 * Machine checks for guests: two banks, as the ABI has them; bank 1 holds what a guest is told.
 * Addresses are pseudo-physical. The guest acknowledges by clearing MCG_STATUS; a second error
 * before that ends it, as it would end a machine.
 */
#include <hv/pv.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/vectors.h>

u64 vmce_capabilities(void) { return VMCE_BANKS | (mc_recovery_supported() ? MCG_CAP_SER_P : 0); }

u64 *vmce_field(struct vmce *m, u32 msr)
{
    switch (msr) {
    case MSR_MCG_STATUS: return &m->mcg_status;
    case VMCE_MSR_STATUS: return &m->status;
    case VMCE_MSR_ADDR: return &m->address;
    case VMCE_MSR_MISC: return &m->misc;
    default: return NULL;
    }
}

bool vmce_rdmsr(struct vcpu *v, u32 msr, u64 *val)
{
    const u64 *field = vmce_field(&v->pv.vmce, msr);

    if (field)
        *val = *field;
    else if (msr == MSR_MCG_CAP)
        *val = vmce_capabilities();
    else
        *val = msr & 3 ? 0 : ~0ULL; /* every error is enabled; the other bank is empty */
    return true;
}

bool vmce_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
    u64 *field = vmce_field(&v->pv.vmce, msr);

    if (msr == MSR_MCG_STATUS) {
        *field = val & (MCG_STATUS_RIPV | MCG_STATUS_EIPV | MCG_STATUS_MCIP);
        return true;
    }
    if ((msr & 3) == 0)
        return true;
    if (val) /* as hardware: only zero clears them */
        return false;
    if (field)
        *field = 0;
    return true;
}

static void vmce_raise(struct vcpu *v, const struct vmce *what, bool with_record)
{
    struct vmce *m = &v->pv.vmce;

    if ((m->mcg_status & MCG_STATUS_MCIP) || m->pending) {
        domain_crash(v->domain, "a second machine check before v%u has dealt with the first", v->id);
        return;
    }
    m->mcg_status = what->mcg_status;
    if (with_record) {
        m->status = what->status;
        m->address = what->address;
        m->misc = what->misc;
    }
    m->pending = true;
    vcpu_kick(v);
}

int vmce_set_state(struct vcpu *v, const struct vmce *s)
{
    const u64 known = MCG_STATUS_RIPV | MCG_STATUS_EIPV | MCG_STATUS_MCIP;
    bool pending = s->mcg_status & MCG_STATUS_MCIP, recorded = s->status & MCI_STATUS_VAL;
    bool required =
        recorded && (s->status & (MCI_STATUS_UC | MCI_STATUS_S | MCI_STATUS_AR)) == (MCI_STATUS_UC | MCI_STATUS_S | MCI_STATUS_AR);

    if ((s->mcg_status & ~known) || (pending && !(s->mcg_status & MCG_STATUS_RIPV)) || (!pending && s->mcg_status))
        return -EINVAL;
    /* Corrected errors are not signalled; a corrupt context would have ended the domain. */
    if (pending && recorded && (!(s->status & MCI_STATUS_UC) || (s->status & MCI_STATUS_PCC)))
        return -EINVAL;
    if (required != !!(s->mcg_status & MCG_STATUS_EIPV) || ((s->status & (MCI_STATUS_S | MCI_STATUS_AR)) && !mc_recovery_supported()))
        return -EINVAL;
    v->pv.vmce = *s;
    v->pv.vmce.pending = pending;
    return 0;
}

void vmce_inject(struct vcpu *v, const struct vmce *what)
{
    struct domain *d = v->domain;

    if (!v->pv.traps[VEC_MC].address) {
        domain_crash(d, "machine check, and its kernel has no handler for one");
        return;
    }
    vmce_raise(v, what, true);
    if (!cpu.intel)
        return;
    /* Intel's are broadcast: a kernel waits for all of its CPUs in the handler. */
    struct vmce other = { .mcg_status = MCG_STATUS_MCIP | MCG_STATUS_RIPV };
    for_each_vcpu(d, sibling)
        if (sibling != v && sibling->initialised && !(sibling->pause_flags & PAUSE_DOWN) && d->state < DOMAIN_CRASHED)
            vmce_raise(sibling, &other, false);
}
