/* SPDX-License-Identifier: MIT */
/* The hypercalls that exist, by number: it names handlers of all layers. The others: not_offered.c. */
#include <hv/domain.h>
#include <hv/hypercall.h>
#include <hv/x86/percpu.h>
#include <public/xen.h>

/* Who may call stands in the list, and is looked at here, before anything of the call's is. */
#define MAY_ANYBODY(name, ...)
#define MAY_CONTROL(name, params, args) \
    static long control_##name params { return current->domain->is_control ? do_##name args : -EPERM; }
#define PARAMS_1 (u64 a1), (a1)
#define PARAMS_2 (u64 a1, u64 a2), (a1, a2)
#define PARAMS_5 (u64 a1, u64 a2, u64 a3, u64 a4, u64 a5), (a1, a2, a3, a4, a5)
#define MAY(who, name, ...) MAY_##who(name, __VA_ARGS__)
#define X(name, nr_args, who, what) MAY(who, name, PARAMS_##nr_args)
HYPERCALL_LIST(X)
#undef X

/* Called with six arguments in registers; handlers look at those that they have (System V ABI). */
#define ENTRY_ANYBODY(name) do_##name
#define ENTRY_CONTROL(name) control_##name
/* clang-format off */
const hypercall_fn hypercall_table[HYPERCALL_MAX] = {
#define X(name, nr_args, who, what) [__HYPERVISOR_##name] = (hypercall_fn)(void *)ENTRY_##who(name),
    HYPERCALL_LIST(X)
#undef X
    [HYPERCALL_TRAP_TEST] = (hypercall_fn)(void *)do_trap_test,
};
/* clang-format on */
