/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of a guest kernel, which fault in ring 3: I/O, control and debug
 * registers, MSRs, and a few more. What is not listed gets its #GP.
 */
#include <hv/guest_access.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/insn.h>
#include <hv/pv.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/vectors.h>

static bool iopl_suffices(const struct vcpu *v)
{
    /* The ring that a guest's kernel counts as is 1, or 0 by the assist. */
    u32 cpl = !v->pv.guest_kernel_mode ? 3 : v->architectural_iopl ? 0 : 1;

    return v->pv.iopl >= cpl;
}

/* The bitmap lies in the kernel's address space. What cannot be read permits nothing. */
static noinline bool iobitmap_permits(struct vcpu *v, u16 port, unsigned bytes)
{
    bool user = !v->pv.guest_kernel_mode;
    u16 bits = 0xffff;

    if ((u32)port + bytes > v->pv.iobitmap_ports)
        return false;
    if (user)
        pv_toggle_mode(v);
    int rc = copy_from_guest(&bits, guest_ptr_add(v->pv.iobitmap, port / 8), (port & 7) + bytes > 8 ? 2 : 1);
    if (user)
        pv_toggle_mode(v);
    return !rc && !((bits >> (port & 7)) & ((1u << bytes) - 1));
}

static bool io_permitted(struct vcpu *v, u16 port, unsigned bytes) { return iopl_suffices(v) || iobitmap_permits(v, port, bytes); }

static bool emulate_in_out(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in, u64 *breakpoints)
{
    bool write = in->opcode & 2, immediate = in->opcode < 0xec;
    u16 port = immediate ? (u8)in->imm : (u16)regs->rdx;
    unsigned size = MIN(in->size, 4u);

    if (!io_permitted(v, port, size))
        return false;
    if (write) {
        pv_io_write(v, port, size, (u32)regs->rax);
    } else {
        u64 kept = size == 4 ? 0 : ~bytes_mask(size);

        regs->rax = (regs->rax & kept) | pv_io_read(v, port, size);
    }
    *breakpoints = pv_io_breakpoints(v, port, size);
    return true;
}

/* Registers of addresses and counts are as wide as addresses are. */
static void add_to(u64 *reg, u64 n, unsigned width)
{
    u64 mask = bytes_mask(width), kept = width == 2 ? ~mask : 0;

    *reg = (*reg & kept) | ((*reg + n) & mask);
}

/*
 * One element of INS or OUTS. REP continues by re-execution until the count is 0, so that between two elements all is as
 * between two instructions. A device gives a byte once: it is asked when the byte has a place.
 */
static enum outcome emulate_string_io(struct vcpu *v, struct cpu_user_regs *regs, struct insn *in, u64 *breakpoints)
{
    bool write = in->opcode & 2;
    unsigned size = MIN(in->size, 4u), width = insn_address_size(in);
    u16 port = (u16)regs->rdx;
    u64 *index = write ? &regs->rsi : &regs->rdi, at = *index & bytes_mask(width);
    u32 val = 0;

    if (!io_permitted(v, port, size))
        return REFUSED;
    if (in->rep && !(regs->rcx & bytes_mask(width)))
        return DONE;
    if (write) {
        if (!pv_operand_load(regs, in, in->segment ? in->segment : SEG_DS, at, &val, size))
            return RAISED;
        pv_io_write(v, port, size, val);
    } else {
        if (!pv_operand_writable(regs, in, SEG_ES, at, size))
            return RAISED;
        val = pv_io_read(v, port, size);
        if (!pv_operand_store(regs, in, SEG_ES, at, &val, size))
            return RAISED;
    }
    add_to(index, regs->rflags & RFLAGS_DF ? -(u64)size : size, width);
    if (in->rep)
        add_to(&regs->rcx, -1ULL, width);
    if (in->rep && (regs->rcx & bytes_mask(width)))
        in->len = 0;
    *breakpoints = pv_io_breakpoints(v, port, size);
    return DONE;
}

u64 pv_guest_cr0(const struct vcpu *v)
{
    return CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE | (v->pv.cr0_ts ? CR0_TS : 0);
}

u64 pv_cr4_wish(u64 cr4) { return cr4 & (CR4_TSD | CR4_DE | (cpu.fsgsbase ? CR4_FSGSBASE : 0) | (cpu.xsave ? CR4_OSXSAVE : 0)); }

u64 pv_guest_cr4(const struct vcpu *v)
{
    /* The bits that a PV kernel expects to find set, and those that are its own. */
    return (read_cr4() & (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)) | v->pv.cr4;
}

static bool emulate_mov_cr(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in)
{
    u64 *gpr = insn_gpr(regs, insn_rm(in));
    bool write = in->opcode & 2;

    switch (insn_reg(in)) {
    case 0:
        if (!write)
            *gpr = pv_guest_cr0(v);
        else {
            v->pv.cr0_ts = *gpr & CR0_TS;
            write_cr0((read_cr0() & ~(u64)CR0_TS) | (v->pv.cr0_ts ? CR0_TS : 0));
        }
        return true;
    case 2:
        if (!v->info)
            return false;
        if (write)
            v->info->arch.cr2 = *gpr;
        else
            *gpr = v->info->arch.cr2;
        return true;
    case 3:
        if (write)
            return pv_set_base(v, false, *gpr >> PAGE_SHIFT) == 0;
        *gpr = v->pv.base[0] << PAGE_SHIFT;
        return true;
    case 4:
        if (write) {
            v->pv.cr4 = pv_cr4_wish(*gpr);
            cpu_write_cr4((this_cpu()->cr4 & ~(CR4_TSD | CR4_DE | CR4_FSGSBASE)) | pv_cr4_loaded(v));
        } else {
            *gpr = pv_guest_cr4(v);
        }
        return true;
    }
    return false;
}

static enum outcome emulate_mov_dr(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in)
{
    u64 *gpr = insn_gpr(regs, insn_rm(in));
    long rc = in->opcode & 2 ? pv_set_debugreg(v, insn_reg(in), *gpr) : pv_get_debugreg(v, insn_reg(in), gpr);

    if (rc != -ENODEV)
        return rc ? REFUSED : DONE;
    pv_inject(regs, VEC_UD, 0);
    return RAISED;
}

static bool emulate_xsetbv(struct vcpu *v, struct cpu_user_regs *regs)
{
    u64 val = (regs->rdx << 32) | (u32)regs->rax;

    if ((u32)regs->rcx || !fpu_xcr0_ok(val) || (val & ~v->domain->pv.xcr0_mask))
        return false;
    v->pv.xcr0 = val;
    fpu_load_xcr0(val);
    return true;
}

static bool emulate_msr(struct vcpu *v, struct cpu_user_regs *regs, bool write)
{
    u64 val = (regs->rdx << 32) | (u32)regs->rax;

    if (write)
        return pv_wrmsr(v, (u32)regs->rcx, val);
    if (!pv_rdmsr(v, (u32)regs->rcx, &val))
        return false;
    regs->rax = (u32)val;
    regs->rdx = val >> 32;
    return true;
}

static bool emulate_cpuid(struct vcpu *v, struct cpu_user_regs *regs)
{
    u32 out[4];

    pv_cpuid(v, (u32)regs->rax, (u32)regs->rcx, out);
    regs->rax = out[0];
    regs->rbx = out[1];
    regs->rcx = out[2];
    regs->rdx = out[3];
    return true;
}

#define MODRM_XSETBV 0xd1
#define MODRM_RDTSCP 0xf9

static bool is_rdtscp(const struct insn *in) { return in->opcode == (OP_0F | 0x01) && in->modrm == MODRM_RDTSCP; }

static bool is_rdtsc(const struct insn *in) { return in->opcode == (OP_0F | 0x31) || is_rdtscp(in); }

/* RDTSC and RDTSCP, of guests with a TSC of their own, and of kernels that set CR4.TSD, which keeps it from their user mode. */
static enum outcome emulate_rdtsc(const struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in)
{
    u64 t = pv_tsc_read(v);

    if (!v->pv.guest_kernel_mode && (v->pv.cr4 & CR4_TSD))
        return REFUSED;
    regs->rax = (u32)t;
    regs->rdx = t >> 32;
    if (is_rdtscp(in))
        regs->rcx = v->pv.tsc_aux;
    return DONE;
}

static enum outcome done_if(bool done) { return done ? DONE : REFUSED; }

static enum outcome emulate_kernel_only(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in)
{
    switch (in->opcode) {
    case OP_0F | 0x06: /* CLTS */
        v->pv.cr0_ts = false;
        write_cr0(read_cr0() & ~(u64)CR0_TS);
        return DONE;
    case OP_0F | 0x08:
    case OP_0F | 0x09: /* INVD, WBINVD */
        if (io_rights_caching(&v->domain->io))
            wbinvd();
        return DONE;
    case OP_0F | 0x20:
    case OP_0F | 0x22: return done_if(emulate_mov_cr(v, regs, in)); /* MOV CRn */
    case OP_0F | 0x21:
    case OP_0F | 0x23: return emulate_mov_dr(v, regs, in); /* MOV DRn */
    case OP_0F | 0x30:
    case OP_0F | 0x32: return done_if(emulate_msr(v, regs, in->opcode == (OP_0F | 0x30))); /* WRMSR, RDMSR */
    case OP_0F | 0x31: return emulate_rdtsc(v, regs, in);                                  /* RDTSC */
    case OP_0F | 0x01:                                                                     /* RDTSCP, XSETBV */
        return is_rdtscp(in) ? emulate_rdtsc(v, regs, in) : done_if(in->modrm == MODRM_XSETBV && emulate_xsetbv(v, regs));
    }
    return REFUSED;
}

bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs)
{
    struct insn in;
    enum outcome outcome;
    u64 breakpoints = 0;

    if (!insn_decode(&in, regs))
        return pv_fetch_failed(regs, &in);
    if (in.lock)
        return false;
    switch (in.opcode) {
    case 0x6c ... 0x6f: outcome = emulate_string_io(v, regs, &in, &breakpoints); break; /* INS, OUTS */
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef: outcome = done_if(emulate_in_out(v, regs, &in, &breakpoints)); break; /* IN, OUT */
    case 0xfa:
    case 0xfb: /* CLI, STI: allowed and without effect; events are masked in vcpu_info */ outcome = done_if(iopl_suffices(v)); break;
    case OP_0F | 0xa2: /* CPUID, where it faults; in user mode, too */ outcome = done_if(emulate_cpuid(v, regs)); break;
    case OP_0F | 0x00: /* SLDT, STR */
    case OP_0F | 0x01: /* SGDT, SIDT, SMSW, and XSETBV, RDTSCP */
        outcome = pv_emulate_umip(v, regs, &in);
        if (outcome != REFUSED)
            break;
        /* fall through */
    default: outcome = v->pv.guest_kernel_mode ? emulate_kernel_only(v, regs, &in) : is_rdtsc(&in) ? emulate_rdtsc(v, regs, &in) : REFUSED;
    }
    if (outcome == DONE)
        pv_instruction_done(v, regs, in.len, breakpoints);
    return outcome != REFUSED;
}

/* ud2; .ascii "xen"; cpuid: how PV kernels ask for what they should see. */
bool pv_emulate_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs)
{
    const u64 signature = 0xa20f6e65780b0f, length = 7;
    u64 code = 0;

    if (copy_from_guest(&code, guest_ptr(regs->rip), length) || code != signature)
        return false;
    emulate_cpuid(v, regs);
    pv_instruction_done(v, regs, length, 0);
    return true;
}
