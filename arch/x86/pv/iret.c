/* SPDX-License-Identifier: MIT */
/* The iret hypercall: the guest kernel's way back to its user mode, or to itself. */
#include <hv/hypercall.h>
#include <hv/x86/pv/trap.h>

long do_iret(void)
{
    struct vcpu *v = current;
    struct cpu_user_regs *regs = guest_cpu_user_regs();
    struct iret_context f;

    if (copy_from_guest(&f, guest_ptr(regs->rsp), sizeof(f))) {
        guest_crash(v, regs, CRASH_RETURN, 0, "the iret hypercall's stack is not readable");
        return 0;
    }
    if (v->architectural_iopl)
        pv_set_iopl(v, (u32)(f.rflags >> 12) & 3);
    if ((f.cs & 3) == 3) {
        if (!v->pv.base[1]) {
            guest_crash(v, regs, CRASH_RETURN, 0, "iret to user mode without a user page table");
            return 0;
        }
        pv_toggle_mode(v);
    }
    regs->rip = f.rip;
    regs->cs = (u16)f.cs | 3; /* never ring 0 */
    regs->rflags = (f.rflags & ~(RFLAGS_IOPL | RFLAGS_VM)) | RFLAGS_IF;
    regs->rsp = f.rsp;
    regs->ss = (u16)f.ss | 3;
    if (f.flags & VGCF_in_syscall) {
        regs->entry_vector = ENTRY_SYSCALL;
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
    } else {
        /* SYSRET leaves RIP in RCX and RFLAGS in R11: as good if that is what the frame asks for. */
        bool like_sysret = f.rcx == f.rip && f.r11 == regs->rflags;

        regs->entry_vector = like_sysret ? ENTRY_SYSCALL : 0;
        regs->rcx = f.rcx;
        regs->r11 = f.r11;
    }
    v->nmi_masked = false;
    if (v->info)
        WRITE_ONCE(v->info->evtchn_upcall_mask, !(f.rflags & RFLAGS_IF));
    return (long)f.rax;
}

long pv_iret_in_batch(void)
{
    long rax = do_iret();

    guest_cpu_user_regs()->entry_vector = 0; /* its frame is not that of the hypercall: the fast exit must not take it */
    return rax;
}
