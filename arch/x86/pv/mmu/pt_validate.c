/* SPDX-License-Identifier: MIT */
/*
 * What a guest's page-table entry may say, and the references it takes. Rules: ABI, page-table
 * entries. Each entry that is not 0 is read once to be checked; what was checked is what is stored.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/pv.h>
#include <hv/x86/apic.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include "pt_entry.h"

/* I/O memory that the domain may map. */
static bool iomem_permitted(struct domain *d, mfn_t mfn)
{
    paddr_t pa = mfn << PAGE_SHIFT;

    if (!io_rights_has_iomem(&d->io, mfn, mfn))
        return false;
    if (pa >= MiB(1) && boot_info_memory_type(&boot_info, pa) == E820_RAM)
        return false; /* RAM: the hypervisor's, another domain's or free */
    if (pa == acpi.local_apic || io_apic_owns_frame(mfn))
        return false;
    return pa < MSI_WINDOW_START || pa >= MSI_WINDOW_END;
}

/* The entry maps no frame of the domain that the caller named: either I/O memory that it may map, or it is refused. */
int pt_get_io(struct domain *table_dom, pte_t e, owner_t page_owner)
{
    mfn_t mfn = pte_mfn(e);
    struct domain *page_dom = mfn_to_virt(page_owner);

    if (!frame_in_range(e) || (mfn_valid(mfn) && mfn_to_page(mfn)->owner))
        return -EINVAL;
    /* A wrong frame number that a toolstack maps of a guest is not to become a mapping of the machine's devices. */
    return iomem_permitted(table_dom, mfn) && (page_dom == domain_io || iomem_permitted(page_dom, mfn)) ? 0 : -EPERM;
}

int pt_get_writable(struct page_info *pg)
{
    int rc = page_get_type(pg, PGT_WRITABLE);

    if (rc)
        page_put(pg);
    return rc;
}

static bool hypervisor_slot(unsigned level, unsigned i) { return level == 4 && i >= HV_SLOT_FIRST && i <= HV_SLOT_LAST; }

/* The page tables of a process are nearly empty: eight entries are tested for 0 at once. */
#define GROUP 8
static force_inline bool group_is_empty(const pte_t *g) { return !(g[0] | g[1] | g[2] | g[3] | g[4] | g[5] | g[6] | g[7]); }

static force_inline void put_range(pte_t *table, unsigned level, unsigned count)
{
    for (unsigned g = 0; g < count; g += GROUP) {
        if (group_is_empty(table + g))
            continue;
        for (unsigned i = g; i < MIN(g + GROUP, count); i++) {
            if (hypervisor_slot(level, i) || !(table[i] & PTE_PRESENT))
                continue;
            entry_put(level, table[i]);
            if (level > 1)
                preempt_point();
        }
    }
}

/* Checks one entry of a frame that is being promoted to a page table, and takes the references that the entry needs. */
static force_inline int validate_entry(struct domain *d, unsigned level, pte_t *p)
{
    pte_t e = READ_ONCE(*p), adjusted = entry_adjust(level, e);

    if (!(e & PTE_PRESENT))
        return l1tf_refused(d, e) ? -EPERM : 0;
    int rc = entry_get(d, level, adjusted, d);
    if (!rc && adjusted != e)
        WRITE_ONCE(*p, adjusted);
    return rc;
}

static force_inline int validate_entries(struct domain *d, unsigned level, pte_t *table)
{
    for (unsigned g = 0; g < PT_ENTRIES; g += GROUP) {
        if (group_is_empty(table + g))
            continue;
        for (unsigned i = g; i < g + GROUP; i++) {
            if (hypervisor_slot(level, i) || (level > 1 && !table[i]))
                continue;
            int rc = validate_entry(d, level, table + i);
            if (rc) {
                put_range(table, level, i);
                return rc;
            }
            if (level > 1)
                preempt_point();
        }
    }
    return 0;
}

void pv_fill_hypervisor_slots(struct domain *d, pte_t *l4)
{
    for (unsigned i = HV_SLOT_FIRST; i <= HV_SLOT_LAST; i++)
        l4[i] = hv_l4[i];
    l4[PERDOMAIN_SLOT] = make_pte(virt_to_mfn(d->pv.perdomain_l3), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
}

static int table_validate(struct page_info *pg, unsigned level)
{
    struct domain *d = page_owner(pg);
    pte_t *table = page_to_virt(pg);
    int rc;

    /* The hypervisor writes to its own pages (shared_info, grant frames) without asking for their type: none becomes a page table. */
    if (pg->ref_info & PGR_SPECIAL)
        return -EINVAL;
    rc = level == 1 ? validate_entries(d, 1, table) : validate_entries(d, level, table);
    if (!rc && level == 4)
        pv_fill_hypervisor_slots(d, table);
    return rc;
}

int pv_frame_validate(struct page_info *pg, enum page_type type)
{
    return type == PGT_SEGDESC ? segdesc_page_validate(pg) : table_validate(pg, type - PGT_L1 + 1);
}

void pv_frame_invalidate(struct page_info *pg, enum page_type type)
{
    if (type < PGT_L1 || type > PGT_L4)
        return;
    pt_updates_wait(pg);
    if (READ_ONCE(pg->type_info) & PGT_COPIED)
        log_dirty_forget(pg);
    if (type == PGT_L1)
        put_range(page_to_virt(pg), 1, PT_ENTRIES);
    else
        put_range(page_to_virt(pg), type - PGT_L1 + 1, PT_ENTRIES);
}
