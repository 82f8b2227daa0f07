/* Hypercall handlers: arguments as the guest's registers had them, result for its RAX. */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include <hv/types.h>

#define HYPERCALL_MAX 64 /* a power of two */
typedef long (*hypercall_fn)(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
extern const hypercall_fn hypercall_table[HYPERCALL_MAX];

#define HYPERCALL_HANDLER(name) long name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
/* For handlers with fewer arguments. */
#define UNUSED_ARGS(...) unused_args(0, __VA_ARGS__)
static inline void unused_args(int n, ...) { (void)n; }

HYPERCALL_HANDLER(do_set_trap_table);
HYPERCALL_HANDLER(do_mmu_update);
HYPERCALL_HANDLER(do_set_gdt);
HYPERCALL_HANDLER(do_stack_switch);
HYPERCALL_HANDLER(do_set_callbacks);
HYPERCALL_HANDLER(do_fpu_taskswitch);
HYPERCALL_HANDLER(do_platform_op);
HYPERCALL_HANDLER(do_set_debugreg);
HYPERCALL_HANDLER(do_get_debugreg);
HYPERCALL_HANDLER(do_update_descriptor);
HYPERCALL_HANDLER(do_memory_op);
HYPERCALL_HANDLER(do_multicall);
HYPERCALL_HANDLER(do_update_va_mapping);
HYPERCALL_HANDLER(do_update_va_mapping_otherdomain);
HYPERCALL_HANDLER(do_set_timer_op);
HYPERCALL_HANDLER(do_xen_version);
HYPERCALL_HANDLER(do_console_io);
HYPERCALL_HANDLER(do_grant_table_op);
HYPERCALL_HANDLER(do_vm_assist);
HYPERCALL_HANDLER(do_iret);
HYPERCALL_HANDLER(do_vcpu_op);
HYPERCALL_HANDLER(do_set_segment_base);
HYPERCALL_HANDLER(do_mmuext_op);
HYPERCALL_HANDLER(do_sched_op);
HYPERCALL_HANDLER(do_callback_op);
HYPERCALL_HANDLER(do_event_channel_op);
HYPERCALL_HANDLER(do_physdev_op);
HYPERCALL_HANDLER(do_mca);
HYPERCALL_HANDLER(do_kexec_op);
HYPERCALL_HANDLER(do_hypfs_op);
HYPERCALL_HANDLER(do_domctl);
/*
 * For -ERESTART (softirq.h): the guest goes back to its SYSCALL, takes its events, and makes the same call again, whose number the handler
 * returns for its RAX. False: it is part of a multicall, which is not left.
 */
bool hypercall_again(u64 nr);
/* Linked into test builds only (tests/trap): one of the ABI's numbers for private use. */
#define HYPERCALL_TRAP_TEST __HYPERVISOR_arch_7
__attribute__((weak)) HYPERCALL_HANDLER(do_trap_test);

/*
 * Tables of sub-operations: each copies its argument in, runs, and copies it out again when
 * the operation has results.
 */
struct subop {
    long (*run)(void *arg);
    u16 size;      /* bytes of the argument, at most SUBOP_MAX_ARG */
    bool copy_out; /* on success */
};
#define SUBOP_MAX_ARG 128
long subop_dispatch(const struct subop *table, u64 count, u64 cmd, u64 guest_arg);

#endif
