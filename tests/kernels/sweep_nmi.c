/* SPDX-License-Identifier: MIT */
/*
 * An NMI at every instruction, while the guest goes through every way into the hypervisor and
 * back; then pairs of them. Under "-icount shift=0 -global hpet.msi=on" one nanosecond is one
 * instruction, and HPET timers send one NMI each, at a place that moves on from round to round.
 *
 * Checked: every register survives, and the guest's handler sees each NMI once: also one that
 * comes on the way of another into the guest, in its handler, or on the way out of it.
 */
#include "rounds.h"

#define HPET 0xfed00000UL

static volatile u32 *hpet;
static volatile u32 nmis;

static void on_nmi(struct frame *f)
{
    nmis++;
    if ((f->cs & ~3UL & 0xffff) != (FLAT_CS64 & ~3UL) && (f->cs & 0xffff) != (FLAT_CS64 | 3))
        wrong++;
}

/* ---- the timers: each sends one NMI, so many ticks after arm() ---- */

static void program(u32 n, u32 at)
{
    volatile u32 *t = hpet + (0x100 + 0x20 * n) / 4;

    t[0] = at ? 1 << 14 | 1 << 2 : 0; /* MSI, enabled */
    t[4] = 0x400;                     /* delivery mode NMI */
    t[5] = 0xfee00000;
    t[2] = at;
    t[3] = 0;
}

static void arm(u32 first, u32 second)
{
    hpet[0x10 / 4] = 0;
    hpet[0xf0 / 4] = hpet[0xf4 / 4] = 0;
    program(0, first);
    program(1, second);
    hpet[0x10 / 4] = 1;
}

static u32 disarm(void)
{
    hpet[0x10 / 4] = 0;
    return hpet[0xf0 / 4];
}

/* Shifts all that follows by n instructions: less than a tick. */
static void shift(u32 n)
{
    /* Three instructions a turn: ten lengths give every place within a tick. */
    for (u32 turns = n + 1; turns;)
        __asm__ volatile("1: nop; dec %0; jnz 1b" : "+r"(turns));
}

static u64 injected, lost, doubled;

/* One round with an NMI `at` ticks after its beginning, and a second one so much later (0: none). */
static u32 sweep(u32 at, u32 distance, u32 phase)
{
    u32 wanted = distance ? 2 : 1;

    nmis = 0;
    arm(at, distance ? at + distance : 0);
    shift(phase);
    rounds(1);
    u32 ticks = disarm();

    if (ticks <= at + distance) {                   /* the round was over first */
        HYPERCALL2(__HYPERVISOR_xen_version, 0, 0); /* the first may be on its way */
        return ticks;
    }
    /* The last may be on its way. */
    for (int i = 0; i < 3 && nmis < wanted; i++)
        HYPERCALL2(__HYPERVISOR_xen_version, 0, 0);
    if (nmis != wanted && lost + doubled < 10)
        print("at 0x%x distance 0x%x phase 0x%x: 0x%x seen\n", at, distance, phase, nmis);
    injected += wanted;
    lost += nmis < wanted ? wanted - nmis : 0;
    doubled += nmis > wanted ? nmis - wanted : 0;
    return ticks;
}

void test_main(void)
{
    static u8 window[4096] __attribute__((aligned(4096)));

    CHECK_EQ(remap(window, HPET | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PCD | PTE_NX), 0);
    hpet = (volatile u32 *)window;
    trap_handlers[2] = on_nmi;
    rounds_setup();
    rounds(1);
    CHECK_EQ(wrong, 0);
    arm(0, 0);
    rounds(1);
    u32 length = disarm();

    for (u32 phase = 0; phase < 10; phase++)
        for (u32 at = 1; at < length + 400; at++)
            sweep(at, 0, phase);
    print("NMIs one at a time: 0x%lx at each of 0x%x ticks, 0x%lx lost, 0x%lx doubled\n", injected, length, lost, doubled);
    CHECK_EQ(wrong | lost | doubled, 0);
    injected = 0;
    /* The second comes on the way of the first into the guest, in its handler, on the way out of it. */
    for (u32 at = 1; at < length; at += 37)
        for (u32 distance = 1; distance < 500; distance += 4)
            sweep(at, distance, distance % 10);
    print("NMIs in pairs: 0x%lx, 0x%lx lost, 0x%lx doubled\n", injected, lost, doubled);
    CHECK_EQ(wrong | lost | doubled, 0);
}
