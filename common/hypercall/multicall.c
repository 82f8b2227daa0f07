/* SPDX-License-Identifier: MIT */
/* multicall: several hypercalls in one entry. */
#include <hv/hypercall.h>
#include <hv/x86/pv/trap.h>

static long one_call(const struct multicall_entry *e)
{
    hypercall_fn fn = e->op < HYPERCALL_MAX ? hypercall_table[index_nospec(e->op, HYPERCALL_MAX)] : NULL;

    if (e->op == __HYPERVISOR_multicall)
        return -EINVAL; /* nesting has no bound */
    return fn ? fn(e->args[0], e->args[1], e->args[2], e->args[3], e->args[4], e->args[5]) : hypercall_not_offered(e->op, e->args[0]);
}

/* v->batch: hypercall_again() looks at it, and clears it where the guest is to make the rest once more, from this entry on. */
static force_inline long run_batch(struct vcpu *v, guest_ptr_t list, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        guest_ptr_t at = guest_ptr_index(list, i, sizeof(struct multicall_entry));
        struct multicall_entry e;

        if (copy_from_guest(&e, at, sizeof(e)))
            return -EFAULT;
        /* iret changes mode and stack under the rest of the batch (XSA-213): it is the last that is done. */
        if (e.op == __HYPERVISOR_iret)
            return pv_iret_in_batch();
        v->batch = at;
        e.result = (u64)one_call(&e);
        if (unlikely(!v->batch.va))
            return hypercall_again(__HYPERVISOR_multicall, (const u64[]){ at.va, count - i }, 2);
        if (copy_to_guest(guest_ptr_add(at, offsetof(struct multicall_entry, result)), &e.result, sizeof(e.result)))
            return -EFAULT;
        /* The long ones have points of their own. */
        if ((i & 15) == 15 && i + 1 < count && domain_work_point()) {
            v->batch = GUEST_NULL;
            return hypercall_again(__HYPERVISOR_multicall, (const u64[]){ guest_ptr_index(at, 1, sizeof(e)).va, count - i - 1 }, 2);
        }
    }
    return 0;
}

long do_multicall(guest_ptr_t list, u64 count)
{
    struct vcpu *v = current;

    if ((!list.va && (u32)count) || !guest_range_ok(list.va, (u32)count * sizeof(struct multicall_entry)))
        return -EFAULT; /* a list at 0 could not be told from none in vcpu.batch */
    long rc = run_batch(v, list, (u32)count);
    v->batch = GUEST_NULL;
    return rc;
}
