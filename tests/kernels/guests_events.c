/* SPDX-License-Identifier: MIT */
/*
 * Event channels between two domains: made by either side, by the toolstack for both, closed by either side and by the end of one of them
 * at any moment; what a domain may not do to another one; limits; VIRQs that another domain gets.
 */
#include "domu.h"

static struct domu g;
static volatile u64 *words; /* of the box: 0 is "not yet" */

static long send(u32 port) { return evtchn(EVTCHNOP_send, &(struct evtchn_send){ port }); }
static long close(u32 port) { return evtchn(EVTCHNOP_close, &(struct evtchn_close){ port }); }

static long alloc(domid_t dom, domid_t remote, u32 *port)
{
    struct evtchn_alloc_unbound a = { dom, remote, 0 };
    long rc = evtchn(EVTCHNOP_alloc_unbound, &a);

    *port = a.port;
    return rc;
}

static long bind(domid_t remote, u32 remote_port, u32 *port)
{
    struct evtchn_bind_interdomain b = { remote, remote_port, 0 };
    long rc = evtchn(EVTCHNOP_bind_interdomain, &b);

    *port = b.local_port;
    return rc;
}

static u32 status(domid_t dom, u32 port, struct evtchn_status *s)
{
    *s = (struct evtchn_status){ .dom = dom, .port = port };
    CHECK_EQ(evtchn(EVTCHNOP_status, s), 0);
    return s->status;
}

static void await(bool (*what)(u64 arg), u64 arg)
{
    while (!what(arg))
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static bool word_set(u64 n) { return words[n]; }
static bool port_pending(u64 port) { return event_take((u32)port); }

static void start(void (*main)(u64 arg), u64 arg)
{
    domu_new(&g, 1, main, arg);
    words = g.box->words;
}

static void guest_begins(void)
{
    words = domu_box.words;
    events_mask();
}

/* ---- a channel that the guest offers, and one that the toolstack made for it ---- */

static void answers(u64 ready_made)
{
    u32 port = (u32)ready_made;
    struct evtchn_status s;

    guest_begins();
    if (!port)
        CHECK_EQ(alloc(DOMID_SELF, 0, &port), 0);
    CHECK_EQ(send(port), 0); /* nobody there yet: dropped */
    words[0] = port;
    await(port_pending, port);
    CHECK_EQ(status(DOMID_SELF, port, &s), EVTCHNSTAT_interdomain);
    CHECK_EQ(s.u.interdomain.dom, 0);
    words[1] = s.u.interdomain.port;
    for (u32 i = 0; i < 50; i++) {
        CHECK_EQ(send(port), 0);
        await(port_pending, port);
    }
    words[2] = 1;
    /* dom0 has closed its end: the port waits for dom0 again. */
    await(word_set, 3);
    CHECK_EQ(status(DOMID_SELF, port, &s), EVTCHNSTAT_unbound);
    CHECK_EQ(s.u.unbound.dom, 0);
    CHECK_EQ(send(port), 0);
    words[4] = 1;
    await(word_set, 5); /* dom0 has bound it once more */
    CHECK_EQ(close(port), 0);
    CHECK_EQ(send(port), -22);
    words[6] = 1;
    await(word_set, 7);
}

static void speaks(bool ready_made)
{
    u32 theirs = 0, ours, other;
    struct evtchn_status s;

    if (ready_made) {
        domu_create(&g, 1);
        CHECK_EQ(alloc(g.id, 0, &theirs), 0);
        CHECK_EQ(alloc(g.id, 0, &other), 0);
        CHECK(theirs && other && other != theirs);
        domu_load(&g, answers, theirs);
        domu_make_context(&g);
        CHECK_EQ(domu_set_context(&g, 0), 0);
        words = g.box->words;
    } else
        start(answers, 0);
    CHECK_EQ(domu_unpause(&g), 0);
    await(word_set, 0);
    theirs = (u32)words[0];
    CHECK_EQ(bind(g.id, theirs, &ours), 0);
    CHECK(event_take(ours)); /* what came before the binding was lost: one at once */
    CHECK_EQ(bind(g.id, theirs, &other), -22);
    CHECK_EQ(status(g.id, theirs, &s), EVTCHNSTAT_interdomain);
    CHECK_EQ(s.u.interdomain.port, ours);
    CHECK_EQ(send(ours), 0);
    await(word_set, 1);
    CHECK_EQ(words[1], ours);
    for (u32 i = 0; i < 50; i++) {
        await(port_pending, ours);
        CHECK_EQ(send(ours), 0);
    }
    await(word_set, 2);
    CHECK_EQ(close(ours), 0);
    words[3] = 1;
    await(word_set, 4);
    CHECK_EQ(bind(g.id, theirs, &ours), 0);
    words[5] = 1;
    await(word_set, 6);
    CHECK_EQ(status(DOMID_SELF, ours, &s), EVTCHNSTAT_unbound);
    CHECK_EQ(s.u.unbound.dom, g.id);
    CHECK_EQ(send(ours), 0);
    words[7] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    domu_destroy(&g);
    CHECK_EQ(close(ours), 0);
}

/* ---- what a guest may not do, and how many ports it gets ---- */

static void tries(u64 not_for_it)
{
    u32 port, n = 0, first;

    guest_begins();
    CHECK_EQ(alloc(0, DOMID_SELF, &port), -1);
    CHECK_EQ(bind(0, (u32)not_for_it, &port), -22);
    CHECK_EQ(bind(4711, 1, &port), -22); /* which domains there are it does not learn */
    CHECK_EQ(evtchn(EVTCHNOP_status, &(struct evtchn_status){ .dom = 0, .port = 1 }), -1);
    CHECK_EQ(evtchn(EVTCHNOP_reset, &(struct evtchn_reset){ 0 }), -1);
    CHECK_EQ(evtchn(EVTCHNOP_bind_pirq, &(struct evtchn_bind_pirq){ 9, 0, 0 }), -1);
    CHECK_EQ(alloc(DOMID_SELF, DOMID_SELF, &first), 0);
    for (n = 1; !alloc(DOMID_SELF, 0, &port); n++)
        CHECK(port < 1024);
    CHECK_EQ(alloc(DOMID_SELF, 0, &port), -28);
    words[0] = n;
    /* Itself, at both ends. */
    CHECK_EQ(close(first + 1), 0);
    CHECK_EQ(bind(DOMID_SELF, first, &port), 0);
    CHECK_EQ(port, first + 1);
    CHECK_EQ(evtchn(EVTCHNOP_reset, &(struct evtchn_reset){ DOMID_SELF }), 0);
    for (n = 1; !alloc(DOMID_SELF, 0, &port); n++)
        ;
    CHECK_EQ(n, words[0] + 1);
}

static void limits(void)
{
    u32 port;

    CHECK_EQ(alloc(DOMID_SELF, 4711, &port), 0);
    start(tries, port);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[0], 1023);
    domu_destroy(&g);
    CHECK_EQ(close(port), 0);
}

/* ---- VIRQs of the machine that another domain than dom0 gets ---- */

static void watches(u64 arg)
{
    struct evtchn_bind_virq b = { VIRQ_DOM_EXC, 0, 0 };

    (void)arg;
    guest_begins();
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &b), 0);
    words[0] = b.port;
    await(port_pending, b.port);
    words[1] = 1;
    for (;;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
}

static long set_owner(domid_t id, u32 virq)
{
    domctl_op.u.set_virq_handler.virq = virq;
    return domctl(XEN_DOMCTL_set_virq_handler, id);
}

static void owners(u32 port)
{
    event_take(port);
    start(watches, 0);
    CHECK_EQ(set_owner(g.id, VIRQ_TIMER), -22);
    CHECK_EQ(set_owner(g.id, 24), -22);
    CHECK_EQ(set_owner(g.id, VIRQ_DOM_EXC), 0);
    CHECK_EQ(domu_unpause(&g), 0);
    await(word_set, 0);
    domain_destroy(domain_new(1, 0));
    await(word_set, 1);
    CHECK(!event_take(port));
    domu_destroy(&g); /* its end is told to dom0 again */
    CHECK(event_take(port));
}

/* ---- either side goes, at any moment ---- */

static void sends(u64 unused)
{
    u32 port[2];

    (void)unused;
    guest_begins();
    CHECK_EQ(alloc(DOMID_SELF, 0, &port[0]), 0);
    CHECK_EQ(alloc(DOMID_SELF, 0, &port[1]), 0);
    words[0] = port[0];
    words[1] = port[1];
    for (;;) {
        CHECK_EQ(send(port[0]), 0);
        CHECK_EQ(send(port[1]), 0);
        words[2]++;
    }
}

static void ends(u64 before)
{
    u32 port, left;
    struct evtchn_status s;

    for (u32 round = 0; round < 10; round++) {
        start(sends, 0);
        CHECK_EQ(domu_unpause(&g), 0);
        await(word_set, 1);
        for (u32 i = 0; i < 100; i++) {
            CHECK_EQ(bind(g.id, (u32)words[i & 1], &port), 0);
            send(port);
            CHECK_EQ(close(port), 0);
        }
        CHECK_EQ(bind(g.id, (u32)words[0], &left), 0);
        domu_destroy(&g);
        CHECK_EQ(status(DOMID_SELF, left, &s), EVTCHNSTAT_unbound);
        CHECK_EQ(send(left), 0);
        CHECK_EQ(close(left), 0);
        if (round == 2)
            before = free_frames();
    }
    CHECK_EQ(free_frames(), before); /* the links have kept nobody */
}

void test_main(void)
{
    struct evtchn_bind_virq b = { VIRQ_DOM_EXC, 0, 0 };

    events_mask();
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &b), 0);
    speaks(false);
    speaks(true);
    limits();
    owners(b.port);
    ends(0);
}
