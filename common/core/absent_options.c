/* SPDX-License-Identifier: MIT */
/*
 * Options that Xen documents and this hypervisor lacks, with the reason: what a user of Xen brings along is answered by
 * name. docs/options.md is made of this list (tools/gen_options.py). Read while the command line is, and released with
 * the code that only boot needs.
 */
#include <hv/cmdline.h>
#include <hv/lib.h>

/* A reason, then the names that it holds for. The empty reason is for words that ask for nothing. */
static const char absent[] __section(".init.rodata") =
    "\0"
    "placeholder\0"
    "guests run without hardware virtualisation, so there is nothing to set\0"
    "altp2m apicv asid ept force-ept hap hap_1gb hap_2mb hvm_debug hvm_fep hvm_port80 introspection_extn ple_gap "
    "ple_window pv-shim shim_mem unrestricted_guest viridian-spinlock-retry-count viridian-version vm-notify-window "
    "vpid\0"
    "the IOMMU is not used, and no device is given to other domains\0"
    "ats dom0-iommu iommu iommu_dev_iotlb_timeout iommu_inclusive_mapping ivmd ivrs_hpet ivrs_ioapic pci-passthrough "
    "pci-phantom rmrr snb_igd_quirk\0"
    "there is one scheduler, whose settings are docs/scheduler.md's\0"
    "credit2_balance_over credit2_balance_under credit2_cap_period_ms credit2_load_precision_shift "
    "credit2_load_window_shift credit2_runqueue load-balance-ratelimit sched sched-gran sched_credit2_migrate_resist "
    "sched_credit_tslice_ms sched_ratelimit_us sched_smt_power_savings tickle_one_idle_cpu vcpu_migration_delay\0"
    "memory is taken as the firmware describes it, from all NUMA nodes alike\0"
    "availmem dma_bits dom0_nodes e820-mtrr-clip e820-verbose highmem-start mem memop-max-order numa pdx-compress "
    "xenheap_megabytes low_mem_virq_limit\0"
    "memory that was freed is cleared by idle CPUs, all else when it is given out\0"
    "bootscrub bootscrub_chunk scrub-domheap\0"
    "clocks and timers are measured and chosen without it\0"
    "arat clocksource cmos-rtc-probe hpet hpetbroadcast ro-hpet tdt timer_slop tsc wallclock\0"
    "the ACPI tables are used where they are sound, and their defects are named\0"
    "acpi acpi_apic_instance acpi_skip_timer_override hest_disable\0"
    "the machine does not sleep, and its processors' idle and performance states are left alone\0"
    "acpi_pstate_strict acpi_sleep core_parking cpufreq cpuidle idle_latency_factor lapic_timer_c2_ok max_cstate mwait-idle "
    "mwait-idle.table\0"
    "interrupt controllers are set up as the processor and the MADT say\0"
    "apic apic_verbosity extra_guest_irqs ioapic_ack irq-max-guests irq_ratelimit irq_vector_map lapic max_gsi_irqs msi "
    "noapic noirqbalance nolapic nr_irqs x2apic x2apic-mode x2apic_phys\0"
    "what guests may see of the processor is fixed (docs/security.md); cpuid= of a guest's configuration takes away from that\0"
    "cpuid cpuid_mask_cpu cpuid_mask_ecx cpuid_mask_edx cpuid_mask_ext_ecx cpuid_mask_ext_edx cpuid_mask_l7s0_eax "
    "cpuid_mask_l7s0_ebx cpuid_mask_thermal_ecx cpuid_mask_xsave_eax cpuinfo dit dom0-cpuid global-pages invpcid pcid pku "
    "smt tsx xsave\0"
    "performance counters and resource control are not given to guests\0"
    "cpu_type psr vpmu\0"
    "machine checks are always handled, by polling and by exception\0"
    "cmci-threshold mce mce_fb mce_verbosity\0"
    "there is no kexec; the flight recorder keeps what a crash says (recorder=)\0"
    "crashinfo_maxaddr crashkernel low_crashinfo\0"
    "dom0 is a 64-bit PV guest and the hardware domain\0"
    "dom0 dom0_ioports_disable hardware_dom mmio-relax pv pv-linear-pt\0"
    "grant tables have version 1, and the size that the toolstack gives them (max_grant_frames, max_maptrack_frames)\0"
    "gnttab gnttab_max_frames gnttab_max_maptrack_frames\0"
    "there are no security modules and no communication between domains beside grants and event channels\0"
    "argo flask xsm\0"
    "the microcode that the firmware has loaded stays\0"
    "ucode\0"
    "the loader sets the video mode (gfxpayload= of GRUB), and dom0 has the screen once it runs\0"
    "edid font vesa-map vesa-mtrr vesa-ram vga\0"
    "buffers have fixed sizes, and dom0's output is in the log\0"
    "conring_size console_to_ring serial_tx_buffer\0"
    "three times Ctrl-A switches the input\0"
    "conswitch\0"
    "there is no debugger stub, no USB debug port and no trace buffer; QEMU's gdb stub works (tools/run --gdb)\0"
    "async-show-all dbgp debug_stack_lines debugtrace gdb ler lock-depth-size mtrr.show tbuf_size tevt_mask\0"
    "the firmware's settings stay\0"
    "edd mmcfg no-real-mode pci pci-scan probe-port-aliases tboot\0"
    "the machine restarts by the first way that works: ACPI, keyboard controller, port CF9h, triple fault\0"
    "reboot\0"
    "it works round a processor erratum that is not dealt with here\0"
    "allow_unsafe\0"
    "there is no RCU\0"
    "rcu-idle-timer-period-ms\0"
    "it is for ARM\0"
    "buddy-alloc-size dom0-llc-colors dtuart hmp-unsafe llc-coloring llc-nr-ways llc-size max_lpi_bits "
    "partial-emulation serrors trap-unmapped-accesses vwfi xen-llc-colors\0";

static bool in_list(const char *list, const char *name, size_t n)
{
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

const char *option_absence(const char *name)
{
    char plain[40]; /* without an index: ivrs_ioapic[4] */
    const char *index = strchr(name, '[');
    size_t n = index ? (size_t)(index - name) : strlen(name);

    if (!n || n >= sizeof(plain) || strchr(name, ' '))
        return NULL;
    memcpy(plain, name, n);
    plain[n] = 0;
    for (const char *reason = absent; reason < absent + sizeof(absent) - 1;) {
        const char *names = reason + strlen(reason) + 1;

        if (in_list(names, plain, n))
            return reason;
        reason = names + strlen(names) + 1;
    }
    return NULL;
}
