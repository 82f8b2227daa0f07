/* SPDX-License-Identifier: MIT */
/* platform_op: the machine's clock, firmware and sleep states, for the hardware domain. */
#include <hv/acpi.h>
#include <hv/printk.h>
#include <hv/serial.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include "control.h"

#define ACPI_STATE_S5 5

static long set_wallclock(u64 sec, u32 nsec, u64 system_time)
{
    wallclock_set(sec, nsec, system_time);
    for_each_domain(d)
        wallclock_publish(d);
    return 0;
}

static long settime32(const struct xenpf_settime *t) { return set_wallclock(t->secs, t->nsecs, t->system_time); }

static long settime64(const struct xenpf_settime64 *t) { return t->mbz ? -EINVAL : set_wallclock(t->secs, t->nsecs, t->system_time); }

static long firmware_info(struct xenpf_firmware_info *f)
{
    switch (f->type) {
    case XEN_FW_KBD_SHIFT_FLAGS: f->u.kbd_shift_flags = 0; return 0;
    case XEN_FW_DISK_INFO: return -ESRCH; /* no BIOS disk information was taken */
    case XEN_FW_EFI_INFO: return efi_firmware_info(f->index, &f->u.efi_info);
    default: return -ENOSYS;
    }
}

static long enter_sleep(const struct xenpf_enter_acpi_sleep *s)
{
    if (s->sleep_state != ACPI_STATE_S5)
        return -EOPNOTSUPP; /* S3 would lose the hypervisor's state */
    if (s->flags)
        return -EINVAL;
    printk(LOG_INFO "ACPI: entering S5\n");
    serial_set_sync(); /* what is still buffered would be lost */
    serial_flush();
    coverage_dump();
    acpi_enter_sleep(s->val_a, s->val_b);
    return -EAGAIN;
}

static long get_cpuinfo(struct xenpf_pcpuinfo *info)
{
    u32 n = info->xen_cpuid;
    const struct percpu *c = n < MAX_CPUS ? cpu_table[index_nospec(n, MAX_CPUS)] : NULL;

    info->max_present = 0;
    for (u32 i = 0; i < MAX_CPUS; i++)
        if (cpu_table[i])
            info->max_present = i;
    if (!c) {
        info->flags = XEN_PCPU_FLAGS_INVALID;
        return 0;
    }
    info->flags = cpu_is_online(c) ? XEN_PCPU_FLAGS_ONLINE : 0;
    info->apic_id = c->apic_id;
    info->acpi_id = acpi_id_of(c->apic_id);
    return 0;
}

static long cpu_online(const struct xenpf_cpu_ol *c) { return smp_cpu_online(c->cpuid); }

static long cpu_offline(const struct xenpf_cpu_ol *c) { return smp_cpu_offline(c->cpuid); }

static long read_memtype(void) { return -EINVAL; /* no MTRR is shown: the list ends at once */ }

static const struct subop rows[] = {
    [XENPF_settime32] = { CONTROL, ARG_IN_OUT(struct xenpf_settime, settime32) },
    [XENPF_settime64] = { CONTROL, ARG_IN_OUT(struct xenpf_settime64, settime64) },
    [XENPF_efi_runtime_call] = { CONTROL, ARG_IN_OUT(struct xenpf_efi_runtime_call, efi_runtime_call) },
    [XENPF_firmware_info] = { CONTROL, ARG_IN_OUT(struct xenpf_firmware_info, firmware_info) },
    [XENPF_enter_acpi_sleep] = { CONTROL, ARG_IN_OUT(struct xenpf_enter_acpi_sleep, enter_sleep) },
    [XENPF_get_cpuinfo] = { CONTROL, ARG_IN_OUT(struct xenpf_pcpuinfo, get_cpuinfo) },
    [XENPF_read_memtype] = { CONTROL, ARG_NONE(read_memtype) },
    [XENPF_cpu_online] = { CONTROL, ARG_IN_OUT(struct xenpf_cpu_ol, cpu_online) },
    [XENPF_cpu_offline] = { CONTROL, ARG_IN_OUT(struct xenpf_cpu_ol, cpu_offline) },
};

const struct subops platform_op_table = { rows, ARRAY_SIZE(rows), __HYPERVISOR_platform_op,
                                          ARG_VERSIONED(struct xen_platform_op, XENPF_INTERFACE_VERSION) };

long do_platform_op(guest_ptr_t arg) { return subop_dispatch(&platform_op_table, 0, arg, NULL); }
