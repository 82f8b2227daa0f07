/* SPDX-License-Identifier: MIT */
/* platform_op: the machine's clock, firmware and sleep states, for the hardware domain. */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/console.h>
#include <hv/domain.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>
#include <hv/printk.h>
#include <hv/serial.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <public/platform.h>
#include "efi_runtime.h"

#define ACPI_STATE_S5 5

static void republish_wallclock(void)
{
    struct domain *d;

    for_each_domain(d)
        wallclock_publish(d);
}

static long settime32(struct xen_platform_op *op)
{
    wallclock_set(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
    republish_wallclock();
    return 0;
}

static long settime64(struct xen_platform_op *op)
{
    if (op->u.settime64.mbz)
        return -EINVAL;
    wallclock_set(op->u.settime64.secs, op->u.settime64.nsecs, op->u.settime64.system_time);
    republish_wallclock();
    return 0;
}

static long firmware_info(struct xen_platform_op *op)
{
    switch (op->u.firmware_info.type) {
    case XEN_FW_KBD_SHIFT_FLAGS: op->u.firmware_info.u.kbd_shift_flags = 0; return 0;
    case XEN_FW_DISK_INFO: return -ESRCH; /* no BIOS disk information was taken */
    case XEN_FW_EFI_INFO: return efi_firmware_info(op->u.firmware_info.index, &op->u.firmware_info.u.efi_info);
    default: return -ENOSYS;
    }
}

static long efi_runtime(struct xen_platform_op *op) { return efi_runtime_call(&op->u.efi_runtime_call); }

static long enter_sleep(struct xen_platform_op *op)
{
    if (op->u.enter_acpi_sleep.sleep_state != ACPI_STATE_S5)
        return -EOPNOTSUPP; /* S3 would lose the hypervisor's state */
    if (op->u.enter_acpi_sleep.flags)
        return -EINVAL;
    printk(LOG_INFO "ACPI: entering S5\n");
    serial_set_sync(); /* what is still buffered would be lost */
    serial_flush();
    coverage_dump();
    acpi_enter_sleep(op->u.enter_acpi_sleep.val_a, op->u.enter_acpi_sleep.val_b);
    return -EAGAIN;
}

static long get_cpuinfo(struct xen_platform_op *op)
{
    u32 n = op->u.pcpu_info.xen_cpuid;
    const struct percpu *c = n < MAX_CPUS ? cpu_table[index_nospec(n, MAX_CPUS)] : NULL;

    op->u.pcpu_info.max_present = 0;
    for (u32 i = 0; i < MAX_CPUS; i++)
        if (cpu_table[i])
            op->u.pcpu_info.max_present = i;
    if (!c) {
        op->u.pcpu_info.flags = XEN_PCPU_FLAGS_INVALID;
        return 0;
    }
    op->u.pcpu_info.flags = cpu_is_online(c) ? XEN_PCPU_FLAGS_ONLINE : 0;
    op->u.pcpu_info.apic_id = c->apic_id;
    op->u.pcpu_info.acpi_id = acpi_id_of(c->apic_id);
    return 0;
}

static long cpu_online(struct xen_platform_op *op) { return smp_cpu_online(op->u.cpu_ol.cpuid); }

static long cpu_offline(struct xen_platform_op *op) { return smp_cpu_offline(op->u.cpu_ol.cpuid); }

static long read_memtype(struct xen_platform_op *op)
{
    (void)op;
    return -EINVAL; /* no MTRR is shown: the list ends at once */
}

static long set_pminfo(struct xen_platform_op *op)
{
    (void)op;
    return -ENOSYS;
}

static const struct {
    u32 cmd;
    long (*run)(struct xen_platform_op *op);
} ops[] = {
    { XENPF_settime32, settime32 },          { XENPF_settime64, settime64 },
    { XENPF_efi_runtime_call, efi_runtime }, { XENPF_firmware_info, firmware_info },
    { XENPF_enter_acpi_sleep, enter_sleep }, { XENPF_get_cpuinfo, get_cpuinfo },
    { XENPF_read_memtype, read_memtype },    { XENPF_set_processor_pminfo, set_pminfo },
    { XENPF_cpu_online, cpu_online },        { XENPF_cpu_offline, cpu_offline },
};

long do_platform_op(guest_ptr_t arg)
{
    struct xen_platform_op op;

    if (copy_from_guest(&op, arg, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (ops[i].cmd == op.cmd) {
            long rc = ops[i].run(&op);

            if (!rc && copy_to_guest(arg, &op, sizeof(op)))
                return -EFAULT;
            return rc;
        }
    return hypercall_not_offered(__HYPERVISOR_platform_op, op.cmd);
}
