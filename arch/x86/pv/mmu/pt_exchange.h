/* SPDX-License-Identifier: MIT */
/* Exchanging one entry of a live table. What references the two entries hold is the callers' business: pt_update.c, grant_entry.c. */
#pragma once

#include <hv/x86/page_table.h>
#include <hv/x86/page_type.h>
#include <hv/x86/percpu.h>

/*
 * percpu.updating keeps a frame a table while this CPU changes an entry of it (a hazard pointer).
 *
 *   CPU A (here):               updating = the table; reads its type; exchanges the entry; updating = NULL
 *   CPU B (pt_updates_wait()):  has set PGT_BUSY in the type; reads every CPU's updating, and waits while one is the table
 *
 * Each has a full barrier behind its store (XCHG, smp_mb()), so A sees PGT_BUSY or B sees A. Otherwise A could exchange an entry that B has
 * already given back the references of: A would give them back once more, and the frame that the entry maps would be freed while in use.
 * Interrupts are off on A from the first step to the last, so B's wait is short.
 */
static force_inline bool update_begin(const struct page_info *pg, owner_t table_owner, unsigned level, u64 logged)
{
    const u64 settled = (u64)(PGT_L1 + level - 1) << PGT_TYPE_SHIFT | PGT_VALIDATED;

    (void)__atomic_exchange_n(&this_cpu()->updating, pg, __ATOMIC_SEQ_CST);
    u64 x = READ_ONCE(pg->type_info);
    return likely((x & ~(PGT_PINNED | PGT_COUNT_MASK | logged)) == settled && (u32)x && READ_ONCE(pg->owner) == table_owner);
}

static force_inline void update_end(void) { __atomic_store_n(&this_cpu()->updating, NULL, __ATOMIC_RELEASE); }

enum exchanged { EXCHANGED, ENTRY_CHANGED, NOT_THAT_TABLE };

static force_inline enum exchanged exchange(pte_t *p, pte_t old, pte_t val)
{
    return __atomic_compare_exchange_n(p, &old, val, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) ? EXCHANGED : ENTRY_CHANGED;
}

/* log_dirty.c. The same as exchange_in_table(), also in tables that are PGT_LOGGED or PGT_COPIED. */
enum exchanged log_dirty_exchange(owner_t table_owner, unsigned level, pte_t *p, pte_t old, pte_t val);

static force_inline enum exchanged exchange_in_table(owner_t table_owner, unsigned level, pte_t *p, pte_t old, pte_t val)
{
    enum exchanged result = NOT_THAT_TABLE;

    if (update_begin(mfn_to_page(virt_to_mfn(p)), table_owner, level, 0))
        result = exchange(p, old, val);
    update_end();
    return likely(result != NOT_THAT_TABLE) ? result : log_dirty_exchange(table_owner, level, p, old, val);
}
