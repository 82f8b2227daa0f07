/* SPDX-License-Identifier: MIT */
/* Page-table entries (Intel SDM vol. 3, 4.5) and the hypervisor's own mappings. */
#pragma once

#include <hv/mm.h>
#include <hv/x86/bits.h>

typedef u64 pte_t;

#define PTE_EARLY 0x200ULL /* of PTE_AVAIL, in the direct map: mapped because boot touched it */
#define PTE_ADDR_MASK 0x000ffffffffff000ULL
#define PTE_CACHE_MASK (PTE_PWT | PTE_PCD | PTE_PAT)

#define PT_ENTRIES 512
#define PT_SHIFT(level) (12 + 9 * ((level)-1))
#define PT_INDEX(va, level) (((va) >> PT_SHIFT(level)) & 511)

static inline mfn_t pte_mfn(pte_t e) { return (e & PTE_ADDR_MASK) >> PAGE_SHIFT; }
static inline pte_t make_pte(mfn_t mfn, u64 flags) { return (mfn << PAGE_SHIFT) | flags; }

/* Flags of hypervisor mappings. */
#define HV_RO (PTE_PRESENT | PTE_GLOBAL | PTE_NX | PTE_ACCESSED)
#define HV_RW (HV_RO | PTE_RW | PTE_DIRTY)
#define HV_RX (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED)
#define HV_SHADOW_STACK (HV_RO | PTE_DIRTY) /* what these two bits mean together: no other mapping may have it so */
#define HV_UC (HV_RW | PTE_PCD | PTE_PWT)
#define HV_WC (HV_RW | PTE_PAT)

extern pte_t hv_l4[PT_ENTRIES];

/*
 * Maps [va, va + size) to pa with the largest pages that fit; existing mappings are replaced
 * and large ones split. -ENOMEM when a table cannot be had. The caller flushes the TLB if it
 * replaced anything.
 */
int hv_map(u64 va, paddr_t pa, u64 size, u64 flags) __must_check;
/* Other CPUs may still have the translations: whoever uses the addresses again flushes all CPUs first (vmap_give_back). */
void hv_unmap(u64 va, u64 size);
/* A whole L4 slot of 4 KiB mappings that hv_map() made after boot_alloc's time, its tables freed; none of the guests' slots. */
void hv_drop_slot(unsigned slot);
void hv_free_tables(pte_t entry, unsigned level); /* the table that the entry names, of that level, and those below it; no frames */
/* Removes the mappings with PTE_EARLY from an L4 slot; the caller flushes. */
void hv_drop_early(unsigned slot);
/* The leaf entry that maps va (any size), or 0. */
pte_t hv_lookup(u64 va);

/* text_write.c: n bytes of the hypervisor's code, before other CPUs run. */
void text_write(u64 at, const u8 *bytes, size_t n);

/* ---- vmap.c ---- */
/* Device registers, uncached, at a vmap address; NULL when out of memory. */
void *hv_ioremap(paddr_t pa, u64 size) __must_check;
/*
 * The same for memory that is written in bulk and stays mapped: write-combining, at an address congruent to its own modulo 2 MiB, so that
 * large pages serve and few tables are needed, of which early boot has not many.
 */
void *hv_map_bulk(paddr_t pa, u64 size) __must_check;
void hv_iounmap(volatile void *p, u64 size); /* what hv_ioremap() gave for that size */
/* Addresses aligned to STACK_BLOCK_SIZE; 0: there are none left. */
u64 vmap_reserve(u64 size) __must_check;
void vmap_give_back(u64 va, u64 size); /* unmapped, if need be */
/* The same in the part for what a CPU needs on the way in from a guest (xpti.c). */
u64 vmap_reserve_for_cpus(u64 size, u64 align);

/* direct_map.c */
bool direct_map_fault(u64 va); /* early boot: maps what was touched; false: not a direct-map address */
void direct_map_init(void);
void image_release_init(void);                         /* frees .init.text, the decompressors among it; __ro_after_init becomes read-only */
int direct_map_add(paddr_t pa, u64 size) __must_check; /* tables of the firmware outside RAM */

/* m2p.c: the machine-to-physical table the ABI promises. */
#define INVALID_M2P (~0ULL)
#define M2P_CHUNK_SIZE MiB(2)
void m2p_init(void); /* boot: all entries INVALID_M2P */
/* The first of the frames that the n-th chunk of the table lies in; 0: nothing in there is RAM. False: there are less chunks. */
bool m2p_chunk(u32 n, mfn_t *first);
static inline void m2p_set(mfn_t mfn, u64 pfn) { ((u64 *)RW_M2P_VIRT_START)[mfn] = pfn; }
static inline u64 m2p_get(mfn_t mfn) { return ((u64 *)RW_M2P_VIRT_START)[mfn]; }
