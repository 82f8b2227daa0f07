/* SPDX-License-Identifier: MIT */
/*
 * The table of domains, and references to them. struct domain is freed when its references are 0:
 *
 * - one that it is created with: domain_kill() gives it back at its end;
 * - one for all frames that it owns together, and one for each page of the hypervisor's that it may map: page_info.owner names the structure,
 *   so it outlives the last of them, also those that other domains still have mapped;
 * - one for each caller that works on the domain: domain_by_id(), domain_for_caller(), for_each_domain().
 *
 * A vCPU needs no reference to its own domain, which is not freed before all its vCPUs have left the hypervisor for good. The table holds none
 * either: a domain without references stays in it until SOFTIRQ_DOMAIN_END takes it out, but is not found there (get_unless_gone()).
 *
 * Lock: table_lock (a leaf).
 */
#include <hv/domain.h>

#define CHAINS 64

struct domain *hardware_domain, *domain_io __ro_after_init, *domain_xen __ro_after_init;
struct domain idle_domain = { .id = DOMID_IDLE };

static spinlock_t table_lock = SPINLOCK_INIT(LOCK_LEAF);
static struct domain *chains[CHAINS]; /* by the low bits of the id */
static struct domain *by_id;          /* all, upwards: a walk takes a step for each, not one for each pair */
static domid_t last_id;               /* given out; 0 is dom0's alone */
static u64 last_serial;

/*
 * table_lock held. A reference to a domain in the table, if it has any left.
 *
 *   CPU A (here):            reads refs; adds 1 by compare-and-exchange unless they are 0
 *   CPU B (domain_put()):    takes the last one away; SOFTIRQ_DOMAIN_END takes the domain out of the table, under table_lock, and frees it
 *
 * A comes first, and B's is not the last one; or A finds 0. An addition without the comparison could make 0 into 1, of a domain that B frees.
 */
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
        at = &(*at)->next_in_chain;
    return at;
}

struct domain *domain_by_id(domid_t id)
{
    struct domain *self = current->domain;

    if (id == DOMID_SELF || id == self->id)
        return self;
    spin_lock_scope(&table_lock);
    struct domain *d = *link_of(id);
    return d && get_unless_gone(d) ? d : NULL;
}

int domain_of_frames(domid_t id, struct domain **d)
{
    if (id != DOMID_IO && (id != DOMID_XEN || !current->domain->is_control))
        return domain_for_caller(id, d);
    *d = id == DOMID_IO ? domain_io : domain_xen;
    domain_get(*d);
    return 0;
}

/* table_lock held. Where the first domain with this id or above is linked, or the end. */
static struct domain **link_by_id(u32 id)
{
    struct domain **at = &by_id;

    while (*at && (*at)->id < id)
        at = &(*at)->next_by_id;
    return at;
}

/* table_lock held. d, or the first domain behind it that has references left; with one for the caller. */
static struct domain *first_held(struct domain *d)
{
    while (d && !get_unless_gone(d))
        d = d->next_by_id;
    return d;
}

struct domain *domain_from_id(u32 id)
{
    spin_lock_scope(&table_lock);
    return first_held(*link_by_id(id));
}

struct domain *domain_next(struct domain *d)
{
    spin_lock(&table_lock);
    struct domain *next = first_held(d->next_by_id); /* d is held, so it is still linked */
    spin_unlock(&table_lock);
    domain_put(d);
    return next;
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
    spin_lock_scope(&table_lock);
    d->id = wanted == DOMID_INVALID ? unused_id() : wanted;
    if (wanted == DOMID_INVALID && !d->id)
        return -ENOSPC;
    struct domain **at = link_of(d->id), **before = link_by_id(d->id);
    if (*at)
        return -EEXIST;
    d->next_by_id = *before;
    *before = *at = d;
    d->serial = ++last_serial;
    return 0;
}

struct domain *domain_table_take_unheld(void)
{
    struct domain **at = &by_id;

    spin_lock_scope(&table_lock);
    while (*at && READ_ONCE((*at)->refs))
        at = &(*at)->next_by_id;
    struct domain *d = *at;
    if (d) {
        *at = d->next_by_id;
        *link_of(d->id) = d->next_in_chain;
    }
    return d;
}
