/* SPDX-License-Identifier: MIT */
/*
 * Machine memory: frames, their bookkeeping (struct page_info), allocators.
 *
 * References. ref_info (Xen: count_info, PGC_*) counts every reason a frame may not be freed: one for its owner
 * (PGR_ALLOCATED), one for each mapping, table entry or use. type_info counts the uses that
 * need the frame to be of one kind (arch/x86/mm/page_type.c, the only writer of type counts).
 *
 * In Xen's words: ref_info is count_info, PGR_* are PGC_* (PGR_ALLOCATED: PGC_allocated, PGR_SPECIAL: PGC_xen_heap, PGR_BROKEN: PGC_broken),
 * page_get() and page_put() are get_page() and put_page(), page_get_and_type() is get_page_and_type(); type_info and PGT_* are called the same.
 */
#pragma once

#include <hv/types.h>
#include <hv/x86/layout.h>

struct domain;

typedef u32 owner_t; /* the frame of a struct domain: who owns a frame */

struct page_info {
    u64 type_info; /* free: order of the block */
    u64 ref_info;
    owner_t owner;  /* 0: nobody */
    u32 tlb_stamp;  /* TLB clock when the type was last dropped, or when it was freed */
    u32 next, prev; /* frame numbers: free list, or the owner's page list */
};
CHECK_SIZE(struct page_info, 32);

#define PGR_COUNT_MASK 0xffffffffULL
#define PGR_ALLOCATED (1ULL << 63) /* holds one reference for the owner */
#define PGR_SPECIAL (1ULL << 62)   /* the hypervisor's page, shown to the owner (shared_info, grants) */
#define PGR_FREE (1ULL << 61)
#define PGR_BROKEN (1ULL << 59)   /* damaged: retired, or to be when its owner lets go of it */
#define PGR_CLEAN (1ULL << 58)    /* of a block that page_alloc() has just given, in its first frame: all of it is zero */
#define PGR_UNCACHED (1ULL << 60) /* a guest has mapped it other than write-back: flush before retyping */

#define FRAME_TABLE ((struct page_info *)FRAMETABLE_VIRT_START)
/* Frame-table chunks of 2 MiB describe 256 MiB of machine memory; holes have none. */
#define FRAMES_PER_CHUNK (MiB(2) / sizeof(struct page_info))
#define MAX_CHUNKS ((1ULL << 32) / FRAMES_PER_CHUNK) /* as many as 32 bits can name; those above MAX_MFN are never there */
#define MAX_MFN (((DIRECTMAP_VIRT_END - DIRECTMAP_VIRT_START) >> PAGE_SHIFT) - 1)

extern mfn_t max_mfn;       /* highest frame with a page_info */
extern u64 total_ram_pages; /* RAM in the firmware's map */

extern bool frame_chunks[]; /* these have a part of the frame table; written at boot */
/*
 * Has a page_info. Frame numbers come from guests: cut to 32 bits they stay inside frame_chunks[], and inside the slot of the frame
 * table, where a processor predicts the check otherwise (Spectre v1, lib.h).
 */
static inline bool mfn_valid(mfn_t mfn) { return mfn <= max_mfn && frame_chunks[(u32)mfn / FRAMES_PER_CHUNK]; }
static inline struct page_info *mfn_to_page(mfn_t mfn) { return FRAME_TABLE + (u32)mfn; }
static inline mfn_t page_to_mfn(const struct page_info *pg) { return (mfn_t)(pg - FRAME_TABLE); }

/* The direct map: RAM and what direct_map_add() named. */
static inline void *phys_to_virt(paddr_t pa) { return (void *)(DIRECTMAP_VIRT_START + pa); }
static inline paddr_t virt_to_phys(const void *va) { return (u64)va - DIRECTMAP_VIRT_START; }
static inline void *mfn_to_virt(mfn_t mfn) { return phys_to_virt(mfn << PAGE_SHIFT); }
static inline mfn_t virt_to_mfn(const void *va) { return virt_to_phys(va) >> PAGE_SHIFT; }
static inline void *page_to_virt(const struct page_info *pg) { return mfn_to_virt(page_to_mfn(pg)); }
static inline owner_t owner_of(const struct domain *d) { return (owner_t)virt_to_mfn(d); }
static inline struct domain *page_owner(const struct page_info *pg) { return mfn_to_virt(pg->owner); } /* that has one */
/* For addresses inside the image. */
paddr_t image_to_phys(const void *va);

/* ---- boot allocator: from the firmware map until the page allocator takes over ---- */
void boot_alloc_init(void);
bool boot_alloc_ready(void); /* boot_alloc() may be called */
/* Aligned, zeroed; panics when memory is too small (no guest exists yet). Returns the address. */
paddr_t boot_alloc(u64 size, u64 align) __must_check;
paddr_t boot_alloc_filled(u64 size, u64 align, u8 with) __must_check; /* the same, filled with another byte than zero */
void boot_alloc_reserve(paddr_t start, paddr_t end);
/* Hands what is left to the page allocator. */
void boot_alloc_finish(void);

/* ---- page allocator: buddy system, zones by address width ---- */
#ifndef MAX_ORDER
#define MAX_ORDER 18 /* 1 GiB blocks; tests make do with less */
#endif
/*
 * 2^order frames below 2^address_bits bytes (0: anywhere), or NULL. The highest memory that
 * fits is preferred, so that low memory stays for devices. Content is undefined without PGR_CLEAN. No CPU has a
 * translation from an earlier use any more: that may take a flush of other CPUs.
 */
struct page_info *page_alloc(unsigned order, unsigned address_bits) __must_check;
/*
 * The same, but NULL rather than less than low_kept free frames below 4 GiB afterwards, or less free ones than are claimed. *claim: what
 * the caller has claimed, and gets some of (page_claim()); NULL: nothing.
 */
struct page_info *page_alloc_for(unsigned order, unsigned address_bits, u64 low_kept, u64 *claim) __must_check;
/*
 * Sets *claim, a number of free frames that nobody else gets, to `frames`. -ENOMEM, and it stays as it was: there are not as many that nobody
 * has claimed, low_kept ones below 4 GiB apart. Both take heap_lock, which guards *claim.
 */
int page_claim(u64 *claim, u64 frames, u64 low_kept) __must_check;
u64 page_claimed_count(void);                         /* frames that are claimed, and free; changes while it is read */
void page_free(struct page_info *pg, unsigned order); /* 2^order frames that nobody holds or maps any more. Takes heap_lock */
/* Any number of contiguous frames. */
struct page_info *page_alloc_contiguous(u64 count) __must_check;
void page_free_each(struct page_info *const *frames, u32 count); /* the same for single ones; quicker where numbers go down one by one */
void page_free_range(mfn_t first, u64 count);                    /* the same for any number; frame 0 is left out */
/* The same for frames that nobody has had yet, not frame 0 and not damaged: their page_info is zero, and only the blocks' heads are touched. */
void page_free_new(mfn_t first, u64 count);
u64 page_free_count(void); /* frames; changes while it is read */
bool page_scrub(void);     /* clears a frame that was freed; false: nothing to do now. For idle CPUs. Takes heap_lock */

/* For page_retire.c: whether a free block holds the frame; takes it out of that block. */
bool page_is_free(mfn_t mfn);
bool page_take_free(mfn_t mfn) __must_check; /* false: it is not free. Takes heap_lock */

/* ---- damaged frames ---- */
enum frame_owner { FRAME_NONE /* not RAM */, FRAME_FREE, FRAME_GUEST, FRAME_HYPERVISOR, FRAME_RETIRED };
enum frame_owner frame_owner(mfn_t mfn); /* takes no lock: a hint while others allocate */
/* Never given out again; what it was. A hypervisor frame stays as it is. */
enum frame_owner page_retire(mfn_t mfn);
/* badpage=: before anything is allocated, and once the frame table stands. */
void bad_frames_reserve(void);
void bad_frames_mark(void);

/* ---- hypervisor heap ---- */
void *hv_alloc(size_t size) __must_check; /* zeroed, 16-byte aligned; NULL when out of memory */
void hv_free(void *p);
/* A variable whose memory is freed at the end of its scope. */
#define __freed __attribute__((cleanup(hv_free_at)))
static inline void hv_free_at(void *variable) { hv_free(*(void **)variable); }
void *hv_alloc_page(void) __must_check; /* one zeroed frame in the direct map */
void hv_free_page(void *p);

/* ---- boot's large buffers (scratch.c): contiguous addresses, scattered frames ---- */
void *scratch_alloc(u64 bytes) __must_check; /* page-aligned, content undefined; NULL when out of memory */
bool scratch_holds(const void *p);
void scratch_free(void *p); /* NULL: nothing. Frames that scratch_page() has given away must not be there any more */
/* The frame behind the page at p. A caller that gives it to a domain must not free the buffer. */
struct page_info *scratch_page(const void *p);
void scratch_end(void); /* all addresses go; frames that were not freed have another owner by now */

/* ---- the frame table ---- */
void frame_table_init(void);
