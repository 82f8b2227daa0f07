/* Ticket locks: first come, first served. */
#include <hv/panic.h>
#include <hv/spinlock.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

void spin_lock(spinlock_t *lock)
{
    /* NMI and #MC may have interrupted the holder. */
    ASSERT(!(this_cpu()->inside & INSIDE_NO_LOCKS));
    u16 ticket = __atomic_fetch_add(&lock->tail, 1, __ATOMIC_ACQUIRE);

    while (__atomic_load_n(&lock->head, __ATOMIC_ACQUIRE) != ticket)
        cpu_relax();
    this_cpu()->locks_held++;
}

void spin_unlock(spinlock_t *lock)
{
    this_cpu()->locks_held--;
    __atomic_store_n(&lock->head, (u16)(lock->head + 1), __ATOMIC_RELEASE);
}
