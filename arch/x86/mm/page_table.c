/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables. All L4 entries exist from boot on and never change: guests'
 * tables hold copies of them.
 *
 * Lock: hv_map_lock.
 */
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/system_state.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/tlb.h>

static spinlock_t hv_map_lock = SPINLOCK_INIT(LOCK_HV_MAP);

/*
 * Tables for early boot. A table from boot_alloc() may fault on its first touch, and the handler
 * comes here: so spares are taken while the lock is free, and the first ones are static.
 */
#define EARLY_TABLES 24 /* one for each GiB that firmware's and loader's structures lie in, and for 512 GiB */
#define SPARE_TABLES 4
static u64 early_tables[EARLY_TABLES][PT_ENTRIES] __aligned_to(4096);
static paddr_t spare_tables[SPARE_TABLES];
static unsigned early_used, nr_spare;

paddr_t image_to_phys(const void *va) { return (u64)va - IMAGE_VIRT_START + boot_image_phys; }

static paddr_t table_alloc(void)
{
    if (booted_past(PHASE_BOOT)) {
        void *p = hv_alloc_page();

        return p ? virt_to_phys(p) : 0;
    }
    if (nr_spare)
        return spare_tables[--nr_spare];
    return early_used < EARLY_TABLES ? image_to_phys(early_tables[early_used++]) : 0;
}

static void refill_spares(void)
{
    static bool busy;

    if (booted_past(PHASE_BOOT) || !boot_alloc_ready() || busy)
        return;
    busy = true;
    while (nr_spare < SPARE_TABLES) {
        paddr_t pa = boot_alloc(PAGE_SIZE, PAGE_SIZE); /* touches it: may come back here once */

        spare_tables[nr_spare++] = pa;
    }
    busy = false;
}

static pte_t *table_virt(paddr_t pa)
{
    /*
     * Tables inside the image are reached through it: the direct map may be what is being built. Later it
     * has them all, and parts of the image are ordinary memory (image_release_init).
     */
    if (!booted_past(PHASE_BOOT) && pa - boot_image_phys < IMAGE_MAX_SIZE)
        return (pte_t *)(IMAGE_VIRT_START + (pa - boot_image_phys));
    return phys_to_virt(pa);
}

/* The flags of an L1 entry, for one that maps a page of `level`. */
static u64 leaf_flags(u64 flags, unsigned level)
{
    if (level == 1)
        return flags;
    return (flags & ~PTE_PAT) | PTE_PSE | (flags & PTE_PAT ? PTE_PAT_LARGE : 0);
}

/* Replaces a large mapping in *slot (of the given level) by a table that maps the same. */
static bool hv_split_large(pte_t *slot, unsigned level)
{
    paddr_t pa = table_alloc();

    if (!pa)
        return false;
    pte_t *t = table_virt(pa), old = *slot;
    u64 step = 1ULL << PT_SHIFT(level - 1), start = old & PTE_ADDR_MASK & ~PTE_PAT_LARGE;
    u64 flags = leaf_flags(old & PTE_PAT_LARGE ? PTE_PAT : 0, level - 1) | (old & ~(PTE_ADDR_MASK | PTE_PSE));
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        t[i] = (start + i * step) | flags;
    *slot = pa | PTE_PRESENT | PTE_RW | PTE_ACCESSED | (old & PTE_USER);
    return true;
}

/* The entry for va at `level`, with the tables above it made as needed; NULL: out of memory. */
static pte_t *entry_for(u64 va, unsigned level, u64 user)
{
    pte_t *t = hv_l4;

    for (unsigned l = 4;; l--) {
        pte_t *e = &t[PT_INDEX(va, l)];

        if (l == level)
            return e;
        if (!(*e & PTE_PRESENT)) {
            paddr_t pa = table_alloc();

            if (!pa)
                return NULL;
            *e = pa | PTE_PRESENT | PTE_RW | PTE_ACCESSED | user;
        } else if (l < 4 && (*e & PTE_PSE) && !hv_split_large(e, l)) {
            return NULL;
        }
        t = table_virt(*e & PTE_ADDR_MASK);
    }
}

static unsigned best_level(u64 va, paddr_t pa, u64 size)
{
    for (unsigned level = cpu.page1gb ? 3 : 2; level > 1; level--) {
        u64 page = 1ULL << PT_SHIFT(level);

        if (!((va | pa) & (page - 1)) && size >= page)
            return level;
    }
    return 1;
}

int hv_map(u64 va, paddr_t pa, u64 size, u64 flags)
{
    while (size) {
        refill_spares();
        spin_lock_scope(&hv_map_lock);
        unsigned level = best_level(va, pa, size);
        u64 page = 1ULL << PT_SHIFT(level);
        pte_t *e = entry_for(va, level, flags & PTE_USER);
        if (!e)
            return -ENOMEM;
        /* A table below a new large mapping stays allocated: it happens a few times in boot only. */
        WRITE_ONCE(*e, pa | leaf_flags(flags, level));
        va += page;
        pa += page;
        size -= MIN(size, page);
    }
    return 0;
}

void hv_unmap(u64 va, u64 size)
{
    spin_lock_scope(&hv_map_lock);
    for (; size; size -= PAGE_SIZE, va += PAGE_SIZE) {
        pte_t *e = entry_for(va, 1, 0);

        if (e)
            WRITE_ONCE(*e, 0);
        invlpg(va);
    }
}

void hv_free_tables(pte_t entry, unsigned level)
{
    pte_t *t = table_virt(entry & PTE_ADDR_MASK);

    for (unsigned i = 0; level > 1 && i < PT_ENTRIES; i++)
        if (t[i] & PTE_PRESENT)
            hv_free_tables(t[i], level - 1);
    hv_free_page(t);
}

void hv_drop_slot(unsigned slot)
{
    pte_t entry = hv_l4[slot];

    hv_l4[slot] = 0;
    tlb_flush_global_all_cpus();
    if (entry & PTE_PRESENT)
        hv_free_tables(entry, 3);
}

static void drop_early(pte_t *t, unsigned level)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        if (!(t[i] & PTE_PRESENT))
            continue;
        if (level > 1 && !(t[i] & PTE_PSE))
            drop_early(table_virt(t[i] & PTE_ADDR_MASK), level - 1);
        else if (t[i] & PTE_EARLY)
            WRITE_ONCE(t[i], 0);
    }
}

void hv_drop_early(unsigned slot)
{
    spin_lock_scope(&hv_map_lock);
    if (hv_l4[slot] & PTE_PRESENT)
        drop_early(table_virt(hv_l4[slot] & PTE_ADDR_MASK), 3);
}

pte_t hv_lookup(u64 va)
{
    pte_t *t = hv_l4;

    for (unsigned l = 4; l; l--) {
        pte_t e = t[PT_INDEX(va, l)];

        if (!(e & PTE_PRESENT))
            return 0;
        if (l == 1 || (l < 4 && (e & PTE_PSE)))
            return e;
        t = table_virt(e & PTE_ADDR_MASK);
    }
    return 0;
}
