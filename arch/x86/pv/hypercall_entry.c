/* Hypercalls: SYSCALL in guest-kernel mode. RAX number and result; RCX and R11 are lost. */
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>
#include <hv/pv.h>

void pv_hypercall(struct cpu_user_regs *regs)
{
    u64 nr = regs->rax;
    hypercall_fn fn = nr < HYPERCALL_MAX ? hypercall_table[index_nospec(nr, HYPERCALL_MAX)] : NULL;

    /* do_iret replaces the whole frame, RAX included: it returns the guest's RAX. */
    regs->rax = fn ? (u64)fn(regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9) : (u64)-ENOSYS;
}
