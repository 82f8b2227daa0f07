/* SPDX-License-Identifier: MIT */
/*
 * The FIFO ABI: an event word per port in frames of the guest, queues per vCPU and priority
 * linked through the words. The guest may change words at any time: it can confuse only
 * itself. Links are written with compare-and-exchange, port numbers from words are never used
 * as indices.
 */
#include <hv/evtchn.h>

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define BUSY (1u << EVTCHN_FIFO_BUSY)

static u32 *word_of(const struct domain *d, u32 port)
{
    u32 page = port / FIFO_WORDS_PER_PAGE;

    return page < d->fifo_nr_pages ? &d->fifo_words[index_nospec(page, FIFO_MAX_PAGES)][port % FIFO_WORDS_PER_PAGE] : NULL;
}

static bool replace_link(u32 *word, u32 seen, u32 clear, u32 port)
{
    u32 want = (seen & ~(EVTCHN_FIFO_LINK_MASK | clear)) | port;

    return __atomic_compare_exchange_n(word, &seen, want, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Appends port to a queue whose tail is the event of *word; false if the guest has taken that event out of the queue already.
 *
 *   CPU A (here):         sees LINKED; writes port into the word's link, by compare-and-exchange
 *   CPU B (the guest):    takes the event: clears LINKED and reads the link, by compare-and-exchange
 *
 * Whoever comes second fails and looks again. If A stored the link blindly, B could have taken the event with a link of 0: for B the queue would
 * be empty, for A the port be in it, and nobody would ever see it.
 */
static bool set_link(u32 *word, u32 port)
{
    u32 w;

    for (int i = 0; i < 4; i++) {
        w = READ_ONCE(*word);
        if (!(w & LINKED))
            return false;
        if (replace_link(word, w, 0, port))
            return true;
    }
    /* The guest keeps changing it: BUSY holds it off (ABI), for a bounded number of tries anyway. */
    __atomic_fetch_or(word, BUSY, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 64; i++) {
        w = READ_ONCE(*word);
        if (!(w & LINKED))
            break;
        if (replace_link(word, w, BUSY, port))
            return true;
    }
    __atomic_fetch_and(word, ~BUSY, __ATOMIC_SEQ_CST);
    return false;
}

void evtchn_fifo_set_pending(struct vcpu *v, struct evtchn *c, u32 port)
{
    struct domain *d = v->domain;
    u32 *word = word_of(d, port);

    if (!word) {
        c->pending = true; /* expand_array delivers it */
        return;
    }
    __atomic_fetch_or(word, PENDING, __ATOMIC_SEQ_CST);
    if ((READ_ONCE(*word) & (MASKED | LINKED)) || !v->fifo_control)
        return;
    if (__atomic_fetch_or(word, LINKED, __ATOMIC_SEQ_CST) & LINKED)
        return;

    /* An event that moved to another queue must not be taken for the tail of its old one. */
    struct vcpu *last_v = d->vcpu[c->last_vcpu];
    if (last_v && (last_v != v || c->last_priority != c->priority) && last_v->fifo_queues[c->last_priority].tail == port)
        last_v->fifo_queues[c->last_priority].tail = 0;
    c->last_vcpu = v->id;
    c->last_priority = c->priority;

    struct fifo_queue *q = &v->fifo_queues[c->priority];
    u32 *tail = q->tail ? word_of(d, q->tail) : NULL;
    bool appended = q->tail != port && tail && set_link(tail, port);
    if (!appended)
        WRITE_ONCE(v->fifo_control->head[c->priority], port);
    q->tail = port;
    if (!appended && !(__atomic_fetch_or(&v->fifo_control->ready, 1u << c->priority, __ATOMIC_SEQ_CST) & (1u << c->priority)))
        vcpu_mark_events_pending(v);
}

bool evtchn_fifo_unmask(struct domain *d, struct evtchn *c, u32 port)
{
    u32 *word = word_of(d, port);

    if (!word)
        return c->pending;
    return __atomic_fetch_and(word, ~MASKED, __ATOMIC_SEQ_CST) & PENDING;
}

bool evtchn_fifo_is_pending(struct domain *d, u32 port)
{
    u32 *word = word_of(d, port);

    return word && (READ_ONCE(*word) & PENDING);
}

void evtchn_fifo_clear_pending(struct domain *d, u32 port)
{
    u32 *word = word_of(d, port);

    if (word)
        __atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
}

bool evtchn_fifo_is_linked(struct domain *d, u32 port)
{
    u32 *word = word_of(d, port);

    return word && (READ_ONCE(*word) & LINKED);
}

long evtchn_fifo_init_control(struct evtchn_init_control *op, struct domain *d)
{
    struct vcpu *v = domain_vcpu(d, op->vcpu);

    if (!v)
        return -ENOENT;
    if ((op->offset & 7) || op->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block))
        return -EINVAL;
    op->link_bits = EVTCHN_FIFO_LINK_BITS;
    int rc = page_get_and_type(op->control_gfn, d, PGT_WRITABLE);
    if (rc)
        return rc;
    struct page_info *pg = mfn_to_page(op->control_gfn), *old;
    spin_lock(&d->event_lock);
    if (!d->fifo) {
        d->fifo = true;
        for (u32 port = 1; port < d->nr_ports && port < EVTCHN_2L_NR_CHANNELS; port++)
            if (evtchn_2l_clear_pending(d, port)) /* a bit left there would be lost events after a return to this ABI */
                evtchn_from_port(d, port)->pending = true;
    }
    old = v->fifo_control_page;
    v->fifo_control_page = pg;
    memset(v->fifo_queues, 0, sizeof(v->fifo_queues));
    v->fifo_control = (void *)((char *)page_to_virt(pg) + op->offset);
    spin_unlock(&d->event_lock);
    if (old)
        page_put_and_type(old);
    return 0;
}

long evtchn_fifo_expand_array(const struct evtchn_expand_array *op, struct domain *d)
{
    int rc = page_get_and_type(op->array_gfn, d, PGT_WRITABLE);

    if (rc)
        return rc;
    struct page_info *pg = mfn_to_page(op->array_gfn);
    spin_lock(&d->event_lock);
    if (!d->fifo || d->fifo_nr_pages == FIFO_MAX_PAGES) {
        rc = d->fifo ? -ENOSPC : -EOPNOTSUPP;
    } else {
        u32 first = d->fifo_nr_pages * FIFO_WORDS_PER_PAGE;

        d->fifo_pages[d->fifo_nr_pages] = pg;
        d->fifo_words[d->fifo_nr_pages++] = page_to_virt(pg);
        for (u32 port = first; port < d->nr_ports && port < first + FIFO_WORDS_PER_PAGE; port++) {
            struct evtchn *c = evtchn_from_port(d, port);

            if (c->pending && d->vcpu[c->vcpu]) {
                c->pending = false;
                evtchn_fifo_set_pending(d->vcpu[c->vcpu], c, port);
            }
        }
    }
    spin_unlock(&d->event_lock);
    if (rc)
        page_put_and_type(pg);
    return rc;
}

void evtchn_fifo_reset(struct domain *d)
{
    struct page_info *pages[MAX_VIRT_CPUS], *array[FIFO_MAX_PAGES];
    u32 n = 0, nr_pages;

    spin_lock(&d->event_lock);
    for_each_vcpu(d, v) {
        if (v->fifo_control_page)
            pages[n++] = v->fifo_control_page;
        v->fifo_control = NULL;
        v->fifo_control_page = NULL;
    }
    nr_pages = d->fifo_nr_pages;
    memcpy(array, d->fifo_pages, nr_pages * sizeof(array[0])); /* another vCPU may set up new ones at once */
    d->fifo_nr_pages = 0;
    d->fifo = false;
    spin_unlock(&d->event_lock);
    while (n)
        page_put_and_type(pages[--n]);
    while (nr_pages)
        page_put_and_type(array[--nr_pages]);
}
