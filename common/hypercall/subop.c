/* SPDX-License-Identifier: MIT */
/* The one way that tables of sub-operations are run. */
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>

long subop_dispatch(const struct subop *table, u64 count, u64 hypercall, u64 cmd, guest_ptr_t guest_arg)
{
    guest_ptr_t arg[SUBOP_MAX_ARG / 8] = { 0 };

    if (cmd >= count || !table[index_nospec(cmd, count)].run)
        return hypercall_not_offered(hypercall, cmd);
    cmd = index_nospec(cmd, count);
    if (copy_from_guest(arg, guest_arg, table[cmd].size))
        return -EFAULT;
    long rc = table[cmd].run(arg);

    if (!rc && table[cmd].copy_out && copy_to_guest(guest_arg, arg, table[cmd].size))
        return -EFAULT;
    return rc;
}
