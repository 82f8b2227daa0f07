/* SPDX-License-Identifier: MIT */
/* The few instructions that are emulated for guests, taken apart. Intel SDM vol. 2, chapter 2. */
#pragma once

#include <hv/x86/regs.h>

#define INSN_MAX 15
#define OP_0F 0x100 /* opcodes of two bytes, of which the first is 0Fh */
#define OPCODE_INT 0xcd

enum segment { SEG_DEFAULT, SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

struct insn {
    u8 bytes[INSN_MAX + 9]; /* two words, and room behind them for a look at eight bytes */
    u8 available;           /* bytes that could be fetched */
    u8 len;                 /* of the whole instruction */
    u16 opcode;
    u8 rex, modrm;
    bool has_modrm, lock, rep, op16, addr32; /* rep: either of the two */
    bool truncated;                          /* more bytes are needed than are available */
    u8 size;                                 /* operand: 1, 2, 4 or 8 bytes */
    u8 code;                                 /* bytes of an address, by the code segment */
    u8 sib;
    enum segment segment; /* by prefix */
    s32 displacement;
    u64 imm; /* sign-extended */
};

/* From the guest's CS and RIP; false: not fetchable, or not one of those known here. */
bool insn_decode(struct insn *in, const struct cpu_user_regs *regs) __may_preempt;
/* From bytes, with `code` set. */
bool insn_decode_bytes(struct insn *in);

static inline unsigned insn_reg(const struct insn *in) { return ((in->modrm >> 3) & 7) | ((in->rex & 4) << 1); }
static inline unsigned insn_rm(const struct insn *in) { return (in->modrm & 7) | ((in->rex & 1) << 3); }
static inline bool insn_is_memory(const struct insn *in) { return in->has_modrm && in->modrm < 0xc0; }

/* Bytes of an address in this instruction. */
static inline unsigned insn_address_size(const struct insn *in)
{
    return in->code == 8 ? (in->addr32 ? 4 : 8) : (in->code == 4) != in->addr32 ? 4 : 2;
}
/* Offset of the memory operand, and its segment. */
u64 insn_address(const struct insn *in, struct cpu_user_regs *regs, enum segment *segment);
/* n bytes of an operand, all of them; false: that raised an exception, which has been delivered. */
bool pv_operand_load(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, void *dst, u64 n) __may_preempt;
bool pv_operand_store(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, const void *src,
                      u64 n) __may_preempt;
/* Checks as if it were stored to: for instructions whose effect cannot be undone if the store fails in the end. */
bool pv_operand_writable(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, u64 n) __may_preempt;
/* Whether the instruction could not be decoded for lack of a page, whose #PF has been delivered then. */
bool pv_fetch_failed(struct cpu_user_regs *regs, const struct insn *in) __may_preempt;
/* Register by its number in instruction encoding. */
u64 *insn_gpr(struct cpu_user_regs *regs, unsigned n);
/* Low `size` bytes; AH..BH as byte registers 4 to 7 without REX are not supported (false). */
bool insn_read_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 *v);
void insn_write_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 v);
