/* SPDX-License-Identifier: MIT */
/* A domain's watchdogs (SCHEDOP_watchdog): one that is not set anew in time ends its domain. */
#include <hv/domain.h>
#include <hv/printk.h>

static void watchdog_fired(void *data)
{
    struct domain *d = data;

    if (READ_ONCE(d->state) >= DOMAIN_CRASHED)
        return;
    printk(LOG_ERR "d%u: its watchdog was not set anew in time\n", d->id);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

void domain_watchdog_init(struct domain *d)
{
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++)
        timer_init(&d->watchdog[i], watchdog_fired, d);
}

void domain_watchdog_kill(struct domain *d)
{
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++)
        timer_kill(&d->watchdog[i]);
}

int domain_watchdog_start(struct domain *d, u32 seconds)
{
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++)
        if (!(__atomic_fetch_or(&d->watchdogs_used, 1u << i, __ATOMIC_SEQ_CST) & 1u << i)) {
            timer_set(&d->watchdog[i], system_time_ns() + seconds * NS_PER_SEC);
            return (int)i + 1;
        }
    return -ENOSPC;
}

int domain_watchdog_change(struct domain *d, u32 id, u32 seconds)
{
    u32 i = (u32)index_nospec(id - 1, DOMAIN_WATCHDOGS);

    if (id - 1 >= DOMAIN_WATCHDOGS || !(READ_ONCE(d->watchdogs_used) >> i & 1))
        return -EINVAL;
    if (seconds) {
        timer_set(&d->watchdog[i], system_time_ns() + seconds * NS_PER_SEC);
        return 0;
    }
    timer_stop(&d->watchdog[i]);
    __atomic_fetch_and(&d->watchdogs_used, ~(1u << i), __ATOMIC_SEQ_CST);
    return 0;
}
