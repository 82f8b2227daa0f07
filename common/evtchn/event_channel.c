/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports, bindings, sending.
 *
 * A link between two domains holds a reference to each: the port names the domain at its other end.
 *
 * Locks: event_lock of each domain involved; two are taken in the order of their addresses. virq_owner_lock (a leaf): virq_owners.
 */
#include <hv/evtchn.h>
#include <hv/hypercall.h>
#include <hv/pirq.h>
#include <hv/printk.h>

struct evtchn *evtchn_from_port(struct domain *d, u32 port)
{
    u32 nr_ports = READ_ONCE(d->nr_ports);

    if (port >= nr_ports)
        return NULL;
    port = (u32)index_nospec(port, nr_ports);
    return &d->evtchn_pages[port / EVTCHNS_PER_PAGE][port % EVTCHNS_PER_PAGE];
}

/* A port in use, or NULL. */
static struct evtchn *port_in_use(struct domain *d, u32 port)
{
    struct evtchn *c = evtchn_from_port(d, port);

    return c && c->state != ECS_FREE && c->state != ECS_RESERVED ? c : NULL;
}

/* Ports from this one on cannot be used: the ABI in use cannot name them, or the domain may not have so many. */
static u32 port_limit(const struct domain *d) { return MIN(d->fifo ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_2L_NR_CHANNELS, d->max_ports); }

static void free_append(struct domain *d, u32 port)
{
    evtchn_from_port(d, port)->next_free = 0;
    if (d->free_last)
        evtchn_from_port(d, d->free_last)->next_free = port;
    else
        d->free_first = port;
    d->free_last = port;
}

static u32 free_take(struct domain *d)
{
    u32 port = d->free_first;

    d->free_first = evtchn_from_port(d, port)->next_free;
    if (!d->free_first)
        d->free_last = 0;
    return port;
}

static void free_append_range(struct domain *d, u32 from, u32 to)
{
    for (u32 port = from; port < MIN(to, port_limit(d)); port++)
        free_append(d, port);
}

/* Makes a page of ports, one of which it returns; -ENOSPC, -ENOMEM. */
static int evtchn_grow_table(struct domain *d)
{
    u32 first = d->nr_ports;

    if (first >= port_limit(d))
        return -ENOSPC;
    struct evtchn *page = hv_alloc(EVTCHNS_PER_PAGE * sizeof(*page));
    if (!page)
        return -ENOMEM;
    for (u32 i = 0; i < EVTCHNS_PER_PAGE; i++)
        page[i].priority = page[i].last_priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    d->evtchn_pages[first / EVTCHNS_PER_PAGE] = page;
    d->nr_ports = first + EVTCHNS_PER_PAGE;
    free_append_range(d, first + 1, d->nr_ports);
    return (int)first;
}

/* A free port that is still linked in a FIFO queue is not given out again: only a guest that never looks at its queues has many of them. */
#define LINKED_PORTS_PASSED 16

/* event_lock held: the time is bounded whatever the guest has done. A free port, or -ENOSPC, -ENOMEM, -EBUSY. */
static int port_alloc(struct domain *d)
{
    if (d->evtchn_resetting)
        return -EBUSY;
    for (u32 i = 0; i < LINKED_PORTS_PASSED && d->free_first; i++) {
        u32 port = free_take(d);

        if (!d->fifo || !evtchn_fifo_is_linked(d, port))
            return (int)port;
        free_append(d, port);
    }
    return evtchn_grow_table(d);
}

int evtchn_init_domain(struct domain *d)
{
    int rc = evtchn_grow_table(d);

    if (rc < 0)
        return rc;
    evtchn_from_port(d, 0)->state = ECS_RESERVED;
    return 0;
}

static void lock_two(struct domain *a, struct domain *b)
{
    spin_lock(&MIN(a, b)->event_lock);
    if (b != a)
        spin_lock(&MAX(a, b)->event_lock);
}

static void unlock_two(struct domain *a, struct domain *b)
{
    spin_unlock(&a->event_lock);
    if (b != a)
        spin_unlock(&b->event_lock);
}

/*
 * Locks d and, if the port is interdomain, the domain at its other end (else *partner is d).
 * Returns the port if it is in use. The caller unlocks both. The link keeps the partner: closing it takes the locks of both.
 */
static struct evtchn *lock_with_partner(struct domain *d, u32 port, struct domain **partner)
{
    for (;;) {
        *partner = d;
        spin_lock(&d->event_lock);
        struct evtchn *c = port_in_use(d, port);
        if (!c || c->state != ECS_INTERDOMAIN || c->remote.dom == d)
            return c;
        *partner = c->remote.dom;
        if (d < *partner) {
            spin_lock(&(*partner)->event_lock);
            return c;
        }
        domain_get(*partner); /* without d's lock the port may be closed and the partner freed */
        spin_unlock(&d->event_lock);
        lock_two(d, *partner);
        c = port_in_use(d, port);
        bool bound = c && c->state == ECS_INTERDOMAIN && c->remote.dom == *partner;
        if (!bound)
            unlock_two(d, *partner);
        domain_put(*partner);
        if (bound)
            return c;
    }
}

/* ---- delivery ---- */

void vcpu_mark_events_pending(struct vcpu *v)
{
    if (!v->info)
        return; /* a vCPU above 31 that has not registered its vcpu_info */
    if (!__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        vcpu_kick(v);
}

/*
 *   CPU A (here):         has set the port's pending bit; reads domain.polling
 *   CPU B (op_poll()):    sets PAUSE_POLL and counts itself in domain.polling; looks at the pending bits once more
 *
 * A sees that somebody polls, or B sees the event; otherwise B would sleep over it. Both sides change their word by a locked instruction.
 */
static void wake_pollers(struct domain *d, u32 port)
{
    if (likely(!READ_ONCE(d->polling)))
        return;
    for_each_vcpu(d, v)
        if ((READ_ONCE(v->pause_flags) & PAUSE_POLL) && (!v->poll_port || v->poll_port == port))
            vcpu_pause_flag_clear(v, PAUSE_POLL);
}

/* event_lock held. */
static void set_pending(struct domain *d, struct evtchn *c, u32 port)
{
    struct vcpu *v = d->vcpu[c->vcpu];

    if (!v)
        return;
    if (d->fifo)
        evtchn_fifo_set_pending(v, c, port);
    else
        evtchn_2l_set_pending(v, port);
    wake_pollers(d, port);
}

/* event_lock held. */
static bool port_pending(struct domain *d, u32 port) { return d->fifo ? evtchn_fifo_is_pending(d, port) : evtchn_2l_is_pending(d, port); }

int evtchn_any_pending(struct domain *d, const u32 *ports, u32 n)
{
    int found = 0;

    spin_lock_scope(&d->event_lock); /* evtchn_fifo_reset() gives the frames of event words back to the guest */
    for (u32 i = 0; i < n && !found; i++)
        found = port_in_use(d, ports[i]) ? port_pending(d, ports[i]) : -EINVAL;
    return found;
}

/* Who gets each global VIRQ, held; NULL: dom0, which binds most of them and never goes. */
static struct domain *virq_owners[NR_VIRQS];
static spinlock_t virq_owner_lock = SPINLOCK_INIT(LOCK_LEAF);

static bool virq_is_global(u32 virq) { return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU; }

/* virq_owner_lock held. */
static void give_virq(u32 virq, struct domain *d)
{
    if (d)
        domain_get(d);
    if (virq_owners[virq])
        domain_put(virq_owners[virq]);
    virq_owners[virq] = d;
}

int evtchn_set_virq_owner(struct domain *d, u32 virq)
{
    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return -EINVAL;
    spin_lock_scope(&virq_owner_lock);
    if (d->state >= DOMAIN_DYING) /* evtchn_destroy() looks for what it has */
        return -EINVAL;
    give_virq((u32)index_nospec(virq, NR_VIRQS), d == hardware_domain ? NULL : d);
    return 0;
}

/* Back to dom0: d goes. */
static void give_virqs_back(const struct domain *d)
{
    spin_lock_scope(&virq_owner_lock);
    for (u32 virq = 0; virq < NR_VIRQS; virq++)
        if (virq_owners[virq] == d)
            give_virq(virq, NULL);
}

void evtchn_send_global_virq(u32 virq)
{
    spin_lock(&virq_owner_lock);
    struct domain *d = virq_owners[virq] ? virq_owners[virq] : hardware_domain;
    if (d)
        domain_get(d); /* it may stop being the owner, and go */
    spin_unlock(&virq_owner_lock);
    if (!d)
        return;
    evtchn_send_virq(d, NULL, virq);
    domain_put(d);
}

void evtchn_send_virq(struct domain *d, struct vcpu *v, u32 virq)
{
    if (!v)
        v = d->vcpu[0];
    spin_lock_scope(&d->event_lock);
    u32 port = v ? v->virq_port[virq] : 0;
    if (port)
        set_pending(d, evtchn_from_port(d, port), port);
}

void evtchn_send_pirq(struct domain *d, u32 port)
{
    spin_lock_scope(&d->event_lock);
    struct evtchn *c = port_in_use(d, port);
    if (c && c->state == ECS_PIRQ)
        set_pending(d, c, port);
}

/* ---- operations ---- */

/* In line on the short way of event_channel_op. */
static force_inline long op_send(const struct evtchn_send *op, struct domain *d)
{
    u32 port = op->port;
    long rc = 0;
    struct domain *second;
    struct evtchn *c = lock_with_partner(d, port, &second);

    if (!c || c->state == ECS_PIRQ || c->state == ECS_VIRQ)
        rc = -EINVAL;
    else if (c->state == ECS_INTERDOMAIN) {
        current->sched.sent++;
        current->sched.sending = true;
        set_pending(second, evtchn_from_port(second, c->remote.port), c->remote.port);
        current->sched.sending = false;
    } else if (c->state == ECS_IPI)
        set_pending(d, c, port);
    unlock_two(d, second);
    return rc;
}

static void unbound_to(struct evtchn *c, domid_t id, u64 serial)
{
    c->state = ECS_UNBOUND;
    c->unbound.domain = id;
    c->unbound.serial = serial;
}

static long op_alloc_unbound(struct evtchn_alloc_unbound *op, struct domain *d)
{
    struct domain *remote __held_domain = domain_by_id(op->remote_dom); /* may come later */

    spin_lock_scope(&d->event_lock);
    int port = port_alloc(d);
    if (port < 0)
        return port;
    struct evtchn *c = evtchn_from_port(d, (u32)port);
    unbound_to(c, remote ? remote->id : op->remote_dom, remote ? remote->serial : 0);
    c->vcpu = 0;
    op->port = (u32)port;
    return 0;
}

/* The domain of that id when the port was made or closed, or the first one after that: not a later one that has got its id. */
static bool unbound_for(struct evtchn *c, const struct domain *d)
{
    if (c->unbound.domain == d->id && !c->unbound.serial)
        c->unbound.serial = d->serial;
    return c->unbound.domain == d->id && c->unbound.serial == d->serial;
}

static void link_to(struct evtchn *c, struct domain *remote, u32 remote_port)
{
    domain_get(remote);
    c->state = ECS_INTERDOMAIN;
    c->remote.dom = remote;
    c->remote.port = remote_port;
}

static long op_bind_interdomain(struct evtchn_bind_interdomain *op, struct domain *d)
{
    struct domain *remote __held_domain = domain_by_id(op->remote_dom);

    if (!remote)
        return d->is_control ? -ESRCH : -EINVAL; /* for others no port is like no domain */
    lock_two(d, remote);
    struct evtchn *rchn = port_in_use(remote, op->remote_port);
    int port = rchn && rchn->state == ECS_UNBOUND && unbound_for(rchn, d) ? port_alloc(d) : -EINVAL;
    if (port > 0) {
        struct evtchn *c = evtchn_from_port(d, (u32)port);

        link_to(c, remote, op->remote_port);
        link_to(rchn, d, (u32)port);
        c->vcpu = 0;
        op->local_port = (u32)port;
        /* The remote may have sent before it was bound: those events were lost. */
        set_pending(d, c, (u32)port);
    }
    unlock_two(d, remote);
    return MIN(port, 0);
}

/* A new port of vCPU `vcpu`, in this state, for this VIRQ or PIRQ. 0; -ENOENT: no such vCPU; -EEXIST: the VIRQ has one; and what is out of room. */
static long bind_simple(struct domain *d, u32 vcpu, enum evtchn_state state, u32 value, u32 *port_out)
{
    struct vcpu *v = domain_vcpu(d, vcpu);

    if (!v)
        return -ENOENT;
    spin_lock_scope(&d->event_lock);
    if (state == ECS_VIRQ && v->virq_port[value])
        return -EEXIST;
    int port = port_alloc(d);
    if (port < 0)
        return port;
    int rc = state == ECS_PIRQ ? pirq_bind(d, value, (u32)port) : 0;
    if (rc) {
        free_append(d, (u32)port);
        return rc;
    }
    struct evtchn *c = evtchn_from_port(d, (u32)port);
    c->state = (u8)state;
    c->vcpu = vcpu;
    c->irq = value;
    if (state == ECS_VIRQ)
        v->virq_port[value] = (u32)port;
    *port_out = (u32)port;
    return 0;
}

static long op_bind_virq(struct evtchn_bind_virq *op, struct domain *d)
{
    if (op->virq >= NR_VIRQS || (virq_is_global(op->virq) && op->vcpu != 0))
        return -EINVAL;
    /* Whoever binds a global VIRQ gets it as long as it is the owner. */
    return bind_simple(d, op->vcpu, ECS_VIRQ, (u32)index_nospec(op->virq, NR_VIRQS), &op->port);
}

static long op_bind_ipi(struct evtchn_bind_ipi *op, struct domain *d) { return bind_simple(d, op->vcpu, ECS_IPI, 0, &op->port); }

static long op_bind_pirq(struct evtchn_bind_pirq *op, struct domain *d) { return bind_simple(d, 0, ECS_PIRQ, op->pirq, &op->port); }

/* The locks of d and of an interdomain partner are held. */
static void close_port(struct domain *d, struct evtchn *c, u32 port)
{
    switch (c->state) {
    case ECS_PIRQ: pirq_unbind(d, c->irq); break;
    case ECS_VIRQ:
        for_each_vcpu(d, v)
            if (v->virq_port[c->irq] == port)
                v->virq_port[c->irq] = 0;
        break;
    case ECS_INTERDOMAIN:
        unbound_to(evtchn_from_port(c->remote.dom, c->remote.port), d->id, d->serial);
        domain_put(c->remote.dom);
        domain_put(d);
        break;
    }
    c->state = ECS_FREE;
    c->pending = false;
    c->vcpu = 0;
    c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    /* A pending bit that stayed would be an event of the port's next user. */
    if (d->fifo)
        evtchn_fifo_clear_pending(d, port);
    else
        evtchn_2l_clear_pending(d, port);
    if (!d->evtchn_resetting)
        free_append(d, port);
}

static long close_in_domain(struct domain *d, u32 port)
{
    struct domain *partner;
    struct evtchn *c = lock_with_partner(d, port, &partner);

    if (c)
        close_port(d, c, port);
    unlock_two(d, partner);
    return c ? 0 : -EINVAL;
}

static long op_close(const struct evtchn_close *op, struct domain *d) { return close_in_domain(d, op->port); }

static long op_status(struct evtchn_status *op, struct domain *d)
{
    static const u8 public_state[] = { EVTCHNSTAT_closed, EVTCHNSTAT_closed, EVTCHNSTAT_unbound, EVTCHNSTAT_interdomain,
                                       EVTCHNSTAT_pirq,   EVTCHNSTAT_virq,   EVTCHNSTAT_ipi };

    spin_lock_scope(&d->event_lock);
    struct evtchn *c = evtchn_from_port(d, op->port);
    if (!c)
        return -EINVAL;
    op->status = public_state[c->state];
    op->vcpu = c->vcpu;
    if (c->state == ECS_UNBOUND)
        op->u.unbound.dom = c->unbound.domain;
    else if (c->state == ECS_INTERDOMAIN) {
        op->u.interdomain.dom = c->remote.dom->id;
        op->u.interdomain.port = c->remote.port;
    } else if (c->state == ECS_PIRQ || c->state == ECS_VIRQ)
        op->u.pirq = c->irq;
    return 0;
}

static long op_bind_vcpu(struct evtchn_bind_vcpu *op, struct domain *d)
{
    if (!domain_vcpu(d, op->vcpu))
        return -ENOENT;
    spin_lock_scope(&d->event_lock);
    struct evtchn *c = port_in_use(d, op->port);
    if (!c || c->state == ECS_IPI || (c->state == ECS_VIRQ && !virq_is_global(c->irq)))
        return -EINVAL;
    c->vcpu = op->vcpu;
    return 0;
}

static long op_unmask(const struct evtchn_unmask *op, struct domain *d)
{
    u32 port = op->port;

    spin_lock_scope(&d->event_lock);
    struct evtchn *c = port_in_use(d, port);
    if (!c)
        return -EINVAL;
    if (d->fifo ? evtchn_fifo_unmask(d, c, port) : evtchn_2l_unmask(d, port))
        set_pending(d, c, port);
    return 0;
}

/*
 * All ports are closed and no new ones come. Frees the last page of ports, down to the one page that a new domain has: ports that only the
 * FIFO ABI can name must not exist when the 2-level ABI is in use again. False: only that page is left.
 */
static bool drop_last_page(struct domain *d)
{
    struct evtchn *page __freed = NULL;

    spin_lock_scope(&d->event_lock);
    if (d->nr_ports > EVTCHNS_PER_PAGE) {
        d->nr_ports -= EVTCHNS_PER_PAGE;
        page = d->evtchn_pages[d->nr_ports / EVTCHNS_PER_PAGE];
    }
    return page;
}

/* Only one reset at a time. From here on port_alloc() refuses. */
static bool reset_claim(struct domain *d)
{
    spin_lock_scope(&d->event_lock);
    bool claimed = !d->evtchn_resetting;
    d->evtchn_resetting = true;
    return claimed;
}

int evtchn_destroy(struct domain *d)
{
    if (!d->kill_index++) /* called again: the port that it stopped behind is done */
        for (u32 turns = 0; !reset_claim(d);)
            preempt_wait(&turns); /* dom0 resets it at this moment */
    give_virqs_back(d);
    for (; d->kill_index < READ_ONCE(d->nr_ports); d->kill_index++) {
        close_in_domain(d, d->kill_index);
        if (d->kill_index % 64 == 0 && domain_work_point())
            return -ERESTART;
    }
    evtchn_fifo_reset(d);
    return 0;
}

void evtchn_free_domain(struct domain *d)
{
    for (u32 i = 0; i < d->nr_ports / EVTCHNS_PER_PAGE; i++)
        hv_free(d->evtchn_pages[i]);
}

/* Back to what a new domain has. Others may go on meanwhile, with what is left. */
static long op_reset(__unused const struct evtchn_reset *op, struct domain *d)
{
    if (!reset_claim(d))
        return -EBUSY;
    for (u32 port = 1; port < READ_ONCE(d->nr_ports); port++) {
        close_in_domain(d, port); /* -EINVAL for unused ones is as good */
        if (port % 64 == 0)
            preempt_point();
    }
    while (drop_last_page(d))
        preempt_point();
    evtchn_fifo_reset(d);
    spin_lock_scope(&d->event_lock);
    d->free_first = d->free_last = 0;
    free_append_range(d, 1, d->nr_ports);
    d->evtchn_resetting = false;
    return 0;
}

static long op_set_priority(struct evtchn_set_priority *op, struct domain *d)
{
    spin_lock_scope(&d->event_lock);
    struct evtchn *c = port_in_use(d, op->port);
    if (!d->fifo)
        return -ENOSYS;
    if (!c || op->priority >= EVTCHN_FIFO_MAX_QUEUES)
        return -EINVAL;
    c->priority = (u8)op->priority;
    return 0;
}

static const struct subop rows[] = {
    [EVTCHNOP_bind_interdomain] = { ANYBODY, ARG_IN_OUT(struct evtchn_bind_interdomain, op_bind_interdomain, WITH_DOMAIN) },
    [EVTCHNOP_bind_virq] = { ANYBODY, ARG_IN_OUT(struct evtchn_bind_virq, op_bind_virq, WITH_DOMAIN) },
    [EVTCHNOP_bind_pirq] = { ANYBODY, ARG_IN_OUT(struct evtchn_bind_pirq, op_bind_pirq, WITH_DOMAIN) },
    [EVTCHNOP_close] = { ANYBODY, ARG_IN(struct evtchn_close, op_close, WITH_DOMAIN) },
    [EVTCHNOP_send] = { ANYBODY, ARG_IN(struct evtchn_send, op_send, WITH_DOMAIN) },
    [EVTCHNOP_status] = { OWN_OR_CONTROL, ARG_IN_OUT(struct evtchn_status, op_status, WITH_DOMAIN) },
    [EVTCHNOP_alloc_unbound] = { OWN_OR_CONTROL, ARG_IN_OUT(struct evtchn_alloc_unbound, op_alloc_unbound, WITH_DOMAIN) },
    [EVTCHNOP_bind_ipi] = { ANYBODY, ARG_IN_OUT(struct evtchn_bind_ipi, op_bind_ipi, WITH_DOMAIN) },
    [EVTCHNOP_bind_vcpu] = { ANYBODY, ARG_IN(struct evtchn_bind_vcpu, op_bind_vcpu, WITH_DOMAIN) },
    [EVTCHNOP_unmask] = { ANYBODY, ARG_IN(struct evtchn_unmask, op_unmask, WITH_DOMAIN) },
    [EVTCHNOP_reset] = { OWN_OR_CONTROL, ARG_IN(struct evtchn_reset, op_reset, WITH_DOMAIN) },
    [EVTCHNOP_init_control] = { ANYBODY, ARG_IN_OUT(struct evtchn_init_control, evtchn_fifo_init_control, WITH_DOMAIN) },
    [EVTCHNOP_expand_array] = { ANYBODY, ARG_IN(struct evtchn_expand_array, evtchn_fifo_expand_array, WITH_DOMAIN) },
    [EVTCHNOP_set_priority] = { ANYBODY, ARG_IN(struct evtchn_set_priority, op_set_priority, WITH_DOMAIN) },
};

const struct subops event_channel_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_event_channel_op };

long do_event_channel_op(u64 cmd, guest_ptr_t arg)
{
    if (likely((u32)cmd == EVTCHNOP_send)) { /* as its row says, the short way */
        struct evtchn_send op;

        return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : op_send(&op, current->domain);
    }
    return subop_dispatch(&event_channel_op_table, (u32)cmd, arg, current->domain);
}

void evtchn_print(struct domain *d)
{
    static const char *const names[] = { "free", "reserved", "unbound", "interdomain", "pirq", "virq", "ipi" };

    printk("d%u: %s, %u ports\n", d->id, d->fifo ? "FIFO" : "2-level", d->nr_ports);
    for (u32 port = 1; port < READ_ONCE(d->nr_ports); port++) {
        spin_lock_scope(&d->event_lock);
        struct evtchn *c = port_in_use(d, port);
        if (!c)
            continue;
        bool linked = c->state == ECS_INTERDOMAIN, numbered = c->state == ECS_PIRQ || c->state == ECS_VIRQ;
        domid_t peer = linked ? c->remote.dom->id : c->state == ECS_UNBOUND ? c->unbound.domain : d->id;
        u32 number = linked ? c->remote.port : numbered ? c->irq : 0;
        printk("  port %u: %s %u of d%u, v%u, prio %u%s\n", port, names[c->state], number, peer, c->vcpu, c->priority,
               port_pending(d, port) ? ", pending" : "");
    }
}
