/* SPDX-License-Identifier: MIT */
/*
 * Vectors of device interrupts. Each CPU has a space of its own, so a machine has as many as its CPUs have together. Device interrupts
 * are spread: a new one goes to the CPU that has the fewest.
 *
 * I/O APICs and MSI name a CPU by eight bits, of which all ones address every CPU; without interrupt remapping, CPUs
 * with APIC ids from 255 on get no device interrupts.
 *
 * Lock: the caller's irq_lock. Read without it: vector_pirq(), for the CPU that asks.
 */
#include <hv/lib.h>
#include <hv/pirq.h>
#include <hv/x86/percpu.h>
#include <hv/x86/vectors.h>

/*
 * In owners[]: the PIRQ has moved away and the vector may be given out, but until then it still leads to that PIRQ.
 *
 *   CPU A (vector_leave()):    has told the device its new place; marks the old vector LEFT
 *   CPU B (vector_pirq()):     takes an interrupt on the old vector, which the device had sent before
 *
 * If A freed the vector, B would find no PIRQ, call the interrupt unexpected, and lose it: an edge does not come again.
 */
#define LEFT 0x8000u

_Static_assert(MAX_CPUS <= 256, "irq_vector.cpu is a byte");
static u16 owners[MAX_CPUS][256]; /* number of the PIRQ plus one; 0: the vector is free */
static struct {
    u8 last; /* what was given away last: the next one comes after it, so that one that was freed just now rests */
    u32 used;
} spaces[MAX_CPUS];
static cpuset_t closed; /* CPUs that are being taken offline, or are */

bool irq_reaches(const struct percpu *c) { return c->apic_id < 0xff; }

static bool is_free(const struct percpu *c, u32 vector)
{
    u16 owner = owners[c->id][vector];

    return vector != VECTOR_GUEST_INT80 && (!owner || owner & LEFT);
}

/* Steps of 8 spread over the priority classes, which are 16 vectors each. 0: none is free. */
static u8 free_vector(const struct percpu *c)
{
    u32 v = MAX(spaces[c->id].last, (u32)VECTOR_FIRST_DYNAMIC);

    for (u32 i = VECTOR_FIRST_DYNAMIC; i <= VECTOR_LAST_DYNAMIC; i++) {
        v += 8;
        if (v > VECTOR_LAST_DYNAMIC)
            v = VECTOR_FIRST_DYNAMIC + (v + 1) % 8;
        if (is_free(c, v))
            return (u8)v;
    }
    return 0;
}

/* The CPU with the fewest interrupts among those where `vector` is free, or any is if it is 0. */
static const struct percpu *choose_cpu(u32 vector)
{
    const struct percpu *best = NULL;

    for_each_cpu(c, cpuset_andnot(cpuset_read(&cpus_online), closed))
        if (irq_reaches(c) && (vector ? is_free(c, vector) : free_vector(c) != 0) && (!best || spaces[c->id].used < spaces[best->id].used))
            best = c;
    return best;
}

int vector_alloc(u32 pirq, u32 preferred, struct irq_vector *at)
{
    const struct percpu *c = preferred ? choose_cpu(preferred) : NULL;
    u32 v = preferred;

    if (!c) {
        c = choose_cpu(0);
        v = c ? free_vector(c) : 0;
    }
    if (!c)
        return -ENOSPC;
    owners[c->id][v] = (u16)(pirq + 1);
    spaces[c->id].used++;
    spaces[c->id].last = (u8)v;
    *at = (struct irq_vector){ .cpu = (u8)c->id, .vector = (u8)v };
    return 0;
}

void vector_free(struct irq_vector at)
{
    owners[at.cpu][at.vector] = 0;
    spaces[at.cpu].used--;
}

void vector_leave(struct irq_vector at)
{
    owners[at.cpu][at.vector] |= LEFT;
    spaces[at.cpu].used--;
}

bool vector_pirq(u32 vector, u32 *pirq)
{
    u32 owner = READ_ONCE(owners[this_cpu()->id][vector]) & ~LEFT;

    *pirq = owner - 1;
    return owner;
}

void vectors_close(const struct percpu *c) { cpuset_set(&closed, c->id); }

void vectors_open(const struct percpu *c) { cpuset_clear(&closed, c->id); }

void vectors_forget(const struct percpu *c)
{
    memset(owners[c->id], 0, sizeof(owners[0]));
    spaces[c->id].used = 0;
}
