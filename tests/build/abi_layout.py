#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares sizes, offsets and numbers of include/public with the headers of libxen-dev, of Debian 12 (Xen 4.17) or of Debian 13 (4.20)."""
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/tools")
from caisson import packages  # noqa: E402

# Our structure: (the distribution's spelling, or None for the same, and its fields)
STRUCTS = {
    "start_info": (None, "magic nr_pages shared_info flags store_mfn store_evtchn console pt_base nr_pt_frames mfn_list "
                         "mod_start mod_len cmd_line first_p2m_pfn nr_p2m_frames"),
    "shared_info": (None, "vcpu_info evtchn_pending evtchn_mask wc_version wc_sec wc_nsec arch arch.max_pfn "
                          "arch.pfn_to_mfn_frame_list_list arch.nmi_reason arch.p2m_cr3 arch.p2m_vaddr arch.p2m_generation"),
    "vcpu_info": (None, "evtchn_upcall_pending evtchn_upcall_mask evtchn_pending_sel arch arch.cr2 time"),
    "vcpu_time_info": (None, "version tsc_timestamp system_time tsc_to_system_mul tsc_shift flags"),
    "dom0_vga_console_info": (None, "video_type u u.text_mode_3.rows u.vesa_lfb.lfb_base u.vesa_lfb.red_pos "
                                    "u.vesa_lfb.ext_lfb_base"),
    "trap_info": (None, "vector flags cs address"),
    "iret_context": (None, "rax r11 rcx flags rip cs rflags rsp ss"),
    "mmu_update": (None, "ptr val"),
    "mmuext_op": (None, "cmd arg1 arg2"),
    "multicall_entry": (None, "op result args"),
    "vcpu_guest_context": (None, "fpu_ctxt flags user_regs trap_ctxt ldt_base ldt_ents gdt_frames gdt_ents kernel_ss kernel_sp "
                                 "ctrlreg debugreg event_callback_eip failsafe_callback_eip syscall_callback_eip vm_assist "
                                 "fs_base gs_base_kernel gs_base_user"),
    "guest_user_regs": ("cpu_user_regs", "r15 rdi error_code entry_vector rip cs saved_upcall_mask rflags rsp ss es ds fs gs"),
    "callback_register": (None, "type flags address"),
    "callback_unregister": (None, "type"),
    "xen_feature_info": (None, "submap_idx submap"),
    "xen_compile_info": (None, "compiler compile_by compile_domain compile_date"),
    "xen_memory_reservation": (None, "extent_start nr_extents extent_order mem_flags domid"),
    "xen_memory_exchange": (None, "in out nr_exchanged"),
    "xen_machphys_mapping": (None, "v_start v_end max_mfn"),
    "xen_machphys_mfn_list": (None, "max_extents extent_start nr_extents"),
    "xen_foreign_memory_map": (None, "domid map"),
    "xen_mem_acquire_resource": (None, "domid type id nr_frames pad frame frame_list"),
    "xen_memory_map": (None, "nr_entries buffer"),
    "evtchn_alloc_unbound": (None, "dom remote_dom port"),
    "evtchn_bind_interdomain": (None, "remote_dom remote_port local_port"),
    "evtchn_bind_virq": (None, "virq vcpu port"),
    "evtchn_bind_pirq": (None, "pirq flags port"),
    "evtchn_bind_ipi": (None, "vcpu port"),
    "evtchn_close": (None, "port"),
    "evtchn_send": (None, "port"),
    "evtchn_status": (None, "dom port status vcpu u"),
    "evtchn_bind_vcpu": (None, "port vcpu"),
    "evtchn_unmask": (None, "port"),
    "evtchn_reset": (None, "dom"),
    "evtchn_init_control": (None, "control_gfn offset vcpu link_bits"),
    "evtchn_expand_array": (None, "array_gfn"),
    "evtchn_set_priority": (None, "port priority"),
    "evtchn_fifo_control_block": (None, "ready head"),
    "vcpu_runstate_info": (None, "state state_entry_time time"),
    "vcpu_register_runstate_memory_area": (None, "addr"),
    "vcpu_set_periodic_timer": (None, "period_ns"),
    "vcpu_set_singleshot_timer": (None, "timeout_abs_ns flags"),
    "vcpu_register_vcpu_info": (None, "mfn offset"),
    "sched_shutdown": (None, "reason"),
    "sched_poll": (None, "ports nr_ports timeout"),
    "sched_remote_shutdown": (None, "domain_id reason"),
    "sched_watchdog": (None, "id timeout"),
    "sched_pin_override": (None, "pcpu"),
    "vcpu_get_physid": (None, "phys_id"),
    "vcpu_register_time_memory_area": (None, "addr"),
    "physdev_irq_status_query": (None, "irq flags"),
    "physdev_set_iopl": (None, "iopl"),
    "physdev_apic": (None, "apic_physbase reg value"),
    "physdev_irq": (None, "irq vector"),
    "physdev_eoi": (None, "irq"),
    "physdev_map_pirq": (None, "domid type index pirq bus devfn entry_nr table_base"),
    "physdev_unmap_pirq": (None, "domid pirq"),
    "physdev_setup_gsi": (None, "gsi triggering polarity"),
    "physdev_pci_device_add": (None, "seg bus devfn flags physfn"),
    "xen_platform_op": (None, "cmd interface_version u"),
    "xenpf_settime64": (None, "secs nsecs mbz system_time"),
    "xenpf_enter_acpi_sleep": (None, "val_a val_b sleep_state flags"),
    "xenpf_pcpuinfo": (None, "xen_cpuid max_present flags apic_id acpi_id"),
    "grant_entry_v1": (None, "flags domid frame"),
    "gnttab_map_grant_ref": (None, "host_addr flags ref dom status handle dev_bus_addr"),
    "gnttab_unmap_grant_ref": (None, "host_addr dev_bus_addr handle status"),
    "gnttab_unmap_and_replace": (None, "host_addr new_addr handle status"),
    "gnttab_copy": (None, "source source.domid source.offset dest dest.domid dest.offset len flags status"),
    "gnttab_swap_grant_ref": (None, "ref_a ref_b status"),
    "gnttab_setup_table": (None, "dom nr_frames status frame_list"),
    "gnttab_query_size": (None, "dom nr_frames max_nr_frames status"),
    "gnttab_set_version": (None, "version"),
    "gnttab_get_version": (None, "dom version"),
    "xen_hypfs_direntry": (None, "type encoding content_len max_write_len"),
    "xen_hypfs_dirlistentry": (None, "e off_next name"),
    "xen_domctl_ext_vcpucontext": (None, "vcpu size syscall32_callback_eip sysenter_callback_eip syscall32_callback_cs "
                                         "sysenter_callback_cs syscall32_disables_events sysenter_disables_events vmce "
                                         "vmce.mci_ctl2_bank1"),
    "xen_domctl_createdomain": (None, "ssidref handle flags iommu_opts max_vcpus max_evtchn_port max_grant_frames max_maptrack_frames "
                                      "grant_opts vmtrace_size cpupool_id arch arch.misc_flags"),
    "xen_domctl_getdomaininfo": (None, "domain flags tot_pages max_pages outstanding_pages shr_pages paged_pages shared_info_frame "
                                       "cpu_time nr_online_vcpus max_vcpu_id ssidref handle cpupool gpaddr_bits arch_config"),
    "xen_domctl_vcpucontext": (None, "vcpu ctxt"),
    "xen_domctl_getvcpuinfo": (None, "vcpu online blocked running cpu_time cpu"),
    "xen_domctl_vcpuextstate": (None, "vcpu xfeature_mask size buffer"),
    "xen_domctl_nodeaffinity": (None, "nodemap"),
    "xen_domctl_shadow_op": (None, "op mode mb dirty_bitmap pages stats"),
    "xen_domctl_setdebugging": (None, "enable"),
    "xen_domctl_hypercall_init": (None, "gmfn"),
    "xen_domctl_settimeoffset": (None, "time_offset_seconds"),
    "xen_domctl_sendtrigger": (None, "trigger vcpu"),
    "xen_domctl_address_size": (None, "size"),
    "xen_domctl_tsc_info": (None, "tsc_mode gtsc_khz incarnation pad elapsed_nsec"),
    "xen_domctl_max_mem": (None, "max_memkb"),
    "xen_domctl_getpageframeinfo3": (None, "num array"),
    "xen_domctl_max_vcpus": (None, "max"),
    "xen_domctl_vcpu_msr": (None, "index reserved value"),
    "xen_domctl_vcpu_msrs": (None, "vcpu msr_count msrs"),
    "xenctl_bitmap": (None, "bitmap nr_bits"),
    "xen_domctl_irq_permission": (None, "pirq allow_access"),
    "xen_domctl_iomem_permission": (None, "first_mfn nr_mfns allow_access"),
    "xen_domctl_ioport_permission": (None, "first_port nr_ports allow_access"),
    "xen_domctl_vcpuaffinity": (None, "vcpu flags cpumap_hard cpumap_soft"),
    "xen_domctl_scheduler_op": (None, "sched_id cmd u"),
    "xen_domctl_sched_credit2": (None, "weight cap"),
    "xenpf_cpu_ol": (None, "cpuid"),
    "xenpf_firmware_info": (None, "type index u"),
    "xenpf_efi_time": (None, "year month day hour min sec ns tz daylight"),
    "xenpf_efi_guid": (None, "data1 data2 data3 data4"),
    "xenpf_efi_runtime_call": (None, "function misc status u u.get_time.time u.get_time.resolution u.get_time.accuracy"),
    "xen_domctl": (None, "cmd interface_version domain u"),
    "xen_sysctl": (None, "cmd interface_version u"),
    "xen_sysctl_readconsole": (None, "clear incremental index buffer count"),
    "xen_sysctl_physinfo": (None, "threads_per_core cores_per_socket nr_cpus max_cpu_id nr_nodes max_node_id cpu_khz capabilities "
                                  "arch_capabilities total_pages free_pages scrub_pages outstanding_pages max_mfn hw_cap"),
    "xen_sysctl_sched_id": (None, "sched_id"),
    "xen_sysctl_getdomaininfolist": (None, "first_domain max_domains buffer num_domains"),
    "xen_sysctl_debug_keys": (None, "keys nr_keys"),
    "xen_sysctl_cpuinfo": (None, "idletime"),
    "xen_sysctl_getcpuinfo": (None, "max_cpus info nr_cpus"),
    "xen_sysctl_get_pmstat": (None, "type cpuid"),
    "xen_sysctl_pm_op": (None, "cmd cpuid"),
    "xen_sysctl_cpu_hotplug": (None, "cpu op"),
    "xen_sysctl_page_offline_op": (None, "cmd start end status"),
    "xen_sysctl_cputopo": (None, "core socket node"),
    "xen_sysctl_cputopoinfo": (None, "num_cpus cputopo"),
    "xen_sysctl_meminfo": (None, "memsize memfree"),
    "xen_sysctl_numainfo": (None, "num_nodes meminfo distance"),
    "xen_sysctl_cpupool_op": (None, "op cpupool_id sched_id domid cpu n_dom cpumap"),
    "xen_sysctl_credit2_schedule": (None, "ratelimit_us"),
    "xen_sysctl_scheduler_op": (None, "cpupool_id sched_id cmd u"),
    "physdev_pci_device": (None, "seg bus devfn"),
    "xen_sysctl_pcitopoinfo": (None, "num_devs devs nodes"),
    "xen_sysctl_cpu_levelling_caps": (None, "caps"),
    "xen_sysctl_cpu_featureset": (None, "index nr_features features"),
    "xen_sysctl_cpu_policy": (None, "index nr_leaves nr_msrs _rsvd leaves msrs"),
    "xen_domctl_setdomainhandle": (None, "handle"),
    "xen_domctl_set_virq_handler": (None, "virq"),
    "xen_domctl_cpu_policy": (None, "nr_leaves nr_msrs leaves msrs err_leaf err_subleaf err_msr"),
    "xen_cpuid_leaf": (None, "leaf subleaf a b c d"),
    "xen_msr_entry": (None, "idx flags val"),
    "mcinfo_global": (None, "mc_domid mc_vcpuid mc_socketid mc_coreid mc_core_threadid mc_apicid mc_flags mc_gstatus"),
    "mcinfo_bank": (None, "mc_bank mc_domid mc_status mc_addr mc_misc mc_ctrl2 mc_tsc"),
    "mcinfo_recovery": (None, "mc_bank action_flags action_types action_info"),
    "mc_info": (None, "mi_nentries flags mi_data"),
    "mcinfo_logical_cpu": (None, "mc_cpunr mc_chipid mc_coreid mc_threadid mc_apicid mc_ncores_active mc_cpuid_level mc_family mc_vendor "
                                 "mc_vendorid mc_brandid mc_cpu_caps mc_cache_size mc_nmsrvals mc_msrvalues"),
    "xen_mc": (None, "cmd interface_version u u.mc_fetch.fetch_id u.mc_fetch.data u.mc_physcpuinfo.ncpus u.mc_physcpuinfo.info "
                     "u.mc_msrinject.mcinj_count u.mc_msrinject.mcinj_domid u.mc_msrinject.mcinj_msr u.mc_inject_v2.cpumap"),
}
# Ours may differ in name only where the ABI has none; sizes that hold optional tails are ours.
NO_SIZE = {"physdev_pci_device_add", "xen_sysctl_get_pmstat", "xen_sysctl_pm_op"}
OURS = ["xen", "memory", "event_channel", "vcpu", "physdev", "platform", "grant_table", "mca", "hypfs", "domctl", "sysctl"]
THEIRS = ["xen", "memory", "event_channel", "vcpu", "sched", "physdev", "platform", "grant_table", "callback", "version",
          "features", "nmi", "elfnote", "arch-x86/xen-mca", "hypfs", "domctl", "sysctl"]
OUR_OWN_NUMBERS = {"NR_VIRQS"}
# Version of the headers: what it has otherwise than 4.17, and the name of that here.
OTHERWISE = {"4.17": {}, "4.20": {n: n + "_4_20" for n in ("xen_domctl_createdomain", "XEN_DOMCTL_INTERFACE_VERSION")}}


def numbers():
    """Names of the plain numeric #defines in our headers."""
    names = []
    for h in OURS:
        for line in open(f"{TOP}/include/public/{h}.h"):
            m = re.match(r"#define (\w+) +\(?-?(0x)?[0-9a-fA-F]+u?\)?( |$)", line)
            if m and m.group(1) not in OUR_OWN_NUMBERS:
                names.append(m.group(1))
    return names


def values(directory, includes, prelude, theirs, otherwise=(), flags=()):
    otherwise = dict(otherwise)
    lines = ["#include <stddef.h>", "#include <stdint.h>", "#include <stdio.h>", prelude]
    lines += [f"#include {i}" for i in includes]
    lines.append("int main(void) {")
    for name, (other, fields) in STRUCTS.items():
        c = f"struct {other if theirs and other else otherwise.get(name, name)}"
        if name not in NO_SIZE:
            lines.append(f'printf("sizeof {name} %zu\\n", sizeof({c}));')
        for f in fields.split():
            lines.append(f'printf("{name}.{f} %zu\\n", offsetof({c}, {f}));')
    for n in numbers():
        value = otherwise.get(n, n)
        lines.append(f"#ifdef {value}\nprintf(\"{n} %lld\\n\", (long long)({value}));\n#endif")
    lines.append("return 0; }")
    source, program = f"{directory}/p.c", f"{directory}/p"
    with open(source, "w") as f:
        f.write("\n".join(lines))
    subprocess.run(["gcc", "-w", *flags, f"-I{TOP}/include", "-o", program, source], check=True)
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return dict(line.rsplit(" ", 1) for line in out.splitlines())


def main():
    version, = sys.argv[1:]
    flags = ("-isystem", packages.download_headers(f"{TOP}/build/cache")) if version == "4.20" else ()
    with tempfile.TemporaryDirectory() as d:
        ours = values(d, [f"<public/{h}.h>" for h in OURS], "", False, OTHERWISE[version])
        theirs = values(d, [f"<xen/{h}.h>" for h in THEIRS],
                        "#define __XEN_TOOLS__ 1\n#define __XEN_INTERFACE_VERSION__ 0x00040e00\n#include <string.h>", True, flags=flags)
    bad = [f"{k}: ours {v}, libxen-dev {theirs[k]}" for k, v in ours.items() if k in theirs and theirs[k] != v]
    missing = [k for k in ours if k not in theirs]
    print("\n".join(bad))
    print(f"{len(ours) - len(missing)} facts compared, {len(bad)} differ; not in libxen-dev as numbers: {' '.join(missing)}")
    sys.exit(1 if bad or len(ours) - len(missing) < 400 else 0)


if __name__ == "__main__":
    main()
