/* SPDX-License-Identifier: MIT */
/* Grants for test kernels, in either role: a table that is mapped, and the operations one at a time. */
#pragma once

#include "guest.h"

#include <public/grant_table.h>

#define GRANT_FREE 8 /* the first reference that nothing else uses */
#define GRANTS_PER_FRAME 512

static struct grant_entry_v1 *grant_table; /* two frames, side by side */

static inline long grant_op(u32 cmd, void *list, u32 count) { return HYPERCALL3(__HYPERVISOR_grant_table_op, cmd, list, count); }

static inline void grant_set_up(void)
{
    u64 frames[2] = { 0 };
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 2, .frame_list = frames };
    u8 *at = page_new();

    grant_table = (void *)at;
    CHECK(page_new() == at + PAGE_SIZE);
    CHECK_EQ(grant_op(GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(s.status, GNTST_okay);
    for (u32 i = 0; i < 2; i++)
        CHECK_EQ(remap(at + i * PAGE_SIZE, frames[i] << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
}

static inline struct gnttab_map_grant_ref grant_map(u64 at, u32 flags, u32 ref, domid_t dom)
{
    struct gnttab_map_grant_ref m = { .host_addr = at, .flags = flags, .ref = ref, .dom = dom, .status = 99 };

    CHECK_EQ(grant_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static inline int grant_unmap_by(u32 cmd, u64 at, u64 other, u32 handle)
{
    struct gnttab_unmap_grant_ref u = { .host_addr = at, .dev_bus_addr = other, .handle = handle, .status = 99 };

    CHECK_EQ(grant_op(cmd, &u, 1), 0);
    return u.status;
}

static inline int grant_unmap(u64 at, u64 bus, u32 handle) { return grant_unmap_by(GNTTABOP_unmap_grant_ref, at, bus, handle); }

static inline int grant_copy(struct gnttab_copy c)
{
    c.status = 99;
    CHECK_EQ(grant_op(GNTTABOP_copy, &c, 1), 0);
    return c.status;
}
#define GRANT_BY_FRAME(va, off)                                            \
    {                                                                      \
        .u.gmfn = va_to_mfn(va), .domid = DOMID_SELF, .offset = (u16)(off) \
    }
#define GRANT_BY_REF(r, dom, off)                          \
    {                                                      \
        .u.ref = (r), .domid = (dom), .offset = (u16)(off) \
    }

static inline void grant_give(u32 ref, domid_t to, const void *va, u16 flags)
{
    struct grant_entry_v1 e = { (u16)(GTF_permit_access | flags), to, (u32)va_to_mfn(va) };
    u64 word;

    memory_copy(&word, &e, sizeof(word));
    __atomic_store_n((u64 *)&grant_table[ref], word, __ATOMIC_SEQ_CST);
}

static inline u16 grant_in_use(u32 ref) { return ((volatile struct grant_entry_v1 *)grant_table)[ref].flags & (GTF_reading | GTF_writing); }

/* As the ABI says; false: somebody uses it. */
static inline bool grant_take_back(u32 ref)
{
    u16 flags = ((volatile struct grant_entry_v1 *)grant_table)[ref].flags;

    return !(flags & (GTF_reading | GTF_writing)) &&
           __atomic_compare_exchange_n(&grant_table[ref].flags, &flags, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
