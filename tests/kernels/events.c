/* SPDX-License-Identifier: MIT */
/* Event channels (2-level, then FIFO), VIRQs, timers, blocking and polling. */
#include "guest.h"

static u32 timer_port, ipi_port;
static bool fifo;
static u32 *words;
static struct evtchn_fifo_control_block *control;

static long op(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg); }
static u64 now(void)
{
    struct vcpu_time_info *t = &shared_info->vcpu_info[0].time;
    u64 delta, ns;
    u32 version;

    do {
        version = *(volatile u32 *)&t->version;
        __asm__ volatile("" ::: "memory");
        delta = rdtsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + (u64)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        __asm__ volatile("" ::: "memory");
    } while ((version & 1) || version != *(volatile u32 *)&t->version);
    return ns;
}

static bool pending(u32 port) { return fifo ? words[port] >> 31 : (shared_info->evtchn_pending[port / 64] >> (port % 64)) & 1; }

static void clear(u32 port)
{
    if (fifo) {
        __atomic_fetch_and(&words[port], ~(1u << 31), __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1UL << (port % 64)), __ATOMIC_SEQ_CST);
    shared_info->vcpu_info[0].evtchn_pending_sel = 0;
}

static void mask(u32 port, bool on)
{
    u64 *w = &shared_info->evtchn_mask[port / 64];

    if (fifo && on)
        __atomic_fetch_or(&words[port], 1u << 30, __ATOMIC_SEQ_CST);
    else if (fifo)
        __atomic_fetch_and(&words[port], ~(1u << 30), __ATOMIC_SEQ_CST);
    else if (on)
        __atomic_fetch_or(w, 1UL << (port % 64), __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(w, ~(1UL << (port % 64)), __ATOMIC_SEQ_CST);
}

/* What a FIFO guest does in its upcall: takes all queues empty. */
static void drain(void)
{
    if (!fifo)
        return;
    u32 ready = __atomic_exchange_n(&control->ready, 0, __ATOMIC_SEQ_CST);

    for (u32 q = 0; q < 16; q++)
        if (ready >> q & 1)
            for (u32 port = control->head[q]; port;) {
                u32 w = __atomic_fetch_and(&words[port], ~((1u << 29) | 0x1ffff), __ATOMIC_SEQ_CST);

                port = w & 0x1ffff;
            }
}

static long send(u32 port)
{
    struct evtchn_send s = { port };

    return op(EVTCHNOP_send, &s);
}

static void bindings(void)
{
    struct evtchn_bind_virq v = { VIRQ_TIMER, 0, 0 };
    struct evtchn_bind_ipi i = { 0, 0 };

    CHECK_EQ(op(EVTCHNOP_bind_virq, &v), 0);
    timer_port = v.port;
    CHECK_EQ(op(EVTCHNOP_bind_virq, &v), -17); /* EEXIST */
    v = (struct evtchn_bind_virq){ VIRQ_CONSOLE, 1, 0 };
    CHECK(op(EVTCHNOP_bind_virq, &v) < 0); /* global: vCPU 0 only */
    v = (struct evtchn_bind_virq){ 99, 0, 0 };
    CHECK(op(EVTCHNOP_bind_virq, &v) < 0);
    v = (struct evtchn_bind_virq){ VIRQ_DEBUG, 12345, 0 };
    CHECK(op(EVTCHNOP_bind_virq, &v) < 0);
    CHECK_EQ(op(EVTCHNOP_bind_ipi, &i), 0);
    ipi_port = i.port;
    CHECK(ipi_port != timer_port && ipi_port && timer_port);

    struct evtchn_bind_pirq p = { 100000, 0, 0 };

    CHECK(op(EVTCHNOP_bind_pirq, &p) < 0);
    CHECK(send(0) < 0);
    CHECK(send(timer_port) < 0); /* a VIRQ is the hypervisor's to send */
    CHECK(send(131071) < 0);
    CHECK(send(~0u) < 0);
    struct evtchn_close c = { 200000 };

    CHECK(op(EVTCHNOP_close, &c) < 0);
    CHECK(op(99, &c) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, 0xffff830000000000) < 0);
}

static void sending(void)
{
    u32 before = upcalls;

    CHECK_EQ(send(ipi_port), 0);
    CHECK(pending(ipi_port));
    CHECK_EQ(upcalls, before); /* upcalls are masked */
    events_unmask();
    CHECK_EQ(upcalls, before + 1);
    CHECK_EQ(shared_info->vcpu_info[0].evtchn_upcall_mask, 0); /* restored by iret */
    drain();
    clear(ipi_port);
    CHECK_EQ(send(ipi_port), 0);
    CHECK_EQ(upcalls, before + 2);
    drain();
    clear(ipi_port);
    events_mask();

    /* A masked port becomes pending but raises nothing until it is unmasked. */
    mask(ipi_port, true);
    CHECK_EQ(send(ipi_port), 0);
    CHECK(pending(ipi_port));
    CHECK_EQ(shared_info->vcpu_info[0].evtchn_upcall_pending, 0);
    struct evtchn_unmask u = { ipi_port };

    CHECK_EQ(op(EVTCHNOP_unmask, &u), 0);
    CHECK_EQ(shared_info->vcpu_info[0].evtchn_upcall_pending, 1);
    events_unmask();
    CHECK_EQ(upcalls, before + 3);
    events_mask();
    drain();
    clear(ipi_port);
}

static void interdomain(void)
{
    struct evtchn_alloc_unbound a = { DOMID_SELF, DOMID_SELF, 0 };

    CHECK_EQ(op(EVTCHNOP_alloc_unbound, &a), 0);
    struct evtchn_bind_interdomain b = { DOMID_SELF, a.port, 0 };

    CHECK_EQ(op(EVTCHNOP_bind_interdomain, &b), 0);
    CHECK(pending(b.local_port)); /* raised once, in case the peer was faster */
    clear(b.local_port);
    CHECK(op(EVTCHNOP_bind_interdomain, &b) < 0); /* taken */
    CHECK_EQ(send(b.local_port), 0);
    CHECK(pending(a.port));
    clear(a.port);
    struct evtchn_status s = { DOMID_SELF, a.port, 0, 0, { { 0 } } };

    CHECK_EQ(op(EVTCHNOP_status, &s), 0);
    CHECK_EQ(s.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(s.u.interdomain.port, b.local_port);
    struct evtchn_close c = { b.local_port };

    CHECK_EQ(op(EVTCHNOP_close, &c), 0);
    s.port = a.port;
    CHECK_EQ(op(EVTCHNOP_status, &s), 0);
    CHECK_EQ(s.status, EVTCHNSTAT_unbound);
    c.port = a.port;
    CHECK_EQ(op(EVTCHNOP_close, &c), 0);
    CHECK(op(EVTCHNOP_close, &c) < 0);
    b = (struct evtchn_bind_interdomain){ 77, 1, 0 };
    CHECK_EQ(op(EVTCHNOP_bind_interdomain, &b), -3); /* ESRCH */
    drain();
    shared_info->vcpu_info[0].evtchn_upcall_pending = 0;
}

static void timers(void)
{
    u64 start = now();
    struct vcpu_set_singleshot_timer t = { start + 20000000, 0 };
    u32 before = upcalls;

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, &t), 0);
    while (!pending(timer_port))
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
    CHECK(now() >= t.timeout_abs_ns);
    CHECK(now() < start + 2000000000);
    CHECK(upcalls > before);
    events_mask();
    drain();
    clear(timer_port);

    /* In the past: at once; or refused, if asked to. */
    t.timeout_abs_ns = 1;
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, &t), 0);
    while (!pending(timer_port))
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    drain();
    clear(timer_port);
    t.flags = VCPU_SSHOTTMR_future;
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, &t), -62);

    /* The periodic timer ticks; absurd periods are refused (XSA-20). */
    struct vcpu_set_periodic_timer p = { 1 };

    CHECK(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, &p) < 0);
    p.period_ns = ~0UL;
    CHECK(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, &p) < 0);
    p.period_ns = 5000000;
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, &p), 0);
    for (int i = 0; i < 3; i++) {
        while (!pending(timer_port))
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
        events_mask();
        drain();
        clear(timer_port);
    }
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 4711, 0), -2); /* ENOENT counts vCPUs */
}

static void polling(void)
{
    u32 port = timer_port;
    u64 start = now();
    struct sched_poll p = { &port, 1, start + 10000000 };

    clear(port);
    shared_info->vcpu_info[0].evtchn_upcall_pending = 0;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p), 0);
    CHECK(now() >= start + 10000000); /* by timeout */
    p.nr_ports = 1000000;
    CHECK(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p) < 0);
    p.nr_ports = 1;
    port = 0x7fffffff;
    CHECK(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p) < 0);
}

static void monotonic(void)
{
    u64 last = now();

    for (int i = 0; i < 20000; i++) {
        u64 t = now();

        if (t < last) {
            CHECK_EQ(t, last);
            return;
        }
        last = t;
        if (i % 1000 == 0)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
}

static void all(void)
{
    sending();
    interdomain();
    timers();
    polling();
}

static void switch_to_fifo(void)
{
    u8 *control_page = page_new();

    words = page_new();
    control = (void *)control_page;
    struct evtchn_init_control c = { va_to_mfn(control_page), 4, 0, 0, { 0 } };
    struct evtchn_expand_array e = { va_to_mfn(words) };

    CHECK(op(EVTCHNOP_expand_array, &e) < 0); /* not yet */
    CHECK(op(EVTCHNOP_init_control, &c) < 0); /* misaligned */
    c.offset = 4096 - 8;
    CHECK(op(EVTCHNOP_init_control, &c) < 0); /* over the edge */
    c.offset = 0;
    c.vcpu = 55;
    CHECK(op(EVTCHNOP_init_control, &c) < 0);
    c.vcpu = 0;
    c.control_gfn = va_to_mfn((void *)start_info->pt_base);
    CHECK(op(EVTCHNOP_init_control, &c) < 0); /* a page table is no control block */
    c.control_gfn = va_to_mfn(control_page);
    CHECK_EQ(op(EVTCHNOP_init_control, &c), 0);
    CHECK_EQ(c.link_bits, 17);
    e.array_gfn = va_to_mfn((void *)start_info->pt_base);
    CHECK(op(EVTCHNOP_expand_array, &e) < 0);
    e.array_gfn = va_to_mfn(words);
    CHECK_EQ(op(EVTCHNOP_expand_array, &e), 0);
    fifo = true;
    struct evtchn_set_priority s = { ipi_port, 3 };

    CHECK_EQ(op(EVTCHNOP_set_priority, &s), 0);
    s.priority = 16;
    CHECK(op(EVTCHNOP_set_priority, &s) < 0);
    /* Garbage in the words confuses nobody but us. */
    words[ipi_port] = ~0u & ~(1u << 30);
    CHECK_EQ(send(ipi_port), 0);
    words[ipi_port] = 0;
}

void test_main(void)
{
    bindings();
    all();
    monotonic();
    switch_to_fifo();
    all();
    /* Many ports: none is handed out twice, and all close. */
    u32 first = 0;

    for (int i = 0; i < 300; i++) {
        struct evtchn_bind_ipi b = { 0, 0 };

        CHECK_EQ(op(EVTCHNOP_bind_ipi, &b), 0);
        CHECK(b.port != ipi_port && b.port != timer_port && b.port != first);
        first = i ? first : b.port;
    }
    struct evtchn_reset r = { DOMID_SELF };

    CHECK_EQ(op(EVTCHNOP_reset, &r), 0);
    CHECK(send(ipi_port) < 0);
}
