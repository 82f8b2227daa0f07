/* SPDX-License-Identifier: MIT */
/* Instructions taken apart. Intel SDM vol. 2, chapter 2 and appendix A. */
#include <hv/lib.h>
#include <hv/x86/insn.h>

enum { KNOWN = 1, MODRM = 2, IMM8 = 4, IMM = 8, BYTE = 16, CONTROL = 32 };

/* How opcodes continue, those of one byte and those behind 0Fh; 0: not known here. Pairs are of bytes and of the operand size. */
#define PAIR(op, what) [op] = (what) | BYTE, [(op) + 1] = (what)
/* clang-format off */
static const u8 attributes[2][256] = {
    {
        PAIR(0x00, MODRM), PAIR(0x08, MODRM), PAIR(0x20, MODRM), PAIR(0x28, MODRM), PAIR(0x30, MODRM), /* ADD OR AND SUB XOR E,G */
        PAIR(0x80, MODRM | IMM), [0x83] = MODRM | IMM8, PAIR(0x86, MODRM), PAIR(0x88, MODRM), /* the same with immediates, XCHG, MOV */
        PAIR(0xc6, MODRM | IMM), [OPCODE_INT] = IMM8 | BYTE,
        PAIR(0x6c, KNOWN), PAIR(0x6e, KNOWN), /* INS OUTS */
        PAIR(0xe4, IMM8), PAIR(0xe6, IMM8), PAIR(0xec, KNOWN), PAIR(0xee, KNOWN), /* IN OUT */
        [0xfa] = KNOWN, [0xfb] = KNOWN, /* CLI STI */
    },
    {
        [0x00] = MODRM, [0x01] = MODRM, /* groups of SLDT, SGDT, XSETBV */
        [0x06] = KNOWN, [0x08] = KNOWN, [0x09] = KNOWN, /* CLTS INVD WBINVD */
        [0x20 ... 0x23] = MODRM | CONTROL, /* MOV CRn, DRn */
        [0x30 ... 0x32] = KNOWN, [0xa2] = KNOWN, /* WRMSR RDTSC RDMSR CPUID */
        [0xab] = MODRM, [0xb3] = MODRM, [0xbb] = MODRM, [0xba] = MODRM | IMM8, /* BTS BTR BTC */
        PAIR(0xb0, MODRM), PAIR(0xc0, MODRM), /* CMPXCHG XADD */
    },
};
/* clang-format on */

static bool truncated(struct insn *in)
{
    in->truncated = true;
    return false;
}

static bool insn_next_byte(struct insn *in, u8 *b)
{
    if (in->len >= in->available)
        return truncated(in);
    *b = in->bytes[in->len++];
    return true;
}

/* Takes a number of 1 to 8 bytes, sign-extended. */
static bool insn_next_number(struct insn *in, unsigned bytes, u64 *v)
{
    unsigned others = 64 - 8 * bytes;
    u64 word;

    if (in->len + bytes > in->available)
        return truncated(in);
    memcpy(&word, in->bytes + in->len, sizeof(word));
    in->len = (u8)(in->len + bytes);
    *v = (u64)((s64)(word << others) >> others);
    return true;
}

enum { OPERAND_SIZE = SEG_GS + 1, ADDRESS_SIZE, LOCK, REPNE, REP, REX };
/* clang-format off */
static const u8 prefix[256] = {
    [0x26] = SEG_ES, [0x2e] = SEG_CS, [0x36] = SEG_SS, [0x3e] = SEG_DS, [0x64] = SEG_FS, [0x65] = SEG_GS,
    [0x66] = OPERAND_SIZE, [0x67] = ADDRESS_SIZE, [0xf0] = LOCK, [0xf2] = REPNE, [0xf3] = REP, [0x40 ... 0x4f] = REX,
};
/* clang-format on */

/* Takes the prefixes and the byte behind them. A REX prefix counts only right before that byte (SDM vol. 2, 2.2.1). */
static bool prefixes(struct insn *in, u8 *b)
{
    while (insn_next_byte(in, b)) {
        u8 kind = prefix[*b];

        if (likely(!kind) || (kind == REX && in->code != 8))
            return true;
        in->rex = kind == REX ? *b : 0;
        switch (kind) {
        case REX: break;
        case OPERAND_SIZE: in->op16 = true; break;
        case ADDRESS_SIZE: in->addr32 = true; break;
        case LOCK: in->lock = true; break;
        case REPNE:
        case REP: in->rep = true; break;
        default:
            if (in->code != 8 || kind >= SEG_FS) /* 64-bit code ignores the others */
                in->segment = kind;
        }
    }
    return false;
}

static bool address_bytes(struct insn *in)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7, bytes = mod == 1 ? 1 : mod != 2 ? 0 : insn_address_size(in) == 2 ? 2 : 4;
    u64 displacement = 0;

    if (mod == 3)
        return true;
    if (insn_address_size(in) == 2) {
        if (rm == 6 && mod == 0)
            bytes = 2;
    } else if (rm == 4) {
        if (!insn_next_byte(in, &in->sib))
            return false;
        if ((in->sib & 7) == 5 && mod == 0)
            bytes = 4;
    } else if (rm == 5 && mod == 0) {
        bytes = 4;
    }
    if (bytes && !insn_next_number(in, bytes, &displacement))
        return false;
    in->displacement = (s32)displacement;
    return true;
}

bool insn_decode_bytes(struct insn *in)
{
    u8 b;

    if (!prefixes(in, &b))
        return false;
    in->opcode = b;
    if (b == 0x0f) {
        if (!insn_next_byte(in, &b))
            return false;
        in->opcode = OP_0F | b;
    }
    u8 a = attributes[in->opcode >= OP_0F][b];
    if (!a)
        return false;
    in->size = a & BYTE ? 1 : (a & CONTROL) || (in->rex & 8) ? 8 : in->op16 == (in->code != 2) ? 2 : 4;
    if (a & MODRM) {
        in->has_modrm = true;
        if (!insn_next_byte(in, &in->modrm))
            return false;
        if (a & CONTROL)
            in->modrm |= 0xc0; /* registers, whatever it says */
        if (!address_bytes(in))
            return false;
    }
    return !(a & (IMM8 | IMM)) || insn_next_number(in, a & IMM8 ? 1 : MIN(in->size, 4u), &in->imm);
}

u64 *insn_gpr(struct cpu_user_regs *r, unsigned n)
{
#define AT(reg) offsetof(struct cpu_user_regs, reg)
    static const u8 at[16] = { AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
                               AT(r8),  AT(r9),  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15) };

    return (u64 *)((char *)r + at[n & 15]);
}

/* BX+SI, BX+DI, BP+SI, BP+DI, SI, DI, BP, BX */
static u64 address_16(const struct insn *in, struct cpu_user_regs *regs, bool *on_stack)
{
    static const u8 first[8] = { 3, 3, 5, 5, 6, 7, 5, 3 }, second[4] = { 6, 7, 6, 7 };
    unsigned rm = in->modrm & 7;
    u64 at = (u64)(s64)in->displacement;

    if (rm != 6 || in->modrm >> 6) {
        at += *insn_gpr(regs, first[rm]) + (rm < 4 ? *insn_gpr(regs, second[rm & 3]) : 0);
        *on_stack = first[rm] == 5;
    }
    return (u16)at;
}

static u64 address_with_sib(const struct insn *in, struct cpu_user_regs *regs, bool *on_stack)
{
    unsigned base = (in->sib & 7) | (in->rex & 1) << 3, index = (in->sib >> 3 & 7) | (in->rex & 2) << 2;
    u64 at = 0;

    if ((base & 7) != 5 || in->modrm >> 6) {
        at += *insn_gpr(regs, base);
        *on_stack = base == 4 || base == 5;
    }
    return index == 4 ? at : at + (*insn_gpr(regs, index) << (in->sib >> 6));
}

u64 insn_address(const struct insn *in, struct cpu_user_regs *regs, enum segment *segment)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7;
    bool on_stack = false;
    u64 at = (u64)(s64)in->displacement;

    if (insn_address_size(in) == 2) {
        at = address_16(in, regs, &on_stack);
    } else if (rm == 4) {
        at += address_with_sib(in, regs, &on_stack);
    } else if (rm == 5 && !mod) {
        at += in->code == 8 ? regs->rip + in->len : 0;
    } else {
        at += *insn_gpr(regs, insn_rm(in));
        on_stack = insn_rm(in) == 5;
    }
    *segment = in->segment ? in->segment : on_stack ? SEG_SS : SEG_DS;
    return insn_address_size(in) == 8 ? at : (u32)at;
}

bool insn_read_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 *v)
{
    if (in->size == 1 && !in->rex && n >= 4)
        return false;
    *v = *insn_gpr(regs, n) & bytes_mask(in->size);
    return true;
}

void insn_write_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 v)
{
    u64 *r = insn_gpr(regs, n);

    /* 32-bit results clear the upper half; smaller ones leave the rest alone. */
    if (in->size >= 4)
        *r = in->size == 4 ? (u32)v : v;
    else
        *r = (*r & ~bytes_mask(in->size)) | (v & bytes_mask(in->size));
}
