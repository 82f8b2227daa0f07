/*
 * Scheduling: a FIFO of runnable vCPUs per CPU with time slices. A vCPU that wakes goes to the
 * front, so that event latency does not depend on who computes.
 *
 * Lock: rq_lock of the CPU. schedule() switches stacks with it held; the next vCPU releases it
 * in schedule_tail().
 */
#include <hv/domain.h>
#include <hv/evtchn.h>
#include <hv/guest_access.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/pv.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/processor.h>

#define SLICE_NS 10000000ULL

static struct {
    spinlock_t lock;
    struct vcpu *head, *tail;
} runqueue;

void switch_stack(u64 *save_rsp, u64 load_rsp);
void schedule_tail(void);
extern char vcpu_first_entry[];

static void rq_insert(struct vcpu *v, bool front)
{
    if (v->on_runqueue)
        return;
    v->on_runqueue = true;
    if (!runqueue.head) {
        runqueue.head = runqueue.tail = v;
        v->rq_next = NULL;
    } else if (front) {
        v->rq_next = runqueue.head;
        runqueue.head = v;
    } else {
        v->rq_next = NULL;
        runqueue.tail->rq_next = v;
        runqueue.tail = v;
    }
}

static struct vcpu *rq_pop(void)
{
    struct vcpu *v = runqueue.head;

    if (v) {
        runqueue.head = v->rq_next;
        if (!runqueue.head)
            runqueue.tail = NULL;
        v->on_runqueue = false;
        v->rq_next = NULL;
    }
    return v;
}

/* The guest's copy lies in kernel memory, whatever address space is loaded. */
static void runstate_publish(struct vcpu *v)
{
    struct vcpu_runstate_info copy = v->runstate;
    u64 entry_at = v->runstate_guest + offsetof(struct vcpu_runstate_info, state_entry_time);

    if (!v->runstate_guest)
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
        v->runstate_guest = 0;
}

void runstate_change(struct vcpu *v, int state, u64 now)
{
    if (v->runstate.state == state)
        return;
    v->runstate.time[v->runstate.state] += now - v->runstate.state_entry_time;
    v->runstate.state_entry_time = now;
    v->runstate.state = state;
}

static void slice_over(void *data)
{
    (void)data;
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_vcpu_init(struct vcpu *v)
{
    struct stack_top *top = stack_block_top(v->stack_block);
    u64 *sp = (u64 *)&top->guest_regs;

    v->cpu = this_cpu();
    timer_init(&v->slice_timer, slice_over, v);
    *--sp = (u64)vcpu_first_entry; /* where switch_stack() returns to */
    sp -= 6;                       /* rbx rbp r12 r13 r14 r15 */
    v->saved_rsp = (u64)sp;
}

static int blocked_state(const struct vcpu *v)
{
    return v->pause_flags & (PAUSE_DOWN | PAUSE_SHUTDOWN) ? RUNSTATE_offline : RUNSTATE_blocked;
}

void vcpu_wake(struct vcpu *v)
{
    spin_lock(&runqueue.lock);
    if (!v->pause_flags && v != current && !v->on_runqueue) {
        rq_insert(v, true);
        runstate_change(v, RUNSTATE_runnable, system_time_ns());
        softirq_raise(SOFTIRQ_SCHEDULE);
    }
    spin_unlock(&runqueue.lock);
}

/* On the new vCPU's stack, right after the switch. */
void schedule_tail(void)
{
    struct vcpu *v = current;

    spin_unlock(&runqueue.lock);
    if (!v->is_idle) {
        cpu_set_stack(this_cpu(), v->stack_block);
        pv_state_load(v);
        runstate_publish(v);
        vcpu_time_publish(v);
    }
}

void schedule(void)
{
    struct percpu *c = this_cpu();
    struct vcpu *prev = c->curr, *next;
    u64 now = system_time_ns();

    ASSERT(c->locks_held == 0 && !irqs_enabled());
    spin_lock(&runqueue.lock);
    if (!prev->is_idle) {
        if (prev->pause_flags)
            runstate_change(prev, blocked_state(prev), now);
        else
            rq_insert(prev, now < prev->slice_end && !runqueue.head);
    }
    next = rq_pop();
    if (!next)
        next = c->idle;
    if (next == prev) {
        spin_unlock(&runqueue.lock);
        return;
    }
    if (!prev->is_idle) {
        timer_stop(&prev->slice_timer);
        if (prev->runstate.state == RUNSTATE_running)
            runstate_change(prev, RUNSTATE_runnable, now);
    }
    if (!next->is_idle) {
        runstate_change(next, RUNSTATE_running, now);
        next->slice_end = now + SLICE_NS;
        timer_set(&next->slice_timer, next->slice_end);
        next->cpu = c;
    }
    stack_block_top(next->stack_block)->cpu = c;
    c->curr = next;
    /* schedule_tail() releases the lock: it is counted on this CPU, not on a stack. */
    switch_stack(&prev->saved_rsp, next->saved_rsp);
    schedule_tail();
}

void idle_loop(void)
{
    for (;;) {
        softirq_process();
        if (!softirq_pending())
            __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
}

void sched_init(void)
{
    softirq_register(SOFTIRQ_SCHEDULE, schedule);
}
