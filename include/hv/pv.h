/* PV guests: page types, page-table updates, traps, segments. Layer 5; see docs/pv-mmu.md. */
#ifndef HV_PV_H
#define HV_PV_H

#include <hv/domain.h>
#include <hv/x86/page_type.h>
#include <hv/x86/page_table.h>
#include <hv/x86/regs.h>
#include <hv/x86/speculation.h>

/* ---- pt_update.c ---- */
/*
 * Replaces the entry at machine address `at` of a table of `level` that d owns. -EAGAIN: the frame is no such
 * table (any more, or yet).
 */
int pt_entry_update(struct domain *d, unsigned level, paddr_t at, pte_t val, bool preserve_ad,
                    struct domain *owner) __must_check;
/* By compare-and-exchange for emulated guest instructions: -EAGAIN also if *at is not `expected` any more. */
int pt_entry_cmpxchg_l1(struct domain *d, paddr_t at, pte_t expected, pte_t val) __must_check;

/* ---- address spaces ---- */
void pv_load_address_space(struct vcpu *v);
int pv_set_kernel_base(struct vcpu *v, mfn_t mfn) __must_check;
int pv_set_user_base(struct vcpu *v, mfn_t mfn) __must_check;
/* Flushes translations of the domain's vCPUs that the guest's bitmap names (NULL: all); address 0: all of them. */
int pv_flush_vcpus(const struct domain *d, const void *guest_bitmap, u64 address) __must_check;
/* This CPU goes to the hypervisor's own tables: nothing of a guest's is in use here any more. */
void pv_leave_address_space(void);
void pv_fill_hypervisor_slots(struct domain *d, pte_t *l4);
/* Machine address of the entry of `level` that va goes through in v's kernel tables, 0: none. */
/* The table is torn down: returns when no CPU changes an entry of it any more, and none will. */
void pt_updates_wait(const struct page_info *pg);
paddr_t pv_walk(const struct vcpu *v, u64 va, unsigned level);

/* ---- isolation.c: what guests run on where they may not see the hypervisor's memory ---- */
static inline bool guests_isolated(void) { return spec.what & SPEC_ISOLATE; }
/* Do nothing where guests are not isolated. */
int isolation_init_cpu(struct percpu *c) __must_check; /* after its IST stacks */
int isolation_init_vcpu(struct vcpu *v) __must_check;
void isolation_enter_cpu(struct percpu *c, struct vcpu *v); /* v ran elsewhere, or another one here */
/* Only where they are. */
void isolation_load_l4(struct vcpu *v, bool user, mfn_t mfn); /* mfn 0: none */
/* An entry of an L4 table of d, not in the hypervisor's slots, has changed. */
void isolation_l4_changed(const struct domain *d, const pte_t *entry);

/* ---- ptwr.c ---- */
bool ptwr_emulate(struct vcpu *v, struct cpu_user_regs *regs, u64 va);

/* ---- guest_report.c: says all there is to say, then domain_crash() ---- */
enum { CRASH_SYSCALL = 256, CRASH_EVENT, CRASH_RETURN }; /* ways into and out of a guest that are no vector */
void guest_crash_by(const char *by, struct vcpu *v, const struct cpu_user_regs *regs, u32 vector, u32 error, const char *why);
#define guest_crash(...) guest_crash_by(__func__, __VA_ARGS__)

/* ---- guest_trap.c, bounce_frame.c ---- */
void pv_guest_exception(struct cpu_user_regs *regs, u32 vector);
/* Delivers a vector to the guest; has_error: push error. Crashes the domain if it cannot take it. */
void pv_inject(struct cpu_user_regs *regs, u32 vector, u32 error);
/*
 * What the hypervisor did for the guest (IRETQ by its frame, an access to an operand) has raised an exception, and the
 * exception table took care of it: the guest gets it, at regs.
 */
void pv_access_failed(struct cpu_user_regs *regs, const struct mended *fault);
void guest_iret_failed(struct cpu_user_regs *regs);
bool pv_bounce(struct vcpu *v, struct cpu_user_regs *regs, u64 handler, bool mask_events, bool has_error, u32 error);
/* For selectors that cannot be loaded again. */
bool pv_failsafe_bounce(struct vcpu *v, struct cpu_user_regs *regs);
void syscall_from_guest(struct cpu_user_regs *regs);
bool prepare_guest_return(struct cpu_user_regs *regs);
void guest_bounce_failed(struct cpu_user_regs *regs);
void pv_set_kernel_stack(struct vcpu *v, u16 ss, u64 sp);
void pv_set_iopl(struct vcpu *v, u32 iopl);
void pv_toggle_mode(struct vcpu *v);
void pv_hypercall(struct cpu_user_regs *regs);
/* The iret hypercall inside another one: the guest goes on by its frame. The caller returns this RAX and touches no guest memory. */
long pv_iret_in_batch(void);
void pv_fill_hypercall_page(void *page); /* stubs of 32 bytes, one a hypercall */

/* ---- emulate/ ---- */
/* RAISED: an exception of the guest's has been delivered, and the frame is that of its handler. */
enum outcome { REFUSED, DONE, RAISED };
struct insn;
enum outcome pv_emulate_umip(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *in);
bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs);
bool pv_emulate_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs);
void pv_cpuid(const struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4]);
bool pv_rdmsr(struct vcpu *v, u32 msr, u64 *val);
bool pv_wrmsr(struct vcpu *v, u32 msr, u64 val);
void pv_hide_ports(void); /* from guests, those that the hypervisor drives itself: at boot, when its devices are known */
u32 pv_io_read(struct vcpu *v, u16 port, unsigned bytes);
void pv_io_write(struct vcpu *v, u16 port, unsigned bytes, u32 val);
/* ---- vmce.c: machine checks for guests ---- */
#define VMCE_BANKS 2
#define VMCE_MSR_STATUS 0x405 /* of bank 1, which holds what a guest is told */
#define VMCE_MSR_ADDR 0x406
#define VMCE_MSR_MISC 0x407
u64 *vmce_field(struct vmce *m, u32 msr); /* NULL: an MSR that holds no state */
bool vmce_rdmsr(struct vcpu *v, u32 msr, u64 *val);
bool vmce_wrmsr(struct vcpu *v, u32 msr, u64 val);
/* The record and the #MC, now if v is current, else when it runs next; ends a domain that cannot take it. */
void vmce_inject(struct vcpu *v, const struct vmce *what);
u64 vmce_capabilities(void); /* MCG_CAP as guests see it */
/*
 * State from a toolstack: 0, or -EINVAL for what no processor would show. With MCIP set an error is
 * pending, and its #MC comes when v runs: synchronous (EIPV, a required action) only where the
 * processor tells required actions from optional ones.
 */
int vmce_set_state(struct vcpu *v, const struct vmce *state) __must_check;

/* ---- debug_registers.c ---- */
void pv_load_debug_registers(const struct vcpu *v);
/* By the guest's number, with its aliases: 0, -ENODEV (no such register), -EINVAL or -EPERM (the old value stays). */
long pv_set_debugreg(struct vcpu *v, u64 reg, u64 val);
long pv_get_debugreg(const struct vcpu *v, u64 reg, u64 *val);
/* The bits of DR6 for an access that was emulated. */
#define DR7_ENABLES 0xffUL
u64 pv_find_io_breakpoints(const struct vcpu *v, u16 port, unsigned bytes);
static inline u64 pv_io_breakpoints(const struct vcpu *v, u16 port, unsigned bytes)
{
    return unlikely(v->pv.dr[7] & DR7_ENABLES) ? pv_find_io_breakpoints(v, port, bytes) : 0;
}
#define DR6_BS 0x4000UL
void pv_raise_debug(struct vcpu *v, struct cpu_user_regs *regs, u64 dr6);
/* An emulated instruction is over: RIP goes on, and what it hit, or a single step over it, is the guest's #DB behind it. */
static inline void pv_instruction_done(struct vcpu *v, struct cpu_user_regs *regs, unsigned length, u64 breakpoints)
{
    u64 debug = breakpoints | (regs->rflags & RFLAGS_TF ? DR6_BS : 0);

    regs->rip += length;
    regs->rflags &= ~RFLAGS_RF;
    if (unlikely(debug))
        pv_raise_debug(v, regs, debug);
}

/* ---- segments.c ---- */
void pv_init_gdt_window(struct vcpu *v);
void pv_window_set_cpu_page(struct vcpu *v); /* the reserved GDT page becomes this CPU's */
int pv_set_gdt(struct vcpu *v, const mfn_t *frames, u32 entries) __must_check;
void pv_release_gdt(struct vcpu *v);
void pv_release_ldt(struct vcpu *v);
void pv_load_ldt(struct vcpu *v); /* LDTR of this CPU */
bool pv_ldt_fault(struct vcpu *v, u64 offset);
/* Whether the selector names a descriptor in such a page; and maps it: true if it has been mapped only now. */
bool pv_ldt_unmapped(const struct vcpu *v, u16 selector);
bool pv_ldt_map(struct vcpu *v, u16 selector);
bool descriptor_check(u64 *desc);
int segdesc_page_validate(struct page_info *pg) __must_check;

/* ---- pv_vcpu.c: context ---- */
int pv_vcpu_init(struct vcpu *v) __must_check;
int pv_domain_init(struct domain *d) __must_check;
void pv_state_save(struct vcpu *v);
void pv_state_load(struct vcpu *v);
/*
 * For whoever has written to v->pv or v's descriptor window and does not run on it: the next load takes all from there, and flushes what
 * its CPU remembers of the window.
 */
void pv_state_changed(struct vcpu *v);
void pv_load_due_selectors(void);
void pv_selectors_on_exit(void); /* SOFTIRQ_SELECTORS */
int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *c) __must_check;

/* I/O memory a domain may map. */
bool iomem_permitted(const struct domain *d, mfn_t mfn);

#endif
