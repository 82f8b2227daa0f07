/* SPDX-License-Identifier: MIT */
/* Hypercalls: SYSCALL in guest-kernel mode. RAX number and result; RCX and R11 are lost. */
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/trap.h>

void pv_hypercall(struct cpu_user_regs *regs)
{
    u64 nr = regs->rax;
    hypercall_fn fn = nr < HYPERCALL_MAX ? hypercall_table[index_nospec(nr, HYPERCALL_MAX)] : NULL;

    /* do_iret replaces the whole frame, RAX included: it returns the guest's RAX. */
    regs->rax = fn ? (u64)fn(regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9) : (u64)hypercall_not_offered(nr, regs->rdi);
}

#define SYSCALL_BYTES 2

long hypercall_again(u64 nr, const u64 *args, u32 count)
{
    struct cpu_user_regs *regs = guest_cpu_user_regs();
    u64 *const of_call[] = { &regs->rdi, &regs->rsi, &regs->rdx };
    struct vcpu *v = current;

    if (v->batch.va) { /* do_multicall() leaves, too */
        if (count && copy_to_guest(guest_ptr_add(v->batch, offsetof(struct multicall_entry, args)), args, count * sizeof(*args)))
            return -EFAULT;
        v->batch = GUEST_NULL;
        return (long)nr;
    }
    for (u32 i = 0; i < count; i++)
        *of_call[i] = args[i];
    regs->rip -= SYSCALL_BYTES; /* RCX and R11, which it has changed, it changes again */
    return (long)nr;
}

/* Older kernels call through a page of stubs. PUSH RCX and R11, which SYSCALL changes; iret's stub pushes its RAX, too. */
void pv_fill_hypercall_page(void *page)
{
    memset(page, 0xcc, PAGE_SIZE);
    for (u32 i = 0; i < PAGE_SIZE / 32; i++) {
        bool iret = i == __HYPERVISOR_iret;
        u8 *p = (u8 *)page + 32 * i;

        memcpy(p, iret ? "\x51\x41\x53\x50" : "\x51\x41\x53", 4);
        p += iret ? 4 : 3;
        *p++ = 0xb8; /* mov $i, %eax */
        memcpy(p, &i, 4);
        /* syscall; pop %r11; pop %rcx; ret */
        memcpy(p + 4, "\x0f\x05\x41\x5b\x59\xc3", iret ? 2 : 6);
    }
}

int pv_init_hypercall_page(struct domain *d, mfn_t mfn)
{
    int rc = page_get_and_type(mfn, d, PGT_WRITABLE);

    if (rc)
        return rc;
    pv_fill_hypercall_page(mfn_to_virt(mfn));
    page_put_written(mfn_to_page(mfn));
    return 0;
}
