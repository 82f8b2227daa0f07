/* SPDX-License-Identifier: MIT */
/*
 * Switching vCPUs. schedule() switches stacks with the lock of this CPU's queue held; the next vCPU
 * releases it in schedule_tail(), so no other CPU takes a vCPU whose registers are not saved yet.
 */
#include "runqueue.h"

#include <hv/arch.h>
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/guest_access.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/tlb.h>

void switch_stack(u64 *save_rsp, u64 load_rsp);
void schedule_tail(void);
extern char vcpu_first_entry[];

/* The guest's copy lies in kernel memory, whatever address space is loaded. */
static void runstate_publish(struct vcpu *v)
{
    struct vcpu_runstate_info copy = v->runstate;
    guest_ptr_t entry_at = guest_ptr_add(v->runstate_guest, offsetof(struct vcpu_runstate_info, state_entry_time));

    if (!v->runstate_guest.va)
        return;
    if (v->domain->vm_assist & (1ULL << VMASST_TYPE_runstate_update_flag)) {
        copy.state_entry_time |= XEN_RUNSTATE_UPDATE;
        if (!guest_kernel_write(v, entry_at, &copy.state_entry_time, 8))
            return;
        wmb();
        if (!guest_kernel_write(v, v->runstate_guest, &copy, sizeof(copy)))
            return;
        wmb();
    }
    copy.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
    /* A guest that has unmapped its area loses the update, nothing else. */
    if (!guest_kernel_write(v, v->runstate_guest, &copy, sizeof(copy)))
        v->runstate_guest = GUEST_NULL;
}

void vcpu_time_area_publish(struct vcpu *v)
{
    struct vcpu_time_info copy = v->info->time;
    u32 version = copy.version;

    if (!v->time_guest.va)
        return;
    /* Other vCPUs may read it meanwhile: its version is odd until all of it is there. */
    copy.version |= 1;
    bool written = guest_kernel_write(v, v->time_guest, &copy.version, sizeof(copy.version));
    wmb();
    written = written && guest_kernel_write(v, v->time_guest, &copy, sizeof(copy));
    wmb();
    if (!written || !guest_kernel_write(v, v->time_guest, &version, sizeof(version)))
        v->tsc_offset = TIME_UNPUBLISHED; /* it is not mapped: the next switch tries again */
}

/* state: RUNSTATE_*; its run-queue lock is held. */
static void runstate_change(struct vcpu *v, int state, u64 now)
{
    if (v->runstate.state == state)
        return;
    v->runstate.time[v->runstate.state] += now - MIN(now, v->runstate.state_entry_time);
    v->runstate.state_entry_time = now;
    v->runstate.state = state;
}

u32 sched_ratelimit_us;

static void slice_over(__unused void *data) { softirq_raise(SOFTIRQ_SCHEDULE); }

void sched_vcpu_init(struct vcpu *v)
{
    struct stack_top *top = stack_block_top(v->stack_block);
    u64 *sp = (u64 *)&top->guest_regs;

    top->vcpu = v;
    v->cpu = this_cpu();
    v->state_cpu = ~0u;
    v->sched.hard_affinity = v->sched.soft_affinity = cpuset_all();
    timer_init(&v->sched.slice_timer, slice_over, v);
    *--sp = (u64)vcpu_first_entry; /* where the first switch_stack() to it returns to: so dom0 starts, too */
    sp -= 6;                       /* rbx rbp r12 r13 r14 r15 */
    *--sp = shadow_stack_first(v->stack_block, (u64)vcpu_first_entry);
    v->saved_rsp = (u64)sp;
}

/* The pause flags that keep v from running. In the middle of an operation only the cap of its domain does: the next period lifts it. */
static u32 held_by(const struct vcpu *v)
{
    u32 why = READ_ONCE(v->pause_flags);

    return likely(!v->mid_operation) ? why : why & PAUSE_CAP;
}

static int waiting_state(const struct vcpu *v)
{
    u32 why = held_by(v);

    return why & (PAUSE_DOWN | PAUSE_SHUTDOWN) || why >= PAUSE_ONE ? RUNSTATE_offline :
           why & ~PAUSE_CAP                                        ? RUNSTATE_blocked :
                                                                     RUNSTATE_runnable;
}

void vcpu_wake(struct vcpu *v)
{
    struct runqueue *rq = rq_lock_of(v);

    if (!held_by(v) && v->sched.state == SCHED_BLOCKED) {
        u64 now = system_time_ns();

        v->sched.woken = true;
        runstate_change(v, RUNSTATE_runnable, now);
        sched_place(rq, v, now);
        return;
    }
    spin_unlock(&rq->lock);
}

struct vcpu_runstate_info sched_runstate(struct vcpu *v)
{
    struct runqueue *rq = rq_lock_of(v);
    struct vcpu_runstate_info r = v->runstate;
    u64 now = MAX(system_time_ns(), r.state_entry_time); /* the clocks of two CPUs may differ by some ns */

    spin_unlock(&rq->lock);
    r.time[r.state] += now - r.state_entry_time;
    r.state_entry_time = now;
    return r;
}

bool vcpu_is_running(const struct vcpu *v) { return READ_ONCE(v->sched.state) == SCHED_RUNNING; }

bool sched_is_outside(struct vcpu *v)
{
    struct runqueue *rq = rq_lock_of(v); /* held across a switch away from v: whoever gets it finds v's registers saved */
    bool outside = v->sched.state != SCHED_RUNNING && !v->mid_operation;

    spin_unlock(&rq->lock);
    return outside;
}

void sched_vcpu_remove(struct vcpu *v)
{
    struct runqueue *rq;

    for (rq = rq_lock_of(v); v->sched.state == SCHED_MOVING; rq = rq_lock_of(v)) {
        spin_unlock(&rq->lock);
        tlb_serve(); /* another CPU is about to put it on a queue */
        cpu_relax();
    }
    ASSERT(v->sched.state != SCHED_RUNNING && held_by(v));
    if (v->sched.state == SCHED_QUEUED)
        rq_remove(rq, v);
    v->sched.state = SCHED_BLOCKED;
    spin_unlock(&rq->lock);
    timer_kill(&v->sched.slice_timer);
}

/* A vCPU that put_prev() has taken off this CPU for good goes to another CPU's queue, now that its registers are saved. Releases rq. */
static void place_evicted(struct runqueue *rq)
{
    struct vcpu *v = rq->evicted;

    rq->evicted = NULL;
    if (v)
        sched_place(rq, v, system_time_ns());
    else
        spin_unlock(&rq->lock);
}

/* On the new vCPU's stack, right after the switch. */
void schedule_tail(void)
{
    struct percpu *c = this_cpu();
    struct vcpu *v = c->curr;

    place_evicted(rq_of(c));
    if (v->is_idle)
        return;
    /*
     *   CPU A (here):            state = SCHED_RUNNING (get_next()); reads v's pause flags, and its events on the way out
     *   CPU B (vcpu_pause_flag_set(), pause_begin(), vcpu_kick()): sets a flag or raises an event; reads v's state
     *
     * B interrupts A only if it sees v running. With a barrier on either side B does see that, or A sees what B has set; otherwise v would
     * enter its guest with a pause or an event that nothing tells it of.
     */
    smp_mb();
    if (READ_ONCE(v->pause_flags))
        softirq_raise(SOFTIRQ_PAUSE);
    cpu_set_stack(c, v->stack_block);
    arch_vcpu_load(v);
    runstate_publish(v);
    if (v->info && v->tsc_offset != c->tsc_offset) {
        vcpu_time_publish(v);
        vcpu_time_area_publish(v);
    }
}

/* Charges the vCPU that ran until now for its time, and decides where it goes: blocked, to another CPU, or back into this queue. */
static void put_prev(struct percpu *c, struct runqueue *rq, struct vcpu *prev, u64 now)
{
    rq_charge(rq, prev, now);
    rq->running = NULL;
    sched_cap_park(prev);
    prev->sched.runnable_since = now;
    if (held_by(prev)) {
        prev->sched.state = SCHED_BLOCKED;
        runstate_change(prev, waiting_state(prev), now);
        if (prev->runstate.state == RUNSTATE_blocked && prev->sched.went_on_at && prev->sched.went_on_at == prev->sched.sent)
            prev->sched.gives_way = SENDER_GIVES_WAY;
        prev->sched.went_on_at = 0;
        return;
    }
    runstate_change(prev, RUNSTATE_runnable, now);
    if (!sched_may_run_on(prev, c)) {
        prev->sched.state = SCHED_MOVING;
        rq->evicted = prev;
        return;
    }
    if (prev->sched.yields && rq->head) /* one other goes first */
        prev->sched.vtime = MAX(prev->sched.vtime, rq->head->sched.vtime);
    prev->sched.yields = false;
    rq_insert(rq, prev);
}

static void note_latency(struct runqueue *rq, struct vcpu *v, u64 now)
{
    u64 waited = now - MIN(now, v->sched.runnable_since);

    if (!v->sched.woken)
        return;
    v->sched.woken = false;
    rq->nr_wakes++;
    rq->wake_ns_total += waited;
    rq->wake_ns_worst = MAX(rq->wake_ns_worst, waited);
}

static struct vcpu *pop_unpaused(struct runqueue *rq, u64 now)
{
    struct vcpu *v;

    while ((v = rq_pop(rq)) && held_by(v)) {
        v->sched.state = SCHED_BLOCKED;
        runstate_change(v, waiting_state(v), now);
    }
    return v;
}

static void get_next(struct percpu *c, struct runqueue *rq, struct vcpu *next, u64 now)
{
    u64 slice = MAX(SLICE_NS / (rq->nr_queued + 1), MAX(SLICE_MIN_NS, READ_ONCE(sched_ratelimit_us) * 1000ULL));

    if (cpuset_test(cpuset_read(&cpus_idle), c->id))
        cpuset_clear_atomic(&cpus_idle, c->id);
    rq->running = next;
    next->sched.state = SCHED_RUNNING;
    next->sched.charged_until = now;
    next->sched.slice_end = now + sched_cap_slice(next->domain, slice);
    note_latency(rq, next, now);
    runstate_change(next, RUNSTATE_running, now);
    timer_set(&next->sched.slice_timer, next->sched.slice_end);
    WRITE_ONCE(next->cpu, c);
}

/*
 * A CPU whose queue is empty looks for vCPUs in the others' queues. Returns whether others know it as idle now, or need not. First cpus_idle,
 * then the look: rq_call_idle() has the reason.
 */
static bool look_elsewhere(struct percpu *c, const struct runqueue *rq, const struct vcpu *prev)
{
    bool gives_up = prev->is_idle || held_by(prev);

    if (READ_ONCE(rq->nr_queued))
        return false;
    if (!cpuset_test(cpuset_read(&cpus_schedulable), c->id))
        return true; /* need not: no vCPU is put on this CPU any more */
    if (gives_up)
        cpuset_set_atomic(&cpus_idle, c->id);
    u64 now = system_time_ns();
    if (gives_up || now >= prev->sched.slice_end)
        sched_steal(c, gives_up, now);
    return gives_up;
}

/* vCPUs that stay in this queue (perhaps behind one that may run only here) do not wait while a CPU sleeps that may run them. */
static void call_for_queued(const struct runqueue *rq)
{
    smp_mb(); /* as in rq_call_idle() */
    if (likely(cpuset_empty(cpuset_read(&cpus_idle))))
        return;
    for (const struct vcpu *v = rq->head; v; v = v->sched.next)
        rq_call_idle(v);
}

/* Whether prev has not run for the rate limit yet: it goes on, and its timer asks again when it has. */
static bool keeps_its_turn(struct percpu *c, const struct runqueue *rq, struct vcpu *prev, u64 now)
{
    u64 until = MIN(prev->runstate.state_entry_time + READ_ONCE(sched_ratelimit_us) * 1000ULL, prev->sched.slice_end);

    if (prev->is_idle || now >= until || held_by(prev) || prev->sched.yields || !sched_may_run_on(prev, c))
        return false;
    timer_set(&prev->sched.slice_timer, until);
    call_for_queued(rq);
    return true;
}

void schedule(void)
{
    struct percpu *c = this_cpu();
    struct vcpu *prev = c->curr, *next;
    struct runqueue *rq = rq_of(c);
    u64 now;

    ASSERT(c->locks_held == 0 && !irqs_enabled());
    bool known_idle = look_elsewhere(c, rq, prev);
    spin_lock(&rq->lock);
    now = system_time_ns(); /* under the lock: it only grows for all that the lock guards */
    if (unlikely(READ_ONCE(sched_ratelimit_us)) && !known_idle && keeps_its_turn(c, rq, prev, now)) {
        spin_unlock(&rq->lock);
        return;
    }
    if (!prev->is_idle)
        put_prev(c, rq, prev, now);
    next = pop_unpaused(rq, now);
    if (next)
        get_next(c, rq, next, now);
    else
        next = c->idle;
    if (next == c->idle && !known_idle)
        softirq_raise(SOFTIRQ_SCHEDULE); /* the queue has emptied since the look: once more, and say first that this CPU is idle */
    if (rq->head)
        call_for_queued(rq);
    if (next == prev) {
        spin_unlock(&rq->lock);
        return;
    }
    rq->nr_switches++;
    if (!prev->is_idle) {
        timer_stop(&prev->sched.slice_timer);
        arch_vcpu_save(prev);
    }
    stack_block_top(next->stack_block)->cpu = c;
    c->curr = next;
    /*
     * The queue's lock is held across the switch: another CPU that takes prev out of a queue must find its registers saved. schedule_tail(),
     * on next's stack, releases it: locks are counted for a CPU (percpu.locks_held), not for a stack.
     */
    switch_stack(&prev->saved_rsp, next->saved_rsp);
    schedule_tail();
}

/* rq: that of v->cpu, locked; it is released. */
static void apply_affinity(struct runqueue *rq, struct vcpu *v, cpuset_t hard, cpuset_t soft)
{
    v->sched.hard_affinity = hard;
    v->sched.soft_affinity = soft;
    if (v->sched.state == SCHED_QUEUED && !sched_may_run_on(v, v->cpu)) {
        rq_remove(rq, v);
        sched_place(rq, v, system_time_ns());
        return;
    }
    if (v->sched.state == SCHED_QUEUED)
        rq_call_idle(v); /* perhaps it may run there now */
    struct percpu *c = v->cpu;
    bool leave = v->sched.state == SCHED_RUNNING && !sched_may_run_on(v, c);
    spin_unlock(&rq->lock);
    if (leave)
        softirq_raise_on(c, SOFTIRQ_SCHEDULE);
}

int sched_set_affinity(struct vcpu *v, cpuset_t hard, cpuset_t soft)
{
    if (cpuset_empty(cpuset_and(hard, cpuset_read(&cpus_schedulable))))
        return -EINVAL;
    struct runqueue *rq = rq_lock_of(v);
    if (!cpuset_empty(v->sched.before_pin)) {
        spin_unlock(&rq->lock);
        return -EBUSY;
    }
    apply_affinity(rq, v, hard, soft);
    return 0;
}

int sched_pin_override(struct vcpu *v, int id)
{
    u32 number = (u32)index_nospec((u32)id, MAX_CPUS);
    bool usable = (u32)id < MAX_CPUS && cpuset_test(cpuset_read(&cpus_schedulable), number);
    struct runqueue *rq = rq_lock_of(v);
    cpuset_t before = v->sched.before_pin;
    bool pinned = !cpuset_empty(before);
    int rc = id < 0 ? (pinned ? 0 : -EINVAL) : !usable ? -EINVAL : pinned ? -EBUSY : 0;

    if (rc) {
        spin_unlock(&rq->lock);
        return rc;
    }
    v->sched.before_pin = pinned ? CPUSET_NONE : v->sched.hard_affinity;
    apply_affinity(rq, v, pinned ? before : cpuset_of(number), v->sched.soft_affinity);
    return 0;
}

void sched_cpu_use(struct percpu *c)
{
    cpuset_set_atomic(&cpus_schedulable, c->id);
    softirq_raise_on(c, SOFTIRQ_SCHEDULE); /* it looks for work */
}

void sched_cpu_leave(struct percpu *c)
{
    cpuset_clear_atomic(&cpus_schedulable, c->id);
    cpuset_clear_atomic(&cpus_idle, c->id);
    sched_vacate(c);
    softirq_raise_on(c, SOFTIRQ_SCHEDULE);
}

/* Neither runs nor waits a vCPU there; a hint unless it is this CPU. */
static bool sched_cpu_is_empty(const struct percpu *c)
{
    const struct runqueue *rq = rq_of(c);

    return !READ_ONCE(rq->running) && !READ_ONCE(rq->nr_queued);
}

/* A sleeping CPU holds no guest's tables: flushes need not reach it. */
static void idle_sleep(void)
{
    arch_cpu_leave_guests();
    if (softirq_pending())
        return;
    if (page_scrub())
        irq_window();
    else
        __asm__ volatile("sti; hlt; cli" ::: "memory");
}

void idle_loop(void)
{
    for (;;) {
        softirq_process();
        if (unlikely(READ_ONCE(this_cpu()->state) == CPU_LEAVING) && sched_cpu_is_empty(this_cpu()))
            smp_park();
        if (!softirq_pending())
            idle_sleep();
    }
}

static void print_runqueues(void)
{
    for_each_cpu(c, cpuset_read(&cpus_schedulable)) {
        struct runqueue *rq = rq_of(c);

        spin_lock_scope(&rq->lock);
        printk("CPU %u: %lu switches, %lu wake-ups, latency mean %lu us, worst %lu us", c->id, rq->nr_switches, rq->nr_wakes,
               rq->nr_wakes ? rq->wake_ns_total / rq->nr_wakes / 1000 : 0, rq->wake_ns_worst / 1000);
        if (rq->running)
            printk("; runs d%u:v%u", rq->running->domain->id, rq->running->id);
        for (const struct vcpu *v = rq->head; v; v = v->sched.next)
            printk(", d%u:v%u %+ld us", v->domain->id, v->id, (s64)(v->sched.vtime - rq->vtime) / 1000);
        printk("\n");
        rq->nr_wakes = rq->wake_ns_total = rq->wake_ns_worst = 0;
    }
}
KEYHANDLER(
    'r', print_runqueues, "run queues and wake-up latencies",
    "Per CPU: its queue, switches since the boot, and since the key was last pressed: wake-ups, and how long vCPUs waited from waking "
    "to running. A vCPU's number of us is its lead (+) or lag (-) in virtual time (`scheduler.md`)");

void sched_init(void)
{
    softirq_register(SOFTIRQ_SCHEDULE, schedule);
    softirq_register(SOFTIRQ_PAUSE, schedule);
}
BOOT_STEP(sched_init, NEEDS(current), GIVES(scheduler), EVERYWHERE);
