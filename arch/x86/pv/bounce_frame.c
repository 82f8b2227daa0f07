/* SPDX-License-Identifier: MIT */
/*
 * Entering the guest's kernel: the frames of the ABI (exceptions, SYSCALL, events, failsafe),
 * and the last check before every return to a guest.
 */
#include <hv/guest_access.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/vectors.h>

void pv_set_kernel_stack(struct vcpu *v, u16 ss, u64 sp)
{
    const u64 largest = 16 * sizeof(u64);
    u64 top = sp & ~15UL;

    v->pv.kernel_ss = ss | 3;
    v->pv.kernel_sp = sp;
    v->pv.bounce_sp = guest_range_ok(top - largest, largest) ? top : 0;
}

void pv_set_iopl(struct vcpu *v, u32 iopl)
{
    bool architectural = v->domain->vm_assist & (1ULL << VMASST_TYPE_architectural_iopl);

    v->pv.iopl = iopl;
    v->architectural_iopl = architectural;
    v->pv.frame_iopl = architectural ? (u64)iopl << 12 : 0;
}

void pv_toggle_mode(struct vcpu *v)
{
    v->pv.guest_kernel_mode = !v->pv.guest_kernel_mode;
    __asm__ volatile("swapgs");
    pv_load_address_space(v);
}

static u64 upcall_mask(const struct vcpu *v) { return v->info ? READ_ONCE(v->info->evtchn_upcall_mask) & 1 : 1; }

/* Writes the words below the guest's kernel stack pointer and points the registers at the handler. */
static force_inline bool push_frame(struct vcpu *v, struct cpu_user_regs *regs, const u64 *head, const unsigned n, u64 handler,
                                    bool mask_events)
{
    bool from_user = !v->pv.guest_kernel_mode;
    u64 frame[11], sp = from_user ? v->pv.kernel_sp : regs->rsp, mask = upcall_mask(v);
    u64 flags = (regs->rflags & ~(RFLAGS_IF | RFLAGS_IOPL)) | v->pv.frame_iopl;

    for (unsigned i = 0; i < n; i++)
        frame[i] = head[i];
    frame[n] = regs->rip;
    frame[n + 1] = (u64)(from_user ? regs->cs : regs->cs & ~3) | (mask << 32);
    frame[n + 2] = flags | (mask ? 0 : RFLAGS_IF);
    frame[n + 3] = regs->rsp;
    frame[n + 4] = regs->ss;

    if (from_user)
        pv_toggle_mode(v);
    sp = (sp & ~15UL) - (n + 5) * 8;
    if (!guest_range_ok(sp, (n + 5) * 8) || !guest_write_words(guest_ptr(sp), frame, n + 5))
        return false;
    if (mask_events && v->info)
        WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
    regs->rsp = sp;
    regs->ss = SEL_GUEST_DS;
    regs->rip = handler;
    regs->cs = SEL_GUEST_CS64;
    regs->rflags &= ~(RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | RFLAGS_AC);
    /* The frame holds rcx and r11: SYSRET may use the registers. */
    regs->entry_vector = ENTRY_SYSCALL;
    return true;
}

bool pv_bounce(struct vcpu *v, struct cpu_user_regs *regs, u64 handler, bool mask_events, bool has_error, u32 error)
{
    u64 head[3] = { regs->rcx, regs->r11, error };

    return has_error ? push_frame(v, regs, head, 3, handler, mask_events) : push_frame(v, regs, head, 2, handler, mask_events);
}

bool pv_failsafe_bounce(struct vcpu *v, struct cpu_user_regs *regs)
{
    const struct pv_vcpu *p = &v->pv;
    u64 head[6] = { regs->rcx, regs->r11, p->ds, p->es, p->fs, p->gs };

    return push_frame(v, regs, head, 6, p->failsafe_cb.address, p->failsafe_cb.mask_events);
}

void guest_iret_failed(struct cpu_user_regs *regs)
{
    struct vcpu *v = current;
    struct mended fault = this_cpu()->mended; /* before other vCPUs have a turn */
    bool mapped = pv_ldt_map(v, (u16)regs->cs);

    if (pv_ldt_map(v, (u16)regs->ss) || mapped)
        return; /* the descriptors are there now: IRETQ is done again */
    pv_access_failed(regs, &fault);
}

/* The stack of the guest's kernel cannot be written (fast_paths.S); the mode has changed already. */
void guest_bounce_failed(struct cpu_user_regs *regs)
{
    bool syscall = regs->entry_vector == ENTRY_SYSCALL;

    guest_crash(current, regs, syscall ? CRASH_SYSCALL : regs->entry_vector & 0xff, regs->error_code,
                "its frame cannot be written to the guest's kernel stack");
}

void syscall_from_guest(struct cpu_user_regs *regs)
{
    struct vcpu *v = current;

    if (likely(v->pv.guest_kernel_mode)) {
        pv_hypercall(regs);
        return;
    }
    const struct callback *cb = regs->cs == SEL_GUEST_CS32 ? &v->pv.syscall32_cb : &v->pv.syscall_cb;
    if (!cb->address) {
        regs->rip -= 2;
        pv_inject(regs, VEC_UD, 0);
        return;
    }
    regs->rcx = regs->rip;
    regs->r11 = regs->rflags;
    if (!pv_bounce(v, regs, cb->address, cb->mask_events, false, 0))
        guest_crash(v, regs, CRASH_SYSCALL, 0, "its frame cannot be written to the guest's kernel stack");
    else
        regs->rflags &= ~RFLAGS_DF;
}

/* Delivers one #MC, NMI or event upcall to the guest if one is due; false: none is. */
static bool deliver_pending(struct vcpu *v, struct cpu_user_regs *regs)
{
    struct vcpu_info *info = v->info;

    if (unlikely(v->pv.vmce.pending)) {
        v->pv.vmce.pending = false;
        pv_inject(regs, VEC_MC, 0);
        return true;
    }
    if (v->nmi_pending && !v->nmi_masked && v->pv.traps[VEC_NMI].address) {
        v->nmi_masked = true;
        __atomic_fetch_sub(&v->nmi_pending, 1, __ATOMIC_SEQ_CST);
        pv_inject(regs, VEC_NMI, 0);
        return true;
    }
    if (info && READ_ONCE(info->evtchn_upcall_pending) && !(READ_ONCE(info->evtchn_upcall_mask) & 1) && v->pv.event_cb.address) {
        if (!pv_bounce(v, regs, v->pv.event_cb.address, true, false, 0))
            guest_crash(v, regs, CRASH_EVENT, 0, "its frame cannot be written to the guest's kernel stack");
        return true;
    }
    return false;
}

/* Everything that is due before the guest runs again; interrupts stay off from the last look to the return. True if SYSRET may be used. */
bool prepare_guest_return(struct cpu_user_regs *regs)
{
    struct vcpu *v = current;

    for (;;) {
        if (unlikely(READ_ONCE(this_cpu()->softirq_pending)) && softirq_pending()) {
            softirq_process();
            continue;
        }
        if (deliver_pending(v, regs))
            continue;
        if (likely(is_canonical(regs->rip)))
            break;
        /* IRETQ would fault here on some processors, in the guest on others: decide in one place. */
        pv_inject(regs, VEC_GP, 0);
    }
    regs->rflags = (regs->rflags & ~(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_NT)) | RFLAGS_IF | RFLAGS_FIXED;
    return regs->entry_vector == ENTRY_SYSCALL && regs->cs == SEL_GUEST_CS64 && regs->ss == SEL_GUEST_DS &&
           !(regs->rflags & (RFLAGS_RF | RFLAGS_TF));
}
