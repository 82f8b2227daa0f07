/* SPDX-License-Identifier: MIT */
/*
 * SGDT, SIDT, SLDT, STR and SMSW. They would tell where the hypervisor's tables are, so UMIP makes them fault in guests;
 * CPUID hides UMIP, so no kernel would emulate them for its programs. Here they show nothing of anybody: the bases that
 * Linux shows where it does so, limits of 0.
 */
#include <hv/x86/insn.h>
#include <hv/x86/pv/emulate.h>

#define SHOWN_GDT_BASE 0xfffffffffffe0000UL
#define SHOWN_IDT_BASE 0xffffffffffff0000UL

enum { SLDT = 0x000, STR = 0x001, SGDT = 0x100, SIDT = 0x101, SMSW = 0x104 };

static bool umip_store(struct cpu_user_regs *regs, const struct insn *in, const void *src, u64 n)
{
    enum segment segment;
    u64 offset = insn_address(in, regs, &segment);

    return pv_operand_store(regs, in, segment, offset, src, n);
}

static enum outcome show_word(struct cpu_user_regs *regs, const struct insn *in, u16 value)
{
    if (insn_is_memory(in))
        return umip_store(regs, in, &value, sizeof(value)) ? DONE : RAISED;
    insn_write_reg(regs, in, insn_rm(in), value);
    return DONE;
}

static enum outcome show_table(struct cpu_user_regs *regs, const struct insn *in, u64 base)
{
    const struct table_pointer shown = { 0, base };

    if (!insn_is_memory(in))
        return REFUSED; /* other instructions */
    return umip_store(regs, in, &shown, in->code == 8 ? 10 : 6) ? DONE : RAISED;
}

enum outcome pv_emulate_umip(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in)
{
    switch ((in->opcode & 1) << 8 | (in->modrm >> 3 & 7)) {
    case SLDT: return show_word(regs, in, v->pv.ldt_entries ? SEL_LDT : 0);
    case STR: return show_word(regs, in, 0);
    case SGDT: return show_table(regs, in, SHOWN_GDT_BASE);
    case SIDT: return show_table(regs, in, SHOWN_IDT_BASE);
    case SMSW: return show_word(regs, in, CR0_NE | CR0_ET | CR0_MP | CR0_PE | (v->pv.cr0_ts ? CR0_TS : 0));
    default: return REFUSED;
    }
}
