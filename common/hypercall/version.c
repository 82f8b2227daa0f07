/* SPDX-License-Identifier: MIT */
/* xen_version: the hypervisor's version and features, in the terms of the ABI. */
#include <hv/boot_info.h>
#include <hv/hypercall.h>
#include <hv/version.h>

static long out_string(guest_ptr_t arg, const char *s, size_t size)
{
    char buf[1024] = { 0 };

    strlcpy(buf, s, size);
    return copy_to_guest(arg, buf, size);
}

/* Build and command line are for control domains to know: others get "<denied>", and no error. */
static const char *for_owner(const char *text) { return current->domain->is_control ? text : "<denied>"; }

static long get_features(guest_ptr_t arg)
{
    struct xen_feature_info f;

    if (copy_from_guest(&f, arg, sizeof(f)))
        return -EFAULT;
    if (f.submap_idx)
        return -EINVAL;
    f.submap = (1u << XENFEAT_mmu_pt_update_preserve_ad) | (1u << XENFEAT_highmem_assist) | (1u << XENFEAT_gnttab_map_avail_bits) |
               (1u << XENFEAT_direct_mapped);
    if (current->domain->vm_assist & (1ULL << VMASST_TYPE_pae_extended_cr3))
        f.submap |= 1u << XENFEAT_pae_pgdir_above_4gb;
    if (current->domain->is_hardware)
        f.submap |= 1u << XENFEAT_dom0;
    return copy_to_guest(arg, &f, sizeof(f));
}

static long compile_info(guest_ptr_t arg)
{
    struct xen_compile_info c = { .compiler = __VERSION__, .compile_by = "", .compile_domain = "", .compile_date = "" };

    return copy_to_guest(arg, &c, sizeof(c));
}

long do_xen_version(u64 cmd, guest_ptr_t arg)
{
    u64 start = HV_VIRT_START;

    switch ((u32)cmd) {
    case XENVER_version: return (ABI_MAJOR << 16) | ABI_MINOR;
    case XENVER_extraversion: return out_string(arg, ".caisson-" CAISSON_VERSION, 16);
    case XENVER_compile_info: return compile_info(arg);
    case XENVER_capabilities: return out_string(arg, "xen-3.0-x86_64 ", 1024);
    case XENVER_changeset: return out_string(arg, for_owner("caisson " CAISSON_VERSION), 64);
    case XENVER_platform_parameters: return copy_to_guest(arg, &start, sizeof(start));
    case XENVER_get_features: return get_features(arg);
    case XENVER_pagesize: return arg.va ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle: return copy_to_guest(arg, current->domain->handle, sizeof(current->domain->handle));
    case XENVER_commandline: return out_string(arg, for_owner(boot_info.cmdline), 1024);
    case XENVER_build_id: return -ENODATA;
    default: return hypercall_not_offered(__HYPERVISOR_xen_version, cmd);
    }
}
