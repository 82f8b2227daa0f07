/* SPDX-License-Identifier: MIT */
/* The walk through page tables that reports print. */
#include <hv/boot_info.h>
#include <hv/printk.h>
#include <hv/system_state.h>
#include <hv/x86/trap.h>
#include <hv/x86/page_table.h>

/* The frame table knows chunks, which have holes; in the direct map these are not mapped. */
static bool in_ram(mfn_t mfn) { return mfn_valid(mfn) && (hv_lookup((u64)mfn_to_virt(mfn)) & PTE_PRESENT); }

/* A table that can be read without a fault: in RAM, or in the image before there is a frame table. */
static const pte_t *readable_table(mfn_t mfn)
{
    u64 off = (mfn << PAGE_SHIFT) - boot_image_phys;

    if (off < IMAGE_MAX_SIZE)
        return (const pte_t *)(IMAGE_VIRT_START + off);
    return in_ram(mfn) ? mfn_to_virt(mfn) : NULL;
}

void page_walk_print(u64 cr3, u64 va, const char *loglvl)
{
    mfn_t mfn = (cr3 & PTE_ADDR_MASK) >> PAGE_SHIFT;

    printk("%sPage-table walk from %016lx:\n", loglvl, va);
    for (unsigned l = 4; l; l--) {
        const pte_t *table = readable_table(mfn);

        if (!table) {
            printk("%s  table %#lx is not in RAM\n", loglvl, mfn);
            return;
        }
        pte_t e = table[PT_INDEX(va, l)];
        bool ram = (e & PTE_PRESENT) && in_ram(pte_mfn(e));
        printk("%s L%u[0x%03lx] = %016lx", loglvl, l, PT_INDEX(va, l), e);
        if (!(e & PTE_PRESENT))
            printk(" not present\n");
        else if (ram && booted_past(PHASE_BOOT) && m2p_get(pte_mfn(e)) != INVALID_M2P)
            printk(" mfn %#lx pfn %#lx\n", pte_mfn(e), m2p_get(pte_mfn(e)));
        else
            printk(" mfn %#lx%s\n", pte_mfn(e), ram ? "" : " (no RAM)");
        if (!(e & PTE_PRESENT) || (l > 1 && l < 4 && (e & PTE_PSE)))
            return;
        mfn = pte_mfn(e);
    }
}
