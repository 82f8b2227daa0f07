/*
 * Timers: a binary heap per CPU, earliest first. Each timer belongs to one vCPU or device and
 * is set and stopped on the CPU where it fires (one CPU for now: timer_heap).
 *
 * Lock: timer_lock (a leaf). Handlers run without it.
 */
#include <hv/console.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/softirq.h>
#include <hv/spinlock.h>
#include <hv/time.h>

#define MAX_TIMERS 1024

static spinlock_t timer_lock = SPINLOCK_INIT;
static struct timer *heap[MAX_TIMERS];
static u32 heap_size;

static void place(u32 i, struct timer *t)
{
    heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(u32 i)
{
    struct timer *t = heap[i];

    for (; i && heap[(i - 1) / 2]->expires > t->expires; i = (i - 1) / 2)
        place(i, heap[(i - 1) / 2]);
    place(i, t);
}

static void sift_down(u32 i)
{
    struct timer *t = heap[i];

    for (u32 child; (child = 2 * i + 1) < heap_size; i = child) {
        if (child + 1 < heap_size && heap[child + 1]->expires < heap[child]->expires)
            child++;
        if (heap[child]->expires >= t->expires)
            break;
        place(i, heap[child]);
    }
    place(i, t);
}

static void heap_remove(struct timer *t)
{
    u32 i = t->slot - 1;
    struct timer *last = heap[--heap_size];

    t->slot = 0;
    if (last == t)
        return;
    place(i, last);
    sift_up(i);
    sift_down(last->slot - 1);
}

static void program_next(void)
{
    apic_timer_program(heap_size ? heap[0]->expires : ~0ULL);
}

void timer_init(struct timer *t, void (*fn)(void *), void *data)
{
    *t = (struct timer){ .fn = fn, .data = data };
}

void timer_set(struct timer *t, u64 expires)
{
    spin_lock(&timer_lock);
    struct timer *first = heap_size ? heap[0] : NULL;
    bool was_first = t == first;

    if (t->slot)
        heap_remove(t);
    t->expires = expires;
    /* Three timers a vCPU and MAX_VIRT_CPUS of them fit; guests cannot make more. */
    ASSERT(heap_size < MAX_TIMERS);
    place(heap_size++, t);
    sift_up(heap_size - 1);
    if (heap[0] == t || was_first)
        program_next();
    spin_unlock(&timer_lock);
}

void timer_stop(struct timer *t)
{
    spin_lock(&timer_lock);
    if (t->slot) {
        bool was_first = heap[0] == t;

        heap_remove(t);
        if (was_first)
            program_next();
    }
    spin_unlock(&timer_lock);
}

static void timer_softirq(void)
{
    for (;;) {
        struct timer *due = NULL;
        u64 now = system_time_ns();

        spin_lock(&timer_lock);
        if (heap_size && heap[0]->expires <= now) {
            due = heap[0];
            heap_remove(due);
        } else {
            program_next();
        }
        spin_unlock(&timer_lock);
        if (!due)
            return;
        due->fn(due->data);
    }
}

void timers_init(void)
{
    softirq_register(SOFTIRQ_TIMER, timer_softirq);
}

static void print_timers(char key)
{
    (void)key;
    u64 now = system_time_ns();

    printk("Timers at %lu ns:\n", now);
    for (u32 i = 0; i < heap_size; i++)
        printk("  %+ld us: fn %p data %p\n", (s64)(heap[i]->expires - now) / 1000, (void *)heap[i]->fn, heap[i]->data);
}
KEYHANDLER('a', print_timers, "timers");
