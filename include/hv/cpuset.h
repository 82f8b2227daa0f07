/* SPDX-License-Identifier: MIT */
/*
 * Sets of CPUs, by number (percpu.id). Values are private copies; of a set that CPUs share, cpuset_read() makes one. Each bit is read once, but
 * bits of different words at different times: what a CPU is in is certain for that CPU alone, not for two together.
 */
#pragma once

#include <hv/types.h>

#ifndef MAX_CPUS
#define MAX_CPUS 64
#endif

#define CPUSET_WORDS ((MAX_CPUS + 63) / 64)
typedef struct {
    u64 word[CPUSET_WORDS];
} cpuset_t;

#define CPUSET_NONE ((cpuset_t){ { 0 } })
#define CPUSET_FIRST_CPU ((cpuset_t){ { 1 } })

/* Which word a CPU's bit is in: a constant where there is one word. */
static inline u32 cpuset_index(u32 cpu) { return CPUSET_WORDS == 1 ? 0 : cpu / 64; }
static inline u64 cpuset_bit(u32 cpu) { return 1ULL << (cpu % 64); }

static inline void cpuset_set(cpuset_t *s, u32 cpu) { s->word[cpuset_index(cpu)] |= cpuset_bit(cpu); }
static inline void cpuset_clear(cpuset_t *s, u32 cpu) { s->word[cpuset_index(cpu)] &= ~cpuset_bit(cpu); }
static inline bool cpuset_test(cpuset_t s, u32 cpu) { return s.word[cpuset_index(cpu)] & cpuset_bit(cpu); }

/* In a set that CPUs share; sequentially consistent. The bit's value before. */
static inline bool cpuset_set_atomic(cpuset_t *s, u32 cpu)
{
    return __atomic_fetch_or(&s->word[cpuset_index(cpu)], cpuset_bit(cpu), __ATOMIC_SEQ_CST) & cpuset_bit(cpu);
}

static inline bool cpuset_clear_atomic(cpuset_t *s, u32 cpu)
{
    return __atomic_fetch_and(&s->word[cpuset_index(cpu)], ~cpuset_bit(cpu), __ATOMIC_SEQ_CST) & cpuset_bit(cpu);
}

static inline cpuset_t cpuset_read(const cpuset_t *s)
{
    cpuset_t r;

    for (u32 i = 0; i < CPUSET_WORDS; i++)
        r.word[i] = READ_ONCE(s->word[i]);
    return r;
}

static inline cpuset_t cpuset_of(u32 cpu)
{
    cpuset_t r = CPUSET_NONE;

    cpuset_set(&r, cpu);
    return r;
}

/* The CPUs with numbers below n. */
static inline cpuset_t cpuset_below(u32 n)
{
    cpuset_t r;

    for (u32 i = 0; i < CPUSET_WORDS; i++)
        r.word[i] = n >= 64 * (i + 1) ? ~0ULL : n > 64 * i ? cpuset_bit(n) - 1 : 0;
    return r;
}

static inline cpuset_t cpuset_all(void) { return cpuset_below(MAX_CPUS); }

static inline cpuset_t cpuset_and(cpuset_t a, cpuset_t b)
{
    for (u32 i = 0; i < CPUSET_WORDS; i++)
        a.word[i] &= b.word[i];
    return a;
}

/* The CPUs of a that are not in b. */
static inline cpuset_t cpuset_andnot(cpuset_t a, cpuset_t b)
{
    for (u32 i = 0; i < CPUSET_WORDS; i++)
        a.word[i] &= ~b.word[i];
    return a;
}

static inline cpuset_t cpuset_without(cpuset_t s, u32 cpu)
{
    cpuset_clear(&s, cpu);
    return s;
}

static inline bool cpuset_empty(cpuset_t s)
{
    u64 any = 0;

    for (u32 i = 0; i < CPUSET_WORDS; i++)
        any |= s.word[i];
    return !any;
}

static inline u32 cpuset_count(cpuset_t s)
{
    u32 n = 0;

    for (u32 i = 0; i < CPUSET_WORDS; i++)
        for (u64 x = s.word[i]; x; x &= x - 1)
            n++;
    return n;
}

/* The first word with a bit in it, of a set that is not empty. */
static inline u32 cpuset_first_index(const cpuset_t *s)
{
    u32 i = 0;

    while (i + 1 < CPUSET_WORDS && !s->word[i])
        i++;
    return i;
}

/* The lowest number in a set that is not empty. */
static inline u32 cpuset_first(cpuset_t s)
{
    u32 i = cpuset_first_index(&s);

    return 64 * i + (u32)__builtin_ctzll(s.word[i]);
}

/* Takes the lowest number out of a set that is not empty. */
static inline void cpuset_drop_first(cpuset_t *s)
{
    u32 i = cpuset_first_index(s);

    s->word[i] &= s->word[i] - 1;
}

/* c, which this declares: each CPU of the set, by number. The set is copied before the first. The outer loop, of one turn, holds the copy. */
#define for_each_cpu(c, set)                                                          \
    for (cpuset_t left_##c = (set), *once_##c = &left_##c; once_##c; once_##c = NULL) \
        for (struct percpu * c; !cpuset_empty(left_##c) && (c = cpu_table[cpuset_first(left_##c)], true); cpuset_drop_first(&left_##c))
