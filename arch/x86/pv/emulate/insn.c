#include <hv/lib.h>
#include <hv/x86/insn.h>

enum { NONE = 0, MODRM = 1, IMM8 = 2, IMM = 4, BYTE = 8, KNOWN = 16, DEF64 = 32 };

/* How the opcode continues; 0: not known here. */
static u8 attributes(u16 op)
{
    switch (op) {
    case 0x00: case 0x08: case 0x10: case 0x20: case 0x28: case 0x30: /* ALU Eb,Gb */
    case 0x86: case 0x88: case 0x8a:
    case OP_0F | 0xb0: case OP_0F | 0xc0:
        return KNOWN | MODRM | BYTE;
    case 0x01: case 0x09: case 0x11: case 0x21: case 0x29: case 0x31: /* ALU Ev,Gv */
    case 0x87: case 0x89: case 0x8b:
    case OP_0F | 0xb1: case OP_0F | 0xc1:
    case OP_0F | 0xab: case OP_0F | 0xb3: case OP_0F | 0xbb: /* BTS BTR BTC Ev,Gv */
        return KNOWN | MODRM;
    case 0x80: case 0xc6:
        return KNOWN | MODRM | BYTE | IMM8;
    case 0x83: case OP_0F | 0xba:
        return KNOWN | MODRM | IMM8;
    case 0x81: case 0xc7:
        return KNOWN | MODRM | IMM;
    case OP_0F | 0x20: case OP_0F | 0x21: case OP_0F | 0x22: case OP_0F | 0x23: /* MOV CRn, DRn */
        return KNOWN | MODRM | DEF64;
    case OP_0F | 0x00: case OP_0F | 0x01: case OP_0F | 0xae: /* XSETBV, SMSW, INVLPG...; groups */
        return KNOWN | MODRM;
    case OP_0F | 0x06: case OP_0F | 0x08: case OP_0F | 0x09: case OP_0F | 0x30: case OP_0F | 0x31:
    case OP_0F | 0x32: case OP_0F | 0xa2: case 0xf4: case 0xfa: case 0xfb:
    case 0x6d: case 0x6f: case 0xed: case 0xef:
        return KNOWN;
    case 0x6c: case 0x6e: case 0xec: case 0xee:
        return KNOWN | BYTE;
    case 0xe4: case 0xe6: case 0xcd: /* IN, OUT, INT */
        return KNOWN | BYTE | IMM8;
    case 0xe5: case 0xe7:
        return KNOWN | IMM8;
    }
    return NONE;
}

static bool next(struct insn *in, u8 *b)
{
    if (in->len >= in->available)
        return false;
    *b = in->bytes[in->len++];
    return true;
}

enum { OPERAND_SIZE = SEG_GS + 1, ADDRESS_SIZE, LOCK, REPNE, REP };
static const u8 prefix[256] = {
    [0x26] = SEG_ES, [0x2e] = SEG_CS, [0x36] = SEG_SS, [0x3e] = SEG_DS, [0x64] = SEG_FS, [0x65] = SEG_GS,
    [0x66] = OPERAND_SIZE, [0x67] = ADDRESS_SIZE, [0xf0] = LOCK, [0xf2] = REPNE, [0xf3] = REP,
};

static bool prefixes(struct insn *in, u8 *b)
{
    for (;;) {
        if (!next(in, b))
            return false;
        u8 kind = prefix[*b];

        switch (kind) {
        case 0:
            if ((*b & 0xf0) != 0x40 || in->code != 8)
                return true;
            in->rex = *b;
            return next(in, b);
        case OPERAND_SIZE: in->op16 = true; break;
        case ADDRESS_SIZE: in->addr32 = true; break;
        case LOCK: in->lock = true; break;
        case REPNE: in->repne = true; break;
        case REP: in->rep = true; break;
        default: in->segment = kind;
        }
    }
}

static bool displacement(struct insn *in, unsigned bytes)
{
    u32 v = 0;
    u8 b;

    for (unsigned i = 0; i < bytes; i++) {
        if (!next(in, &b))
            return false;
        v |= (u32)b << (8 * i);
    }
    in->displacement = bytes == 1 ? (s8)v : bytes == 2 ? (s32)(v << 16) >> 16 : (s32)v;
    return true;
}

static bool address_bytes(struct insn *in)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7, bytes = mod == 1 ? 1 : mod != 2 ? 0 : in->address == 2 ? 2 : 4;

    if (mod == 3)
        return true;
    if (in->address == 2) {
        if (rm == 6 && mod == 0)
            bytes = 2;
    } else if (rm == 4) {
        if (!next(in, &in->sib))
            return false;
        if ((in->sib & 7) == 5 && mod == 0)
            bytes = 4;
    } else if (rm == 5 && mod == 0) {
        bytes = 4;
    }
    return displacement(in, bytes);
}

static bool immediate(struct insn *in, unsigned bytes)
{
    u64 v = 0;
    u8 b = 0;

    for (unsigned i = 0; i < bytes; i++) {
        if (!next(in, &b))
            return false;
        v |= (u64)b << (8 * i);
    }
    if (b & 0x80)
        v |= bytes < 8 ? ~0ULL << (8 * bytes) : 0;
    in->imm = v;
    return true;
}

bool insn_decode_bytes(struct insn *in)
{
    u8 b;

    if (!prefixes(in, &b))
        return false;
    in->address = in->code == 8 ? (in->addr32 ? 4 : 8) : (in->code == 4) != in->addr32 ? 4 : 2;
    in->opcode = b;
    if (b == 0x0f) {
        if (!next(in, &b))
            return false;
        in->opcode = OP_0F | b;
    }
    u8 a = attributes(in->opcode);

    if (!a)
        return false;
    in->size = a & BYTE ? 1 : (a & DEF64) || (in->rex & 8) ? 8 : in->op16 == (in->code != 2) ? 2 : 4;
    if (a & MODRM) {
        in->has_modrm = true;
        if (!next(in, &in->modrm) || !address_bytes(in))
            return false;
    }
    if (a & IMM8)
        return immediate(in, 1);
    if (a & IMM)
        return immediate(in, in->size == 2 ? 2 : 4);
    return true;
}

u64 *insn_gpr(struct cpu_user_regs *r, unsigned n)
{
    u64 *const map[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
                           &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

    return map[n & 15];
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

    if (in->address == 2) {
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
    return in->address == 8 ? at : (u32)at;
}

bool insn_read_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 *v)
{
    if (in->size == 1 && !in->rex && n >= 4)
        return false;
    *v = *insn_gpr(regs, n);
    if (in->size < 8)
        *v &= (1ULL << (8 * in->size)) - 1;
    return true;
}

void insn_write_reg(struct cpu_user_regs *regs, const struct insn *in, unsigned n, u64 v)
{
    u64 *r = insn_gpr(regs, n);

    /* 32-bit results clear the upper half; smaller ones leave the rest alone. */
    if (in->size >= 4)
        *r = in->size == 4 ? (u32)v : v;
    else
        *r = (*r & ~((1ULL << (8 * in->size)) - 1)) | (v & ((1ULL << (8 * in->size)) - 1));
}
