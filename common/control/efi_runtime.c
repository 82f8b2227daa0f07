/* SPDX-License-Identifier: MIT */
/* platform_op: what dom0 asks of a UEFI firmware, about itself and of its runtime services. */
#include <hv/efi.h>
#include "control.h"

#define MAX_NAME 4096   /* bytes of a variable's name */
#define MAX_DATA MiB(1) /* of its value */

/* ---- about the firmware ---- */

static long vendor(struct xenpf_efi_info *info)
{
    u32 n = 0, room = info->u.vendor.bufsz / sizeof(u16);

    info->u.vendor.revision = efi_info.vendor_revision;
    while (n < ARRAY_SIZE(efi_info.vendor) && efi_info.vendor[n])
        n++;
    if (!room)
        return 0;
    n = MIN(n, room - 1);
    u16 end = 0;
    guest_ptr_t to = info->u.vendor.name;
    return copy_to_guest(to, efi_info.vendor, n * sizeof(u16)) || copy_to_guest(guest_ptr_index(to, n, sizeof(u16)), &end, sizeof(end)) ?
               -EFAULT :
               0;
}

static long memory(struct xenpf_efi_info *info)
{
    struct efi_memory m;
    u64 from = info->u.mem.addr, end = from + info->u.mem.size;

    if (end < from || !efi_find_memory(from, &m))
        return -EINVAL;
    info->u.mem.type = m.type;
    info->u.mem.attr = m.attributes;
    /* The part of the range asked for that has this type. */
    if (end > m.start + m.size)
        info->u.mem.size = m.start + m.size - from;
    return 0;
}

long efi_firmware_info(u32 index, struct xenpf_efi_info *info)
{
    if (!efi_info.revision)
        return -ENOSYS; /* dom0 must not take the EFI path */
    switch (index) {
    case XEN_FW_EFI_VERSION: info->u.version = efi_info.revision; return 0;
    case XEN_FW_EFI_RT_VERSION: info->u.version = efi_info.services_revision; return efi_info.services_revision ? 0 : -EOPNOTSUPP;
    case XEN_FW_EFI_CONFIG_TABLE:
        info->u.cfg.addr = efi_info.config_tables;
        info->u.cfg.nent = efi_info.nr_config_tables;
        return 0;
    case XEN_FW_EFI_VENDOR: return vendor(info);
    case XEN_FW_EFI_MEM_INFO: return memory(info);
    default: return -ENODATA;
    }
}

/* ---- runtime services ---- */

static long get_time(struct xenpf_efi_runtime_call *c)
{
    struct {
        u32 resolution, accuracy;
        u8 sets_to_zero;
    } capabilities = { 0 };

    long rc = efi_call(EFI_GET_TIME, &c->status, (u64[5]){ (u64)&c->u.get_time.time, (u64)&capabilities });
    c->u.get_time.resolution = capabilities.resolution;
    c->u.get_time.accuracy = capabilities.accuracy;
    c->misc = capabilities.sets_to_zero ? XEN_EFI_GET_TIME_SET_CLEARS_NS : 0;
    return rc;
}

static long set_time(struct xenpf_efi_runtime_call *c) { return efi_call(EFI_SET_TIME, &c->status, (u64[5]){ (u64)&c->u.set_time }); }

static long get_wakeup_time(struct xenpf_efi_runtime_call *c)
{
    u8 enabled = 0, pending = 0;
    long rc = efi_call(EFI_GET_WAKEUP_TIME, &c->status, (u64[5]){ (u64)&enabled, (u64)&pending, (u64)&c->u.wakeup_time });

    c->misc = (enabled ? XEN_EFI_GET_WAKEUP_TIME_ENABLED : 0) | (pending ? XEN_EFI_GET_WAKEUP_TIME_PENDING : 0);
    return rc;
}

static long set_wakeup_time(struct xenpf_efi_runtime_call *c)
{
    u64 enable = c->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE, only = c->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY;

    return efi_call(EFI_SET_WAKEUP_TIME, &c->status, (u64[5]){ enable, only || !enable ? 0 : (u64)&c->u.wakeup_time });
}

static long next_high_monotonic_count(struct xenpf_efi_runtime_call *c)
{
    return efi_call(EFI_GET_NEXT_HIGH_MONOTONIC_COUNT, &c->status, (u64[5]){ (u64)&c->misc });
}

/* The guest's string with its end, in a page; NULL: too long, not readable, or no memory. */
static u16 *name_from_guest(guest_ptr_t guest)
{
    u16 *name = hv_alloc_page();

    for (u32 i = 0; name && i < MAX_NAME / sizeof(u16); i++) {
        if (copy_from_guest(&name[i], guest_ptr_index(guest, i, sizeof(u16)), sizeof(u16)))
            break;
        if (!name[i])
            return name;
    }
    hv_free_page(name);
    return NULL;
}

static long get_variable(struct xenpf_efi_runtime_call *c)
{
    u64 room = c->u.variable.size, size = room;
    u32 attributes = 0;

    if (size > MAX_DATA)
        room = size = MAX_DATA;
    u16 *name = name_from_guest(c->u.variable.name);
    void *data __freed = name ? hv_alloc(room) : NULL;
    long rc = !name ? -EINVAL : !data ? -ENOMEM : 0;
    if (!rc)
        rc = efi_call(EFI_GET_VARIABLE, &c->status,
                      (u64[5]){ (u64)name, (u64)&c->u.variable.vendor_guid, (u64)&attributes, (u64)&size, (u64)data });
    if (!rc && !c->status && size <= room && copy_to_guest(c->u.variable.data, data, size))
        rc = -EFAULT;
    c->u.variable.size = size;
    c->misc = attributes;
    hv_free_page(name);
    return rc;
}

static long set_variable(struct xenpf_efi_runtime_call *c)
{
    u64 size = c->u.variable.size;

    if (size > MAX_DATA)
        return -E2BIG;
    u16 *name = name_from_guest(c->u.variable.name);
    void *data __freed = name ? hv_alloc(size) : NULL;
    long rc = !name ? -EINVAL : !data ? -ENOMEM : copy_from_guest(data, c->u.variable.data, size);
    if (!rc)
        rc = efi_call(EFI_SET_VARIABLE, &c->status, (u64[5]){ (u64)name, (u64)&c->u.variable.vendor_guid, c->misc, size, (u64)data });
    hv_free_page(name);
    return rc;
}

static bool name_ends(const u16 *name, u64 bytes)
{
    for (u64 i = 0; i < bytes / sizeof(*name); i++)
        if (!name[i])
            return true;
    return false;
}

static long get_next_variable_name(struct xenpf_efi_runtime_call *c)
{
    u64 room = MIN(c->u.next_name.size, (u64)MAX_NAME), size = room;
    u16 *name = hv_alloc_page();
    long rc = !name ? -ENOMEM : copy_from_guest(name, c->u.next_name.name, room);

    /* Firmware before UEFI 2.8 looks for the name's end without regard to the size. */
    if (!rc && !name_ends(name, room))
        rc = -EINVAL;
    if (!rc)
        rc = efi_call(EFI_GET_NEXT_VARIABLE_NAME, &c->status, (u64[5]){ (u64)&size, (u64)name, (u64)&c->u.next_name.vendor_guid });
    if (!rc && !c->status && size <= room && copy_to_guest(c->u.next_name.name, name, size))
        rc = -EFAULT;
    c->u.next_name.size = size;
    hv_free_page(name);
    return rc;
}

static long query_variable_info(struct xenpf_efi_runtime_call *c)
{
    if (c->misc & XEN_EFI_VARINFO_BOOT_SNAPSHOT)
        return -EOPNOTSUPP; /* none was taken: boot is as long ago as one likes */
    if (efi_info.services_revision < 2 << 16)
        return -EOPNOTSUPP;
    return efi_call(EFI_QUERY_VARIABLE_INFO, &c->status,
                    (u64[5]){ c->u.variable_info.attr, (u64)&c->u.variable_info.max_store_size, (u64)&c->u.variable_info.remain_store_size,
                              (u64)&c->u.variable_info.max_size });
}

static const struct {
    u32 function, misc; /* misc: bits that the caller may set */
    long (*run)(struct xenpf_efi_runtime_call *c);
} functions[] = {
    { XEN_EFI_get_time, 0, get_time },
    { XEN_EFI_set_time, 0, set_time },
    { XEN_EFI_get_wakeup_time, 0, get_wakeup_time },
    { XEN_EFI_set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE | XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY, set_wakeup_time },
    { XEN_EFI_get_variable, 0, get_variable },
    { XEN_EFI_set_variable, ~0u, set_variable }, /* attributes, which are the firmware's to judge */
    { XEN_EFI_get_next_variable_name, 0, get_next_variable_name },
    { XEN_EFI_get_next_high_monotonic_count, 0, next_high_monotonic_count },
    { XEN_EFI_query_variable_info, XEN_EFI_VARINFO_BOOT_SNAPSHOT, query_variable_info },
};

/* Capsules are not passed on: their lists hold machine addresses of the caller's choice. */
long efi_runtime_call(struct xenpf_efi_runtime_call *c)
{
    c->status = 0;
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
        if (functions[i].function == c->function)
            return c->misc & ~functions[i].misc ? -EINVAL : functions[i].run(c);
    return -EOPNOTSUPP;
}
