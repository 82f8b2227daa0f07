/* SPDX-License-Identifier: MIT */
/*
 * sysctl: the toolstack on the machine as a whole. Here the table of operations, and those on the console, on domains together, on the
 * scheduler and on CPUs that come and go.
 */
#include "sysctl.h"
#include "domctl.h"

#include <hv/console.h>
#include <hv/smp.h>

static long readconsole(struct xen_sysctl_readconsole *op)
{
    u32 done = 0;
    char part[256];

    for (size_t n = 1; n && done < op->count; done += (u32)n) {
        n = console_read_messages(!op->incremental && !done, &op->index, part, MIN(op->count - done, sizeof(part)));
        if (copy_to_guest(guest_ptr_add(op->buffer, done), part, n))
            return -EFAULT;
        preempt_point();
    }
    op->count = done;
    if (op->clear)
        console_forget_messages(op->index);
    return 0;
}

static long debug_keys(const struct xen_sysctl_debug_keys *op)
{
    char key;

    for (u32 i = 0; i < op->nr_keys; i++) {
        if (copy_from_guest(&key, guest_ptr_add(op->keys, i), 1))
            return -EFAULT;
        keyhandler_run(key);
        preempt_point();
    }
    return 0;
}

static long getdomaininfolist(struct xen_sysctl_getdomaininfolist *op)
{
    struct domain *d __counted_domain = domain_from_id(op->first_domain);

    for (op->num_domains = 0; d && op->num_domains < op->max_domains; op->num_domains++, d = domain_next(d)) {
        struct xen_domctl_getdomaininfo info;

        domain_describe(d, &info);
        if (copy_to_guest(guest_ptr_index(op->buffer, op->num_domains, sizeof(info)), &info, sizeof(info)))
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

/* ---- one scheduler, with one pool of CPUs ---- */

static long sched_id(struct xen_sysctl_sched_id *op)
{
    op->sched_id = XEN_SCHEDULER_CREDIT2;
    return 0;
}

static long scheduler_op(struct xen_sysctl_scheduler_op *op)
{
    if (op->cmd > XEN_SYSCTL_SCHEDOP_getinfo)
        return -EINVAL;
    if (op->cpupool_id)
        return -ESRCH;
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    u32 *limit = &op->u.sched_credit2.ratelimit_us;
    if (op->cmd == XEN_SYSCTL_SCHEDOP_getinfo)
        *limit = READ_ONCE(sched_ratelimit_us);
    else if (*limit && (*limit < XEN_SYSCTL_SCHED_RATELIMIT_MIN || *limit > XEN_SYSCTL_SCHED_RATELIMIT_MAX))
        return -EINVAL;
    else
        WRITE_ONCE(sched_ratelimit_us, *limit);
    return 0;
}

static long cpupool_op(struct xen_sysctl_cpupool_op *op)
{
    if (op->op != XEN_SYSCTL_CPUPOOL_OP_CREATE && op->op != XEN_SYSCTL_CPUPOOL_OP_FREEINFO && op->cpupool_id)
        return -ENOENT;
    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        op->sched_id = XEN_SCHEDULER_CREDIT2;
        op->n_dom = 0;
        for_each_domain(d)
            op->n_dom++;
        return cpumap_write(&op->cpumap, cpuset_read(&cpus_online));
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO: return cpumap_write(&op->cpumap, CPUSET_NONE);
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU: return -ENODEV; /* no CPU is free */
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU: return -EBUSY;
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN: return 0; /* it is there */
    case XEN_SYSCTL_CPUPOOL_OP_CREATE: return -EOPNOTSUPP;
    default: return -ENOSYS;
    }
}

/* ---- CPUs that come and go; power states, which are left alone ---- */

static long cpu_hotplug(const struct xen_sysctl_cpu_hotplug *op)
{
    switch (op->op) {
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE: return smp_cpu_online(op->cpu);
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE: return smp_cpu_offline(op->cpu);
    default: return -EOPNOTSUPP;
    }
}

static long no_power_states(u32 cpu) { return cpu < MAX_CPUS && cpuset_test(cpuset_read(&cpus_online), cpu) ? -ENODEV : -EINVAL; }

static long get_pmstat(const struct xen_sysctl_get_pmstat *op) { return no_power_states(op->cpuid); }

static long pm_op(const struct xen_sysctl_pm_op *op) { return no_power_states(op->cpuid); }

static const struct subop rows[] = {
    [XEN_SYSCTL_readconsole] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_readconsole, readconsole) },
    [XEN_SYSCTL_physinfo] = { CONTROL, ARG_OUT(struct xen_sysctl_physinfo, sysctl_physinfo) },
    [XEN_SYSCTL_sched_id] = { CONTROL, ARG_OUT(struct xen_sysctl_sched_id, sched_id) },
    [XEN_SYSCTL_getdomaininfolist] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_getdomaininfolist, getdomaininfolist) },
    [XEN_SYSCTL_debug_keys] = { CONTROL, ARG_IN(struct xen_sysctl_debug_keys, debug_keys) },
    [XEN_SYSCTL_getcpuinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_getcpuinfo, sysctl_getcpuinfo) },
    [XEN_SYSCTL_get_pmstat] = { CONTROL, ARG_IN(struct xen_sysctl_get_pmstat, get_pmstat) },
    [XEN_SYSCTL_cpu_hotplug] = { CONTROL, ARG_IN(struct xen_sysctl_cpu_hotplug, cpu_hotplug) },
    [XEN_SYSCTL_pm_op] = { CONTROL, ARG_IN(struct xen_sysctl_pm_op, pm_op) },
    [XEN_SYSCTL_page_offline_op] = { CONTROL, ARG_IN(struct xen_sysctl_page_offline_op, sysctl_offline_pages) },
    [XEN_SYSCTL_cputopoinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cputopoinfo, sysctl_cputopoinfo) },
    [XEN_SYSCTL_numainfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_numainfo, sysctl_numainfo) },
    [XEN_SYSCTL_cpupool_op] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpupool_op, cpupool_op) },
    [XEN_SYSCTL_scheduler_op] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_scheduler_op, scheduler_op) },
    [XEN_SYSCTL_pcitopoinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_pcitopoinfo, sysctl_pcitopoinfo) },
    [XEN_SYSCTL_get_cpu_levelling_caps] = { CONTROL, ARG_OUT(struct xen_sysctl_cpu_levelling_caps, sysctl_cpu_levelling_caps) },
    [XEN_SYSCTL_get_cpu_featureset] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpu_featureset, sysctl_cpu_featureset) },
    [XEN_SYSCTL_get_cpu_policy] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpu_policy, sysctl_cpu_policy) },
};

const struct subops sysctl_table = { rows, ARRAY_SIZE(rows), __HYPERVISOR_sysctl,
                                     ARG_VERSIONED(struct xen_sysctl, XEN_SYSCTL_INTERFACE_VERSION) };

long do_sysctl(guest_ptr_t arg) { return subop_dispatch(&sysctl_table, 0, arg, NULL); }
