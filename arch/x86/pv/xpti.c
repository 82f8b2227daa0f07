/* SPDX-License-Identifier: MIT */
/*
 * XPTI, page-table isolation (Linux: PTI), for processors on which a guest can read what is mapped but not permitted
 * (Meltdown). A guest then runs on copies of its L4 tables whose hypervisor slots map only what the way into the
 * hypervisor touches before spec_ctrl_entry() (spec_ctrl.S) loads the full tables. The copies belong to the vCPU and
 * follow its two L4 tables, one page-table entry at a time.
 *
 * Lock: pv.xpti.lock, for the copies against changes from other CPUs.
 */
#include <hv/boot_step.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/vectors.h>

extern const char vector_stubs[], entry_text_end[], idt_table[];

static pte_t xpti_entry_of(void *table) { return make_pte(virt_to_mfn(table), PTE_PRESENT | PTE_RW | PTE_ACCESSED); }

/* The page at va appears below l3 as the hypervisor maps it. */
static int xpti_map_page(pte_t *l3, u64 va)
{
    pte_t *t = l3;

    for (unsigned level = 3; level > 1; level--) {
        pte_t *e = &t[PT_INDEX(va, level)];

        if (!*e) {
            void *table = hv_alloc_page();

            if (!table)
                return -ENOMEM;
            *e = xpti_entry_of(table);
        }
        t = mfn_to_virt(pte_mfn(*e));
    }
    t[PT_INDEX(va, 1)] = hv_lookup(va) & ~PTE_GLOBAL;
    return 0;
}

static int xpti_map_range(pte_t *l3, u64 va, u64 end)
{
    int rc = 0;

    for (va &= PAGE_MASK; va < end && !rc; va += PAGE_SIZE)
        rc = xpti_map_page(l3, va);
    return rc;
}

static u64 top_page(u64 address_in_block) { return (address_in_block | (STACK_BLOCK_SIZE - 1)) & PAGE_MASK; }

static int xpti_map_cpu(pte_t *l3, const struct percpu *c)
{
    int rc = xpti_map_range(l3, (u64)c, (u64)(c + 1));

    for (unsigned i = 0; i < IST_COUNT && !rc; i++)
        rc = xpti_map_page(l3, top_page(c->tss.ist[i]));
    return rc;
}

static pte_t *new_image_tables(void)
{
    pte_t *l3 = hv_alloc_page();

    if (!l3 || xpti_map_range(l3, (u64)vector_stubs, (u64)entry_text_end) || xpti_map_page(l3, (u64)idt_table))
        return NULL;
    return l3;
}

/* The first CPU's areas lie in the image, those of the others in their part of vmap. */
int xpti_init_cpu(struct percpu *c)
{
    static pte_t others;
    pte_t *l3;

    if (!xpti_active())
        return 0;
    if (c == &boot_percpu) {
        l3 = new_image_tables();
        if (!l3 || xpti_map_cpu(l3, c))
            return -ENOMEM;
        c->xpti_image = xpti_entry_of(l3);
        return 0;
    }
    if (!others) {
        l3 = new_image_tables();
        if (!l3)
            return -ENOMEM;
        others = xpti_entry_of(l3);
    }
    c->xpti_image = others;
    l3 = hv_alloc_page();
    if (!l3 || xpti_map_cpu(l3, c))
        return -ENOMEM;
    c->xpti_area = l3[PT_INDEX(VMAP_CPUS_VIRT_START, 3)];
    hv_free_page(l3);
    return 0;
}
BOOT_STEP(xpti_init_cpu, NEEDS(protections, page_allocator), GIVES(xpti), EVERYWHERE);

int xpti_init_vcpu(struct vcpu *v)
{
    u64 block = (u64)v->stack_block;

    if (!xpti_active())
        return 0;
    v->pv.xpti.lock = (spinlock_t)SPINLOCK_INIT(LOCK_XPTI);
    v->pv.xpti.l3 = hv_alloc_page();
    if (!v->pv.xpti.l3 || xpti_map_page(v->pv.xpti.l3, block) || xpti_map_page(v->pv.xpti.l3, top_page(block)))
        return -ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        pte_t *l4 = hv_alloc_page();

        if (!l4)
            return -ENOMEM;
        l4[HV_SLOT_FIRST] = hv_l4[HV_SLOT_FIRST]; /* the M2P table, which guests may read */
        l4[PT_INDEX(VMAP_VIRT_START, 4)] = xpti_entry_of(v->pv.xpti.l3);
        l4[PERDOMAIN_SLOT] = xpti_entry_of(v->domain->pv.perdomain_l3);
        v->pv.xpti.l4[i] = l4;
        v->pv.xpti.root[i] = virt_to_phys(l4);
    }
    return 0;
}

void xpti_free_vcpu(struct vcpu *v)
{
    if (v->pv.xpti.l3) {
        v->pv.xpti.l3[PT_INDEX(VMAP_CPUS_VIRT_START, 3)] = 0; /* a CPU's, not ours */
        hv_free_tables(xpti_entry_of(v->pv.xpti.l3), 3);
    }
    hv_free_page(v->pv.xpti.l4[0]);
    hv_free_page(v->pv.xpti.l4[1]);
}

/* The top pages of the IST stacks are mapped while guests run (Meltdown shows them): what handlers left there for one is wiped for the next. */
static void wipe_ist_stacks(const struct percpu *c)
{
    for (unsigned i = 0; i < IST_COUNT; i++) {
        u64 top = c->tss.ist[i] & ~15ULL, rflags = top - 3 * sizeof(u64); /* of the frame; never 0 */

        if (*(u64 *)rflags)
            memset((void *)top_page(top), 0, top - top_page(top));
    }
}

void xpti_enter_cpu(struct percpu *c, struct vcpu *v)
{
    if (!xpti_active())
        return;
    wipe_ist_stacks(c);
    v->pv.xpti.l3[PT_INDEX(VMAP_CPUS_VIRT_START, 3)] = c->xpti_area;
    for (unsigned i = 0; i < 2; i++)
        v->pv.xpti.l4[i][PT_INDEX(IMAGE_VIRT_START, 4)] = c->xpti_image;
}

static void copy_slots(pte_t *copy, const pte_t *l4, unsigned first, unsigned end)
{
    if (l4)
        memcpy(copy + first, l4 + first, (end - first) * sizeof(pte_t));
    else
        memset(copy + first, 0, (end - first) * sizeof(pte_t));
}

void xpti_load_l4(struct vcpu *v, bool user, mfn_t mfn)
{
    const pte_t *l4 = mfn ? mfn_to_virt(mfn) : NULL;
    pte_t *copy = v->pv.xpti.l4[user];

    spin_lock_scope(&v->pv.xpti.lock);
    copy_slots(copy, l4, 0, HV_SLOT_FIRST);
    copy_slots(copy, l4, HV_SLOT_LAST + 1, PT_ENTRIES);
}

/*
 * CPUs A and B change the same entry one after the other, and come here in either order. Each copies what the entry says when it has the lock,
 * not what it has stored itself: so the last one copies the last value. If each copied its own, the copy could keep a table that was freed.
 */
void xpti_l4_changed(const struct domain *d, const pte_t *entry)
{
    mfn_t mfn = virt_to_mfn(entry);
    unsigned slot = (u64)entry % PAGE_SIZE / sizeof(pte_t);

    for_each_vcpu(d, v) {
        spin_lock_scope(&v->pv.xpti.lock);
        if (v->pv.base[0] == mfn)
            v->pv.xpti.l4[0][slot] = READ_ONCE(*entry);
        if (v->pv.base[1] == mfn)
            v->pv.xpti.l4[1][slot] = READ_ONCE(*entry);
    }
}
