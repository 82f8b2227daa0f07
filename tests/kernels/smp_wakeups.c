/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost. Tokens go from vCPU to vCPU by events: whoever has none sleeps in one of the ways that there are, whoever has one
 * gives it to another. A token that nobody moves any more is a wake-up that was lost. Meanwhile vCPUs are sent from CPU to CPU.
 */
#include "smp.h"

#define CPUS 4
#define TOKENS 3
#define RUN_NS 10000000000UL
#define STUCK_NS 20000000000UL /* a loaded machine may be slow, not as slow as this */

enum way { POLL_PORT, POLL_UNTIL, BLOCK, BLOCK_UNTIL, NR_WAYS };

static struct sleeper {
    volatile u32 tokens;
    u32 poll_port, event_port, timer_port; /* poll_port is masked, the others are not */
    u32 random;
    volatile u32 way, asleep;
    volatile u64 slept[NR_WAYS];
} sleepers[MAX_VCPUS];
static u32 nr_vcpus;
static volatile u64 moves, stop;

/* The upcall of the other vCPUs. Which one is told by the stack. */
__asm__(".globl wakeup_upcall\nwakeup_upcall:\n"
        "push %rax; push %rdx; push %rsi; push %rdi; push %r8; push %r9; push %r10; mov %rsp, %rdi; cld; call wakeup_handler\n"
        "pop %r10; pop %r9; pop %r8; pop %rdi; pop %rsi; pop %rdx; pop %rax; pop %rcx; pop %r11\n"
        "pushq $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall");
extern char wakeup_upcall[];
void wakeup_handler(u64 rsp);

static volatile struct vcpu_info *info_of(u32 id) { return &shared_info->vcpu_info[id]; }

/* Pending events of this vCPU are seen: its next one raises an upcall. Upcalls are masked. */
static void see_events(u32 id)
{
    const struct sleeper *s = &sleepers[id];
    u32 ports[] = { s->event_port, s->timer_port };

    info_of(id)->evtchn_upcall_pending = 0;
    __atomic_exchange_n(&shared_info->vcpu_info[id].evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < 2; i++)
        __atomic_fetch_and(&shared_info->evtchn_pending[ports[i] / 64], ~(1UL << ports[i] % 64), __ATOMIC_SEQ_CST);
}

void wakeup_handler(u64 rsp) { see_events((u32)((rsp - (u64)smp_stacks) / sizeof(smp_stacks[0]))); }

static u32 next_random(u32 id)
{
    struct sleeper *s = &sleepers[id];

    s->random = s->random * 1664525 + 1013904223;
    return s->random >> 8;
}

static long send(u32 port)
{
    struct evtchn_send e = { port };

    return HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &e);
}

static u32 bind_ipi(u32 vcpu)
{
    struct evtchn_bind_ipi b = { .vcpu = vcpu };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
    return b.port;
}

static u32 bind_timer(u32 vcpu)
{
    struct evtchn_bind_virq b = { .virq = VIRQ_TIMER, .vcpu = vcpu };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &b), 0);
    return b.port;
}

static void set_masked(u32 port, bool masked)
{
    if (masked)
        __atomic_fetch_or(&shared_info->evtchn_mask[port / 64], 1UL << port % 64, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&shared_info->evtchn_mask[port / 64], ~(1UL << port % 64), __ATOMIC_SEQ_CST);
}

/* Whoever gives a token raises both ports: that of pollers, and that which brings an upcall. */
static void give(u32 to)
{
    __atomic_fetch_add(&sleepers[to].tokens, 1, __ATOMIC_SEQ_CST);
    CHECK_EQ(send(sleepers[to].poll_port), 0);
    CHECK_EQ(send(sleepers[to].event_port), 0);
}

static void sleep(u32 id, enum way way)
{
    struct sleeper *s = &sleepers[id];
    struct sched_poll poll = { .nr_ports = 1, .ports = &s->poll_port };
    u64 until = way == POLL_UNTIL || way == BLOCK_UNTIL ? smp_time(id) + next_random(id) % 300000 : 0;

    s->way = way;
    if (way == POLL_PORT || way == POLL_UNTIL)
        __atomic_fetch_and(&shared_info->evtchn_pending[s->poll_port / 64], ~(1UL << s->poll_port % 64), __ATOMIC_SEQ_CST);
    else
        see_events(id);
    if (s->tokens)
        return; /* it came before the events were taken as seen */
    s->asleep = 1;
    poll.timeout = until;
    if (way == POLL_PORT || way == POLL_UNTIL) {
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), 0);
    } else {
        if (until)
            CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_timer_op, until), 0);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_block, 0), 0);
        info_of(id)->evtchn_upcall_mask = 1;
    }
    s->asleep = 0;
    s->slept[way]++;
}

static void pass_tokens(u32 id)
{
    struct sleeper *s = &sleepers[id];

    while (!stop) {
        if (!s->tokens) {
            sleep(id, next_random(id) % NR_WAYS);
            continue;
        }
        __atomic_fetch_sub(&s->tokens, 1, __ATOMIC_SEQ_CST);
        for (u32 turns = next_random(id) % 2000; turns; turns--)
            __asm__ volatile("");
        if (next_random(id) % 16 == 0)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        smp_atomic_add(&moves, 1);
        give(1 + next_random(id) % (nr_vcpus - 1));
    }
    smp_stop(id);
}

static void tell_who_has_what(void)
{
    for (u32 i = 1; i < nr_vcpus; i++) {
        const struct sleeper *s = &sleepers[i];

        print("vCPU %u: %u tokens, way %u, asleep %u; upcall pending %u, mask %u\n", i, s->tokens, s->way, s->asleep,
              info_of(i)->evtchn_upcall_pending, info_of(i)->evtchn_upcall_mask);
    }
}

/* Looks after the others, sends them from CPU to CPU, and sleeps in between. */
static void watch(void)
{
    u64 seen = 0, since = smp_time(0), end = since + RUN_NS;

    for (u32 n = 0; smp_time(0) < end || moves == 0; n++) {
        u32 v = 1 + next_random(0) % (nr_vcpus - 1), cpu = next_random(0) % CPUS;

        CHECK_EQ(smp_pin(v, n % 4 ? ~0UL : 1UL << cpu), 0);
        smp_sleep_until(0, smp_time(0) + 500000);
        if (moves != seen) {
            seen = moves;
            since = smp_time(0);
        }
        if (smp_time(0) - since > STUCK_NS) {
            tell_who_has_what();
            CHECK(!"a token is stuck");
            return;
        }
    }
}

/* ---- an upcall ends a poll of something else ---- */

static volatile u32 polls_ended;

static void poll_forever(u32 id)
{
    struct sleeper *s = &sleepers[id];
    struct sched_poll poll = { .nr_ports = 1, .ports = &s->poll_port };

    for (;;) {
        see_events(id);
        s->asleep = 1;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll), 0);
        s->asleep = 0;
        polls_ended++;
    }
}

static void upcall_ends_poll(u32 id)
{
    for (u32 i = 0; i < 20; i++) {
        u64 start = smp_time(0);

        while (!sleepers[id].asleep)
            __asm__ volatile("pause");
        smp_sleep_until(0, smp_time(0) + 2000000); /* now it is in the hypervisor */
        u32 before = polls_ended;

        CHECK_EQ(send(sleepers[id].event_port), 0);
        while (polls_ended == before && smp_time(0) - start < STUCK_NS)
            smp_sleep_until(0, smp_time(0) + 100000);
        if (polls_ended == before) {
            CHECK(!"an event leaves a vCPU asleep that polls for another one");
            return;
        }
    }
}

void test_main(void)
{
    while (nr_vcpus < MAX_VCPUS && HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, nr_vcpus, 0) >= 0)
        nr_vcpus++;
    for (u32 i = 1; i < nr_vcpus; i++) {
        struct sleeper *s = &sleepers[i];

        *s = (struct sleeper){ .poll_port = bind_ipi(i), .event_port = bind_ipi(i), .timer_port = bind_timer(i), .random = i };
        set_masked(s->poll_port, true);
        set_masked(s->event_port, false);
        set_masked(s->timer_port, false);
        CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, i, 0), 0);
    }
    smp_callback = (u64)wakeup_upcall;
    smp_start(nr_vcpus - 1, poll_forever);
    upcall_ends_poll(nr_vcpus - 1);
    nr_vcpus--; /* that one stays as it is */
    for (u32 i = 1; i < nr_vcpus; i++)
        smp_start(i, pass_tokens);
    for (u32 i = 0; i < TOKENS; i++)
        give(1 + i % (nr_vcpus - 1));
    watch();
    stop = 1;
    print("%lu moves\n", moves);
    for (u32 i = 1; i < nr_vcpus; i++)
        print("vCPU %u slept %lu, %lu, %lu, %lu\n", i, sleepers[i].slept[0], sleepers[i].slept[1], sleepers[i].slept[2],
              sleepers[i].slept[3]);
}
