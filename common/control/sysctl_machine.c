/* SPDX-License-Identifier: MIT */
/* sysctl: what the machine is made of. NUMA: one node, all memory is alike. */
#include "sysctl.h"

#include <hv/pci.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>

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
    u32 threads = 0, on_socket = 0;

    for_each_cpu(c, cpuset_read(&cpus_online)) {
        struct cpu_place at = cpu_place(c->apic_id);

        on_socket += at.socket == first.socket;
        threads += at.socket == first.socket && at.core == first.core;
    }
    info->threads_per_core = threads;
    info->cores_per_socket = on_socket / threads;
}

long sysctl_physinfo(struct xen_sysctl_physinfo *info)
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

long sysctl_cputopoinfo(struct xen_sysctl_cputopoinfo *op)
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

long sysctl_numainfo(struct xen_sysctl_numainfo *op)
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

long sysctl_pcitopoinfo(const struct xen_sysctl_pcitopoinfo *op)
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

long sysctl_getcpuinfo(struct xen_sysctl_getcpuinfo *op)
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
long sysctl_offline_pages(const struct xen_sysctl_page_offline_op *op)
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
