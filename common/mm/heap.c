/* SPDX-License-Identifier: MIT */
/*
 * Small allocations: powers of two from 32 bytes, cut from single frames; larger ones are
 * contiguous frames. A 16-byte header before each block remembers its size.
 *
 * Lock: small_lock (before heap_lock).
 */
#include <hv/lib.h>
#include <hv/mm.h>
#include <hv/panic.h>
#include <hv/spinlock.h>
#include <hv/trap_test.h>

struct header {
    u64 size; /* bytes with the header: a power of two up to MAX_SMALL, else whole frames */
    u64 magic;
};
#define MAGIC_USED 0x5553454448455931ULL
#define MAGIC_FREE 0x4652454548455931ULL
#define MIN_SHIFT 5
#define MAX_SMALL (PAGE_SIZE / 2)

struct free_block {
    struct header h;
    struct free_block *next;
};

static spinlock_t small_lock = SPINLOCK_INIT(LOCK_SMALL_HEAP);
static struct free_block *small_free[12];

void *hv_alloc_page(void)
{
    struct page_info *pg = page_alloc(0, 0);

    if (!pg)
        return NULL;
    return pg->ref_info & PGR_CLEAN ? page_to_virt(pg) : memset(page_to_virt(pg), 0, PAGE_SIZE);
}

void hv_free_page(void *p)
{
    if (p)
        page_free(mfn_to_page(virt_to_mfn(p)), 0);
}

static struct header *small_alloc(unsigned shift)
{
    spin_lock_scope(&small_lock);
    if (!small_free[shift]) {
        struct page_info *pg = page_alloc(0, 0);

        for (u64 off = 0; pg && off < PAGE_SIZE; off += 1ULL << shift) {
            struct free_block *b = (void *)((char *)page_to_virt(pg) + off);

            b->h.magic = MAGIC_FREE;
            b->next = small_free[shift];
            small_free[shift] = b;
        }
    }
    struct free_block *b = small_free[shift];
    if (!b)
        return NULL;
    small_free[shift] = b->next;
    b->h.size = 1ULL << shift;
    return &b->h;
}

void *hv_alloc(size_t size)
{
    struct header *h;
    u64 total = size + sizeof(*h);

    if (total < size)
        return NULL;
    if (total <= MAX_SMALL) {
        unsigned shift = MAX((unsigned)MIN_SHIFT, bit_last(total - 1) + 1);

        h = trap_test_allocation_fails() ? NULL : small_alloc(shift);
    } else {
        struct page_info *pg = page_alloc_contiguous((total + PAGE_SIZE - 1) >> PAGE_SHIFT);

        h = pg ? page_to_virt(pg) : NULL;
        if (h)
            h->size = ROUND_UP(total, PAGE_SIZE);
    }
    if (!h)
        return NULL;
    h->magic = MAGIC_USED;
    return memset(h + 1, 0, size);
}

void hv_free(void *p)
{
    if (!p)
        return;
    struct header *h = (struct header *)p - 1;

    /* Only our own pointers come here; another one is our bug. */
    ASSERT(h->magic == MAGIC_USED);
    h->magic = MAGIC_FREE;
    if (h->size > MAX_SMALL) {
        page_free_range(virt_to_mfn(h), h->size >> PAGE_SHIFT);
        return;
    }
    struct free_block *b = (struct free_block *)h;
    unsigned shift = bit_first(h->size);
    spin_lock_scope(&small_lock);
    b->next = small_free[shift];
    small_free[shift] = b;
}
