/*
 * Which domains there are. A pointer to a domain is good for as long as somebody holds a reference:
 *
 * - the one it is created with, which domain_kill() gives back at its end;
 * - one for all frames that it owns together, and one for each page of the hypervisor's that it may map: page_info.owner
 *   names the structure, so it outlives the last of them, whoever still has them mapped;
 * - those of whoever works on it: domain_by_id(), domain_for_caller(), for_each_domain().
 *
 * A vCPU needs none for its own domain: that is not freed before all its vCPUs have left the hypervisor for good. The table has none
 * either: a domain that nobody holds any more stays in it until SOFTIRQ_DOMAIN_END takes it out, but nobody finds it there.
 *
 * Lock: table_lock (a leaf).
 */
#include <hv/domain.h>

#define CHAINS 64

struct domain *hardware_domain;
struct domain idle_domain = { .id = DOMID_IDLE };

static spinlock_t table_lock = SPINLOCK_INIT(LOCK_LEAF);
static struct domain *chains[CHAINS]; /* by the low bits of the id */
static domid_t last_id;               /* given out; 0 is dom0's alone */

/* table_lock held. */
static bool get_unless_gone(struct domain *d)
{
    u32 refs = READ_ONCE(d->refs);

    while (refs && !__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        ;
    return refs;
}

/* table_lock held. Where the domain with this id is linked, or the end of its chain. */
static struct domain **link_of(domid_t id)
{
    struct domain **at = &chains[id % CHAINS];

    while (*at && (*at)->id != id)
        at = &(*at)->next_in_table;
    return at;
}

struct domain *domain_by_id(domid_t id)
{
    struct domain *self = current->domain;

    if (id == DOMID_SELF || id == self->id)
        return self;
    spin_lock(&table_lock);
    struct domain *d = *link_of(id);

    if (d && !get_unless_gone(d))
        d = NULL;
    spin_unlock(&table_lock);
    return d;
}

/* table_lock held. */
static struct domain *lowest_from(u32 id)
{
    struct domain *found = NULL;

    for (u32 i = 0; i < CHAINS; i++)
        for (struct domain *d = chains[i]; d; d = d->next_in_table)
            if (d->id >= id && READ_ONCE(d->refs) && (!found || d->id < found->id))
                found = d;
    return found;
}

struct domain *domain_from_id(u32 id)
{
    struct domain *d;

    spin_lock(&table_lock);
    while ((d = lowest_from(id)) && !get_unless_gone(d))
        ;
    spin_unlock(&table_lock);
    return d;
}

struct domain *domain_next(struct domain *d)
{
    u32 from = d->id + 1u;

    domain_put(d);
    return domain_from_id(from);
}

/* table_lock held. Upwards, so that what still names a domain of the past does not soon name another one; 0: none is free. */
static domid_t unused_id(void)
{
    for (u32 tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
        last_id = last_id + 1u < DOMID_FIRST_RESERVED ? (domid_t)(last_id + 1) : 1;
        if (!*link_of(last_id))
            return last_id;
    }
    return 0;
}

int domain_table_add(struct domain *d, domid_t wanted)
{
    int rc = 0;

    spin_lock(&table_lock);
    d->id = wanted == DOMID_INVALID ? unused_id() : wanted;
    struct domain **at = link_of(d->id);

    if (wanted == DOMID_INVALID && !d->id)
        rc = -ENOSPC;
    else if (*at)
        rc = -EEXIST;
    else
        *at = d;
    spin_unlock(&table_lock);
    return rc;
}

struct domain *domain_table_take_unheld(void)
{
    struct domain *found = NULL;

    spin_lock(&table_lock);
    for (u32 i = 0; i < CHAINS && !found; i++)
        for (struct domain **at = &chains[i]; *at && !found; at = found ? at : &(*at)->next_in_table)
            if (!READ_ONCE((*at)->refs)) {
                found = *at;
                *at = found->next_in_table;
            }
    spin_unlock(&table_lock);
    return found;
}
