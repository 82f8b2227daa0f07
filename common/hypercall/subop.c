/* SPDX-License-Identifier: MIT */
/* The one way that tables of sub-operations are run. */
#include <hv/hypercall.h>

static bool may_call(u8 who)
{
    const struct domain *d = current->domain;

    return who == ANYBODY || who == OWN_OR_CONTROL || ((who & CONTROL) && d->is_control) || ((who & HARDWARE) && d->is_hardware);
}

long subop_find(const struct subops *table, u64 cmd, const struct subop **row)
{
    *row = &table->rows[index_nospec(cmd, table->count)];
    if (cmd >= table->count || !(*row)->run)
        return hypercall_not_offered(table->hypercall, cmd);
    return may_call((*row)->who) ? 0 : -EPERM;
}

/* The head of arguments with a version. */
struct versioned {
    u32 cmd, version;
};

/* The table that has this operation as a version of the interface has it. NULL: there is no such version. */
static const struct subops *of_version(const struct subops *table, u32 version, u64 cmd)
{
    const struct subops *newer = table->newer;

    if (version == table->version)
        return table;
    if (!newer || version != newer->version)
        return NULL;
    return cmd < newer->count && newer->rows[index_nospec(cmd, newer->count)].run ? newer : table;
}

/* On the domain that the argument begins with. */
static noinline long run_on_named(const struct subop *row, void *arg)
{
    struct domain *d __held_domain = NULL;
    long rc = domain_for_caller(*(const domid_t *)arg, &d);

    return rc ? rc : row->run(arg, d);
}

long subop_dispatch(const struct subops *table, u64 cmd, guest_ptr_t guest_arg, void *target)
{
    u64 arg[SUBOP_MAX_ARG / 8] = { 0 }; /* nothing of the stack goes out */
    const struct versioned *versioned = (void *)arg;
    void *own = (u8 *)arg + table->head;
    const struct subop *row;

    if (table->version) {
        if (copy_from_guest(arg, guest_arg, table->whole))
            return -EFAULT;
        cmd = versioned->cmd;
        table = of_version(table, versioned->version, cmd);
        if (!table)
            return -EACCES;
    }
    long rc = subop_find(table, cmd, &row);
    if (rc)
        return rc;
    if (!table->version) {
        if (!row->size)
            own = &guest_arg;
        else if ((row->copies & SUBOP_IN) && copy_from_guest(arg, guest_arg, row->size))
            return -EFAULT;
    }
    if (row->who == OWN_OR_CONTROL)
        rc = run_on_named(row, own);
    else
        rc = table->call ? table->call(row, own, target) : row->run(own, target);
    if ((row->copies & (rc ? SUBOP_OUT_ALWAYS : SUBOP_OUT | SUBOP_OUT_ALWAYS)) && copy_to_guest(guest_arg, arg, table->head + row->size))
        return -EFAULT;
    return rc;
}
