/*
 * What a guest's page-table entry may say, and the references it takes. Rules: ABI, page-table
 * entries. Each entry is read once; what was checked is what is stored.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/irq.h>
#include <hv/lib.h>
#include <hv/pv.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>

/* Entries above L1 link tables: no large pages (XSA-148), nothing cached oddly, never global. */
#define UPPER_REFUSED (PTE_PSE | PTE_GLOBAL | PTE_PWT | PTE_PCD)

pte_t pt_adjust(unsigned level, pte_t e)
{
    if (!(e & PTE_PRESENT))
        return e;
    /* Guest kernel and user both run in ring 3; user tables simply lack the kernel's part. */
    e |= PTE_USER;
    if (level == 1)
        e &= ~PTE_GLOBAL; /* no guest translation outlives a CR3 load */
    return e;
}

bool iomem_permitted(const struct domain *d, mfn_t mfn)
{
    paddr_t pa = mfn << PAGE_SHIFT;

    if (!d->privileged)
        return false;
    if (pa >= MiB(1) && boot_info_memory_type(&boot_info, pa) == E820_RAM)
        return false; /* not free for the asking: the hypervisor's or nobody's */
    if (pa == acpi.local_apic || io_apic_owns_frame(mfn))
        return false;
    return pa < 0xfee00000 || pa >= 0xfef00000; /* the MSI window */
}

static bool frame_in_range(pte_t e)
{
    return pte_mfn(e) < 1ULL << (cpu.phys_bits - PAGE_SHIFT);
}

static bool flags_ok(const struct domain *d, unsigned level, pte_t e)
{
    if (!frame_in_range(e))
        return false;
    if (level > 1)
        return !(e & UPPER_REFUSED);
    return d->privileged || !(e & PTE_CACHE_MASK);
}

static int get_l1(struct domain *d, pte_t e, struct domain *owner)
{
    mfn_t mfn = pte_mfn(e);

    if (!mfn_valid(mfn))
        return iomem_permitted(d, mfn) ? 0 : -EPERM;
    if (!mfn_to_page(mfn)->owner && iomem_permitted(d, mfn))
        return 0;
    struct page_info *pg = mfn_to_page(mfn);

    if (!page_get(pg, owner))
        return -EINVAL;
    if (e & PTE_CACHE_MASK)
        __atomic_fetch_or(&pg->ref_info, PGR_UNCACHED, __ATOMIC_RELAXED);
    if (e & PTE_RW) {
        int rc = page_get_type(pg, PGT_WRITABLE);

        if (rc) {
            page_put(pg);
            return rc;
        }
    }
    return 0;
}

int pt_entry_get(struct domain *d, unsigned level, pte_t e, struct domain *owner)
{
    if (!(e & PTE_PRESENT))
        return 0;
    if (!flags_ok(d, level, e))
        return -EINVAL;
    if (level == 1)
        return get_l1(d, e, owner);
    return page_get_and_type(pte_mfn(e), d, PGT_L1 + (level - 2));
}

void pt_entry_put(unsigned level, pte_t e)
{
    mfn_t mfn = pte_mfn(e);

    if (!(e & PTE_PRESENT))
        return;
    /* I/O memory: entries hold nothing. A frame with references keeps its owner. */
    if (!mfn_valid(mfn) || !mfn_to_page(mfn)->owner)
        return;
    if (level > 1 || (e & PTE_RW))
        page_put_type(mfn_to_page(mfn));
    page_put(mfn_to_page(mfn));
}

static bool hypervisor_slot(unsigned level, unsigned i)
{
    return level == 4 && i >= HV_SLOT_FIRST && i <= HV_SLOT_LAST;
}

static void put_entries(pte_t *table, unsigned level, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (hypervisor_slot(level, i) || !(table[i] & PTE_PRESENT))
            continue;
        pt_entry_put(level, table[i]);
        if (level > 1)
            preempt_point();
    }
}

int pt_table_validate(struct page_info *pg, unsigned level)
{
    struct domain *d = mfn_to_virt(pg->owner);
    pte_t *table = page_to_virt(pg);

    /* A hypervisor page (shared_info, grants) is written by us: it never becomes a table. */
    if (pg->ref_info & PGR_SPECIAL)
        return -EINVAL;
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        if (hypervisor_slot(level, i))
            continue;
        pte_t e = READ_ONCE(table[i]), adjusted = pt_adjust(level, e);

        if (!(e & PTE_PRESENT))
            continue;
        int rc = pt_entry_get(d, level, adjusted, d);

        if (rc) {
            put_entries(table, level, i);
            return rc;
        }
        if (adjusted != e)
            WRITE_ONCE(table[i], adjusted);
        if (level > 1)
            preempt_point();
    }
    if (level == 4)
        pv_fill_hypervisor_slots(d, table);
    return 0;
}

void pt_table_invalidate(struct page_info *pg, unsigned level)
{
    put_entries(page_to_virt(pg), level, PT_ENTRIES);
}

void pv_fill_hypervisor_slots(struct domain *d, pte_t *l4)
{
    for (unsigned i = HV_SLOT_FIRST; i <= HV_SLOT_LAST; i++)
        l4[i] = hv_l4[i];
    l4[PERDOMAIN_SLOT] = make_pte(virt_to_mfn(d->perdomain_l3), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
}
