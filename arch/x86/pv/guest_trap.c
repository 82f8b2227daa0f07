/* SPDX-License-Identifier: MIT */
/* A guest's own exceptions: emulated where the ABI promises it, else delivered to its handler; a guest without one is ended. */
#include <hv/printk.h>
#include <hv/pv.h>
#include <hv/x86/insn.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/trap.h>

#define ERROR_IDT 2 /* selector error codes: the selector names an IDT gate */

static void guest_trap_inject(struct cpu_user_regs *regs, u32 vector, bool has_error, u32 error)
{
    struct vcpu *v = current;
    const struct trap_info *t = &v->pv.traps[vector];

    if (!t->address)
        guest_crash(v, regs, vector, error, "no handler is registered");
    else if (!pv_bounce(v, regs, t->address, t->flags & TRAP_FLAG_MASK_EVENTS, has_error, error))
        guest_crash(v, regs, vector, error, "its frame cannot be written to the guest's kernel stack");
}

void pv_inject(struct cpu_user_regs *regs, u32 vector, u32 error)
{
    guest_trap_inject(regs, vector, vector < 32 && vector_infos[vector].has_error_code, error);
}

static void page_fault(struct vcpu *v, struct cpu_user_regs *regs, u64 cr2, u32 error)
{
    u64 ldt = PERDOMAIN_VIRT_START + ((u64)v->id << GDT_LDT_VCPU_SHIFT) + 16 * PAGE_SIZE;

    if (log_dirty_fault(v, cr2, &error))
        return;
    /* Reserved bits are never let into a guest's tables. */
    if (error & PFEC_RESERVED)
        printk(GUEST_ERR "d%u: reserved-bit page fault at %016lx\n", v->domain->id, cr2);
    if (cr2 - ldt < 16 * PAGE_SIZE) {
        if (pv_ldt_fault(v, cr2 - ldt))
            return;
        cr2 += v->pv.ldt_base - ldt; /* where the guest has it */
    }
    if ((error & (PFEC_PRESENT | PFEC_WRITE)) == (PFEC_PRESENT | PFEC_WRITE) && v->pv.guest_kernel_mode &&
        (v->domain->vm_assist & (1ULL << VMASST_TYPE_writable_pagetables)) && ptwr_emulate(v, regs, cr2))
        return;
    error = (error & ~(u32)PFEC_USER) | (v->pv.guest_kernel_mode ? 0 : PFEC_USER);
    if (v->info)
        v->info->arch.cr2 = cr2;
    pv_inject(regs, VEC_PF, error);
}

void pv_access_failed(struct cpu_user_regs *regs, const struct mended *fault)
{
    if (fault->vector == VEC_PF)
        page_fault(current, regs, fault->address, fault->error);
    else
        guest_trap_inject(regs, fault->vector, vector_infos[fault->vector].has_error_code, fault->error);
}

/*
 * INT n: the guest's own gate decides. n is the instruction's: QEMU's emulator puts 16 * n into the error code where
 * processors put 8 * n (SDM vol. 3, 6.13). Prefixes make the instruction longer.
 */
static bool software_interrupt(struct vcpu *v, struct cpu_user_regs *regs, u32 *error)
{
    struct insn in;

    if (!insn_decode(&in, regs) || in.opcode != OPCODE_INT)
        return false;
    u32 n = (u8)in.imm;
    const struct trap_info *t = &v->pv.traps[index_nospec(n, ARRAY_SIZE(v->pv.traps))];
    *error = n * 8 + ERROR_IDT;
    if (!t->address || (!v->pv.guest_kernel_mode && (t->flags & TRAP_FLAG_DPL) != TRAP_FLAG_DPL))
        return false;
    regs->rip += in.len;
    guest_trap_inject(regs, n, false, 0); /* INT n never pushes an error code */
    return true;
}

static void general_protection(struct vcpu *v, struct cpu_user_regs *regs)
{
    u32 error = regs->error_code;

    if ((error & 7) == ERROR_IDT ? software_interrupt(v, regs, &error) : pv_emulate_privileged(v, regs))
        return;
    pv_inject(regs, VEC_GP, error);
}

static void guest_debug_trap(struct vcpu *v, struct cpu_user_regs *regs)
{
    u64 dr6, clear = DR6_RESERVED_1;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" ::"r"(clear));
    v->pv.dr[6] |= dr6 & DR6_WRITABLE;
    pv_inject(regs, VEC_DB, 0);
}

static void invalid_opcode(struct vcpu *v, struct cpu_user_regs *regs)
{
    if (!pv_emulate_forced_cpuid(v, regs))
        pv_inject(regs, VEC_UD, 0);
}

static void no_fpu(struct vcpu *v, struct cpu_user_regs *regs)
{
    if (v->pv.cr0_ts) {
        /* The ABI clears TS for the handler. */
        v->pv.cr0_ts = false;
        write_cr0(read_cr0() & ~(u64)CR0_TS);
    }
    pv_inject(regs, VEC_NM, 0);
}

void pv_deliver_exception(struct cpu_user_regs *regs, u32 vector) { pv_inject(regs, vector, regs->error_code); }

void pv_emulate_exception(struct cpu_user_regs *regs, u32 vector)
{
    struct vcpu *v = current;

    switch (vector) {
    case VEC_PF: page_fault(v, regs, read_cr2(), regs->error_code); return;
    case VEC_GP: general_protection(v, regs); return;
    case VEC_DB: guest_debug_trap(v, regs); return;
    case VEC_UD: invalid_opcode(v, regs); return;
    case VEC_NM: no_fpu(v, regs); return;
    }
}
