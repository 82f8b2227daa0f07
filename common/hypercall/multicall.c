/* SPDX-License-Identifier: MIT */
/* multicall: several hypercalls in one entry. */
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>
#include <hv/softirq.h>
#include <hv/x86/pv/trap.h>

/* False: the call has been left and is to be made again, and so is what follows it. */
static bool one_call(struct multicall_entry *e)
{
    hypercall_fn fn = e->op < HYPERCALL_MAX ? hypercall_table[index_nospec(e->op, HYPERCALL_MAX)] : NULL;

    current->batch = e;
    if (e->op == __HYPERVISOR_multicall)
        e->result = (u64)-EINVAL; /* nesting has no bound */
    else if (fn)
        e->result = (u64)fn(e->args[0], e->args[1], e->args[2], e->args[3], e->args[4], e->args[5]);
    else
        e->result = (u64)hypercall_not_offered(e->op, e->args[0]);
    bool done = current->batch;

    current->batch = NULL;
    return done;
}

static long rest_again(const struct multicall_entry *e, guest_ptr_t at, u64 left)
{
    const u64 args[] = { at.va, left };

    if (copy_to_guest(at, e, sizeof(*e)))
        return -EFAULT;
    return hypercall_again(__HYPERVISOR_multicall, args, ARRAY_SIZE(args));
}

long do_multicall(guest_ptr_t list, u64 count)
{
    if (!guest_range_ok(list.va, (u32)count * sizeof(struct multicall_entry)))
        return -EFAULT;
    for (u32 i = 0; i < (u32)count; i++) {
        guest_ptr_t at = guest_ptr_index(list, i, sizeof(struct multicall_entry));
        struct multicall_entry e;

        if (copy_from_guest(&e, at, sizeof(e)))
            return -EFAULT;
        /* iret changes mode and stack under the rest of the batch (XSA-213): it is the last that is done. */
        if (e.op == __HYPERVISOR_iret)
            return pv_iret_in_batch();
        if (!one_call(&e))
            return rest_again(&e, at, (u32)count - i);
        if (copy_to_guest(guest_ptr_add(at, offsetof(struct multicall_entry, result)), &e.result, sizeof(e.result)))
            return -EFAULT;
        /* The long ones have points of their own. */
        if ((i & 15) == 15)
            preempt_point();
    }
    return 0;
}
