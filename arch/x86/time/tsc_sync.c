/* SPDX-License-Identifier: MIT */
/*
 * Whether another CPU's TSC shows the boot CPU's time. The boot CPU asks for its value a number of
 * times; the quickest answer bounds the error best. A difference that the way there and back cannot
 * explain becomes the CPU's offset.
 */
#include <hv/printk.h>
#include <hv/time.h>
#include <hv/x86/percpu.h>

#define ROUNDS 32
#define ANSWER_POLLS 10000000

/*
 *   CPU A (tsc_sync_source()):    turn = ASKED; waits for ANSWERED; reads `answer`
 *   CPU B (tsc_sync_target()):    waits for ASKED; writes `answer`; turn = ANSWERED
 *
 * `answer` is written before the turn goes back and read after it came, or A could take the answer of the round before. Both waits are bounded.
 */
enum { IDLE, ASKED, ANSWERED };
static u32 turn;
static u64 answer;

s64 tsc_skew(const struct tsc_sample *samples, u32 n)
{
    const struct tsc_sample *best = samples;

    for (u32 i = 1; i < n; i++)
        if (samples[i].after - samples[i].before < best->after - best->before)
            best = &samples[i];
    u64 half = (best->after - best->before) / 2;
    s64 skew = (s64)(best->there - (best->before + half));
    return skew > (s64)half || skew < -(s64)half ? skew : 0;
}

static bool wait_for_turn(u32 want)
{
    for (u32 i = 0; i < ANSWER_POLLS; i++) {
        if (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) == want)
            return true;
        cpu_relax();
    }
    return false;
}

void tsc_sync_source(struct percpu *c)
{
    struct tsc_sample samples[ROUNDS];

    for (u32 i = 0; i < ROUNDS; i++) {
        samples[i].before = rdtsc_ordered();
        __atomic_store_n(&turn, ASKED, __ATOMIC_RELEASE);
        if (!wait_for_turn(ANSWERED)) {
            printk(LOG_WARN "CPU %u: its TSC could not be compared\n", c->id);
            return;
        }
        samples[i].after = rdtsc_ordered();
        samples[i].there = answer;
    }
    __atomic_store_n(&turn, IDLE, __ATOMIC_RELEASE);
    c->tsc_offset = -tsc_skew(samples, ROUNDS);
    if (c->tsc_offset)
        printk(LOG_INFO "CPU %u: its TSC is %+ld cycles off, which is made up for\n", c->id, -c->tsc_offset);
}

void tsc_sync_target(void)
{
    for (u32 i = 0; i < ROUNDS && wait_for_turn(ASKED); i++) {
        answer = rdtsc_ordered();
        __atomic_store_n(&turn, ANSWERED, __ATOMIC_RELEASE);
    }
}
