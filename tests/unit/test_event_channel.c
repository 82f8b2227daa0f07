/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

#include <hv/evtchn.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/x86/page_type.h>

static struct domain *d;
static struct shared_info *s;

/* ---- neighbours ---- */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define X(name, params, ...) \
    __attribute__((weak)) long do_##name params { return -ENOSYS; }
HYPERCALL_LIST(X)
#undef X

int page_get_and_type(mfn_t mfn, struct domain *dom, enum page_type type)
{
    (void)type;
    return mfn_valid(mfn) && page_owned_by(mfn_to_page(mfn), dom) ? 0 : -EINVAL;
}
void page_put_and_type(struct page_info *pg) { (void)pg; }
int pirq_bind(struct domain *dom, u32 pirq, u32 port)
{
    (void)dom;
    (void)port;
    return pirq < 256 ? 0 : -EINVAL;
}
void pirq_unbind(struct domain *dom, u32 pirq)
{
    (void)dom;
    (void)pirq;
}

/* So many calls of an operation that may be left are left at its first point. */
static u32 restarts;
int domain_work_point(void) { return restarts && restarts-- ? -ERESTART : 0; }

static int setup(void **state)
{
    (void)state;
    restarts = 0;
    fake_reset();
    fake_memory_init();
    d = fake_domain(0, true);
    hardware_domain = d;
    s = d->shared_info;
    assert_int_equal(evtchn_init_domain(d), 0);
    return 0;
}

static long op(u32 cmd, void *arg) { return do_event_channel_op(cmd, guest_ptr((u64)arg)); }
static long send(u32 port) { return op(EVTCHNOP_send, &(struct evtchn_send){ port }); }

static u32 ipi(void)
{
    struct evtchn_bind_ipi b = { 0, 0 };

    assert_int_equal(op(EVTCHNOP_bind_ipi, &b), 0);
    return b.port;
}

static void two_level(void **state)
{
    (void)state;
    u32 port = ipi();
    struct vcpu_info *v = &s->vcpu_info[0];

    assert_int_equal(send(port), 0);
    assert_true(test_bit(port, s->evtchn_pending));
    assert_int_equal(v->evtchn_upcall_pending, 1);
    assert_int_equal(v->evtchn_pending_sel, 1);
    /* Masked: pending, but no upcall. */
    memset(s->evtchn_pending, 0, sizeof(s->evtchn_pending));
    v->evtchn_upcall_pending = 0;
    v->evtchn_pending_sel = 0;
    s->evtchn_mask[0] = ~0UL;
    assert_int_equal(send(port), 0);
    assert_int_equal(v->evtchn_upcall_pending, 0);
    assert_int_equal(op(EVTCHNOP_unmask, &(struct evtchn_unmask){ port }), 0);
    assert_int_equal(v->evtchn_upcall_pending, 1);
    assert_false(test_bit(port, s->evtchn_mask));
}

static void ports(void **state)
{
    (void)state;
    static u8 seen[4096];
    struct evtchn_bind_ipi b = { 0, 0 };
    u32 n = 0;
    long rc;

    memset(seen, 0, sizeof(seen));
    while (!(rc = op(EVTCHNOP_bind_ipi, &b))) {
        assert_true(b.port && b.port < 4096 && !seen[b.port]);
        seen[b.port] = 1;
        n++;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(n, 4095);
    assert_int_equal(op(EVTCHNOP_close, &(struct evtchn_close){ 17 }), 0);
    assert_int_equal(op(EVTCHNOP_bind_ipi, &b), 0);
    assert_int_equal(b.port, 17);
    assert_int_equal(op(EVTCHNOP_reset, &(struct evtchn_reset){ DOMID_SELF }), 0);
    assert_int_equal(send(17), -EINVAL);
}

static void two_domains(void **state)
{
    (void)state;
    struct domain *other = fake_domain(1, false);

    assert_int_equal(evtchn_init_domain(other), 0);
    boot_percpu.curr = d->vcpu[0];
    struct evtchn_alloc_unbound a = { DOMID_SELF, 1, 0 };

    assert_int_equal(op(EVTCHNOP_alloc_unbound, &a), 0);
    assert_int_equal(send(a.port), 0); /* nobody there yet: dropped */
    boot_percpu.curr = other->vcpu[0];
    struct evtchn_bind_interdomain wrong = { 0, a.port + 1, 0 }, b = { 0, a.port, 0 };

    assert_int_equal(op(EVTCHNOP_bind_interdomain, &wrong), -EINVAL);
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &b), 0);
    assert_true(test_bit(b.local_port, other->shared_info->evtchn_pending));
    assert_int_equal(send(b.local_port), 0);
    assert_true(test_bit(a.port, s->evtchn_pending));
    /* What only dom0 may do. */
    struct evtchn_alloc_unbound foreign = { 0, 1, 0 };

    assert_int_equal(op(EVTCHNOP_alloc_unbound, &foreign), -EPERM);
    assert_int_equal(op(EVTCHNOP_status, &(struct evtchn_status){ .dom = 0, .port = 1 }), -EPERM);
    /* Who may not is not told which domains exist. */
    foreign.dom = 5;
    assert_int_equal(op(EVTCHNOP_alloc_unbound, &foreign), -EPERM);
    assert_int_equal(op(EVTCHNOP_reset, &(struct evtchn_reset){ 5 }), -EPERM);
    assert_int_equal(op(EVTCHNOP_reset, &(struct evtchn_reset){ 0 }), -EPERM);
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &(struct evtchn_bind_interdomain){ 5, 1, 0 }), -EINVAL);
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &(struct evtchn_bind_interdomain){ 0, 99, 0 }), -EINVAL);
    /* Closing one end frees it and unbinds the other. */
    assert_int_equal(op(EVTCHNOP_close, &(struct evtchn_close){ b.local_port }), 0);
    boot_percpu.curr = d->vcpu[0];
    struct evtchn_status st = { .dom = DOMID_SELF, .port = a.port };

    assert_int_equal(op(EVTCHNOP_status, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_unbound);
    assert_int_equal(send(a.port), 0);
}

/* A global VIRQ is dom0's until the toolstack gives it to another domain, and again when that one goes. */
static void owners_of_virqs(void **state)
{
    (void)state;
    struct domain *other = fake_domain(1, false);
    u32 refs = other->refs;

    assert_int_equal(evtchn_init_domain(other), 0);
    struct evtchn_bind_virq theirs = { VIRQ_DOM_EXC, 0, 0 }, ours = theirs;

    assert_int_equal(op(EVTCHNOP_bind_virq, &theirs), 0);
    boot_percpu.curr = d->vcpu[0];
    assert_int_equal(op(EVTCHNOP_bind_virq, &ours), 0);
    hardware_domain = d;
    for (u32 round = 0; round < 3; round++) {
        struct domain *owner = round == 1 ? other : d;

        if (round == 1) {
            assert_int_equal(evtchn_set_virq_owner(other, VIRQ_DOM_EXC), 0);
            assert_int_equal(evtchn_set_virq_owner(other, VIRQ_DOM_EXC), 0);
            assert_int_equal(other->refs, refs + 1);
        }
        evtchn_send_global_virq(VIRQ_DOM_EXC);
        assert_int_equal(test_bit(ours.port, s->evtchn_pending), owner == d);
        assert_int_equal(test_bit(theirs.port, other->shared_info->evtchn_pending), owner == other);
        atomic_test_and_clear_bit(ours.port, s->evtchn_pending);
        atomic_test_and_clear_bit(theirs.port, other->shared_info->evtchn_pending);
        if (round == 1) {
            other->state = DOMAIN_DYING;
            assert_int_equal(evtchn_destroy(other), 0);
            assert_int_equal(other->refs, refs);
            assert_int_equal(evtchn_set_virq_owner(other, VIRQ_DOM_EXC), -EINVAL);
        }
    }
    hardware_domain = NULL;
    assert_int_equal(evtchn_set_virq_owner(d, VIRQ_TIMER), -EINVAL);
    assert_int_equal(evtchn_set_virq_owner(d, NR_VIRQS), -EINVAL);
}

/* A port waits for one domain, not for a later one that has got its id; a link keeps both. */
static void ids_come_again(void **state)
{
    (void)state;
    struct evtchn_alloc_unbound early = { DOMID_SELF, 2, 0 }, a = { DOMID_SELF, 1, 0 }, never = a;

    assert_int_equal(op(EVTCHNOP_alloc_unbound, &early), 0); /* there is no such domain yet */
    struct domain *other = fake_domain(1, false);
    u32 refs = other->refs, own = d->refs;

    assert_int_equal(evtchn_init_domain(other), 0);
    boot_percpu.curr = d->vcpu[0];
    assert_int_equal(op(EVTCHNOP_alloc_unbound, &a), 0);
    assert_int_equal(op(EVTCHNOP_alloc_unbound, &never), 0);
    boot_percpu.curr = other->vcpu[0];
    struct evtchn_bind_interdomain b = { 0, a.port, 0 };

    assert_int_equal(op(EVTCHNOP_bind_interdomain, &b), 0);
    assert_int_equal(other->refs, refs + 1);
    assert_int_equal(d->refs, own + 1);
    boot_percpu.curr = d->vcpu[0];
    other->state = DOMAIN_DYING;
    assert_int_equal(evtchn_destroy(other), 0);
    assert_int_equal(other->refs, refs);
    assert_int_equal(d->refs, own);

    struct domain *heir = fake_domain(1, false), *late = fake_domain(2, false);

    assert_int_equal(evtchn_init_domain(heir), 0);
    assert_int_equal(evtchn_init_domain(late), 0);
    boot_percpu.curr = heir->vcpu[0];
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &b), -EINVAL);
    b.remote_port = never.port;
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &b), -EINVAL);
    boot_percpu.curr = late->vcpu[0];
    b.remote_port = early.port;
    assert_int_equal(op(EVTCHNOP_bind_interdomain, &b), 0);
}

static void fifo(void **state)
{
    (void)state;
    struct page_info *control = fake_page(d), *array = fake_page(d);
    struct evtchn_fifo_control_block *cb = page_to_virt(control);
    u32 *words = page_to_virt(array), ports[20];

    for (u32 i = 0; i < 20; i++)
        ports[i] = ipi();
    assert_int_equal(send(ports[0]), 0); /* pending in the old ABI: must survive the switch */
    struct evtchn_init_control ic = { page_to_mfn(control), 0, 0, 0, { 0 } };

    assert_int_equal(op(EVTCHNOP_init_control, &ic), 0);
    s->vcpu_info[0].evtchn_upcall_pending = 0;
    assert_int_equal(op(EVTCHNOP_expand_array, &(struct evtchn_expand_array){ page_to_mfn(array) }), 0);
    assert_true(words[ports[0]] >> EVTCHN_FIFO_PENDING & 1);
    assert_int_equal(cb->head[7], ports[0]);
    for (u32 i = 1; i < 20; i++)
        assert_int_equal(send(ports[i]), 0);
    assert_int_equal(s->vcpu_info[0].evtchn_upcall_pending, 1);
    /* In the order in which they were sent. */
    u32 port = cb->head[7];

    for (u32 i = 0; i < 20; i++) {
        assert_int_equal(port, ports[i]);
        port = words[port] & EVTCHN_FIFO_LINK_MASK;
    }
    assert_int_equal(port, 0);
    /* Sent twice, linked once. */
    assert_int_equal(send(ports[3]), 0);
    assert_int_equal(words[ports[19]] & EVTCHN_FIFO_LINK_MASK, 0);
    /* Consumed by the guest; the next event starts a new queue. */
    for (u32 i = 0; i < 20; i++)
        words[ports[i]] = 0;
    cb->ready = 0;
    assert_int_equal(op(EVTCHNOP_set_priority, &(struct evtchn_set_priority){ ports[5], 0 }), 0);
    assert_int_equal(send(ports[5]), 0);
    assert_int_equal(cb->ready, 1);
    assert_int_equal(cb->head[0], ports[5]);
    /* A hostile guest scribbles over its words. */
    srandom(7);
    for (u32 i = 0; i < 20000; i++) {
        words[(u32)random() % 1024] = (u32)random() * 2 + ((u32)random() & 1);
        assert_int_equal(send(ports[(u32)random() % 20]), 0);
        if (i % 64 == 0)
            (void)!op(EVTCHNOP_set_priority, &(struct evtchn_set_priority){ ports[(u32)random() % 20], (u32)random() % 16 });
    }
}

static u32 fill(void)
{
    struct evtchn_bind_ipi b = { 0, 0 };
    u32 n = 0;
    long rc;

    while (!(rc = op(EVTCHNOP_bind_ipi, &b)))
        n++;
    assert_int_equal(rc, -ENOSPC);
    return n;
}

static void reset(void) { assert_int_equal(op(EVTCHNOP_reset, &(struct evtchn_reset){ DOMID_SELF }), 0); }

static void enter_fifo(void)
{
    struct evtchn_init_control ic = { page_to_mfn(fake_page(d)), 0, 0, 0, { 0 } };

    assert_int_equal(op(EVTCHNOP_init_control, &ic), 0);
}

/* What the FIFO ABI can name is gone when the 2-level one comes back, and comes again with it. */
static void reset_of_many_ports(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        enter_fifo();
        assert_int_equal(fill(), EVTCHN_FIFO_NR_CHANNELS - 1);
        reset();
        assert_int_equal(fill(), EVTCHN_2L_NR_CHANNELS - 1);
        assert_int_equal(send(EVTCHN_2L_NR_CHANNELS), -EINVAL);
        assert_int_equal(send(EVTCHN_2L_NR_CHANNELS - 1), 0);
        reset();
    }
    /* The bitmaps have no bit for these. */
    u32 *behind = (u32 *)(s + 1);
    u32 before = *behind = 0x5a5a5a5a;

    for (u32 port = EVTCHN_2L_NR_CHANNELS; port < 40000; port++) {
        evtchn_2l_set_pending(d->vcpu[0], port);
        assert_false(evtchn_2l_unmask(d, port) || evtchn_2l_clear_pending(d, port));
    }
    assert_int_equal(*behind, before);
}

static void limit_of_the_domain(void **state)
{
    (void)state;
    d->max_ports = 1000;
    assert_int_equal(fill(), 999);
    enter_fifo();
    assert_int_equal(fill(), 0);
    reset();
    assert_int_equal(fill(), 999);
    reset();
}

/* Neither a bind that fails nor one that is undone costs a port; a stale bit is no event of the next user. */
static void ports_are_reused(void **state)
{
    (void)state;
    for (u32 i = 0; i < 10000; i++) {
        assert_int_equal(op(EVTCHNOP_bind_pirq, &(struct evtchn_bind_pirq){ 1000, 0, 0 }), -EINVAL);
        u32 port = ipi();

        assert_false(test_bit(port, s->evtchn_pending));
        assert_int_equal(send(port), 0);
        assert_true(test_bit(port, s->evtchn_pending));
        assert_int_equal(op(EVTCHNOP_close, &(struct evtchn_close){ port }), 0);
    }
    assert_int_equal(fill(), EVTCHN_2L_NR_CHANNELS - 1);
}

/* An event that was pending when the ABI changed does not stay so in the bitmaps: there it would be no edge. */
static void pending_across_the_abis(void **state)
{
    (void)state;
    u32 port = ipi();

    assert_int_equal(send(port), 0);
    enter_fifo();
    assert_false(test_bit(port, s->evtchn_pending));
    reset();
    s->vcpu_info[0].evtchn_upcall_pending = 0;
    s->vcpu_info[0].evtchn_pending_sel = 0;
    for (u32 i = 0; i < EVTCHNS_PER_PAGE - 1; i++)
        assert_int_equal(send(ipi()), 0);
    assert_int_equal(s->vcpu_info[0].evtchn_upcall_pending, 1);
    assert_true(test_bit(port, s->evtchn_pending));
}

/* A closed port whose word is still in a queue waits; others are given out, and time does not grow with their number. */
static void linked_ports(void **state)
{
    (void)state;
    struct page_info *array = fake_page(d);
    u32 *words = page_to_virt(array), linked[40];

    enter_fifo();
    assert_int_equal(op(EVTCHNOP_expand_array, &(struct evtchn_expand_array){ page_to_mfn(array) }), 0);
    for (u32 i = 0; i < 40; i++) {
        linked[i] = ipi();
        assert_int_equal(send(linked[i]), 0);
    }
    for (u32 i = 0; i < 40; i++) {
        assert_int_equal(op(EVTCHNOP_close, &(struct evtchn_close){ linked[i] }), 0);
        assert_false(words[linked[i]] >> EVTCHN_FIFO_PENDING & 1);
    }
    for (u32 i = 0; i < 500; i++) {
        u32 port = ipi();

        assert_false(words[port] >> EVTCHN_FIFO_LINKED & 1);
    }
}

/* While one vCPU resets, another can neither bind nor reset. */
static void resets_do_not_meet(void **state)
{
    (void)state;
    struct evtchn_bind_ipi b = { 0, 0 };

    d->evtchn_resetting = true;
    assert_int_equal(op(EVTCHNOP_bind_ipi, &b), -EBUSY);
    assert_int_equal(op(EVTCHNOP_reset, &(struct evtchn_reset){ DOMID_SELF }), -EBUSY);
}

/* A caller whose events never pause comes to an end, too. */
static void each_call_gets_on(void **state)
{
    (void)state;
    struct domain *other = fake_domain(1, false);
    u32 calls = 1;

    assert_int_equal(evtchn_init_domain(other), 0);
    boot_percpu.curr = other->vcpu[0];
    for (u32 i = 0; i < 1000; i++)
        ipi();
    boot_percpu.curr = d->vcpu[0];
    other->state = DOMAIN_DYING;
    for (restarts = 1000; evtchn_destroy(other) == -ERESTART; calls++)
        ;
    assert_int_equal(calls, other->nr_ports / 64);
    for (u32 port = 1; port < other->nr_ports; port++)
        assert_int_equal(evtchn_from_port(other, port)->state, ECS_FREE);
}

static void bad_arguments(void **state)
{
    (void)state;
    static const u32 bad[] = { 0, 4096, 131071, 131072, 0x7fffffff, ~0u };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(send(bad[i]), -EINVAL);
        assert_int_equal(op(EVTCHNOP_close, &(struct evtchn_close){ bad[i] }), -EINVAL);
        assert_int_equal(op(EVTCHNOP_unmask, &(struct evtchn_unmask){ bad[i] }), -EINVAL);
        assert_int_equal(op(EVTCHNOP_bind_vcpu, &(struct evtchn_bind_vcpu){ bad[i], 0 }), -EINVAL);
    }
    assert_int_equal(op(EVTCHNOP_bind_vcpu, &(struct evtchn_bind_vcpu){ ipi(), 99 }), -ENOENT);
    assert_int_equal(op(1000, NULL), -ENOSYS);
    assert_int_equal(op(EVTCHNOP_expand_array, &(struct evtchn_expand_array){ 0 }), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_level, setup),
        cmocka_unit_test_setup(ports, setup),
        cmocka_unit_test_setup(two_domains, setup),
        cmocka_unit_test_setup(owners_of_virqs, setup),
        cmocka_unit_test_setup(ids_come_again, setup),
        cmocka_unit_test_setup(fifo, setup),
        cmocka_unit_test_setup(bad_arguments, setup),
        cmocka_unit_test_setup(reset_of_many_ports, setup),
        cmocka_unit_test_setup(limit_of_the_domain, setup),
        cmocka_unit_test_setup(ports_are_reused, setup),
        cmocka_unit_test_setup(pending_across_the_abis, setup),
        cmocka_unit_test_setup(linked_ports, setup),
        cmocka_unit_test_setup(resets_do_not_meet, setup),
        cmocka_unit_test_setup(each_call_gets_on, setup),
    };

    return cmocka_run_group_tests_name("event channels", tests, NULL, NULL);
}
