/* SPDX-License-Identifier: MIT */
/*
 * Timers: a binary heap per CPU, earliest first. A timer fires on the CPU that set it last.
 *
 * Lock: that of the heap a timer is in; a leaf, never two at once. Handlers run without it.
 */
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/mm.h>
#include <hv/printk.h>
#include <hv/softirq.h>
#include <hv/time.h>
#include <hv/x86/tlb.h>

#define OWN_TIMERS 64 /* the hypervisor's own; others are reserved before they are made */

struct timer_heap {
    spinlock_t lock;
    u32 size, capacity; /* capacity: for all timers that there are, as any may be set here */
    struct timer **at;
    struct timer *running; /* whose handler runs on this CPU */
};

static struct timer *boot_slots[OWN_TIMERS];
static struct timer_heap boot_heap = { .lock = SPINLOCK_INIT(LOCK_LEAF), .capacity = OWN_TIMERS, .at = boot_slots };
static u32 nr_reserved = OWN_TIMERS;
static struct timer_heap *heaps[MAX_CPUS] = { &boot_heap };

static int make_room(struct timer_heap *h, u32 capacity)
{
    if (READ_ONCE(h->capacity) >= capacity)
        return 0;
    struct timer **slots = hv_alloc(capacity * sizeof(*slots)), **unused = slots;
    if (!slots)
        return -ENOMEM;
    spin_lock(&h->lock);
    if (h->capacity < capacity) {
        if (h->size)
            memcpy(slots, h->at, h->size * sizeof(*slots));
        unused = h->at;
        h->at = slots;
        h->capacity = capacity;
    }
    spin_unlock(&h->lock);
    if (unused != boot_slots)
        hv_free(unused);
    return 0;
}

void timers_release(u32 n) { __atomic_fetch_sub(&nr_reserved, n, __ATOMIC_SEQ_CST); /* what has room keeps it */ }

int timers_reserve(u32 n)
{
    u32 all = __atomic_add_fetch(&nr_reserved, n, __ATOMIC_SEQ_CST);

    for (u32 i = 0; i < MAX_CPUS; i++) {
        struct timer_heap *h = __atomic_load_n(&heaps[i], __ATOMIC_SEQ_CST);

        if (h && make_room(h, all)) {
            timers_release(n);
            return -ENOMEM;
        }
    }
    return 0;
}

int timers_init_cpu(struct percpu *c)
{
    if (heaps[c->id])
        return 0;
    struct timer_heap *h = hv_alloc(sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->lock = (spinlock_t)SPINLOCK_INIT(LOCK_LEAF);
    /*
     * CPU A, here, publishes its heap, then reads nr_reserved; CPU B (timers_reserve()) adds to nr_reserved, then makes room in all heaps. B
     * sees the heap, or A sees B's timers: otherwise they would not fit into this heap.
     */
    __atomic_store_n(&heaps[c->id], h, __ATOMIC_SEQ_CST);
    return make_room(h, __atomic_load_n(&nr_reserved, __ATOMIC_SEQ_CST));
}

static struct timer_heap *own_heap(void) { return heaps[this_cpu()->id]; }

static void timer_heap_place(struct timer_heap *h, u32 i, struct timer *t)
{
    h->at[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct timer_heap *h, u32 i)
{
    struct timer *t = h->at[i];

    for (; i && h->at[(i - 1) / 2]->expires > t->expires; i = (i - 1) / 2)
        timer_heap_place(h, i, h->at[(i - 1) / 2]);
    timer_heap_place(h, i, t);
}

static void sift_down(struct timer_heap *h, u32 i)
{
    struct timer *t = h->at[i];

    for (u32 child; (child = 2 * i + 1) < h->size; i = child) {
        if (child + 1 < h->size && h->at[child + 1]->expires < h->at[child]->expires)
            child++;
        if (h->at[child]->expires >= t->expires)
            break;
        timer_heap_place(h, i, h->at[child]);
    }
    timer_heap_place(h, i, t);
}

/* Its time has changed: moves it up or down to where that belongs. */
static void heap_move(struct timer_heap *h, struct timer *t)
{
    sift_up(h, t->slot - 1);
    sift_down(h, t->slot - 1);
}

static void heap_insert(struct timer_heap *h, struct timer *t)
{
    ASSERT(h->size < h->capacity); /* all timers that were reserved fit */
    timer_heap_place(h, h->size++, t);
    sift_up(h, h->size - 1);
    WRITE_ONCE(t->heap, h);
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    u32 i = t->slot - 1;
    struct timer *last = h->at[--h->size];

    t->slot = 0;
    if (last == t)
        return;
    timer_heap_place(h, i, last);
    heap_move(h, last);
}

static void program_next(const struct timer_heap *h) { apic_timer_program(h->size ? h->at[0]->expires : ~0ULL); }

void timer_init(struct timer *t, void (*fn)(void *), void *data) { *t = (struct timer){ .fn = fn, .data = data, .heap = &boot_heap }; }

/* The heap that the timer was last in, locked. */
static struct timer_heap *lock_heap_of(struct timer *t)
{
    for (;;) {
        struct timer_heap *h = READ_ONCE(t->heap);

        spin_lock(&h->lock);
        if (h == t->heap)
            return h;
        spin_unlock(&h->lock);
    }
}

void timer_stop(struct timer *t)
{
    struct timer_heap *h = lock_heap_of(t);

    if (t->slot) {
        bool was_first = h->at[0] == t;

        heap_remove(h, t);
        /* Another CPU's APIC timer still fires for it, and finds nothing due. */
        if (was_first && h == own_heap())
            program_next(h);
    }
    spin_unlock(&h->lock);
}

/*
 *   CPU A (here):                               fn = NULL; takes the timer out of its heap, under the heap's lock; waits while its handler runs
 *   CPU B (timer_set(), in that handler):       under the same lock: inserts the timer, unless fn is NULL
 *
 * B comes first, and A finds the timer in the heap; or B comes later, and sees NULL. Otherwise a handler that sets its timer anew could bring it
 * back after A, and it would fire for a vCPU that has been freed.
 */
void timer_kill(struct timer *t)
{
    __atomic_store_n(&t->fn, NULL, __ATOMIC_SEQ_CST);
    timer_stop(t);
    for (u32 i = 0; i < MAX_CPUS; i++)
        while (heaps[i] && __atomic_load_n(&heaps[i]->running, __ATOMIC_ACQUIRE) == t) {
            tlb_serve();
            cpu_relax();
        }
}

void timer_set(struct timer *t, u64 expires)
{
    struct timer_heap *own = own_heap(), *h = lock_heap_of(t);
    bool was_first = t->slot && h->at[0] == t;

    if (h != own) {
        if (t->slot)
            heap_remove(h, t);
        t->heap = own;
        spin_unlock(&h->lock);
        was_first = false;
        h = lock_heap_of(t);
        if (h != own || t->slot) {
            /* Set or moved by another CPU at the same time: either order is right, that one came last. */
            spin_unlock(&h->lock);
            return;
        }
    }
    if (unlikely(!t->fn)) { /* killed */
        spin_unlock(&own->lock);
        return;
    }
    t->expires = expires;
    if (t->slot)
        heap_move(own, t);
    else
        heap_insert(own, t);
    if (own->at[0] == t || was_first)
        program_next(own);
    spin_unlock(&own->lock);
}

void timers_move_away(struct percpu *to)
{
    struct timer_heap *own = own_heap(), *h = heaps[to->id];

    for (;;) {
        spin_lock(&own->lock);
        struct timer *t = own->size ? own->at[0] : NULL;
        if (t) {
            heap_remove(own, t);
            t->heap = h;
        }
        spin_unlock(&own->lock);
        if (!t)
            break;
        spin_lock(&h->lock);
        if (t->heap == h && !t->slot && t->fn)
            heap_insert(h, t);
        spin_unlock(&h->lock);
    }
    apic_timer_program(~0ULL);
    softirq_raise_on(to, SOFTIRQ_TIMER); /* programs the next one */
}

static void timer_softirq(void)
{
    for (;;) {
        struct timer_heap *h = own_heap();
        struct timer *due = NULL;
        void (*fn)(void *) = NULL;
        u64 now = system_time_ns();

        spin_lock(&h->lock);
        if (h->size && h->at[0]->expires <= now) {
            due = h->at[0];
            heap_remove(h, due);
            h->running = due;
            fn = due->fn;
        } else {
            program_next(h);
        }
        spin_unlock(&h->lock);
        if (!due)
            return;
        if (fn)
            fn(due->data);
        __atomic_store_n(&h->running, NULL, __ATOMIC_RELEASE);
    }
}

void timers_init(void) { softirq_register(SOFTIRQ_TIMER, timer_softirq); }
BOOT_STEP(timers_init, NEEDS(current), GIVES(timers), EVERYWHERE);

static void print_timers(void)
{
    u64 now = system_time_ns();

    printk("Timers at %lu ns:\n", now);
    for_each_cpu(c, cpuset_read(&cpus_online)) {
        struct timer_heap *h = heaps[c->id];

        spin_lock_scope(&h->lock);
        for (u32 i = 0; i < h->size; i++)
            printk("  CPU %u: %+ld us: fn %p data %p\n", c->id, (s64)(h->at[i]->expires - now) / 1000, (void *)h->at[i]->fn,
                   h->at[i]->data);
    }
}
KEYHANDLER('a', print_timers, "timers",
           "Per CPU, earliest first. `fn` is the function that fires; the symbols of `build/caisson.debug` name it");
