/* SPDX-License-Identifier: MIT */
/* xen_version: the hypervisor's version and features, in the terms of the ABI. */
#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <hv/hypercall.h>
#include <hv/version.h>

#define ABI(major, minor) ((major) << 16 | (minor))
u32 abi_version = ABI(4, 17);

static int parse_abi_version(const char *value, void *var)
{
    *(u32 *)var = strcmp(value, "4.20") ? ABI(4, 17) : ABI(4, 20);
    return *(u32 *)var == ABI(4, 20) || !strcmp(value, "4.17") ? 0 : -EINVAL;
}
OPTION("xen-version", parse_abi_version, abi_version,
       "what guests and dom0 are told of Xen's version: `4.17` or `4.20`; Debian's scripts start the toolstack of that version, and calls "
       "of both are answered (`toolstack-versions.md`)",
       "`4.17`");

/* Texts, by the operation that wants one in a field of its size, and the newer one that wants it in a buffer. */
static const struct text {
    u32 in_field, field, in_buffer;
    bool for_owner; /* build and command line are for control domains to know */
    const char *text;
} texts[] = {
    { XENVER_extraversion, 16, XENVER_extraversion2, false, ".caisson-" CAISSON_VERSION },
    { XENVER_capabilities, 1024, XENVER_capabilities2, false, "xen-3.0-x86_64 " },
    { XENVER_changeset, 64, XENVER_changeset2, true, "caisson " CAISSON_VERSION },
    { XENVER_commandline, 1024, XENVER_commandline2, true, boot_info.cmdline },
};

/* Whom it is not for gets "<denied>", and no error. */
static long to_field(const struct text *t, guest_ptr_t arg)
{
    char buf[1024] = { 0 };

    strlcpy(buf, t->for_owner && !current->domain->is_control ? "<denied>" : t->text, t->field);
    return copy_to_guest(arg, buf, t->field);
}

/* How long the text is, which has no end of its own; without a buffer that alone. */
static long to_buffer(const struct text *t, guest_ptr_t arg)
{
    u32 room, size = (u32)strlen(t->text);

    if (t->for_owner && !current->domain->is_control)
        return -EPERM;
    if (!arg.va)
        return size;
    if (copy_from_guest(&room, arg, sizeof(room)))
        return -EFAULT;
    if (room < size)
        return -ENOBUFS;
    return copy_to_guest(guest_ptr_add(arg, sizeof(room)), t->text, size) ? -EFAULT : (long)size;
}

/* Not in line, so that XENVER_version, which Linux asks for whenever it unmasks events with some pending, needs no stack for a text. */
static noinline long text_or_nothing(u64 cmd, guest_ptr_t arg)
{
    for (const struct text *t = texts; t < texts + ARRAY_SIZE(texts); t++)
        if (cmd == t->in_field || cmd == t->in_buffer)
            return cmd == t->in_field ? to_field(t, arg) : to_buffer(t, arg);
    return hypercall_not_offered(__HYPERVISOR_xen_version, cmd);
}

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

static const struct xen_compile_info compile_info = { .compiler = __VERSION__ };

long do_xen_version(u64 cmd, guest_ptr_t arg)
{
    u64 start = HV_VIRT_START;

    switch ((u32)cmd) {
    case XENVER_version: return abi_version;
    case XENVER_compile_info: return copy_to_guest(arg, &compile_info, sizeof(compile_info));
    case XENVER_platform_parameters: return copy_to_guest(arg, &start, sizeof(start));
    case XENVER_get_features: return get_features(arg);
    case XENVER_pagesize: return arg.va ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle: return copy_to_guest(arg, current->domain->handle, sizeof(current->domain->handle));
    case XENVER_build_id: return -ENODATA;
    default: return text_or_nothing((u32)cmd, arg);
    }
}
