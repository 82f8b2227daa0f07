/* SPDX-License-Identifier: MIT */
/* memory_op: maps of memory, of the machine's and a guest's, and frames of the hypervisor's that a toolstack maps. */
#include "memory_op.h"

#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/grant.h>
#include <hv/x86/page_table.h>

/* The machine's map as dom0 should see it: the firmware's, with the interrupt controllers reserved. */
static u32 machine_map(struct e820entry *out, u32 max)
{
    u32 n = 0;

    for (u32 i = 0; i < boot_info.nr_ranges && n < max; i++) {
        const struct memory_range *r = &boot_info.ranges[i];

        out[n++] = (struct e820entry){ r->start, r->end - r->start, r->type };
    }
    for (u32 i = 0; i < acpi.nr_io_apics && n < max; i++)
        if (!boot_info_memory_type(&boot_info, acpi.io_apics[i].address))
            out[n++] = (struct e820entry){ acpi.io_apics[i].address, PAGE_SIZE, E820_RESERVED };
    if (n < max && !boot_info_memory_type(&boot_info, acpi.local_apic))
        out[n++] = (struct e820entry){ acpi.local_apic, PAGE_SIZE, E820_RESERVED };
    return n;
}

#define MACHINE_MAP_MAX (BOOT_MAX_MEMORY_RANGES + ACPI_MAX_IO_APICS + 1u)

long machine_memory_map(struct xen_memory_map *m)
{
    struct e820entry *map __freed = hv_alloc(MACHINE_MAP_MAX * sizeof(*map));

    if (!map)
        return -ENOMEM;
    m->nr_entries = machine_map(map, MIN(m->nr_entries, MACHINE_MAP_MAX));
    return copy_to_guest(m->buffer, map, m->nr_entries * sizeof(*map));
}

#define GUEST_MAP_MAX 128 /* entries */

/* A domain's own map, that a toolstack has given it. */
struct memory_map {
    u32 nr_entries;
    struct e820entry entries[GUEST_MAP_MAX];
};

long memory_map(struct xen_memory_map *m)
{
    struct domain *d = current->domain;
    struct memory_map *copy __freed = hv_alloc(sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    spin_lock(&d->page_lock); /* it may be replaced meanwhile */
    if (d->memory_map)
        *copy = *d->memory_map;
    spin_unlock(&d->page_lock);
    m->nr_entries = MIN(m->nr_entries, copy->nr_entries);
    return !copy->nr_entries ? -ENOSYS : copy_to_guest(m->buffer, copy->entries, m->nr_entries * sizeof(copy->entries[0]));
}

long set_memory_map(const struct xen_foreign_memory_map *m)
{
    struct domain *d __held_domain = NULL;
    u32 n = m->map.nr_entries;
    long rc = n > GUEST_MAP_MAX ? -EINVAL : domain_for_caller(m->domid, &d);

    if (rc)
        return rc;
    struct memory_map *map __freed = hv_alloc(sizeof(*map));
    if (!map)
        return -ENOMEM;
    map->nr_entries = n;
    if (copy_from_guest(map->entries, m->map.buffer, n * sizeof(map->entries[0])))
        return -EFAULT;
    spin_lock_scope(&d->page_lock);
    struct memory_map *old = d->memory_map;
    d->memory_map = map;
    map = old;
    return 0;
}

long machphys_mapping(struct xen_machphys_mapping *m)
{
    /* A guest may go on on a larger machine. */
    u64 last = current->domain->is_hardware ? max_mfn : (RO_M2P_VIRT_END - RO_M2P_VIRT_START) / sizeof(u64) - 1;

    *m = (struct xen_machphys_mapping){ RO_M2P_VIRT_START, RO_M2P_VIRT_END, last };
    return 0;
}

/* The first frames of the M2P table's chunks; where nothing is RAM, that of the chunk before. */
long machphys_mfn_list(struct xen_machphys_mfn_list *list)
{
    mfn_t mfn, told = 0;

    for (list->nr_extents = 0; list->nr_extents < list->max_extents && m2p_chunk(list->nr_extents, &mfn); list->nr_extents++) {
        told = mfn ? mfn : told;
        if (copy_to_guest(guest_ptr_index(list->extent_start, list->nr_extents, sizeof(told)), &told, sizeof(told)))
            return -EFAULT;
    }
    return 0;
}

long maximum_ram_page(void) { return (long)max_mfn; }

/* What the guest itself has said. */
long maximum_gpfn(__unused const domid_t *id, struct domain *d)
{
    u64 frames = READ_ONCE(d->shared_info->arch.max_pfn);

    return (long)(frames ? frames - 1 : 0);
}

/* Frames of the hypervisor's that a toolstack maps as the domain's. There is one kind: those of its grant table. */
long acquire_resource(struct xen_mem_acquire_resource *r)
{
    struct domain *d __held_domain = NULL;
    long rc = r->pad ? -EINVAL : domain_for_caller(r->domid, &d);

    if (!rc && (r->type != XENMEM_resource_grant_table || r->id != XENMEM_resource_grant_table_id_shared))
        rc = -EOPNOTSUPP;
    if (rc)
        return rc;
    if (!r->frame_list.va) { /* how many there are */
        if (r->nr_frames)
            return -EINVAL;
        r->nr_frames = d->max_grant_frames;
        return 0;
    }
    if (r->frame >= d->max_grant_frames || r->nr_frames > d->max_grant_frames - r->frame)
        return -EINVAL;
    /* The last one first: the table grows once, or not at all. */
    for (u32 i = r->nr_frames; i-- && !rc;) {
        mfn_t mfn;

        rc = grant_shared_frame(d, (u32)r->frame + i, &mfn);
        if (!rc)
            rc = copy_to_guest(guest_ptr_index(r->frame_list, i, sizeof(mfn)), &mfn, sizeof(mfn));
    }
    return rc;
}
