/* SPDX-License-Identifier: MIT */
/*
 * Writable-page-table assist: a guest kernel's store into one of its L1 tables, which is mapped
 * read-only, is done for it as a checked update. Only what stock kernels do: MOV, XCHG, CMPXCHG,
 * XADD and the read-modify-write group, 1 to 8 bytes inside one entry.
 */
#include <hv/guest_access.h>
#include <hv/x86/insn.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>

struct write {
    u64 value;      /* new contents of the operand */
    u64 reg_result; /* for the register operand */
    bool has_reg_result, store, to_rax, zf, set_zf, cf, set_cf;
};

static u64 alu(unsigned op, u64 a, u64 b)
{
    switch (op) {
    case 0: return a + b;
    case 1: return a | b;
    case 4: return a & b;
    case 5: return a - b;
    default: return a ^ b;
    }
}

static bool alu_supported(unsigned op) { return op == 0 || op == 1 || op == 4 || op == 5 || op == 6; }

/* Flags as AND, OR, XOR set them; additions' carries are of no use on page-table entries. */
static void logic_flags(struct write *w, const struct insn *in, u64 result)
{
    w->set_zf = true;
    w->zf = !(in->size == 8 ? result : result & ((1ULL << (8 * in->size)) - 1));
}

/* What the instruction makes of the operand's old contents. False: not supported. */
static bool compute(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
    unsigned sub = (in->modrm >> 3) & 7;
    u64 src = 0, bit;

    *w = (struct write){ .store = true };
    switch (in->opcode) {
    case 0x88:
    case 0x89: return insn_read_reg(regs, in, insn_reg(in), &w->value);
    case 0xc6:
    case 0xc7: w->value = in->imm; return sub == 0;
    case 0x86:
    case 0x87:
        w->has_reg_result = true;
        w->reg_result = old;
        return insn_read_reg(regs, in, insn_reg(in), &w->value);
    case OP_0F | 0xb0:
    case OP_0F | 0xb1: {
        u64 rax;

        if (!insn_read_reg(regs, in, 0, &rax) || !insn_read_reg(regs, in, insn_reg(in), &w->value))
            return false;
        w->set_zf = true;
        w->zf = rax == old;
        w->store = w->zf;
        w->to_rax = !w->zf;
        w->reg_result = old;
        return true;
    }
    case OP_0F | 0xc0:
    case OP_0F | 0xc1:
        if (!insn_read_reg(regs, in, insn_reg(in), &src))
            return false;
        w->has_reg_result = true;
        w->reg_result = old;
        w->value = old + src;
        logic_flags(w, in, w->value);
        return true;
    case 0x80:
    case 0x81:
    case 0x83:
        if (!alu_supported(sub))
            return false;
        w->value = alu(sub, old, in->imm);
        logic_flags(w, in, w->value);
        return true;
    case 0x00:
    case 0x01:
    case 0x08:
    case 0x09:
    case 0x20:
    case 0x21:
    case 0x28:
    case 0x29:
    case 0x30:
    case 0x31:
        if (!insn_read_reg(regs, in, insn_reg(in), &src))
            return false;
        w->value = alu(in->opcode >> 3, old, src);
        logic_flags(w, in, w->value);
        return true;
    case OP_0F | 0xba:
        /* A bit offset beyond the operand would address another word: only inside ones. */
        bit = in->imm & (8u * in->size - 1);
        break;
    case OP_0F | 0xab:
    case OP_0F | 0xb3:
    case OP_0F | 0xbb:
        if (!insn_read_reg(regs, in, insn_reg(in), &bit) || bit >= 8ULL * in->size)
            return false;
        sub = in->opcode == (OP_0F | 0xab) ? 5 : in->opcode == (OP_0F | 0xb3) ? 6 : 7;
        break;
    default: return false;
    }
    if (sub < 5)
        return false;
    w->value = sub == 5 ? old | 1ULL << bit : sub == 6 ? old & ~(1ULL << bit) : old ^ 1ULL << bit;
    w->set_cf = true;
    w->cf = old >> bit & 1;
    return true;
}

/* One try: 0, -EAGAIN when the entry changed under us, other: not ours. */
static int emulate_once(struct domain *d, struct cpu_user_regs *regs, const struct insn *in, paddr_t at)
{
    unsigned shift = (unsigned)(at & 7) * 8;
    u64 mask = in->size == 8 ? ~0ULL : ((1ULL << (8 * in->size)) - 1) << shift;
    pte_t old = READ_ONCE(*(pte_t *)phys_to_virt(at & ~7ULL));
    struct write w;

    if (!compute(regs, in, (old & mask) >> shift, &w))
        return -EINVAL;
    if (w.store) {
        int rc = pt_entry_cmpxchg_l1(d, at & ~7ULL, old, (old & ~mask) | ((w.value << shift) & mask));

        if (rc)
            return rc;
    }
    if (w.has_reg_result)
        insn_write_reg(regs, in, insn_reg(in), w.reg_result);
    if (w.to_rax)
        insn_write_reg(regs, in, 0, w.reg_result);
    if (w.set_zf)
        regs->rflags = (regs->rflags & ~RFLAGS_ZF) | (w.zf ? RFLAGS_ZF : 0);
    if (w.set_cf)
        regs->rflags = (regs->rflags & ~RFLAGS_CF) | w.cf;
    pv_instruction_done(current, regs, in->len, 0);
    return 0;
}

bool ptwr_emulate(struct vcpu *v, struct cpu_user_regs *regs, u64 va)
{
    struct domain *d = v->domain;
    paddr_t entry_at = guest_range_ok(va, 8) ? pv_walk(v, va, 1) : 0;
    struct insn in;

    if (!entry_at)
        return false;
    pte_t e = READ_ONCE(*(pte_t *)phys_to_virt(entry_at));
    mfn_t mfn = pte_mfn(e);

    /* The page is mapped, read-only, and is an L1 table of this guest. */
    if ((e & (PTE_PRESENT | PTE_RW)) != PTE_PRESENT || !mfn_valid(mfn))
        return false;
    struct page_info *pg = mfn_to_page(mfn);
    u64 info = READ_ONCE(pg->type_info);

    if (page_type_of(info) != PGT_L1 || !(info & PGT_COUNT_MASK))
        return false;
    if (!insn_decode(&in, regs) || !insn_is_memory(&in) || (va & 7) + in.size > 8)
        return false;
    if (!page_owned_by(pg, d))
        return false;
    paddr_t at = (mfn << PAGE_SHIFT) + (va & (PAGE_SIZE - 1));
    int rc = emulate_once(d, regs, &in, at);

    /* -EAGAIN: the entry changed, or is in no table any more. The guest's instruction comes here again if need be. */
    return rc == 0 || rc == -EAGAIN;
}
