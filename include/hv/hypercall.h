/* SPDX-License-Identifier: MIT */
/* Hypercall handlers: arguments as the guest's registers had them, result for its RAX. */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include <hv/hypercall_list.h>
#include <hv/types.h>
#include <public/xen.h>

#define HYPERCALL_MAX 64 /* a power of two */
typedef long (*hypercall_fn)(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
extern const hypercall_fn hypercall_table[HYPERCALL_MAX];

#define X(name, params, who, what) long do_##name params;
HYPERCALL_LIST(X)
#undef X
/*
 * For -ERESTART (softirq.h): the guest goes back to its SYSCALL, takes its events, and makes the same call again, whose number the handler
 * returns for its RAX. False: it is part of a multicall, which is not left.
 */
bool hypercall_again(u64 nr);
/* Linked into test builds only (tests/trap): one of the ABI's numbers for private use. */
#define HYPERCALL_TRAP_TEST __HYPERVISOR_arch_7
__attribute__((weak)) long do_trap_test(u64 what, u64 value);

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
/* hypercall: whose table it is, for the words about what is not there. */
long subop_dispatch(const struct subop *table, u64 count, u64 hypercall, u64 cmd, guest_ptr_t guest_arg) __may_preempt;

/* The answer to what is not offered, or not known; says so in the log. op: 0 where there is none. */
long hypercall_not_offered(u64 hypercall, u64 op);

#endif
