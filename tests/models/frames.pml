/* SPDX-License-Identifier: MIT */
/*
 * Types of frames, frames that are freed and given to others, and the translations that CPUs keep of them: last
 * references, stamps, times (docs/pv-mmu.md, References and types).
 *
 * Stands for:
 *   include/hv/x86/page_ref.h: type_get_quick, type_put_end, type_put_quick, ref_get, ref_put
 *   arch/x86/mm/page_type.c: page_release_frame, acquire_first, page_get_type, put_last_type, page_put_type
 *   arch/x86/mm/tlb.c: tlb_clock, flushed_at, tlb_load_cr3, tlb_clock_tick, tlb_flush_local, flushed_since, tlb_flush_since
 *   common/mm/page_alloc.c: page_alloc, free_block
 *
 * Two CPUs change frames, a third one uses them: its TLB has all that it may have, any translation that is there, from
 * then on until CR3 is written. What holds for one TLB holds for all, a changing CPU's included: flushes happen here at any
 * time. Of times and stamps counts only whether a time is later than a frame's stamp: a bit each (clock.pml says why the
 * real ones tell the same). Who is asked to flush does so at once (flush.pml). A stamp that nobody will look at is as bad
 * as can be. atomic: one exchange of type_info or ref_info, or one reading of the clock.
 *
 * Holds: a frame becomes a table (or descriptor page) when the CPU has no writable translation of it, writable when it
 * does not walk it as a table, somebody else's when it has no translation of it at all; and nobody waits for ever.
 *
 * Faults: STAMP_FIRST (the stamp is taken before the last reference goes), FORGOTTEN_TYPE (a refused validation leaves no
 * type), NO_STAMP_AT_FREE, TIME_AFTER_FLUSH (a CPU's time is what the clock says after it has written CR3)
 */
#define CHANGERS 2
#define FRAMES 2

mtype = { NOTYPE, WRITABLE, TABLE };
mtype = { OWNED, FREE, TAKEN };
mtype type[FRAMES] = NOTYPE, owner[FRAMES] = OWNED;
bit busy[FRAMES];
byte count[FRAMES], refs[FRAMES]; /* of type_info; of ref_info but for the owner's */
bit used[FRAMES];                 /* as its type says: mapped writable, or named by a table or by CR3 */

/* Sets of frames, bit f. What the TLB has of the frame: as its type says, or anything if it is not OWNED. The CPU's
   percpu.tlb_flush_time, what it has read of the clock for that, and the clock: later than the frame's stamp. */
byte tlb, time, seen, clk;

#define BIT(f) (1 << (f))
#define NOT(f) (3 & ~BIT(f))
/* The stamp is what the clock says. Nobody will look at the stamp. */
#define STAMP(f) clk = clk & NOT(f); time = time & NOT(f); seen = seen & NOT(f)
#define NO_STAMP(f) clk = clk | BIT(f); time = time | BIT(f); seen = seen | BIT(f)
#define WRITE_CR3() tlb = used[0] | used[1] << 1

inline flush_since(f)
{
    atomic { if :: time & BIT(f) :: else -> WRITE_CR3(); clk = 3; time = 3; seen = 3 fi }
}

inline get_type(f, want)
{
    if
    :: atomic { !busy[f] && count[f] && type[f] != want -> ok = 0 } /* a frame that is busy may be refused at once, or later */
    :: atomic { !busy[f] && count[f] && type[f] == want -> count[f]++; ok = 1 }
    :: atomic {
           !busy[f] && !count[f] ->
           count[f] = 1; busy[f] = 1; fresh = (type[f] != want);
           ok = (type[f] != NOTYPE && fresh);
           type[f] = want
       }
       if :: ok -> flush_since(f) :: else fi;
       atomic {
           assert(!fresh || !(tlb & BIT(f)));
           if
           :: ok = 1; NO_STAMP(f)
           :: want == TABLE -> /* its contents are refused */
              ok = 0; count[f] = 0;
#ifdef FORGOTTEN_TYPE
              type[f] = NOTYPE
#endif
           fi;
           busy[f] = 0; fresh = 0
       }
    fi
}

inline put_type(f)
{
    do
    :: atomic { !busy[f] && count[f] > 1 -> count[f]--; break }
#ifdef STAMP_FIRST
    :: atomic { !busy[f] && count[f] == 1 -> STAMP(f) }
       atomic { if :: !busy[f] && count[f] == 1 -> count[f] = 0; break :: else fi }
#else
    :: atomic { !busy[f] && count[f] == 1 -> busy[f] = 1 }
       atomic { STAMP(f); busy[f] = 0; count[f] = 0; break }
#endif
    od
}

active [CHANGERS] proctype Changer()
{
    byte f;
    bit ok, fresh;
    mtype want;

end:
    do
    :: /* a mapping or a table's name is made; or a reference is taken for a moment, as store_word() does */
       atomic { if :: f = 0 :: f = 1 fi; owner[f] == OWNED -> refs[f]++; if :: want = WRITABLE :: want = TABLE fi }
       get_type(f, want);
       if
       :: atomic { ok && !used[f] -> used[f] = 1; tlb = tlb | BIT(f) }
       :: ok -> put_type(f); refs[f]--
       :: !ok -> refs[f]--
       fi;
       atomic { f = 0; ok = 0; want = 0 }
    :: /* and goes */
       atomic { if :: f = 0 :: f = 1 fi; used[f] -> used[f] = 0 }
       put_type(f);
       atomic { refs[f]--; f = 0 }
    :: /* the last reference: page_release_frame(), free_block() */
       atomic {
           if :: f = 0 :: f = 1 fi; owner[f] == OWNED && !refs[f] -> owner[f] = FREE;
           tlb = tlb | BIT(f); /* read-only mappings may have been there until now */
#ifndef NO_STAMP_AT_FREE
           STAMP(f);
#endif
           f = 0
       }
    :: /* page_alloc() */
       atomic { if :: f = 0 :: f = 1 fi; owner[f] == FREE -> owner[f] = TAKEN }
       flush_since(f);
       atomic { assert(!(tlb & BIT(f))); type[f] = NOTYPE; NO_STAMP(f); owner[f] = OWNED; f = 0 }
    od
}

/* A CPU that uses what is mapped: it writes CR3 from time to time, and says so. */
active proctype User()
{
end:
    do
#ifndef TIME_AFTER_FLUSH
    :: seen = clk; atomic { WRITE_CR3() } atomic { time = seen; seen = 3 }
#else
    :: atomic { WRITE_CR3() } seen = clk; atomic { time = seen; seen = 3 }
#endif
    od
}

/* tlb_clock_tick(): somebody flushes. */
active proctype Clock() { end: do :: clk = 3 od }
