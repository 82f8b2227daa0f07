/* SPDX-License-Identifier: MIT */
/*
 * What the ABI has and this hypervisor does not offer: whole hypercalls and operations of others, each with its answer and the reason. Of
 * this table docs/unsupported.md is made (tools/gen_hypercalls.py); whoever calls one finds a line in the log, once each, at guest_loglvl=debug.
 */
#include <hv/hypercall.h>
#include <hv/printk.h>

#define WHOLE 0xffff /* the hypercall, whatever the operation */

static const struct row {
    u8 hypercall;
    u16 first, last; /* operations */
    int answer;
    const char *what, *reason;
} rows[] = {
    { 6, WHOLE, WHOLE, -ENOSYS, "sched_op_compat", "kernels use sched_op since Xen 3.0" },
    { 11, WHOLE, WHOLE, -ENOSYS, "set_timer_op_compat", "kernels use set_timer_op" },
    { 16, WHOLE, WHOLE, -ENOSYS, "event_channel_op_compat", "kernels use event_channel_op since Xen 3.0" },
    { 19, WHOLE, WHOLE, -ENOSYS, "physdev_op_compat", "kernels use physdev_op since Xen 3.0" },
    { 27, WHOLE, WHOLE, -ENOSYS, "xsm_op", "there are no security modules" },
    { 28, WHOLE, WHOLE, -ENOSYS, "nmi_op", "kernels register their NMI handler by callback_op" },
    { 31, WHOLE, WHOLE, -ENOSYS, "xenoprof_op", "performance counters are not given to guests" },
    { 34, WHOLE, WHOLE, -ENOSYS, "hvm_op", "guests run without hardware virtualisation" },
    { 37, WHOLE, WHOLE, -EOPNOTSUPP, "kexec_op", "reboot starts another kernel; the flight recorder keeps what a crash says" },
    { 38, WHOLE, WHOLE, -ENOSYS, "tmem_op", "Xen has given it up as well" },
    { 39, WHOLE, WHOLE, -ENOSYS, "argo_op", "domains speak by grants and event channels" },
    { 40, WHOLE, WHOLE, -ENOSYS, "xenpmu_op", "performance counters are not given to guests" },
    { 41, WHOLE, WHOLE, -ENOSYS, "dm_op", "guests run without hardware virtualisation, so there are no device models" },
    { __HYPERVISOR_memory_op, 7, 8, -ENOSYS, "add_to_physmap", "it is for guests with translated memory" },
    { __HYPERVISOR_memory_op, 15, 15, -ENOSYS, "remove_from_physmap", "it is for guests with translated memory" },
    { __HYPERVISOR_memory_op, 16, 17, -ENOSYS, "populate on demand", "it is for guests with translated memory" },
    { __HYPERVISOR_memory_op, 20, 22, -ENOSYS, "paging, access, sharing", "they are for guests with translated memory" },
    { __HYPERVISOR_memory_op, 23, 23, -ENOSYS, "add_to_physmap_batch", "it is for guests with translated memory" },
    { __HYPERVISOR_memory_op, 25, 25, -ENOSYS, "machphys_compat_mfn_list", "guests have 64 bits" },
    { __HYPERVISOR_memory_op, 27, 27, -ENOSYS, "reserved_device_memory_map", "there is no driver for IOMMUs" },
    { __HYPERVISOR_physdev_op, 11, 11, -ENOSYS, "free_irq_vector", "the hypervisor gives out vectors" },
    { __HYPERVISOR_physdev_op, 17, 17, -ENOSYS, "pirq_eoi_gmfn_v1", "dom0 asks by irq_status_query" },
    { __HYPERVISOR_physdev_op, 19, 19, -ENOSYS, "restore_msi", "the machine does not sleep" },
    { __HYPERVISOR_physdev_op, 23, 23, -ENOSYS, "get_free_pirq", "map_pirq chooses one" },
    { __HYPERVISOR_physdev_op, 27, 27, -ENOSYS, "restore_msi_ext", "the machine does not sleep" },
    { __HYPERVISOR_physdev_op, 28, 28, -ENOSYS, "pirq_eoi_gmfn_v2", "dom0 asks by irq_status_query" },
    { __HYPERVISOR_physdev_op, 29, 29, -ENOSYS, "dbgp_op", "the USB debug port is dom0's alone" },
    { __HYPERVISOR_physdev_op, 30, 31, -ENOSYS, "prepare_msix, release_msix", "no device is given to other domains" },
    { __HYPERVISOR_domctl, 29, 29, -ENOSYS, "subscribe", "VIRQ_DOM_EXC tells that a domain is suspended" },
    { __HYPERVISOR_domctl, 33, 34, -ENOSYS, "gethvmcontext, sethvmcontext", "guests run without hardware virtualisation" },
    { __HYPERVISOR_domctl, 37, 37, -EOPNOTSUPP, "assign_device", "there is no driver for IOMMUs" },
    { __HYPERVISOR_domctl, 38, 40, -ENOSYS, "mappings of interrupts, memory, ports", "they are for guests with translated memory" },
    { __HYPERVISOR_domctl, 45, 45, -EOPNOTSUPP, "test_assign_device", "there is no driver for IOMMUs" },
    { __HYPERVISOR_domctl, 46, 46, -ENOSYS, "set_target", "guests run without hardware virtualisation, so there are no device models" },
    { __HYPERVISOR_domctl, 47, 50, -EOPNOTSUPP, "deassign_device, get_device_group", "there is no driver for IOMMUs" },
    { __HYPERVISOR_domctl, 54, 57, -ENOSYS, "debug_op, vm_event_op, mem_sharing_op", "guests run without hardware virtualisation" },
    { __HYPERVISOR_domctl, 64, 65, -ENOSYS, "set_access_required, audit_p2m", "they are for guests with translated memory" },
    { __HYPERVISOR_domctl, 67, 67, -ENOSYS, "set_broken_page_p2m", "it is for guests with translated memory" },
    { __HYPERVISOR_domctl, 71, 71, -ENOSYS, "cacheflush", "caches are coherent" },
    { __HYPERVISOR_domctl, 74, 74, -ENOSYS, "setvnumainfo", "memory is taken from all NUMA nodes alike" },
    { __HYPERVISOR_domctl, 75, 75, -ENODEV, "psr_cmt_op", "resource control is not given to guests" },
    { __HYPERVISOR_domctl, 77, 77, -ENOSYS, "monitor_op", "guests run without hardware virtualisation" },
    { __HYPERVISOR_domctl, 78, 78, -ENODEV, "psr_alloc", "resource control is not given to guests" },
    { __HYPERVISOR_domctl, 79, 79, -ENOSYS, "soft_reset", "a guest that wants to start anew is destroyed and created" },
    { __HYPERVISOR_domctl, 81, 81, -ENOSYS, "vuart_op", "guests have consoles in their memory" },
    { __HYPERVISOR_domctl, 84, 86, -EOPNOTSUPP, "vmtrace_op, sizes of paging pools", "guests run without hardware virtualisation" },
    { __HYPERVISOR_domctl, 87, 89, -EOPNOTSUPP, "dt_overlay, gsi_permission, set_llc_colors", "they are for other machines, or for PVH" },
    { __HYPERVISOR_domctl, 1000, 1003, -ENOSYS, "gdbsx", "a guest's state and memory are read by other operations" },
    { __HYPERVISOR_sysctl, 2, 2, -ENOSYS, "tbuf_op", "there are no trace buffers" },
    { __HYPERVISOR_sysctl, 5, 5, -ENOSYS, "perfc_op", "the hypervisor does not count what it does" },
    { __HYPERVISOR_sysctl, 9, 9, -ENOSYS, "availheap", "physinfo says how much memory is free" },
    { __HYPERVISOR_sysctl, 15, 15, -ENOSYS, "lockprof_op", "locks are not measured" },
    { __HYPERVISOR_sysctl, 20, 20, -EOPNOTSUPP, "coverage_op", "a coverage build prints its counts (tests/coverage)" },
    { __HYPERVISOR_sysctl, 21, 21, -ENODEV, "psr_cmt_op", "resource control is not given to guests" },
    { __HYPERVISOR_sysctl, 23, 23, -ENODEV, "psr_alloc", "resource control is not given to guests" },
    { __HYPERVISOR_sysctl, 27, 27, -EOPNOTSUPP, "livepatch_op", "a new hypervisor is booted" },
    { __HYPERVISOR_sysctl, 30, 30, -ENOSYS, "dt_overlay", "device trees are for other machines" },
    { __HYPERVISOR_platform_op, 31, 32, -ENOSYS, "add_memtype, del_memtype", "guests set memory types by page tables (PAT)" },
    { __HYPERVISOR_platform_op, 35, 35, -ENOSYS, "microcode_update", "the microcode that the firmware has loaded stays" },
    { __HYPERVISOR_platform_op, 39, 39, -ENOSYS, "platform_quirk", "no quirk is known" },
    { __HYPERVISOR_platform_op, 48, 48, -ENOSYS, "get_cpu_version", "dom0 reads CPUID" },
    { __HYPERVISOR_platform_op, 52, 54, -ENOSYS, "change_freq, getidletime, set_pminfo", "idle and performance states are left alone" },
    { __HYPERVISOR_platform_op, 58, 61, -ENOSYS, "hot-plug of CPUs and memory, core parking, resources",
      "the machine is used as it was at boot" },
    { __HYPERVISOR_platform_op, 63, 63, -ENOSYS, "get_symbol", "symbols are in build/caisson.debug" },
    { __HYPERVISOR_platform_op, 64, 64, -ENOSYS, "get_dom0_console", "dom0's start_info has it" },
    { __HYPERVISOR_platform_op, 65, 66, -ENOSYS, "get_ucode_revision, microcode_update2", "the firmware's microcode stays" },
    { __HYPERVISOR_vcpu_op, 14, 15, -ENOSYS, "areas by physical address", "guests register virtual addresses, as XENFEAT has it" },
    { __HYPERVISOR_mmuext_op, 19, 20, -ENOSYS, "mark_super, unmark_super", "PV guests have pages of 4 KiB" },
    { __HYPERVISOR_grant_table_op, 3, 3, -ENOSYS, "dump_table", "debug keys show domains" },
    { __HYPERVISOR_grant_table_op, 4, 4, -ENOSYS, "transfer", "kernels copy or map instead since Linux 2.6.24" },
    { __HYPERVISOR_grant_table_op, 9, 9, -ENOSYS, "get_status_frames", "grant tables have version 1" },
    { __HYPERVISOR_grant_table_op, 12, 12, -ENOSYS, "cache_flush", "the processor keeps its caches coherent with devices" },
};

static const struct row *not_offered_find(u64 hypercall, u64 op)
{
    for (const struct row *r = rows; r < rows + ARRAY_SIZE(rows); r++)
        if (r->hypercall == hypercall && (r->first == WHOLE || (op >= r->first && op <= r->last)))
            return r;
    return NULL;
}

long hypercall_not_offered(u64 hypercall, u64 op)
{
    static bool told[ARRAY_SIZE(rows)];
    const struct row *r = not_offered_find(hypercall, op);

    if (!r) {
        printk(GUEST_DEBUG "d%u: hypercall %lu, operation %lu is not known\n", current->domain->id, hypercall, op);
        return -ENOSYS;
    }
    if (__atomic_exchange_n(&told[r - rows], true, __ATOMIC_RELAXED))
        return r->answer;
    if (r->first == WHOLE) /* what its first argument is, nobody knows */
        printk(GUEST_DEBUG "d%u: hypercall %lu (%s) is not offered: %s\n", current->domain->id, hypercall, r->what, r->reason);
    else
        printk(GUEST_DEBUG "d%u: hypercall %lu, operation %lu (%s) is not offered: %s\n", current->domain->id, hypercall, op, r->what,
               r->reason);
    return r->answer;
}
