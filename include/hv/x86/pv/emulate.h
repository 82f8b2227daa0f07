/* SPDX-License-Identifier: MIT */
/* Instructions that are emulated for PV guests: decoded by emulate/insn.c, done by the file named for each. */
#pragma once

#include <hv/domain.h>

/* ---- emulate/ ---- */
/* RAISED: an exception of the guest's has been delivered, and the frame is that of its handler. */
enum outcome { REFUSED, DONE, RAISED };
struct insn;
/* After a #GP. RAISED: an exception has been delivered. */
enum outcome pv_emulate_umip(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in) __may_preempt;
/* After a #GP of the guest's. False: the #GP is the guest's. */
bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs) __may_preempt;
bool pv_emulate_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs); /* after a #UD. False: the instructions are others */
void pv_cpuid(const struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4]);   /* out: EAX, EBX, ECX, EDX */
/* The processor's own answer, 0 for leaves that it has not; and what of it guests may be shown, the same for all their vCPUs. */
#define CPUID_LAST_BASIC 0xdu
#define CPUID_LAST_EXT 0x80000021u
void cpuid_machine(u32 leaf, u32 subleaf, u32 out[4]);
void pv_cpuid_offered(u32 leaf, u32 subleaf, u32 out[4]);
struct xen_cpuid_leaf *cpuid_find(struct xen_cpuid_leaf *list, u32 count, u32 leaf, u32 subleaf); /* in a policy; NULL: not there */
void cpuid_tell_hidden(void);                                  /* boot: which of the processor's features guests do not see */
bool pv_rdmsr(struct vcpu *v, u32 msr, u64 *val);              /* false: #GP */
bool pv_wrmsr(struct vcpu *v, u32 msr, u64 val) __may_preempt; /* false: #GP */
/* Control registers as the guest sees them, and the bits of CR4 that are its own: a different wish for others is ignored, as under Xen. */
u64 pv_guest_cr0(const struct vcpu *v);
u64 pv_guest_cr4(const struct vcpu *v);
u64 pv_cr4_wish(u64 cr4);
void pv_hide_ports(void); /* from guests, those that the hypervisor drives itself: at boot, when its devices are known */
u32 pv_io_read(struct vcpu *v, u16 port, unsigned bytes);            /* bytes: 1, 2, 4. The caller has checked IOPL and the I/O bitmap */
void pv_io_write(struct vcpu *v, u16 port, unsigned bytes, u32 val); /* the same */

/* ---- debug_registers.c ---- */
void pv_load_debug_registers(const struct vcpu *v); /* of this CPU, for v */
/* By the guest's number, with its aliases: 0, -ENODEV (no such register), -EINVAL or -EPERM (the old value stays). */
long pv_set_debugreg(struct vcpu *v, u64 reg, u64 val);
/* All of them at once, by their real numbers: checked for a guest with this CR4, then stored; loaded with the rest of v's state. */
bool pv_debugregs_ok(const u64 dr[8], u64 cr4);
void pv_write_debugregs(struct vcpu *v, const u64 dr[8]);
long pv_get_debugreg(const struct vcpu *v, u64 reg, u64 *val);
/* The bits of DR6 for an access that was emulated. */
u64 pv_find_io_breakpoints(const struct vcpu *v, u16 port, unsigned bytes);
static inline u64 pv_io_breakpoints(const struct vcpu *v, u16 port, unsigned bytes)
{
    return unlikely(v->pv.dr[7] & DR7_ENABLES) ? pv_find_io_breakpoints(v, port, bytes) : 0;
}
void pv_raise_debug(struct vcpu *v, struct cpu_user_regs *regs, u64 dr6); /* dr6: bits that are set in the guest's DR6; delivers #DB */
/*
 * An emulated instruction is over: RIP goes on, and what it hit, or a single step over it, is the guest's #DB behind it. Length 0: REP has
 * elements left, and a breakpoint on the instruction is not met again (Intel SDM vol. 3, 18.3.1.1).
 */
static inline void pv_instruction_done(struct vcpu *v, struct cpu_user_regs *regs, unsigned length, u64 breakpoints)
{
    u64 debug = breakpoints | (regs->rflags & RFLAGS_TF ? DR6_BS : 0);

    regs->rip += length;
    regs->rflags = (regs->rflags & ~RFLAGS_RF) | (unlikely(!length) ? RFLAGS_RF : 0);
    if (unlikely(debug))
        pv_raise_debug(v, regs, debug);
}
