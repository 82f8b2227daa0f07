/* SPDX-License-Identifier: MIT */
/*
 * Ticket locks. Interrupts are off wherever the hypervisor holds a lock, so there are no
 * irq-saving variants. A CPU that holds a lock may not schedule (percpu.locks_held), nor wait for
 * another CPU except for a TLB flush (tlb.c) and pt_updates_wait(). NMI and #MC handlers and the fatal path take no lock.
 *
 * Locks are taken in the order of their ranks; two of one rank in the order of their addresses,
 * where that rank says so. Debug builds check it. docs/locking.md says what each guards.
 */
#pragma once

#include <hv/types.h>

enum lock_rank {
    LOCK_UNRANKED, /* not initialised */
    LOCK_EVENT,    /* several at a time */
    LOCK_IRQ,
    LOCK_GRANT,
    LOCK_PAGE_LIST,
    LOCK_LOG_DIRTY,
    LOCK_XPTI,
    LOCK_RUNQUEUE,
    LOCK_HV_MAP,
    LOCK_SMALL_HEAP,
    LOCK_PAGE_HEAP,
    LOCK_LEAF, /* nothing but LOCK_CONSOLE is taken under one */
    LOCK_CONSOLE,
};

typedef struct {
    u16 head, tail;
    u32 rank; /* enum lock_rank */
} spinlock_t;
#define SPINLOCK_INIT(r) \
    {                    \
        .rank = (r)      \
    }

void spin_lock(spinlock_t *lock);   /* interrupts are off. Serves TLB flushes while it waits */
void spin_unlock(spinlock_t *lock); /* by the CPU that has it; any order of release */

/* A declaration, one in a block: takes the lock, which is released at the end of the block, however that is left. */
#define spin_lock_scope(lock) spinlock_t *const held_in_scope __attribute__((cleanup(spin_unlock_at), unused)) = spin_locked(lock)
static inline spinlock_t *spin_locked(spinlock_t *lock)
{
    spin_lock(lock);
    return lock;
}
static inline void spin_unlock_at(spinlock_t *const *lock) { spin_unlock(*lock); }
