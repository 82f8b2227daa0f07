/*
 * Ticket locks. Interrupts are off wherever the hypervisor holds a lock, so there are no
 * irq-saving variants. A CPU that holds a lock may not schedule (percpu.locks_held). NMI and
 * #MC handlers and the fatal path take no lock. Order: docs/locking.md.
 */
#ifndef HV_SPINLOCK_H
#define HV_SPINLOCK_H

#include <hv/types.h>

typedef struct {
    u16 head, tail;
} spinlock_t;
#define SPINLOCK_INIT { 0, 0 }

void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);

#endif
