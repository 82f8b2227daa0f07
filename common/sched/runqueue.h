/* SPDX-License-Identifier: MIT */
/* Between the files of the scheduler. The lock of a queue is never held with another queue's. */
#pragma once

#include <hv/domain.h>

#define SLICE_NS 10000000ULL
#define SLICE_MIN_NS 2000000ULL
#define SENDER_GIVES_WAY 31

struct runqueue {
    spinlock_t lock;
    struct vcpu *head;    /* least virtual time first */
    struct vcpu *running; /* NULL: the idle vCPU */
    struct vcpu *evicted; /* may not stay on this CPU: placed on another one by schedule_tail(), when its registers are saved */
    u32 nr_queued;
    u64 vtime; /* the least of all here, never decreasing */
    /* latencies from runnable to running, of vCPUs that woke (key 'r') */
    u64 nr_wakes, wake_ns_total, wake_ns_worst;
    u64 nr_switches;
};

extern cpuset_t cpus_schedulable, cpus_idle;

struct runqueue *rq_of(const struct percpu *c);
/* The queue of v->cpu, locked. */
struct runqueue *rq_lock_of(struct vcpu *v);
/* rq's lock is held. rq_pop(): NULL if it is empty. rq_remove(): v is in it. */
void rq_insert(struct runqueue *rq, struct vcpu *v);
struct vcpu *rq_pop(struct runqueue *rq);
void rq_remove(struct runqueue *rq, struct vcpu *v);
/* rq's lock is held. Adds v's running up to now (system time) to its virtual time, and takes it from its domain's budget. */
void rq_charge(struct runqueue *rq, struct vcpu *v, u64 now);

/* v has been left in a queue: interrupts the idle CPUs that may run it, which look at the queues then. */
void rq_call_idle(const struct vcpu *v);

bool sched_may_run_on(const struct vcpu *v, const struct percpu *c);
/* Puts a runnable vCPU that is on no queue on that of the best CPU for it. rq: the queue of v->cpu, locked; it is released. */
void sched_place(struct runqueue *rq, struct vcpu *v, u64 now);
/* Moves all vCPUs in c's queue to other CPUs. No lock is held. */
void sched_vacate(struct percpu *c);
/* c's queue is empty: moves a vCPU that may run on c here from another queue. idle false: only one that has waited long. No lock is held. */
void sched_steal(struct percpu *c, bool idle, u64 now);

/* cap.c */
void sched_cap_park(struct vcpu *v); /* if its budget is used up; its queue's lock is held */
u64 sched_cap_slice(const struct domain *d, u64 slice);
