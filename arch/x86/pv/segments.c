/* SPDX-License-Identifier: MIT */
/*
 * Guest descriptor tables. Descriptors live in frames of type PGT_SEGDESC, which the guest can
 * map read-only at most: each descriptor is checked when the frame gains the type and at each
 * update. What passes cannot lead to ring 0.
 */
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>

int segdesc_page_validate(struct page_info *pg)
{
    u64 *table = page_to_virt(pg);

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
        u64 desc = READ_ONCE(table[i]), checked = desc;

        if (!descriptor_check(&checked))
            return -EINVAL;
        if (checked != desc)
            WRITE_ONCE(table[i], checked);
    }
    return 0;
}

static u64 *window_l1(struct vcpu *v) { return v->domain->pv.perdomain_l1[v->id / VCPUS_PER_L1] + (v->id % VCPUS_PER_L1) * GDT_LDT_PAGES; }

static u64 window_va(const struct vcpu *v) { return PERDOMAIN_VIRT_START + ((u64)v->id << GDT_LDT_VCPU_SHIFT); }

static void window_set(struct vcpu *v, unsigned page, pte_t e)
{
    WRITE_ONCE(window_l1(v)[page], e);
    if (v == current)
        invlpg(window_va(v) + page * PAGE_SIZE);
    else
        pv_state_changed(v);
}

/* Window pages without a guest frame show zeroes: a selector there gives #GP (not present), not a page fault in the hypervisor's range. */
static u64 zero_page[PT_ENTRIES] __aligned_to(4096);

static pte_t zero_page_pte(void) { return make_pte(image_to_phys(zero_page) >> PAGE_SHIFT, PTE_PRESENT | PTE_NX | PTE_ACCESSED); }

void pv_init_gdt_window(struct vcpu *v)
{
    for (unsigned i = 0; i < GDT_RESERVED_BASE / PAGE_SIZE; i++)
        window_l1(v)[i] = zero_page_pte();
}

void pv_window_set_cpu_page(struct vcpu *v)
{
    u64 *gdt = this_cpu()->gdt;
    paddr_t pa = (u64)gdt - IMAGE_VIRT_START < IMAGE_MAX_SIZE ? image_to_phys(gdt) : virt_to_phys(gdt);

    window_set(v, GDT_RESERVED_BASE / PAGE_SIZE, make_pte(pa >> PAGE_SHIFT, PTE_PRESENT | PTE_RW | PTE_NX | PTE_ACCESSED | PTE_DIRTY));
}

void pv_release_gdt(struct vcpu *v)
{
    for (unsigned i = 0; i < v->pv.gdt_nr_frames; i++) {
        window_set(v, i, zero_page_pte());
        page_put_and_type(mfn_to_page(v->pv.gdt_frames[i]));
    }
    v->pv.gdt_nr_frames = v->pv.gdt_entries = 0;
}

int pv_set_gdt(struct vcpu *v, const mfn_t *frames, u32 entries)
{
    u32 n = (entries + 511) / 512;
    int rc = 0;

    if (entries > GDT_RESERVED_BASE / 8)
        return -EINVAL;
    for (u32 i = 0; i < n && !rc; i++) {
        rc = page_get_and_type(frames[i], v->domain, PGT_SEGDESC);
        if (rc)
            while (i)
                page_put_and_type(mfn_to_page(frames[--i]));
    }
    if (rc)
        return rc;
    pv_release_gdt(v);
    for (u32 i = 0; i < n; i++) {
        v->pv.gdt_frames[i] = frames[i];
        window_set(v, i, make_pte(frames[i], PTE_PRESENT | PTE_NX | PTE_ACCESSED));
    }
    v->pv.gdt_nr_frames = n;
    v->pv.gdt_entries = entries;
    return 0;
}

void pv_load_ldt(struct vcpu *v)
{
    u64 *gdt = this_cpu()->gdt + (SEL_LDT & 0xff8) / 8;
    u64 base = window_va(v) + 16 * PAGE_SIZE, limit = v->pv.ldt_entries * 8ULL - 1;
    u16 sel = 0;

    /* A 64-bit LDT descriptor is two words (SDM vol. 3, 3.5.2). Selector 0: LDTR is invalid, and selectors of the LDT give #GP. */
    if (v->pv.ldt_entries) {
        gdt[1] = base >> 32;
        gdt[0] = (limit & 0xffff) | ((base & 0xffffff) << 16) | DESC_LDT | ((limit >> 16 & 15) << 48) | ((base >> 24 & 0xff) << 56);
        sel = SEL_LDT;
    }
    __asm__ volatile("lldt %0" ::"r"(sel));
}

void pv_release_ldt(struct vcpu *v)
{
    for (unsigned i = 0; i < 16; i++)
        if (v->pv.ldt_frames[i]) {
            window_set(v, 16 + i, 0);
            page_put_and_type(mfn_to_page(v->pv.ldt_frames[i]));
            v->pv.ldt_frames[i] = 0;
        }
}

/* The LDT window is filled page by page, when the processor first reads a descriptor there. */
bool pv_ldt_fault(struct vcpu *v, u64 offset)
{
    unsigned page = (unsigned)index_nospec(offset >> PAGE_SHIFT, ARRAY_SIZE(v->pv.ldt_frames));
    paddr_t at = pv_walk(v, v->pv.ldt_base + page * PAGE_SIZE, 1);

    if (offset >= v->pv.ldt_entries * 8ULL || v->pv.ldt_frames[page] || !at)
        return false;
    pte_t e = READ_ONCE(*(pte_t *)phys_to_virt(at));
    if (!(e & PTE_PRESENT) || page_get_and_type(pte_mfn(e), v->domain, PGT_SEGDESC))
        return false;
    v->pv.ldt_frames[page] = pte_mfn(e);
    window_set(v, 16 + page, make_pte(pte_mfn(e), PTE_PRESENT | PTE_NX | PTE_ACCESSED));
    return true;
}

static bool in_ldt(u16 selector) { return selector & SEL_TI; }

bool pv_ldt_unmapped(const struct vcpu *v, u16 selector)
{
    return in_ldt(selector) && selector < v->pv.ldt_entries * 8 && !v->pv.ldt_frames[selector >> PAGE_SHIFT];
}

bool pv_ldt_map(struct vcpu *v, u16 selector) { return in_ldt(selector) && pv_ldt_fault(v, selector & ~7u); }

/* ---- hypercalls ---- */

long do_set_gdt(guest_ptr_t frame_list, u64 entries)
{
    mfn_t frames[16];
    u64 n = (entries + 511) / 512;

    if (entries > GDT_RESERVED_BASE / 8)
        return -EINVAL;
    n = index_nospec(n, ARRAY_SIZE(frames) + 1);
    if (copy_from_guest(frames, frame_list, n * sizeof(mfn_t)))
        return -EFAULT;
    return pv_set_gdt(current, frames, (u32)entries);
}

long do_update_descriptor(u64 at, u64 descriptor)
{
    struct domain *d = current->domain;
    mfn_t mfn = at >> PAGE_SHIFT;
    u64 desc = descriptor;

    if ((at & 7) || !mfn_valid(mfn) || !descriptor_check(&desc))
        return -EINVAL;
    if (!page_get(mfn_to_page(mfn), d))
        return -EINVAL;
    struct page_info *pg = mfn_to_page(mfn);
    u64 info = READ_ONCE(pg->type_info);
    bool is_segdesc = (info & PGT_COUNT_MASK) && page_type_of(info) == PGT_SEGDESC;
    long rc = page_get_type(pg, is_segdesc ? PGT_SEGDESC : PGT_WRITABLE);
    if (!rc) {
        WRITE_ONCE(*(u64 *)phys_to_virt(at), desc);
        page_mark_dirty(pg);
        page_put_type(pg);
    }
    page_put(pg);
    return rc;
}

long do_set_segment_base(u64 which, u64 value)
{
    if (which <= SEGBASE_GS_KERNEL && !is_canonical(value))
        return -EINVAL;
    switch (which) {
    case SEGBASE_FS: wrmsr(MSR_FS_BASE, value); return 0;
    case SEGBASE_GS_USER:
        wrmsr(MSR_KERNEL_GS_BASE, value); /* the guest is in kernel mode: its user base is the inactive one */
        return 0;
    case SEGBASE_GS_KERNEL: wrmsr(MSR_GS_BASE, value); return 0;
    case SEGBASE_GS_USER_SEL:
        /* Load the user's GS with its base going to the inactive one; a bad selector loads null. */
        pv_ldt_map(current, (u16)value);
        pv_load_due_selectors();
        __asm__ volatile("swapgs\n"
                         "1: mov %k0, %%gs\n"
                         "2: mfence\n"
                         "   swapgs\n"
                         ".pushsection .text.fixup, \"ax\"\n"
                         "3: xor %k0, %k0\n   mov %k0, %%gs\n   jmp 2b\n"
                         ".popsection\n" EXTABLE("1b", "3b")
                         : "+r"(value)::"memory");
        current->pv.gs = (u16)value; /* for switches while other selectors are lost, which save none */
        return 0;
    default: return -EINVAL;
    }
}
