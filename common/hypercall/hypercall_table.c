/* The hypercalls that exist, by number. Absent ones answer -ENOSYS. */
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>
#include <public/xen.h>

const hypercall_fn hypercall_table[HYPERCALL_MAX] = {
    [__HYPERVISOR_set_trap_table] = do_set_trap_table,
    [__HYPERVISOR_mmu_update] = do_mmu_update,
    [__HYPERVISOR_set_gdt] = do_set_gdt,
    [__HYPERVISOR_stack_switch] = do_stack_switch,
    [__HYPERVISOR_set_callbacks] = do_set_callbacks,
    [__HYPERVISOR_fpu_taskswitch] = do_fpu_taskswitch,
    [__HYPERVISOR_platform_op] = do_platform_op,
    [__HYPERVISOR_set_debugreg] = do_set_debugreg,
    [__HYPERVISOR_get_debugreg] = do_get_debugreg,
    [__HYPERVISOR_update_descriptor] = do_update_descriptor,
    [__HYPERVISOR_memory_op] = do_memory_op,
    [__HYPERVISOR_multicall] = do_multicall,
    [__HYPERVISOR_update_va_mapping] = do_update_va_mapping,
    [__HYPERVISOR_update_va_mapping_otherdomain] = do_update_va_mapping_otherdomain,
    [__HYPERVISOR_set_timer_op] = do_set_timer_op,
    [__HYPERVISOR_xen_version] = do_xen_version,
    [__HYPERVISOR_console_io] = do_console_io,
    [__HYPERVISOR_grant_table_op] = do_grant_table_op,
    [__HYPERVISOR_vm_assist] = do_vm_assist,
    [__HYPERVISOR_iret] = do_iret,
    [__HYPERVISOR_vcpu_op] = do_vcpu_op,
    [__HYPERVISOR_set_segment_base] = do_set_segment_base,
    [__HYPERVISOR_mmuext_op] = do_mmuext_op,
    [__HYPERVISOR_sched_op] = do_sched_op,
    [__HYPERVISOR_callback_op] = do_callback_op,
    [__HYPERVISOR_event_channel_op] = do_event_channel_op,
    [__HYPERVISOR_physdev_op] = do_physdev_op,
    [__HYPERVISOR_mca] = do_mca,
    [__HYPERVISOR_domctl] = do_domctl,
    [__HYPERVISOR_kexec_op] = do_kexec_op,
    [__HYPERVISOR_hypfs_op] = do_hypfs_op,
    [HYPERCALL_TRAP_TEST] = do_trap_test,
};

long subop_dispatch(const struct subop *table, u64 count, u64 cmd, u64 guest_arg)
{
    u64 arg[SUBOP_MAX_ARG / 8] = { 0 };

    if (cmd >= count)
        return -ENOSYS;
    cmd = index_nospec(cmd, count);
    if (!table[cmd].run)
        return -ENOSYS;
    if (copy_from_guest(arg, (void *)guest_arg, table[cmd].size))
        return -EFAULT;
    long rc = table[cmd].run(arg);

    if (!rc && table[cmd].copy_out && copy_to_guest((void *)guest_arg, arg, table[cmd].size))
        return -EFAULT;
    return rc;
}
