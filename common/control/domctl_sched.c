/* SPDX-License-Identifier: MIT */
/* domctl: what a toolstack says to the scheduler. Weights and caps in the terms of Xen's credit2. */
#include "control.h"

static u64 bytes_of(const struct xenctl_bitmap *map) { return (MIN(map->nr_bits, (u32)MAX_CPUS) + 7) / 8; }

/* A set of CPUs from the guest. Bits that it has no room for are 0. */
static int read_set(const struct xenctl_bitmap *map, cpuset_t *set)
{
    *set = CPUSET_NONE;
    if (copy_from_guest(set, map->bitmap, bytes_of(map)))
        return -EFAULT;
    *set = cpuset_and(*set, cpuset_below(map->nr_bits));
    return 0;
}

/* A set of CPUs to the guest. Of a map that is longer than ours the rest is 0: no CPU has those numbers, whatever stood there. */
int cpumap_write(const struct xenctl_bitmap *map, cpuset_t set)
{
    static const u8 none[PAGE_SIZE / 8];
    u64 end = ((u64)map->nr_bits + 7) / 8, at = bytes_of(map);

    set = cpuset_and(set, cpuset_below(map->nr_bits));
    if (copy_to_guest(map->bitmap, &set, at))
        return -EFAULT;
    for (u64 n; at < end; at += n) {
        n = MIN(end - at, sizeof(none));
        if (copy_to_guest(guest_ptr_add(map->bitmap, at), none, n))
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

/* In the ABI's order: -EINVAL for a number that is none, -ESRCH for a vCPU that is not made yet, -EINVAL for flags. */
static int named(struct domain *d, const struct xen_domctl_vcpuaffinity *x, struct vcpu **v)
{
    if (x->vcpu >= d->max_vcpus)
        return -EINVAL;
    *v = domain_vcpu(d, x->vcpu);
    if (!*v)
        return -ESRCH;
    return !x->flags || (x->flags & ~(u32)(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT | XEN_VCPUAFFINITY_FORCE)) ? -EINVAL : 0;
}

long domctl_set_affinity(struct xen_domctl_vcpuaffinity *x, struct domain *d)
{
    struct vcpu *v;
    int rc = named(d, x, &v);

    if (rc)
        return rc;
    if (x->flags & XEN_VCPUAFFINITY_FORCE)
        (void)!sched_pin_override(v, -1); /* it need not be pinned */
    cpuset_t hard = v->sched.hard_affinity, soft = v->sched.soft_affinity, usable = cpuset_read(&cpus_online);
    if (x->flags & XEN_VCPUAFFINITY_HARD)
        rc = read_set(&x->cpumap_hard, &hard);
    if (!rc && (x->flags & XEN_VCPUAFFINITY_SOFT))
        rc = read_set(&x->cpumap_soft, &soft);
    if (!rc)
        rc = sched_set_affinity(v, hard, soft);
    /* Back goes what is in effect. */
    if (!rc && (x->flags & XEN_VCPUAFFINITY_HARD))
        rc = cpumap_write(&x->cpumap_hard, cpuset_and(hard, usable));
    if (!rc && (x->flags & XEN_VCPUAFFINITY_SOFT))
        rc = cpumap_write(&x->cpumap_soft, cpuset_and(cpuset_and(hard, soft), usable));
    return rc;
}

long domctl_get_affinity(struct xen_domctl_vcpuaffinity *x, struct domain *d)
{
    struct vcpu *v;
    int rc = named(d, x, &v);

    if (rc)
        return rc;
    if (x->flags & XEN_VCPUAFFINITY_HARD)
        rc = cpumap_write(&x->cpumap_hard, v->sched.hard_affinity);
    if (!rc && (x->flags & XEN_VCPUAFFINITY_SOFT))
        rc = cpumap_write(&x->cpumap_soft, v->sched.soft_affinity);
    return rc;
}

long domctl_scheduler_op(struct xen_domctl_scheduler_op *x, struct domain *d)
{
    if (x->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    switch (x->cmd) {
    case XEN_DOMCTL_SCHEDOP_putinfo:
        /* As with Xen, weight 0 leaves it as it is. */
        return sched_set_params(d, x->u.credit2.weight ? x->u.credit2.weight : d->sched.weight, x->u.credit2.cap);
    case XEN_DOMCTL_SCHEDOP_getinfo:
        x->u.credit2.weight = (u16)d->sched.weight;
        x->u.credit2.cap = (u16)d->sched.cap;
        return 0;
    default: return -EINVAL;
    }
}

/* The machine is one node, number 0. */
long domctl_set_node_affinity(const struct xen_domctl_nodeaffinity *x, __unused struct domain *d)
{
    cpuset_t nodes;
    int rc = read_set(&x->nodemap, &nodes);

    return rc ? rc : cpuset_test(nodes, 0) ? 0 : -EINVAL;
}

long domctl_get_node_affinity(const struct xen_domctl_nodeaffinity *x, __unused struct domain *d)
{
    return cpumap_write(&x->nodemap, cpuset_of(0));
}

long domctl_vcpu_info(struct xen_domctl_getvcpuinfo *x, struct domain *d)
{
    struct vcpu *v = domain_vcpu(d, x->vcpu);

    if (!v)
        return x->vcpu < d->max_vcpus ? -ESRCH : -EINVAL;
    u32 paused = READ_ONCE(v->pause_flags);
    *x = (struct xen_domctl_getvcpuinfo){ .vcpu = x->vcpu,
                                          .online = !(paused & PAUSE_DOWN),
                                          .blocked = paused & (PAUSE_BLOCKED | PAUSE_POLL) ? 1 : 0,
                                          .running = vcpu_is_running(v),
                                          .cpu_time = sched_runstate(v).time[RUNSTATE_running],
                                          .cpu = READ_ONCE(v->cpu)->id };
    return 0;
}
