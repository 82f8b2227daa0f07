/* SPDX-License-Identifier: MIT */
/*
 * The TLB clock wraps: epochs keep every CPU's time so near to it that comparing with a stamp tells the truth.
 *
 * Stands for:
 *   arch/x86/mm/tlb.c: tlb_clock, flushed_at, tlb_load_cr3, tlb_ask_others, same_epoch, all_flushed_in_epoch_of, tlb_clock_tick, tlb_flush_local, flushed_since
 *
 * The clock counts to 8 instead of 2^32, an epoch has 2 ticks instead of 2^30. A CPU may stand still at any step for
 * as long as it likes (system management, a hypervisor below this one), and need not do what it is asked for. All CPUs
 * do the same, so it is enough to watch CPU 0. atomic: one locked operation, or one store with what is noted about it.
 *
 * Holds: a CPU that is taken for flushed since a stamp has flushed since the clock was read for it. In other words: of
 * the values that the clock has had since CPU 0 last wrote CR3, none looks earlier than CPU 0's time.
 *
 * Faults: NO_EPOCHS (the clock runs on), TOLD_FIRST (a CPU tells its time before it flushes), NOT_WAITED_FOR (the clock
 * does not wait for CPU 0, say because it has no guest's address space loaded)
 */
#define CPUS 3
#define MODULUS 8
#define EPOCH 2

#define SAME_EPOCH(a, b) ((a) / EPOCH == (b) / EPOCH)
/* flushed_since(): the difference as a signed number is above 0. */
#define LATER(a, b) (((a) + MODULUS - (b)) % MODULUS > 0 && ((a) + MODULUS - (b)) % MODULUS < MODULUS / 2)

#ifdef NOT_WAITED_FOR
#define FIRST 1
#else
#define FIRST 0
#endif

byte clk, time[CPUS];
byte ticks; /* since CPU 0 last wrote CR3 */

inline check()
{
    for (i : 0 .. ticks) { assert(!LATER(time[0], (clk + MODULUS - i) % MODULUS)) }
    i = 0
}

active [CPUS] proctype Cpu()
{
    byte seen, o, i;

    do
    :: /* flushes, by itself or because it is asked */
       seen = clk; /* tlb_clock() */
       do
       :: break /* tlb_load_cr3() has no tick */
       :: true -> /* tlb_clock_tick() */
#ifndef NO_EPOCHS
          if
          :: !SAME_EPOCH(seen, (seen + 1) % MODULUS) ->
             o = FIRST;
             do :: o < CPUS && SAME_EPOCH(time[o], seen) -> o++ :: else -> break od;
             if :: o < CPUS -> o = 0; break :: else -> o = 0 fi
          :: else
          fi;
#endif
          atomic {
              if
              :: clk == seen ->
                 clk = (seen + 1) % MODULUS; seen = clk;
                 if :: ticks < MODULUS - 1 -> ticks++ :: else fi;
                 check(); break
              :: else -> seen = clk
              fi
          }
       od;
       skip;
#ifdef TOLD_FIRST
       d_step { time[_pid] = seen; check() }
       if :: _pid == 0 -> ticks = 0 :: else fi;
#else
       if :: _pid == 0 -> ticks = 0 :: else fi; /* CR3 is written */
       d_step { time[_pid] = seen; check() }     /* flushed_at() */
#endif
       seen = 0
    od
}
