/* SPDX-License-Identifier: MIT */
/* Writes to a guest kernel's memory when its address space may not be the loaded one. */
#include <hv/guest_access.h>
#include <hv/x86/pv/mmu.h>

/* The frame that va maps writable, with both references held, or NULL. */
static struct page_info *get_writable(struct vcpu *v, u64 va)
{
    paddr_t at = pv_walk(v, va, 1);

    if (!at)
        return NULL;
    pte_t e = READ_ONCE(*(pte_t *)phys_to_virt(at));
    if ((e & (PTE_PRESENT | PTE_RW)) != (PTE_PRESENT | PTE_RW) || page_get_and_type(pte_mfn(e), v->domain, PGT_WRITABLE))
        return NULL;
    return mfn_to_page(pte_mfn(e));
}

bool guest_kernel_write(struct vcpu *v, guest_ptr_t to, const void *src, u64 n)
{
    u64 va = to.va;

    if (!guest_range_ok(va, n))
        return false;
    while (n) {
        u64 off = va & (PAGE_SIZE - 1), chunk = MIN(n, PAGE_SIZE - off);
        struct page_info *pg = get_writable(v, va);

        if (!pg)
            return false;
        memcpy((char *)page_to_virt(pg) + off, src, chunk);
        page_put_written(pg);
        va += chunk;
        src = (const char *)src + chunk;
        n -= chunk;
    }
    return true;
}
