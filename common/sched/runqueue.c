/* SPDX-License-Identifier: MIT */
/* The queues: order, virtual time, and which CPU a vCPU is put on. */
#include "runqueue.h"

/* A vCPU that wakes is at most this far behind its queue's virtual time: enough to run at once, not to claim all the time that it slept. */
#define WAKE_CREDIT_NS 2000000ULL
/*
 * How long a vCPU runs before it gives way to one that it has woken by an event on its own CPU. If it sends more meanwhile, the other one takes
 * all that was sent together; otherwise guest and backend would take turns for each packet. If it has no more to do, going on is a detour by
 * its idle loop: a vCPU that has waited like that gives way at once the next SENDER_GIVES_WAY times.
 */
#define SENDER_RUNS_NS 250000ULL
/* At the end of a slice a CPU whose queue is empty takes over a vCPU that has waited this long in another queue. */
#define ROTATE_AFTER_NS 1000000ULL

static struct runqueue boot_runqueue = { .lock = SPINLOCK_INIT(LOCK_RUNQUEUE) };
static struct runqueue *queues[MAX_CPUS] = { &boot_runqueue };
cpuset_t cpus_schedulable = CPUSET_FIRST_CPU, cpus_idle;

int sched_init_cpu(struct percpu *c)
{
    if (queues[c->id])
        return 0;
    struct runqueue *rq = hv_alloc(sizeof(*rq));
    if (!rq)
        return -ENOMEM;
    rq->lock = (spinlock_t)SPINLOCK_INIT(LOCK_RUNQUEUE);
    queues[c->id] = rq;
    return 0;
}

struct runqueue *rq_of(const struct percpu *c) { return queues[c->id]; }

struct runqueue *rq_lock_of(struct vcpu *v)
{
    for (;;) {
        struct percpu *c = READ_ONCE(v->cpu);
        struct runqueue *rq = rq_of(c);

        spin_lock(&rq->lock);
        if (c == v->cpu)
            return rq;
        spin_unlock(&rq->lock);
    }
}

void rq_insert(struct runqueue *rq, struct vcpu *v)
{
    struct vcpu **at = &rq->head;

    while (*at && (*at)->sched.vtime <= v->sched.vtime)
        at = &(*at)->sched.next;
    v->sched.next = *at;
    *at = v;
    v->sched.state = SCHED_QUEUED;
    rq->nr_queued++;
}

static void rq_unlink(struct runqueue *rq, struct vcpu **at)
{
    *at = (*at)->sched.next;
    rq->nr_queued--;
}

struct vcpu *rq_pop(struct runqueue *rq)
{
    struct vcpu *v = rq->head;

    if (v)
        rq_unlink(rq, &rq->head);
    return v;
}

void rq_remove(struct runqueue *rq, struct vcpu *v)
{
    for (struct vcpu **at = &rq->head; *at; at = &(*at)->sched.next)
        if (*at == v) {
            rq_unlink(rq, at);
            return;
        }
}

/* The queue's virtual time never goes back: vCPUs that come are placed relative to it. */
static void rq_advance_vtime(struct runqueue *rq)
{
    u64 least = ~0ULL;

    if (rq->running)
        least = rq->running->sched.vtime;
    if (rq->head)
        least = MIN(least, rq->head->sched.vtime);
    if (least != ~0ULL)
        rq->vtime = MAX(rq->vtime, least);
}

void rq_charge(struct runqueue *rq, struct vcpu *v, u64 now)
{
    struct domain *d = v->domain;
    u64 ran = now > v->sched.charged_until ? now - v->sched.charged_until : 0; /* the clocks of two CPUs may differ by some ns */

    v->sched.charged_until += ran;
    v->sched.vtime += ran * SCHED_WEIGHT_DEFAULT / d->sched.weight;
    if (d->sched.cap)
        __atomic_fetch_sub(&d->sched.budget, (s64)ran, __ATOMIC_RELAXED);
    rq_advance_vtime(rq);
}

static cpuset_t rq_affine_cpus(const struct vcpu *v, cpuset_t cpus)
{
    cpuset_t hard = cpuset_and(cpus, v->sched.hard_affinity);

    return cpuset_empty(hard) ? cpus : hard; /* all its CPUs were taken away: it runs anywhere rather than never */
}

bool sched_may_run_on(const struct vcpu *v, const struct percpu *c)
{
    return cpuset_test(rq_affine_cpus(v, cpuset_read(&cpus_schedulable)), c->id);
}

static struct percpu *least_loaded(cpuset_t set)
{
    struct percpu *best = NULL;

    for_each_cpu(c, set)
        if (!best || READ_ONCE(rq_of(c)->nr_queued) < READ_ONCE(rq_of(best)->nr_queued))
            best = c;
    return best;
}

/* Claims an idle CPU: two vCPUs that wake together do not get the same one. */
static struct percpu *claim_idle(cpuset_t set, const struct percpu *last)
{
    for (;;) {
        cpuset_t idle = cpuset_and(cpuset_read(&cpus_idle), set);

        if (cpuset_empty(idle))
            return NULL;
        u32 number = cpuset_test(idle, last->id) ? last->id : cpuset_first(idle);
        if (cpuset_clear_atomic(&cpus_idle, number))
            return cpu_table[number];
    }
}

/* Idle before busy, soft affinity before none, the CPU whose caches know it before others. */
static struct percpu *rq_choose_cpu(const struct vcpu *v)
{
    cpuset_t allowed = rq_affine_cpus(v, cpuset_read(&cpus_schedulable)), soft = cpuset_and(allowed, v->sched.soft_affinity);
    struct percpu *last = v->cpu, *c = claim_idle(soft, last);

    if (!c)
        c = claim_idle(allowed, last);
    if (c)
        return c;
    if (cpuset_empty(soft))
        soft = allowed;
    return cpuset_test(soft, last->id) && READ_ONCE(rq_of(last)->nr_queued) == 0 ? last : least_loaded(soft);
}

/* r runs, charged up to now, and another vCPU of its queue is woken: whether r did that by an event, and goes on. If so, its slice is shortened. */
static bool sender_goes_on(struct vcpu *r)
{
    u64 end = r->runstate.state_entry_time + MAX(SENDER_RUNS_NS, READ_ONCE(sched_ratelimit_us) * 1000ULL);

    if (r != current || !r->sched.sending || r->sched.charged_until >= end)
        return false;
    if (r->sched.gives_way) {
        r->sched.gives_way--;
        return false;
    }
    r->sched.went_on_at = r->sched.sent;
    if (end < r->sched.slice_end) {
        r->sched.slice_end = end;
        timer_set(&r->sched.slice_timer, end);
    }
    return true;
}

/* Inserts v into rq, its CPU's, whose lock is held and is released here. Whoever should run it is interrupted. */
static void rq_add_vcpu(struct runqueue *rq, struct vcpu *v)
{
    u64 floor = rq->vtime > WAKE_CREDIT_NS ? rq->vtime - WAKE_CREDIT_NS : 0;
    struct percpu *c = v->cpu;
    struct vcpu *r = rq->running;

    if (r)
        rq_charge(rq, r, system_time_ns());
    v->sched.vtime = MAX(v->sched.vtime, floor);
    rq_insert(rq, v);
    bool preempt = !r || (v->sched.vtime < r->sched.vtime && !sender_goes_on(r));
    spin_unlock(&rq->lock);
    if (preempt)
        softirq_raise_on(c, SOFTIRQ_SCHEDULE);
    else
        rq_call_idle(v);
}

/*
 *   CPU A (here):                leaves v in a queue; reads cpus_idle
 *   CPU B (look_elsewhere()):    sets its bit in cpus_idle; looks at the queues
 *
 * A finds B's bit and calls it, or B finds v. Otherwise v would wait behind a busy CPU while B sleeps. A calls all that are idle: a single
 * one could be about to run another vCPU, and v would wait although others sleep.
 */
void rq_call_idle(const struct vcpu *v)
{
    smp_mb();
    for_each_cpu(c, cpuset_and(cpuset_read(&cpus_idle), rq_affine_cpus(v, cpuset_read(&cpus_schedulable))))
        softirq_raise_on(c, SOFTIRQ_SCHEDULE);
}

/*
 * v leaves queue rq, whose lock is held, for that of c, and v->cpu changes already here: it may change only under the lock of the queue that
 * it names (rq_lock_of() relies on it).
 *
 *   CPU A (vcpu_wake()):         locks the queue that v->cpu names; sees that v->cpu still names it; looks at v's state
 *   CPU B (sched_enqueue()):     puts v on c's queue, under c's lock; c runs it and switches away from it
 *
 * If v->cpu changed only when v arrives, B would change it under c's lock alone. A, with the lock of the queue that v has left, could then
 * find v blocked and queue it while its registers are not saved yet, or a second time.
 */
static void set_out(struct runqueue *rq, struct vcpu *v, struct percpu *c)
{
    v->sched.state = SCHED_MOVING;
    v->sched.moved_from = rq->vtime;
    WRITE_ONCE(v->cpu, c);
}

/* A vCPU in this CPU's hands (SCHED_MOVING) onto c's queue. No lock is held. */
static void sched_enqueue(struct vcpu *v, struct percpu *c)
{
    struct runqueue *rq = rq_of(c);

    spin_lock(&rq->lock);
    /* Its lead or lag goes with it. */
    v->sched.vtime = v->sched.vtime > v->sched.moved_from ? rq->vtime + (v->sched.vtime - v->sched.moved_from) :
                                                            rq->vtime - MIN(rq->vtime, v->sched.moved_from - v->sched.vtime);
    rq_add_vcpu(rq, v);
    /*
     * CPU B (sched_cpu_leave()) takes c out of cpus_schedulable, then empties its queue. If it was emptied before v came, we see here that c is
     * gone, since c's lock was taken after that, and empty it again: nobody else would.
     */
    if (unlikely(!cpuset_test(cpuset_read(&cpus_schedulable), c->id)))
        sched_vacate(c);
}

void sched_vacate(struct percpu *c)
{
    struct runqueue *rq = rq_of(c);

    for (;;) {
        spin_lock(&rq->lock);
        struct vcpu *v = rq_pop(rq);
        if (!v)
            break;
        sched_place(rq, v, system_time_ns());
    }
    spin_unlock(&rq->lock);
}

void sched_place(struct runqueue *rq, struct vcpu *v, u64 now)
{
    struct percpu *c = rq_choose_cpu(v);

    v->sched.runnable_since = now;
    if (c == v->cpu) {
        rq_add_vcpu(rq, v);
    } else {
        set_out(rq, v, c);
        spin_unlock(&rq->lock);
        sched_enqueue(v, c);
    }
}

/* Takes the first vCPU off queue `from` that may run on c and has waited since `before`. */
static struct vcpu *rq_take_waiting(struct runqueue *from, struct percpu *c, u64 before)
{
    spin_lock_scope(&from->lock);
    for (struct vcpu **at = &from->head; *at; at = &(*at)->sched.next) {
        struct vcpu *v = *at;

        if (sched_may_run_on(v, c) && v->sched.runnable_since <= before) {
            rq_unlink(from, at);
            set_out(from, v, c);
            return v;
        }
    }
    return NULL;
}

void sched_steal(struct percpu *c, bool idle, u64 now)
{
    u64 before =
        idle ? ~0ULL : now - ROTATE_AFTER_NS; /* an idle CPU takes any vCPU, also one queued by a CPU whose clock is some ns ahead */

    for_each_cpu(other, cpuset_without(cpuset_read(&cpus_schedulable), c->id)) {
        struct runqueue *from = rq_of(other);
        struct vcpu *v = READ_ONCE(from->nr_queued) ? rq_take_waiting(from, c, before) : NULL;

        if (v) {
            sched_enqueue(v, c);
            return;
        }
    }
}
