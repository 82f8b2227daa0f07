/* SPDX-License-Identifier: MIT */
/* What the parts of memory_op have in common: memory_op.c, memory_exchange.c, memory_map.c. Handlers: struct subop in hypercall.h. */
#pragma once

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

long memory_exchange(const guest_ptr_t *at) __may_preempt; /* memory_exchange.c */
/* memory_map.c */
long machine_memory_map(struct xen_memory_map *m);
long memory_map(struct xen_memory_map *m);
long set_memory_map(const struct xen_foreign_memory_map *m);
long machphys_mapping(struct xen_machphys_mapping *m);
long machphys_mfn_list(struct xen_machphys_mfn_list *list);
long maximum_ram_page(void);
long maximum_gpfn(const domid_t *id, struct domain *d);
long acquire_resource(struct xen_mem_acquire_resource *r);
