#include <hv/guest_access.h>
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
    case OP_0F | 0x01: case OP_0F | 0xae: /* XSETBV, SMSW, INVLPG...; groups */
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

static bool prefixes(struct insn *in, u8 *b)
{
    for (;;) {
        if (!next(in, b))
            return false;
        switch (*b) {
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: break;
        case 0x66: in->op16 = true; break;
        case 0x67: in->addr32 = true; break;
        case 0xf0: in->lock = true; break;
        case 0xf2: in->repne = true; break;
        case 0xf3: in->rep = true; break;
        default:
            if ((*b & 0xf0) != 0x40)
                return true;
            in->rex = *b;
            return next(in, b);
        }
    }
}

static bool address_bytes(struct insn *in)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7, disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    u8 b;

    if (mod == 3)
        return true;
    if (rm == 4) {
        if (!next(in, &b))
            return false;
        if ((b & 7) == 5 && mod == 0)
            disp = 4;
    } else if (rm == 5 && mod == 0) {
        disp = 4;
    }
    in->len = (u8)(in->len + disp);
    return in->len <= in->available;
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
    in->opcode = b;
    if (b == 0x0f) {
        if (!next(in, &b))
            return false;
        in->opcode = OP_0F | b;
    }
    u8 a = attributes(in->opcode);

    if (!a)
        return false;
    in->size = a & BYTE ? 1 : (a & DEF64) || (in->rex & 8) ? 8 : in->op16 ? 2 : 4;
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

static u8 fetch(u8 *to, u64 from, u64 n)
{
    return guest_range_ok(from, n) ? (u8)(n - guest_copy_raw_from(to, (void *)from, n)) : 0;
}

bool insn_decode(struct insn *in, const struct cpu_user_regs *regs)
{
    /* What lies in another page may not be there, and need not. */
    u64 in_page = MIN((u64)INSN_MAX, PAGE_SIZE - (regs->rip & (PAGE_SIZE - 1)));

    *in = (struct insn){ 0 };
    in->available = fetch(in->bytes, regs->rip, in_page);
    if (in->available == in_page)
        in->available = (u8)(in_page + fetch(in->bytes + in_page, regs->rip + in_page, INSN_MAX - in_page));
    return insn_decode_bytes(in);
}

u64 *insn_gpr(struct cpu_user_regs *r, unsigned n)
{
    u64 *const map[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
                           &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

    return map[n & 15];
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
