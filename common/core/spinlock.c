/* SPDX-License-Identifier: MIT */
/* Ticket locks: first come, first served. */
#include <hv/panic.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/tlb.h>

#ifdef DEBUG
static bool may_follow(const spinlock_t *held, const spinlock_t *lock)
{
    return lock->rank > held->rank || (lock->rank == LOCK_EVENT && held->rank == LOCK_EVENT && lock > held);
}

/* Before the wait: an order that can deadlock is reported also when it did not this time. */
static void check_order(const struct percpu *c, const spinlock_t *lock)
{
    ASSERT(lock->rank != LOCK_UNRANKED && c->locks_held < MAX_LOCKS_HELD);
    for (u32 i = 0; i < c->locks_held; i++)
        ASSERT(may_follow(c->held[i], lock));
}

static void note_held(struct percpu *c, spinlock_t *lock) { c->held[c->locks_held] = lock; }

static void note_released(struct percpu *c, const spinlock_t *lock)
{
    u32 i = 0;

    while (i < c->locks_held && c->held[i] != lock)
        i++;
    ASSERT(i < c->locks_held); /* released by the CPU that took it */
    for (; i + 1 < c->locks_held; i++)
        c->held[i] = c->held[i + 1];
}
#else
static void check_order(__unused const struct percpu *c, __unused const spinlock_t *lock) {}
static void note_held(__unused struct percpu *c, __unused spinlock_t *lock) {}
static void note_released(__unused struct percpu *c, __unused const spinlock_t *lock) {}
#endif

static inline void taken(struct percpu *c, spinlock_t *lock)
{
    note_held(c, lock);
    c->locks_held++;
}

/* Apart, so that a lock that is free costs no saved registers. */
static noinline void take_turn(struct percpu *c, spinlock_t *lock, u16 ticket)
{
    while (__atomic_load_n(&lock->head, __ATOMIC_ACQUIRE) != ticket) {
        /*
         * CPU A holds the lock, allocates memory and waits for all CPUs to flush (tlb_flush_since()). CPU B, here, has interrupts off and would
         * not take the flush interrupt: A would wait for B's flush and B for A's lock, for ever. So B serves requests while it waits.
         */
        tlb_serve();
        cpu_relax();
    }
    taken(c, lock);
}

void spin_lock(spinlock_t *lock)
{
    struct percpu *c = this_cpu();

    /* NMI and #MC may have interrupted the holder. */
    ASSERT(!(c->inside & INSIDE_NO_LOCKS));
    check_order(c, lock);
    u16 ticket = __atomic_fetch_add(&lock->tail, 1, __ATOMIC_ACQUIRE);
    if (likely(__atomic_load_n(&lock->head, __ATOMIC_ACQUIRE) == ticket))
        taken(c, lock);
    else
        take_turn(c, lock, ticket);
}

void spin_unlock(spinlock_t *lock)
{
    struct percpu *c = this_cpu();

    note_released(c, lock);
    c->locks_held--;
    __atomic_store_n(&lock->head, (u16)(lock->head + 1), __ATOMIC_RELEASE);
}
