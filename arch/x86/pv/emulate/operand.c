/* SPDX-License-Identifier: MIT */
/*
 * Where the code and the memory operands of a guest's instruction lie: segments count in 32-bit and 16-bit code, of which
 * programs of either kind (Wine's, DOSEMU's) have segments of their own. Intel SDM vol. 3, 3.4.
 */
#include <hv/guest_access.h>
#include <hv/pv.h>
#include <hv/x86/insn.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/vectors.h>

/* The descriptor, as the processor finds it through the vCPU's window; 0: there is none. */
static u64 operand_descriptor(struct vcpu *v, u16 selector)
{
    u64 window = PERDOMAIN_VIRT_START + ((u64)v->id << GDT_LDT_VCPU_SHIFT);

    if (selector & SEL_TI) {
        pv_ldt_map(v, selector);
        if (selector >= v->pv.ldt_entries * 8 || pv_ldt_unmapped(v, selector))
            return 0;
        window += 16 * PAGE_SIZE;
    } else if (selector < 4 || selector > GDT_LIMIT) {
        return 0;
    }
    u64 d = READ_ONCE(*(const u64 *)(window + (selector & ~7u)));
    return d & DESC_PRESENT ? d : 0;
}

static u32 base_of(u64 d) { return (u32)(d >> 16 & 0xffffff) | (u32)(d >> 56) << 24; }

static u32 limit_of(u64 d)
{
    u32 limit = (u32)(d & 0xffff) | (u32)(d >> 32 & 0xf0000);

    return d & DESC_G ? limit << 12 | 0xfff : limit;
}

static u8 operand_fetch_code(u8 *to, u64 from, u64 n)
{
    return guest_range_ok(from, n) ? (u8)(n - guest_copy_raw_from(to, guest_ptr(from), n)) : 0;
}

bool insn_decode(struct insn *in, const struct cpu_user_regs *regs)
{
    u64 cs = regs->cs == SEL_GUEST_CS64 ? DESC_L : operand_descriptor(current, regs->cs);
    u64 at = cs & DESC_L ? regs->rip : (u32)(regs->rip + base_of(cs));

    memset(&in->available, 0, sizeof(*in) - offsetof(struct insn, available));
    in->code = cs & DESC_L ? 8 : cs & DESC_D ? 4 : 2;
    if (likely(!copy_from_guest(in->bytes, guest_ptr(at), 16)))
        in->available = INSN_MAX;
    else /* the next page is not there, and perhaps not needed */
        in->available = operand_fetch_code(in->bytes, at, MIN((u64)INSN_MAX, PAGE_SIZE - (at & (PAGE_SIZE - 1))));
    return insn_decode_bytes(in);
}

static u16 selector_of(const struct cpu_user_regs *regs, enum segment segment)
{
    u16 sel;

    pv_load_due_selectors(); /* other vCPUs may have had a turn */
    switch (segment) {
    case SEG_CS: return regs->cs;
    case SEG_SS: return regs->ss;
    case SEG_ES: __asm__ volatile("mov %%es, %0" : "=r"(sel)); return sel;
    default: __asm__ volatile("mov %%ds, %0" : "=r"(sel)); return sel;
    }
}

enum access { LOAD, STORE, PROBE };

/* Intel SDM vol. 3, 5.3 and 5.5. */
static bool operand_permitted(u64 d, u64 first, u64 last, enum access what)
{
    u32 limit = limit_of(d);
    bool code = d & DESC_CODE;

    if (!d || (what == LOAD ? code && !(d & DESC_RW) : code || !(d & DESC_RW)))
        return false;
    if (!code && (d & DESC_EXPAND_DOWN))
        return first > limit && last <= (d & DESC_D ? ~0u : 0xffffu);
    return last <= limit;
}

/* The linear address of `n` bytes; false: beyond the segment. FS and GS have bases of their own, which the processor holds. */
static bool operand_linear(const struct insn *in, const struct cpu_user_regs *regs, enum segment segment, u64 offset, u64 n,
                           enum access what, u64 *va)
{
    u64 fs_gs = segment == SEG_FS ? rdmsr(MSR_FS_BASE) : segment == SEG_GS ? rdmsr(MSR_GS_BASE) : 0;

    if (in->code == 8 || segment == SEG_FS || segment == SEG_GS) {
        *va = offset + fs_gs;
    } else {
        u64 d = operand_descriptor(current, selector_of(regs, segment));

        if (!operand_permitted(d, offset, offset + n - 1, what))
            return false;
        *va = offset + base_of(d);
    }
    if (in->code != 8)
        *va = (u32)*va;
    return true;
}

/* Stores are of all bytes or of none: both pages are asked first. */
static bool operand_reach(u64 va, enum access what, void *data, u64 n)
{
    u64 last_page = (va + n - 1) & ~(PAGE_SIZE - 1);

    if (what == LOAD)
        return !guest_copy_raw_from(data, guest_ptr(va), n);
    if (!guest_writable(guest_ptr(va)) || (last_page > va && !guest_writable(guest_ptr(last_page))))
        return false;
    return what == PROBE || !guest_copy_raw_to(guest_ptr(va), data, n);
}

/* False: it raised an exception, which has been delivered. */
static bool operand_read_or_write(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, enum access what,
                                  void *data, u64 n)
{
    struct mended fault = { segment == SEG_SS ? VEC_SS : VEC_GP, 0, 0 };
    u32 write = what == LOAD ? 0 : PFEC_WRITE;
    u64 va;

    if (operand_linear(in, regs, segment, offset, n, what, &va)) {
        if (guest_range_ok(va, n)) {
            if (operand_reach(va, what, data, n))
                return true;
            fault = this_cpu()->mended;
            fault.error |= write; /* it is one from its first look on */
        } else if (is_canonical(va) && is_canonical(va + n - 1)) {
            fault = (struct mended){ VEC_PF, write, va };
        }
    }
    pv_access_failed(regs, &fault);
    return false;
}

bool pv_operand_load(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, void *dst, u64 n)
{
    return operand_read_or_write(regs, in, segment, offset, LOAD, dst, n);
}

bool pv_operand_store(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, const void *src, u64 n)
{
    return operand_read_or_write(regs, in, segment, offset, STORE, (void *)(u64)src, n);
}

bool pv_operand_writable(struct cpu_user_regs *regs, const struct insn *in, enum segment segment, u64 offset, u64 n)
{
    return operand_read_or_write(regs, in, segment, offset, PROBE, NULL, n);
}

bool pv_fetch_failed(struct cpu_user_regs *regs, const struct insn *in)
{
    struct mended fault = this_cpu()->mended;

    if (!in->truncated || in->available == INSN_MAX)
        return false;
    if (fault.vector == VEC_PF) {
        fault.error |= PFEC_FETCH;
        if (in->available)
            fault.address &= ~(PAGE_SIZE - 1); /* where the bytes end */
    }
    pv_access_failed(regs, &fault);
    return true;
}
