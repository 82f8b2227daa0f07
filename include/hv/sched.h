/* SPDX-License-Identifier: MIT */
/*
 * Scheduling of vCPUs on CPUs: weighted fair queues, one per CPU (docs/scheduler.md).
 *
 * A vCPU's virtual time advances by its running time times SCHED_WEIGHT_DEFAULT over its domain's
 * weight; the runnable vCPU with the least runs. Virtual times are relative to their queue.
 */
#pragma once

#include <hv/cpuset.h>
#include <hv/time.h>

#define SCHED_WEIGHT_DEFAULT 256
#define SCHED_WEIGHT_MAX 65535

/* us that a vCPU runs at least before one that wakes may take its CPU; 0: no limit. Written by sysctl. */
extern u32 sched_ratelimit_us;

/* What the scheduler has done with a vCPU. Changed under the run-queue lock of vcpu.cpu. */
enum sched_state {
    SCHED_BLOCKED, /* on no queue; also while it is down */
    SCHED_QUEUED,
    SCHED_RUNNING,
    SCHED_MOVING, /* between two queues, in one CPU's hands */
};

struct sched_vcpu {
    enum sched_state state;
    struct vcpu *next;  /* in its queue */
    u64 vtime;          /* ns, weighted */
    u64 moved_from;     /* the time of the queue it left, while it moves */
    u64 charged_until;  /* system time */
    u64 runnable_since; /* system time; for latencies and for who waited longest */
    bool woken, yields;
    bool sending;   /* it runs, and whom it wakes now has an event from it. Like `sent`, written by the vCPU itself, and read on its CPU */
    u32 sent;       /* events by interdomain channels */
    u32 went_on_at; /* `sent`, when it went on beside one that it had woken; 0: it has not since it last waited */
    u32 gives_way;  /* how many times yet it does not go on */
    u64 slice_end;
    cpuset_t hard_affinity, soft_affinity;
    cpuset_t before_pin; /* the hard one that SCHEDOP_pin_override has replaced; empty: it has not */
    struct timer slice_timer;
};

/* Scheduling parameters of a domain. cap: percent of one CPU that all its vCPUs together may use; 0: no limit. */
struct sched_domain {
    u32 weight, cap;
    s64 budget; /* ns left in this period; changed atomically */
    struct timer cap_timer;
};

void sched_init(void);                             /* boot */
int sched_init_cpu(struct percpu *c) __must_check; /* its queue; -ENOMEM */
void sched_domain_init(struct domain *d);          /* default weight, no cap */
void sched_vcpu_init(struct vcpu *v);              /* of a new vCPU with a stack block: it begins at vcpu_first_entry */
void schedule(void) __may_preempt;                 /* this CPU's next vCPU. Softirq context; no lock held */
/* v neither runs nor is in the middle of an operation: it does not come back as long as a pause flag is set. */
bool sched_is_outside(struct vcpu *v);
/* v is outside and paused for ever: it is on no queue any more, and comes on none. */
void sched_vcpu_remove(struct vcpu *v);
void idle_loop(void) __may_preempt __noreturn; /* of this CPU's idle vCPU */

/* 0; -EINVAL: weight 0 or above SCHED_WEIGHT_MAX, or more than 100 percent for each vCPU. */
int sched_set_params(struct domain *d, u32 weight, u32 cap) __must_check;
/* The sets are of CPUs; -EINVAL if no online CPU is in `hard`; -EBUSY: pinned. A vCPU that runs elsewhere moves soon. */
int sched_set_affinity(struct vcpu *v, cpuset_t hard, cpuset_t soft) __must_check;
/* v runs on the CPU of that id alone, until id < 0: where it ran before. -EINVAL: no such CPU online, or it is not pinned; -EBUSY: it is. */
int sched_pin_override(struct vcpu *v, int id) __must_check;

/* CPUs that vCPUs are put on. Taking one away moves its vCPUs off it. */
void sched_cpu_use(struct percpu *c);
void sched_cpu_leave(struct percpu *c); /* no lock held; vCPUs that run there leave soon */

struct vcpu *idle_vcpu_create(struct percpu *c, void *stack_block) __must_check; /* NULL: no memory */
void idle_init_boot_cpu(void);                                                   /* phase early_boot; from here on `current` is valid */
