/* SPDX-License-Identifier: MIT */
/*
 * Writable-page-table assist: a guest kernel's store into one of its L1 tables, which is mapped
 * read-only, is done for it as a checked update. Only what stock kernels do: MOV, XCHG, CMPXCHG,
 * XADD and the read-modify-write group, 1 to 8 bytes inside one entry.
 */
#include <hv/guest_access.h>
#include <hv/x86/insn.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>

struct write {
    u64 value;      /* new contents of the operand */
    u64 reg_result; /* for the register operand */
    bool has_reg_result, store, to_rax, zf, set_zf, cf, set_cf;
};

/* ModRM.reg of the immediate groups, and bits 3 to 5 of the opcodes with a register (SDM vol. 2, table A-6: groups 1 and 8). */
enum { ALU_ADD = 0, ALU_OR = 1, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6 };
enum { OP_BTS = 5, OP_BTR = 6, OP_BTC = 7 };

static unsigned modrm_reg(const struct insn *in) { return (in->modrm >> 3) & 7; }

/* Flags as AND, OR, XOR set them; additions' carries are of no use on page-table entries. */
static void logic_flags(struct write *w, const struct insn *in, u64 result)
{
    w->set_zf = true;
    w->zf = !(result & bytes_mask(in->size));
}

static bool ptwr_alu(const struct insn *in, unsigned op, u64 old, u64 src, struct write *w)
{
    switch (op) {
    case ALU_ADD: w->value = old + src; break;
    case ALU_OR: w->value = old | src; break;
    case ALU_AND: w->value = old & src; break;
    case ALU_SUB: w->value = old - src; break;
    case ALU_XOR: w->value = old ^ src; break;
    default: return false;
    }
    logic_flags(w, in, w->value);
    return true;
}

static bool alu_register(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
    u64 src;

    return insn_read_reg(regs, in, insn_reg(in), &src) && ptwr_alu(in, in->opcode >> 3, old, src, w);
}

static bool mov_immediate(const struct insn *in, struct write *w)
{
    w->value = in->imm;
    return modrm_reg(in) == 0;
}

static bool xchg(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
    w->has_reg_result = true;
    w->reg_result = old;
    return insn_read_reg(regs, in, insn_reg(in), &w->value);
}

static bool cmpxchg(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
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

static bool xadd(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
    u64 src;

    w->has_reg_result = true;
    w->reg_result = old;
    return insn_read_reg(regs, in, insn_reg(in), &src) && ptwr_alu(in, ALU_ADD, old, src, w);
}

static bool bit_op(unsigned op, u64 old, u64 bit, struct write *w)
{
    if (op < OP_BTS)
        return false;
    w->value = op == OP_BTS ? old | 1ULL << bit : op == OP_BTR ? old & ~(1ULL << bit) : old ^ 1ULL << bit;
    w->set_cf = true;
    w->cf = old >> bit & 1;
    return true;
}

/* A bit offset beyond the operand would address another word: only those inside are done. */
static bool bit_register(struct cpu_user_regs *regs, const struct insn *in, unsigned op, u64 old, struct write *w)
{
    u64 bit;

    return insn_read_reg(regs, in, insn_reg(in), &bit) && bit < 8ULL * in->size && bit_op(op, old, bit, w);
}

/* What the instruction makes of the operand's old contents (SDM vol. 2, appendix A: E memory, G register, I immediate). False: not supported. */
static bool ptwr_compute(struct cpu_user_regs *regs, const struct insn *in, u64 old, struct write *w)
{
    *w = (struct write){ .store = true };
    switch (in->opcode) {
    case 0x88 ... 0x89: return insn_read_reg(regs, in, insn_reg(in), &w->value); /* MOV E,G */
    case 0xc6 ... 0xc7: return mov_immediate(in, w);                             /* MOV E,I */
    case 0x86 ... 0x87: return xchg(regs, in, old, w);                           /* XCHG E,G */
    case OP_0F | 0xb0 ... OP_0F | 0xb1: return cmpxchg(regs, in, old, w);        /* CMPXCHG E,G */
    case OP_0F | 0xc0 ... OP_0F | 0xc1: return xadd(regs, in, old, w);           /* XADD E,G */
    case 0x80 ... 0x81:
    case 0x83: return ptwr_alu(in, modrm_reg(in), old, in->imm, w); /* ADD OR AND SUB XOR E,I */
    case 0x00 ... 0x01:
    case 0x08 ... 0x09:
    case 0x20 ... 0x21:
    case 0x28 ... 0x29:
    case 0x30 ... 0x31: return alu_register(regs, in, old, w);                              /* ADD OR AND SUB XOR E,G */
    case OP_0F | 0xba: return bit_op(modrm_reg(in), old, in->imm & (8u * in->size - 1), w); /* BTS BTR BTC E,I */
    case OP_0F | 0xab: return bit_register(regs, in, OP_BTS, old, w);                       /* BTS E,G */
    case OP_0F | 0xb3: return bit_register(regs, in, OP_BTR, old, w);                       /* BTR E,G */
    case OP_0F | 0xbb: return bit_register(regs, in, OP_BTC, old, w);                       /* BTC E,G */
    default: return false;
    }
}

/* One attempt: 0; -EAGAIN: the entry has changed meanwhile; others: the instruction or the entry is refused. */
static int emulate_once(struct domain *d, struct cpu_user_regs *regs, const struct insn *in, paddr_t at)
{
    unsigned shift = (unsigned)(at & 7) * 8;
    u64 mask = bytes_mask(in->size) << shift;
    pte_t old = READ_ONCE(*(pte_t *)phys_to_virt(at & ~7ULL));
    struct write w;

    if (!ptwr_compute(regs, in, (old & mask) >> shift, &w))
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
