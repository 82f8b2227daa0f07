/* SPDX-License-Identifier: MIT */
/*
 * domctl: the state of a vCPU, which is outside the hypervisor meanwhile. All of it (vcpucontext, vcpuextstate), and beside that what errors
 * of memory leave: its machine-check MSRs (vcpu_msrs) and what its banks can do (ext_vcpucontext).
 */
#include "control.h"

#include <hv/pv.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/speculation.h>

static long set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    long rc = arch_vcpu_set_context(v, c);

    if (rc)
        return rc;
    if (!v->id)
        wallclock_publish(v->domain); /* libxc has cleared the page of a new domain, or filled it with a restored one's */
    if (c->flags & VGCF_online)
        vcpu_start(v);
    else
        vcpu_pause_flag_set(v, PAUSE_DOWN);
    return 0;
}

/* Down and without a state, as it was created: libxc does so with the vCPUs above 0 of a suspended guest that is to go on. */
static long reset_context(struct vcpu *v)
{
    vcpu_pause_flag_set(v, PAUSE_DOWN);
    vcpu_pause_flag_clear(v, PAUSE_BLOCKED | PAUSE_POLL);
    v->initialised = false;
    arch_vcpu_reset(v);
    return 0;
}

long domctl_set_context(const struct xen_domctl_vcpucontext *x, struct vcpu *v)
{
    if (!x->ctxt.va)
        return reset_context(v);
    struct vcpu_guest_context *c __freed = hv_alloc(sizeof(*c));
    long rc = !c ? -ENOMEM : copy_from_guest(c, x->ctxt, sizeof(*c));
    return rc ? rc : set_context(v, c);
}

long domctl_get_context(const struct xen_domctl_vcpucontext *x, struct vcpu *v)
{
    if (!v->initialised)
        return -ENODATA;
    struct vcpu_guest_context *c __freed = hv_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    pv_get_context(v, c);
    return copy_to_guest(x->ctxt, c, sizeof(*c));
}

/* In front of the XSAVE area in a vcpuextstate's buffer. */
struct xstate_head {
    u64 xcr0, xcr0_accum;
};

static u64 xstate_size(void) { return cpu.xsave ? sizeof(struct xstate_head) + cpu.xsave_size : 0; }

long domctl_get_xstate(struct xen_domctl_vcpuextstate *x, struct vcpu *v)
{
    u64 mask = cpu.xsave ? v->domain->pv.xcr0_mask : 0;
    const struct xstate_head head = { v->pv.xcr0, mask };

    if (!x->buffer.va || (!x->size && !x->xfeature_mask)) {
        x->xfeature_mask = mask;
        x->size = xstate_size();
        return 0;
    }
    if (!cpu.xsave || x->size != xstate_size() || x->xfeature_mask != mask)
        return -EINVAL;
    return copy_to_guest(x->buffer, &head, sizeof(head)) ||
                   copy_to_guest(guest_ptr_add(x->buffer, sizeof(head)), fpu_image(v->pv.fpu_area), cpu.xsave_size) ?
               -EFAULT :
               0;
}

/* What XRSTOR or XSETBV would refuse is refused here: in the hypervisor it must not fault. */
static long set_xstate(struct vcpu *v, const struct xstate_head *head, const void *image)
{
    if (!fpu_xcr0_ok(head->xcr0) || !fpu_xcr0_ok(head->xcr0_accum) || (head->xcr0_accum & ~v->domain->pv.xcr0_mask) ||
        (head->xcr0 & ~head->xcr0_accum) || !fpu_image_ok(image, head->xcr0_accum))
        return -EINVAL;
    v->pv.xcr0 = head->xcr0;
    memcpy(fpu_image(v->pv.fpu_area), image, cpu.xsave_size);
    pv_state_changed(v);
    return 0;
}

long domctl_set_xstate(const struct xen_domctl_vcpuextstate *x, struct vcpu *v)
{
    struct xstate_head head;

    if (x->size < sizeof(head) + FPU_XSAVE_LEAST || x->size > xstate_size())
        return -EINVAL;
    char *image __freed = hv_alloc(cpu.xsave_size); /* zeroed: components that are not sent are as after reset */
    long rc = !image ? -ENOMEM : copy_from_guest(&head, x->buffer, sizeof(head));
    if (!rc)
        rc = copy_from_guest(image, guest_ptr_add(x->buffer, sizeof(head)), x->size - sizeof(head));
    return rc ? rc : set_xstate(v, &head, image);
}

static const u32 saved_msrs[] = { MSR_MCG_STATUS, VMCE_MSR_STATUS, VMCE_MSR_ADDR, VMCE_MSR_MISC, MSR_TSC_AUX, MSR_SPEC_CTRL };

long domctl_get_ext(struct xen_domctl_ext_vcpucontext *x, struct vcpu *v)
{
    *x = (struct xen_domctl_ext_vcpucontext){ .vcpu = v->id,
                                              .size = sizeof(*x),
                                              .syscall32_callback_eip = v->pv.syscall32_cb.address,
                                              .syscall32_disables_events = v->pv.syscall32_cb.mask_events };
    x->vmce.caps = vmce_capabilities();
    return 0;
}

long domctl_set_ext(const struct xen_domctl_ext_vcpucontext *x, struct vcpu *v)
{
    bool with_vmce = x->size >= sizeof(*x);

    if (x->size < offsetof(struct xen_domctl_ext_vcpucontext, vmce) || !is_canonical(x->syscall32_callback_eip) || x->sysenter_callback_eip)
        return -EINVAL; /* SYSENTER is not offered */
    /* Features that this machine lacks are refused, so that a guest from another machine is not promised them: banks signal by #MC only. */
    if (with_vmce && ((x->vmce.caps & ~vmce_capabilities()) || x->vmce.mci_ctl2_bank0 || x->vmce.mci_ctl2_bank1 || x->vmce.mcg_ext_ctl))
        return -EPERM;
    v->pv.syscall32_cb = (struct callback){ x->syscall32_callback_eip, x->syscall32_disables_events };
    return 0;
}

long domctl_get_msrs(struct xen_domctl_vcpu_msrs *x, struct vcpu *v)
{
    u32 room = x->msr_count, n = 0;

    if (!x->msrs.va) {
        x->msr_count = ARRAY_SIZE(saved_msrs);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(saved_msrs); i++) {
        const u64 *field = vmce_field(&v->pv.vmce, saved_msrs[i]);
        struct xen_domctl_vcpu_msr msr = { saved_msrs[i], 0,
                                           field                          ? *field :
                                           saved_msrs[i] == MSR_SPEC_CTRL ? v->pv.spec_ctrl :
                                                                            v->pv.tsc_aux };

        if (!msr.value)
            continue;
        if (n == room)
            return -ENOBUFS;
        if (copy_to_guest(guest_ptr_index(x->msrs, n++, sizeof(msr)), &msr, sizeof(msr)))
            return -EFAULT;
    }
    x->msr_count = n;
    return 0;
}

long domctl_set_msrs(const struct xen_domctl_vcpu_msrs *x, struct vcpu *v)
{
    struct vmce state = { 0 };
    u64 tsc_aux = v->pv.tsc_aux, spec_ctrl = v->pv.spec_ctrl;

    if (x->msr_count > ARRAY_SIZE(saved_msrs))
        return -EINVAL;
    for (u32 i = 0; i < x->msr_count; i++) {
        struct xen_domctl_vcpu_msr msr;

        if (copy_from_guest(&msr, guest_ptr_index(x->msrs, i, sizeof(msr)), sizeof(msr)))
            return -EFAULT;
        if (msr.reserved)
            return -EINVAL;
        u64 *field = vmce_field(&state, msr.index);
        if (field)
            *field = msr.value;
        else if (msr.index == MSR_TSC_AUX && !(msr.value >> 32))
            tsc_aux = msr.value;
        else if (msr.index == MSR_SPEC_CTRL && !(msr.value & ~spec.guest_spec_ctrl))
            spec_ctrl = msr.value;
        else
            return -EINVAL;
    }
    int rc = vmce_set_state(v, &state);
    if (!rc) {
        v->pv.tsc_aux = tsc_aux;
        v->pv.spec_ctrl = spec_ctrl;
        v->pv.spec_ctrl_hw = spec_ctrl_for(spec_ctrl);
        pv_state_changed(v);
    }
    return rc;
}
