/*
 * Traps. policy.c holds one row per vector; dispatch.c acts on it. docs/traps.md explains.
 */
#ifndef HV_X86_TRAP_H
#define HV_X86_TRAP_H

#include <hv/system_state.h>
#include <hv/x86/percpu.h>
#include <hv/x86/vectors.h>

/* What an exception raised by the hypervisor itself means. */
enum trap_policy {
    POLICY_EXTABLE,    /* search the exception table, else fatal */
    POLICY_PAGE_FAULT, /* the same, and the early direct map on demand */
    POLICY_CONTINUE,   /* #DB: clear the cause, report once, go on */
    POLICY_MACHINE,    /* NMI, #MC: the machine's, whoever was running */
    POLICY_FATAL,
};

struct vector_policy {
    const char *mnemonic, *what;
    enum trap_policy hypervisor; /* origin: hypervisor */
    bool guest_delivery;         /* origin: guest; else the hypervisor's business or fatal */
    bool has_error_code;
    enum phase follows_current;  /* first phase in which the handler may follow `current` */
};
extern const struct vector_policy vector_policies[32];

void trap_from_guest(struct cpu_user_regs *regs);
void trap_from_hypervisor(struct cpu_user_regs *regs);

/* extable.c: true and regs->rip moved if the faulting instruction has a fixup. */
bool extable_fixup(struct cpu_user_regs *regs);

void page_fault_from_hypervisor(struct cpu_user_regs *regs);
void nmi_handle(struct cpu_user_regs *regs);
void machine_check_handle(struct cpu_user_regs *regs);
void double_fault_handle(struct cpu_user_regs *regs) __noreturn;
void debug_trap_from_hypervisor(struct cpu_user_regs *regs);
void machine_check_init(void);
void nmi_init(void);

/* Prints the entries that lead to va in the tables at cr3; all accesses are checked. */
void page_walk_print(u64 cr3, u64 va, const char *level);
void registers_print(const struct cpu_user_regs *regs, const char *level);

#endif
