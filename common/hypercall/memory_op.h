/* SPDX-License-Identifier: MIT */
/* What the parts of memory_op have in common: memory_op.c, memory_exchange.c, memory_map.c. Handlers: struct subop in hypercall.h. */
#pragma once

#include <hv/domain.h>
#include <hv/hypercall.h>
#include <public/memory.h>

/* A preemption point behind every 64th frame: interrupts are off in between, and an extent may have thousands. */
static inline void __may_preempt frame_done(u64 i)
{
    if ((i & 63) == 63)
        preempt_point();
}

unsigned memory_max_order(void); /* of an extent that the caller may ask for */
/* 2^order frames that the domain may be given; NULL. */
struct page_info *memory_alloc(struct domain *d, unsigned order, u32 mem_flags);
/*
 * Clears them and gives them to the domain; gpfn: the first one's M2P entry, INVALID_M2P: none has one. False: it may not have them (had: as
 * domain_assign_pages()); they are freed.
 */
bool memory_give(struct domain *d, struct page_info *pg, unsigned order, u64 gpfn, u64 had) __may_preempt;

subop_handler memory_exchange; /* memory_exchange.c */
/* memory_map.c */
subop_handler machine_memory_map, memory_map, set_memory_map, machphys_mapping, machphys_mfn_list, maximum_ram_page, maximum_gpfn,
    acquire_resource;
