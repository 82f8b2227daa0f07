/* SPDX-License-Identifier: MIT */
/* The hypercalls that exist, by number: it names handlers of all layers. The others: not_offered.c. */
#include <hv/hypercall.h>

/* Called with six arguments in registers; handlers look at those that they have (System V ABI: a guest_ptr_t is passed as a u64). */
#define HANDLER(name) ((hypercall_fn)(void *)do_##name)

/* The list says which domains may call; these functions check that before anything else of the call is looked at. */
static force_inline long by_control(hypercall_fn fn, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return current->domain->is_control ? fn(a1, a2, a3, a4, a5, a6) : -EPERM;
}
#define MAY_ANYBODY(name)
#define MAY_CONTROL(name) \
    static long control_##name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6) { return by_control(HANDLER(name), a1, a2, a3, a4, a5, a6); }
#define X(name, params, who, what) MAY_##who(name)
HYPERCALL_LIST(X)
#undef X

#define ENTRY_ANYBODY(name) HANDLER(name)
#define ENTRY_CONTROL(name) control_##name
/* clang-format off */
const hypercall_fn hypercall_table[HYPERCALL_MAX] = {
#define X(name, params, who, what) [__HYPERVISOR_##name] = ENTRY_##who(name),
    HYPERCALL_LIST(X)
#undef X
    [HYPERCALL_TRAP_TEST] = HANDLER(trap_test),
};
/* clang-format on */
