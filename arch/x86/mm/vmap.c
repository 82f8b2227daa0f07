/* SPDX-License-Identifier: MIT */
/*
 * Addresses of the vmap slot, in units of a stack block: given out, and given back.
 *
 * What is given back may still be in other CPUs' TLBs, where nothing but a global flush removes it. Such
 * units are stale: they are used again after one such flush for many of them. The lowest ones that are free
 * are taken, so that few page tables serve for all.
 *
 * Lock: vmap_lock.
 */
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/spinlock.h>
#include <hv/x86/page_table.h>
#include <hv/x86/tlb.h>

#define UNIT STACK_BLOCK_SIZE
#define UNITS 65536u /* 2 GiB: stacks, device registers, a framebuffer */
#define STALE_MAX 64u
#define BIT(i) (1ULL << ((i) % 64))

static spinlock_t vmap_lock = SPINLOCK_INIT(LOCK_HV_MAP);
static u64 taken[UNITS / 64], stale[UNITS / 64];
static u32 nr_stale;
static u64 cpus_next = VMAP_CPUS_VIRT_START;

static u32 units_of(u64 size) { return size > (u64)UNITS * UNIT ? UNITS + 1 : (u32)(ROUND_UP(size, UNIT) / UNIT); }

static void vmap_mark_units(u64 *map, u32 first, u32 count, bool set)
{
    for (u32 i = first; i < first + count; i++)
        map[i / 64] = set ? map[i / 64] | BIT(i) : map[i / 64] & ~BIT(i);
}

/* The first one of `count` units in a row that are neither taken nor stale; UNITS: there are none. */
static u32 vmap_find_units(u32 count)
{
    u32 run = 0;

    for (u32 i = 0; i < UNITS; i++) {
        run = (taken[i / 64] | stale[i / 64]) & BIT(i) ? 0 : run + 1;
        if (run == count)
            return i + 1 - count;
    }
    return UNITS;
}

static void vmap_recycle_stale(void)
{
    tlb_flush_global_all_cpus();
    memset(stale, 0, sizeof(stale));
    nr_stale = 0;
}

u64 vmap_reserve(u64 size)
{
    u32 count = units_of(size);

    spin_lock_scope(&vmap_lock);
    if (nr_stale >= STALE_MAX)
        vmap_recycle_stale();
    u32 at = vmap_find_units(count);
    if (at == UNITS && nr_stale) {
        vmap_recycle_stale();
        at = vmap_find_units(count);
    }
    if (at == UNITS)
        return 0;
    vmap_mark_units(taken, at, count, true);
    return VMAP_VIRT_START + (u64)at * UNIT;
}

void vmap_give_back(u64 va, u64 size)
{
    u32 first = (u32)((va - VMAP_VIRT_START) / UNIT);

    hv_unmap(va, size);
    spin_lock_scope(&vmap_lock);
    vmap_mark_units(taken, first, units_of(size), false);
    vmap_mark_units(stale, first, units_of(size), true);
    nr_stale += units_of(size);
}

u64 vmap_reserve_for_cpus(u64 size, u64 align)
{
    spin_lock_scope(&vmap_lock);
    u64 va = ROUND_UP(cpus_next, align);
    cpus_next = va + size;
    ASSERT(va + size <= VMAP_VIRT_END); /* boot: MAX_CPUS areas fit */
    return va;
}

static u64 pages_around(u64 at, u64 size) { return ROUND_UP(at % PAGE_SIZE + size, PAGE_SIZE); }

void *hv_ioremap(paddr_t pa, u64 size)
{
    u64 bytes = pages_around(pa, size), va = vmap_reserve(bytes);

    if (!va)
        return NULL;
    if (hv_map(va, pa & PAGE_MASK, bytes, HV_UC)) {
        vmap_give_back(va, bytes);
        return NULL;
    }
    return (void *)(va + pa % PAGE_SIZE);
}

void *hv_map_bulk(paddr_t pa, u64 size)
{
    u64 bytes = pages_around(pa, size), start = vmap_reserve(bytes + MiB(2));
    u64 va = start + ((pa - start) & (MiB(2) - 1) & PAGE_MASK);

    if (!start)
        return NULL;
    if (hv_map(va, pa & PAGE_MASK, bytes, HV_WC)) {
        vmap_give_back(start, bytes + MiB(2));
        return NULL;
    }
    return (void *)(va + pa % PAGE_SIZE);
}

void hv_iounmap(volatile void *p, u64 size) { vmap_give_back((u64)p & PAGE_MASK, pages_around((u64)p, size)); }
