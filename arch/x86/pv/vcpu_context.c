/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's state as a whole, in the ABI's form: what a guest gives the vCPUs that it starts, and a toolstack those of a new domain or one that
 * is restored; and what a toolstack reads. v is outside the hypervisor, and nobody else writes its state.
 */
#include <hv/guest_access.h>
#include <hv/pv.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>

static bool addresses_ok(const struct vcpu_guest_context *c)
{
    const u64 list[] = { c->user_regs.rip, c->event_callback_eip, c->failsafe_callback_eip, c->syscall_callback_eip,
                         c->fs_base,       c->gs_base_kernel,     c->gs_base_user };

    for (size_t i = 0; i < ARRAY_SIZE(list); i++)
        if (!is_canonical(list[i]))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (!is_canonical(c->trap_ctxt[i].address))
            return false;
    return true;
}

static bool tables_ok(const struct vcpu_guest_context *c)
{
    return c->ldt_ents <= 8192 && (!c->ldt_ents || !(c->ldt_base & (PAGE_SIZE - 1))) && guest_range_ok(c->ldt_base, c->ldt_ents * 8) &&
           c->gdt_ents <= GDT_RESERVED_BASE / 8 && ((c->flags & VGCF_in_kernel) || c->ctrlreg[1] >> PAGE_SHIFT);
}

static bool context_ok(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    return v->info && addresses_ok(c) && tables_ok(c) && pv_debugregs_ok(c->debugreg, pv_cr4_wish(c->ctrlreg[4])) &&
           (v->id || !(c->vm_assist & ~PV_VM_ASSISTS)) && (!(c->flags & VGCF_i387_valid) || fpu_legacy_ok(&c->fpu_ctxt));
}

/* Of a vCPU that has tables they stay, as under Xen: other CPUs may have them loaded, and the guest changes them by itself. */
static bool same_tables(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    const struct pv_vcpu *p = &v->pv;

    return p->base[0] == c->ctrlreg[3] >> PAGE_SHIFT && p->base[1] == c->ctrlreg[1] >> PAGE_SHIFT && p->gdt_entries == c->gdt_ents &&
           !memcmp(p->gdt_frames, c->gdt_frames, p->gdt_nr_frames * sizeof(mfn_t)) && p->ldt_base == c->ldt_base &&
           p->ldt_entries == c->ldt_ents;
}

static int take_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc = pv_set_gdt(v, c->gdt_frames, (u32)c->gdt_ents);

    if (!rc)
        rc = pv_set_base(v, false, c->ctrlreg[3] >> PAGE_SHIFT);
    if (!rc)
        rc = pv_set_base(v, true, c->ctrlreg[1] >> PAGE_SHIFT);
    if (rc) {
        pv_drop_tables(v);
        return rc;
    }
    v->pv.ldt_base = c->ldt_base;
    v->pv.ldt_entries = (u32)c->ldt_ents;
    return 0;
}

static void set_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct cpu_user_regs *regs = &stack_block_top(v->stack_block)->guest_regs;
    struct pv_vcpu *p = &v->pv;

    memcpy(regs, &c->user_regs, sizeof(*regs));
    regs->cs |= 3;
    regs->ss |= 3;
    regs->entry_vector = 0;
    regs->rflags = (regs->rflags & ~(RFLAGS_IOPL | RFLAGS_VM)) | RFLAGS_IF | RFLAGS_FIXED;
    pv_set_iopl(v, (u32)(c->user_regs.rflags >> 12) & 3);
    p->ds = c->user_regs.ds;
    p->es = c->user_regs.es;
    p->fs = c->user_regs.fs;
    p->gs = c->user_regs.gs;
    p->selectors_lost = p->selectors_due = false;
    p->guest_kernel_mode = c->flags & VGCF_in_kernel;
    p->fs_base = c->fs_base;
    p->gs_base = p->guest_kernel_mode ? c->gs_base_kernel : c->gs_base_user;
    p->gs_base_shadow = p->guest_kernel_mode ? c->gs_base_user : c->gs_base_kernel;
    p->cr0_ts = c->ctrlreg[0] & CR0_TS;
    p->cr4 = pv_cr4_wish(c->ctrlreg[4]);
    pv_write_debugregs(v, c->debugreg);
    if (c->flags & VGCF_i387_valid)
        fpu_set_legacy(p->fpu_area, &c->fpu_ctxt);
    else
        fpu_area_init(p->fpu_area);
}

static void set_entries(struct vcpu *v, const struct vcpu_guest_context *c)
{
    memcpy(v->pv.traps, c->trap_ctxt, sizeof(v->pv.traps));
    pv_traps_changed(v);
    pv_set_kernel_stack(v, (u16)c->kernel_ss, c->kernel_sp);
    v->pv.event_cb = (struct callback){ c->event_callback_eip, true };
    v->pv.failsafe_cb = (struct callback){ c->failsafe_callback_eip, c->flags & VGCF_failsafe_disables_events };
    v->pv.syscall_cb = (struct callback){ c->syscall_callback_eip, c->flags & VGCF_syscall_disables_events };
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    if (!context_ok(v, c))
        return -EINVAL;
    if (v->initialised && !same_tables(v, c))
        return -EOPNOTSUPP;
    int rc = v->initialised ? 0 : take_tables(v, c);
    if (rc)
        return rc;
    if (!v->id) {
        v->domain->vm_assist = c->vm_assist;
        pv_vm_assist_changed(v->domain);
    }
    set_registers(v, c);
    set_entries(v, c);
    v->nmi_masked = false;
    pv_state_changed(v);
    __atomic_store_n(&v->initialised, true, __ATOMIC_RELEASE); /* whoever sees it, sees all of the above */
    return 0;
}

static u64 flags_of(const struct vcpu *v)
{
    return VGCF_i387_valid | (v->pv.guest_kernel_mode ? VGCF_in_kernel : 0) | (v->pause_flags & PAUSE_DOWN ? 0 : VGCF_online) |
           (v->pv.failsafe_cb.mask_events ? VGCF_failsafe_disables_events : 0) |
           (v->pv.syscall_cb.mask_events ? VGCF_syscall_disables_events : 0);
}

static void get_registers(const struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct pv_vcpu *p = &v->pv;

    fpu_get_legacy(p->fpu_area, &c->fpu_ctxt);
    memcpy(&c->user_regs, &stack_block_top(v->stack_block)->guest_regs, sizeof(c->user_regs));
    c->user_regs.rflags |= (u64)p->iopl << 12;
    c->user_regs.ds = p->ds;
    c->user_regs.es = p->es;
    c->user_regs.fs = p->fs;
    c->user_regs.gs = p->gs;
    c->fs_base = p->fs_base;
    c->gs_base_kernel = p->guest_kernel_mode ? p->gs_base : p->gs_base_shadow;
    c->gs_base_user = p->guest_kernel_mode ? p->gs_base_shadow : p->gs_base;
    c->ctrlreg[0] = pv_guest_cr0(v);
    c->ctrlreg[1] = p->base[1] << PAGE_SHIFT;
    c->ctrlreg[2] = v->info ? v->info->arch.cr2 : 0;
    c->ctrlreg[3] = p->base[0] << PAGE_SHIFT;
    c->ctrlreg[4] = pv_guest_cr4(v);
    memcpy(c->debugreg, p->dr, sizeof(c->debugreg));
}

void pv_get_context(const struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct pv_vcpu *p = &v->pv;

    *c = (struct vcpu_guest_context){ .flags = flags_of(v),
                                      .ldt_base = p->ldt_base,
                                      .ldt_ents = p->ldt_entries,
                                      .gdt_ents = p->gdt_entries,
                                      .kernel_ss = p->kernel_ss,
                                      .kernel_sp = p->kernel_sp,
                                      .event_callback_eip = p->event_cb.address,
                                      .failsafe_callback_eip = p->failsafe_cb.address,
                                      .syscall_callback_eip = p->syscall_cb.address,
                                      .vm_assist = v->domain->vm_assist };
    memcpy(c->gdt_frames, p->gdt_frames, p->gdt_nr_frames * sizeof(mfn_t));
    memcpy(c->trap_ctxt, p->traps, sizeof(c->trap_ctxt));
    get_registers(v, c);
}
