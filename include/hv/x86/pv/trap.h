/* SPDX-License-Identifier: MIT */
/* Traps, system calls and events of PV guests: into the hypervisor, and back as frames on the guest kernel's stack (docs/traps.md). */
#pragma once

#include <hv/domain.h>

/* ---- guest_report.c: says all there is to say, then domain_crash() ---- */
enum { CRASH_SYSCALL = 256, CRASH_EVENT, CRASH_RETURN }; /* ways into and out of a guest that are no vector */
void guest_crash_by(const char *by, struct vcpu *v, const struct cpu_user_regs *regs, u32 vector, u32 error, const char *why);
#define guest_crash(...) guest_crash_by(__func__, __VA_ARGS__)

/* ---- guest_trap.c, bounce_frame.c ---- */
/* The two outcomes of the trap matrix for what a guest raises. What of its set EMULATED cannot be emulated is delivered, or ends the domain. */
void pv_deliver_exception(struct cpu_user_regs *regs, u32 vector);
void pv_emulate_exception(struct cpu_user_regs *regs, u32 vector) __may_preempt;
/* Delivers a vector to the guest; has_error: push error. Crashes the domain if it cannot take it. */
void pv_inject(struct cpu_user_regs *regs, u32 vector, u32 error);
/*
 * What the hypervisor did for the guest (IRETQ by its frame, an access to an operand) has raised an exception, and the
 * exception table took care of it: the guest gets it, at regs.
 */
void pv_access_failed(struct cpu_user_regs *regs, const struct mended *fault) __may_preempt;
void guest_iret_failed(struct cpu_user_regs *regs) __may_preempt; /* entry.S: IRETQ to this frame has faulted */
/* To a handler in the guest's kernel. False: its stack cannot be written; the mode has changed already. */
bool pv_bounce(struct vcpu *v, struct cpu_user_regs *regs, u64 handler, bool mask_events, bool has_error, u32 error);
/* For selectors that cannot be loaded again. */
bool pv_failsafe_bounce(struct vcpu *v, struct cpu_user_regs *regs);
void syscall_from_guest(struct cpu_user_regs *regs) __may_preempt;   /* entry.S: a hypercall, or a system call of user mode */
bool prepare_guest_return(struct cpu_user_regs *regs) __may_preempt; /* entry.S: all that is due first. True: SYSRET may be used */
void guest_bounce_failed(struct cpu_user_regs *regs);                /* fast_paths.S: ends the domain */
void pv_traps_changed(struct vcpu *v);                               /* behind a change of pv.traps[], and when logging begins or ends */
void pv_set_kernel_stack(struct vcpu *v, u16 ss, u64 sp);            /* SS:RSP of frames from user mode */
void pv_set_iopl(struct vcpu *v, u32 iopl);                          /* 0 to 3; v is current, or its domain is */
/* domain.vm_assist: bits that guests may set, and what follows from a change. d is current's, or paused. */
#define PV_VM_ASSISTS                                                                                                                 \
    ((1ULL << VMASST_TYPE_4gb_segments) | (1ULL << VMASST_TYPE_4gb_segments_notify) | (1ULL << VMASST_TYPE_writable_pagetables) |     \
     (1ULL << VMASST_TYPE_pae_extended_cr3) | (1ULL << VMASST_TYPE_architectural_iopl) | (1ULL << VMASST_TYPE_runstate_update_flag) | \
     (1ULL << VMASST_TYPE_m2p_strict))
void pv_vm_assist_changed(struct domain *d);
void pv_toggle_mode(struct vcpu *v);                         /* kernel to user or back: GS bases, CR3. v is current */
void pv_hypercall(struct cpu_user_regs *regs) __may_preempt; /* RAX: the number, then the result */
/* The iret hypercall inside another one: the guest goes on by its frame. The caller returns this RAX and touches no guest memory. */
long pv_iret_in_batch(void);
void pv_fill_hypercall_page(void *page); /* stubs of 32 bytes, one a hypercall */
