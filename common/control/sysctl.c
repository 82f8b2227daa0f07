/* SPDX-License-Identifier: MIT */
/*
 * sysctl: the toolstack on the machine as a whole. Here the table of operations, and those on the console, on domains together, on the
 * scheduler and on CPUs that come and go.
 */
#include "control.h"

#include <hv/console.h>
#include <hv/pci.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>

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

static long no_power_states(u32 id) { return id < MAX_CPUS && cpuset_test(cpuset_read(&cpus_online), id) ? -ENODEV : -EINVAL; }

static long get_pmstat(const struct xen_sysctl_get_pmstat *op) { return no_power_states(op->cpuid); }

static long pm_op(const struct xen_sysctl_pm_op *op) { return no_power_states(op->cpuid); }

/* ---- what the machine is made of. NUMA: one node, all memory is alike ---- */

#define NODE 0u
#define LOCAL_DISTANCE 10u /* as ACPI's SLIT has it */

static u32 last_cpu(void)
{
    u32 last = MAX_CPUS - 1;

    while (!cpu_table[last])
        last--;
    return last;
}

/* threads_per_core, cores_per_socket: those of the first CPU, as far as they are online. */
static void count_siblings(struct xen_sysctl_physinfo *info)
{
    struct cpu_place first = cpu_place(cpu_table[0]->apic_id);
    u32 threads = 1, on_socket = 1; /* itself, which is always online */

    for_each_cpu(c, cpuset_without(cpuset_read(&cpus_online), 0)) {
        struct cpu_place at = cpu_place(c->apic_id);

        on_socket += at.socket == first.socket;
        threads += at.socket == first.socket && at.core == first.core;
    }
    info->threads_per_core = threads;
    info->cores_per_socket = on_socket / threads;
}

static long physinfo(struct xen_sysctl_physinfo *info)
{
    *info = (struct xen_sysctl_physinfo){ .nr_cpus = smp_online_count(),
                                          .max_cpu_id = last_cpu(),
                                          .nr_nodes = 1,
                                          .cpu_khz = (u32)tsc_khz,
                                          .capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1,
                                          .total_pages = total_ram_pages,
                                          .free_pages = page_free_count(),
                                          .outstanding_pages = page_claimed_count(),
                                          .max_mfn = max_mfn };
    for (u32 i = 0; i < ARRAY_SIZE(info->hw_cap); i++)
        info->hw_cap[i] = cpu_featureset_word(XEN_SYSCTL_cpu_featureset_host, i);
    count_siblings(info);
    return 0;
}

/* For arrays that the guest may leave out (NULL), or have more or less room for: copies what fits. */
static int copy_fitting(guest_ptr_t array, u32 room, u32 i, const void *entry, u64 size)
{
    return array.va && i < room && copy_to_guest(guest_ptr_index(array, i, size), entry, size) ? -EFAULT : 0;
}

static long cputopoinfo(struct xen_sysctl_cputopoinfo *op)
{
    u32 room = op->num_cpus;

    op->num_cpus = last_cpu() + 1;
    for (u32 i = 0; i < op->num_cpus; i++) {
        const struct percpu *c = cpu_table[i];
        struct xen_sysctl_cputopo at = { XEN_INVALID_CORE_ID, XEN_INVALID_SOCKET_ID, XEN_INVALID_NODE_ID };

        if (c && cpu_is_online(c)) {
            struct cpu_place place = cpu_place(c->apic_id);

            at = (struct xen_sysctl_cputopo){ place.core, place.socket, NODE };
        }
        if (copy_fitting(op->cputopo, room, i, &at, sizeof(at)))
            return -EFAULT;
    }
    return 0;
}

static long numainfo(struct xen_sysctl_numainfo *op)
{
    struct xen_sysctl_meminfo memory = { total_ram_pages << PAGE_SHIFT, page_free_count() << PAGE_SHIFT };
    u32 room = op->num_nodes, distance = LOCAL_DISTANCE;

    op->num_nodes = 1;
    if (copy_fitting(op->meminfo, room, NODE, &memory, sizeof(memory)))
        return -EFAULT;
    return copy_fitting(op->distance, room, NODE, &distance, sizeof(distance));
}

static u32 node_of(const struct physdev_pci_device *dev)
{
    bool there = !dev->seg && pci_config_read((u16)(dev->bus << 8 | dev->devfn), 0, 2) != 0xffff;

    return there ? NODE : XEN_INVALID_DEV;
}

static long pcitopoinfo(const struct xen_sysctl_pcitopoinfo *op)
{
    struct physdev_pci_device dev;

    if (!op->devs.va || !op->nodes.va)
        return -EINVAL;
    for (u32 i = 0; i < op->num_devs; i++) {
        if (copy_from_guest(&dev, guest_ptr_index(op->devs, i, sizeof(dev)), sizeof(dev)))
            return -EFAULT;
        u32 node = node_of(&dev);
        if (copy_to_guest(guest_ptr_index(op->nodes, i, sizeof(node)), &node, sizeof(node)))
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

static long getcpuinfo(struct xen_sysctl_getcpuinfo *op)
{
    op->nr_cpus = MIN(op->max_cpus, last_cpu() + 1);
    for (u32 i = 0; i < op->nr_cpus; i++) {
        struct xen_sysctl_cpuinfo info = { 0 };

        if (cpu_table[i] && cpu_table[i]->idle)
            info.idletime = sched_runstate(cpu_table[i]->idle).time[RUNSTATE_running];
        if (copy_to_guest(guest_ptr_index(op->info, i, sizeof(info)), &info, sizeof(info)))
            return -EFAULT;
    }
    return 0;
}

/* ---- frames that are not to be used any more ---- */

static domid_t owner_id(mfn_t mfn)
{
    owner_t owner = READ_ONCE(mfn_to_page(mfn)->owner);
    domid_t id = DOMID_INVALID; /* it has let go of the frame meanwhile */

    for_each_domain(d)
        if (owner_of(d) == owner)
            id = d->id;
    return id;
}

static u32 offline_answer(enum frame_owner was, mfn_t mfn)
{
    switch (was) {
    case FRAME_FREE: return PG_OFFLINE_OFFLINED;
    case FRAME_RETIRED: return PG_OFFLINE_OFFLINED | PG_OFFLINE_BROKEN;
    case FRAME_GUEST: return PG_OFFLINE_PENDING | PG_OFFLINE_OWNED | (u32)owner_id(mfn) << PG_OFFLINE_OWNER_SHIFT;
    case FRAME_HYPERVISOR: return PG_OFFLINE_FAILED | PG_OFFLINE_XENPAGE;
    default: return PG_OFFLINE_FAILED | PG_OFFLINE_NOT_CONV_RAM;
    }
}

static u32 query_answer(mfn_t mfn)
{
    enum frame_owner is = frame_owner(mfn);
    bool broken = is != FRAME_NONE && READ_ONCE(mfn_to_page(mfn)->ref_info) & PGR_BROKEN;

    return is == FRAME_RETIRED ? PG_OFFLINE_STATUS_OFFLINED | PG_OFFLINE_STATUS_BROKEN :
           broken              ? PG_OFFLINE_STATUS_OFFLINE_PENDING | PG_OFFLINE_STATUS_BROKEN :
                                 PG_OFFLINE_STATUS_ONLINE;
}

/* A frame that was retired does not come back: nothing tells a frame with damage from one that the toolstack named. */
static long offline_pages(const struct xen_sysctl_page_offline_op *op)
{
    if (op->end < op->start || op->cmd < sysctl_page_offline || op->cmd > sysctl_query_page_offline)
        return -EINVAL;
    for (u64 mfn = op->start; mfn <= op->end; mfn++) {
        u32 answer;

        if (!mfn_valid(mfn))
            return -EINVAL;
        if (op->cmd == sysctl_page_offline)
            answer = offline_answer(page_retire(mfn), mfn);
        else if (op->cmd == sysctl_query_page_offline)
            answer = query_answer(mfn);
        else
            answer = PG_OFFLINE_FAILED | (frame_owner(mfn) == FRAME_RETIRED ? PG_OFFLINE_BROKEN : 0);
        if (copy_to_guest(guest_ptr_index(op->status, mfn - op->start, sizeof(answer)), &answer, sizeof(answer)))
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

static const struct subop rows[] = {
    [XEN_SYSCTL_readconsole] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_readconsole, readconsole) },
    [XEN_SYSCTL_physinfo] = { CONTROL, ARG_OUT(struct xen_sysctl_physinfo, physinfo) },
    [XEN_SYSCTL_sched_id] = { CONTROL, ARG_OUT(struct xen_sysctl_sched_id, sched_id) },
    [XEN_SYSCTL_getdomaininfolist] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_getdomaininfolist, getdomaininfolist) },
    [XEN_SYSCTL_debug_keys] = { CONTROL, ARG_IN(struct xen_sysctl_debug_keys, debug_keys) },
    [XEN_SYSCTL_getcpuinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_getcpuinfo, getcpuinfo) },
    [XEN_SYSCTL_get_pmstat] = { CONTROL, ARG_IN(struct xen_sysctl_get_pmstat, get_pmstat) },
    [XEN_SYSCTL_cpu_hotplug] = { CONTROL, ARG_IN(struct xen_sysctl_cpu_hotplug, cpu_hotplug) },
    [XEN_SYSCTL_pm_op] = { CONTROL, ARG_IN(struct xen_sysctl_pm_op, pm_op) },
    [XEN_SYSCTL_page_offline_op] = { CONTROL, ARG_IN(struct xen_sysctl_page_offline_op, offline_pages) },
    [XEN_SYSCTL_cputopoinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cputopoinfo, cputopoinfo) },
    [XEN_SYSCTL_numainfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_numainfo, numainfo) },
    [XEN_SYSCTL_cpupool_op] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpupool_op, cpupool_op) },
    [XEN_SYSCTL_scheduler_op] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_scheduler_op, scheduler_op) },
    [XEN_SYSCTL_pcitopoinfo] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_pcitopoinfo, pcitopoinfo) },
    [XEN_SYSCTL_get_cpu_levelling_caps] = { CONTROL, ARG_OUT(struct xen_sysctl_cpu_levelling_caps, sysctl_cpu_levelling_caps) },
    [XEN_SYSCTL_get_cpu_featureset] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpu_featureset, sysctl_cpu_featureset) },
    [XEN_SYSCTL_get_cpu_policy] = { CONTROL, ARG_IN_OUT(struct xen_sysctl_cpu_policy, sysctl_cpu_policy) },
};

const struct subops sysctl_table = { rows, ARRAY_SIZE(rows), __HYPERVISOR_sysctl,
                                     ARG_VERSIONED(struct xen_sysctl, XEN_SYSCTL_INTERFACE_VERSION) };

long do_sysctl(guest_ptr_t arg) { return subop_dispatch(&sysctl_table, 0, arg, NULL); }
