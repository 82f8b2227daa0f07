/* SPDX-License-Identifier: MIT */
/*
 * What a guest that is ended gets on the console: what happened, where it was, which path of the
 * hypervisor gave it up, and for a page fault the walk down to the missing level.
 */
#include <hv/guest_access.h>
#include <hv/printk.h>
#include <hv/x86/trap.h>
#include <hv/x86/pv/trap.h>

static void print_code(const struct cpu_user_regs *regs)
{
    u8 code[16];

    if (copy_from_guest(code, guest_ptr(regs->rip), sizeof(code))) {
        printk(LOG_ERR "Code at rip: not readable\n");
        return;
    }
    printk(LOG_ERR "Code at rip:");
    for (size_t i = 0; i < sizeof(code); i++)
        printk(" %02x", code[i]);
    printk("\n");
}

static void print_stack(const struct cpu_user_regs *regs)
{
    u64 stack[16];

    printk(LOG_ERR "Guest stack at %016lx:\n", regs->rsp);
    if (copy_from_guest(stack, guest_ptr(regs->rsp), sizeof(stack))) {
        printk(LOG_ERR "  not readable\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(stack); i += 4)
        printk(LOG_ERR "  %016lx %016lx %016lx %016lx\n", stack[i], stack[i + 1], stack[i + 2], stack[i + 3]);
}

void guest_crash_by(const char *by, struct vcpu *v, const struct cpu_user_regs *regs, u32 vector, u32 error, const char *why)
{
    const char *what = vector < 32             ? vector_infos[vector].what :
                       vector == CRASH_SYSCALL ? "SYSCALL" :
                       vector == CRASH_EVENT   ? "event upcall" :
                       vector == CRASH_RETURN  ? "return to the guest" :
                                                 "interrupt";

    /* Once in a domain's life: a guest could fill the log, with a crash on each vCPU or with a toolstack that resumes it. */
    if (__atomic_exchange_n(&v->domain->crash_reported, true, __ATOMIC_RELAXED)) {
        domain_crash(v->domain, "unhandled %s: %s", what, why);
        return;
    }
    printk(LOG_ERR "d%u:v%u: unhandled %s (ec=%04x) in %s mode: %s\n", v->domain->id, v->id, what, error,
           v->pv.guest_kernel_mode ? "kernel" : "user", why);
    printk(LOG_ERR "Given up by %s()\n", by);
    if (vector == VEC_PF)
        page_walk_print(read_cr3(), v->info ? v->info->arch.cr2 : read_cr2(), LOG_ERR);
    registers_print(regs, LOG_ERR);
    print_code(regs);
    print_stack(regs);
    domain_crash(v->domain, "unhandled %s: %s", what, why);
}
