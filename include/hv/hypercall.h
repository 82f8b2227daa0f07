/* SPDX-License-Identifier: MIT */
/* Hypercall handlers: arguments as the guest's registers had them, result for its RAX. */
#pragma once

#include <hv/domain.h>
#include <hv/guest_access.h>
#include <hv/hypercall_list.h>

#define HYPERCALL_MAX 64 /* a power of two */
typedef long (*hypercall_fn)(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
extern const hypercall_fn hypercall_table[HYPERCALL_MAX];

#define X(name, params, who, what) long do_##name params;
HYPERCALL_LIST(X)
#undef X
/*
 * For -ERESTART (softirq.h): the guest goes back to its SYSCALL, takes its events, and makes the same call again, whose number the handler
 * returns for its RAX: this returns it. The first `count` arguments (at most 3) become these; in a multicall they are those of the entry,
 * which is then the first one that is left.
 */
long hypercall_again(u64 nr, const u64 *args, u32 count) __must_check;
/* Linked into test builds only (tests/trap): one of the ABI's numbers for private use. */
#define HYPERCALL_TRAP_TEST __HYPERVISOR_arch_7
__attribute__((weak)) long do_trap_test(u64 what, u64 value);

/*
 * Tables of sub-operations, by their numbers. Each row says who may call, what its argument is, whether that is copied in before and out
 * after success, and the handler; subop_dispatch() does the rest. It answers, in this order: the hypercall has no such operation
 * (not_offered.c), -EPERM, -EFAULT, of a domain that is named by the argument -EPERM and -ESRCH, what the handler says.
 *
 * Of hypercalls with a version, the operation's number stands in the argument (struct xen_domctl and its like): -EFAULT and -EACCES for
 * another version come first, and the handler's argument is the operation's member of the union.
 *
 * Hypercalls without a table: mmuext_op (a list, on the fast path), xen_version (the shortest way in and out), console_io and hypfs_op
 * (arguments in registers).
 */
typedef long subop_handler(void *arg, void *target);
struct subop {
    u8 who;    /* rights of which the caller has one; ANYBODY: needs none */
    u8 copies; /* SUBOP_IN, SUBOP_OUT, SUBOP_OUT_ALWAYS */
    u8 how;    /* for the table's `call` */
    u16 size;  /* bytes of the argument, 0: the handler's is the guest's pointer itself, a guest_ptr_t */
    subop_handler *run;
};
enum { ANYBODY = 0, CONTROL = 1, HARDWARE = 2 }; /* domain.is_control, domain.is_hardware */
enum { OWN_OR_CONTROL = 4 };                     /* the argument begins with a domain's number: the caller's own, or it has CONTROL */
enum { SUBOP_IN = 1, SUBOP_OUT = 2, SUBOP_OUT_ALWAYS = 4 /* also what the handler says of an error */ };

#define SUBOP_MAX_ARG 160
#define SUBOP_SIZE(type)                                                                \
    (sizeof(type) + 0 * sizeof(struct {                                                 \
                        _Static_assert(sizeof(type) <= SUBOP_MAX_ARG, "SUBOP_MAX_ARG"); \
                        int unused;                                                     \
                    }))
/*
 * Columns of a row: type of the argument; handler; WITH_VCPU or WITH_DOMAIN if the handler looks at the target, which is what do_...() has
 * given or, with OWN_OR_CONTROL, the domain that is named.
 *
 * A handler has the parameters that it looks at; all are called with two pointers. C does not define a call through another type of function,
 * the System V ABI does: the pointers are in RDI and RSI, whatever they point to and whoever looks at them, and the answer in RAX. So
 * SUBOP_RUN() has each row's handler take just what the row gives it, and return a long.
 */
#define SUBOP_RUN(handler, ...) .run = (subop_handler *)(void *)_Generic(handler(__VA_ARGS__), long : (handler))
#define SUBOP(type, handler, ...) .size = SUBOP_SIZE(type), SUBOP_RUN(handler, (__typeof__(type) *)NULL, ##__VA_ARGS__)
#define WITH_VCPU (struct vcpu *)NULL
#define WITH_DOMAIN (struct domain *)NULL
#define NO_ARGUMENT (void *)NULL /* stands before WITH_... */
#define ARG_NONE(handler, ...) SUBOP_RUN(handler, ##__VA_ARGS__)
#define ARG_BY_HAND(type, handler, ...) SUBOP_RUN(handler, (const guest_ptr_t *)NULL, ##__VA_ARGS__) /* the handler copies it */
#define ARG_IN(type, ...) .copies = SUBOP_IN, SUBOP(type, __VA_ARGS__)
#define ARG_OUT(type, ...) .copies = SUBOP_OUT, SUBOP(type, __VA_ARGS__)
#define ARG_IN_OUT(type, ...) .copies = SUBOP_IN | SUBOP_OUT, SUBOP(type, __VA_ARGS__)
#define ARG_IN_OUT_ALWAYS(type, ...) .copies = SUBOP_IN | SUBOP_OUT_ALWAYS, SUBOP(type, __VA_ARGS__)

struct subops {
    const struct subop *rows;
    u32 count, hypercall;
    u32 version, whole, head; /* version 0: none. whole, head: bytes of the argument, and of it before the union */
    /* Runs a row's handler; may preempt. NULL: that is all. target: what do_...() has given. */
    long (*call)(const struct subop *row, void *arg, void *target);
    const struct subops *newer; /* the rows that a newer version has otherwise; the others are these. NULL: there is one version */
};

/* Columns of a table whose argument is a whole structure with version, operation and union. */
#define ARG_VERSIONED(type, interface_version) .version = (interface_version), .whole = SUBOP_SIZE(type), .head = offsetof(type, u)

long subop_dispatch(const struct subops *table, u64 cmd, guest_ptr_t guest_arg, void *target) __may_preempt;
/* The row, or why there is none for the caller. subop_dispatch() does this itself. */
long subop_find(const struct subops *table, u64 cmd, const struct subop **row);

/* The answer to what is not offered, or not known; says so in the log. op: 0 where there is none. */
long hypercall_not_offered(u64 hypercall, u64 op);

/* Each is the table of the hypercall of that name. */
#define SUBOPS_LIST(X) \
    X(platform_op)     \
    X(memory_op) X(grant_table_op) X(vcpu_op) X(sched_op) X(callback_op) X(event_channel_op) X(physdev_op) X(sysctl) X(domctl) X(mca)
#define X(name) extern const struct subops name##_table;
SUBOPS_LIST(X)
#undef X
