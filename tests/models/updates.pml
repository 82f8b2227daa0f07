/* SPDX-License-Identifier: MIT */
/*
 * Entries of live page tables change without a lock and without a reference of the table, while others
 * tear the table down (docs/pv-mmu.md, Updates).
 *
 * Stands for:
 *   arch/x86/pv/mmu/pt_exchange.h: update_begin, update_end, exchange_in_table
 *   arch/x86/pv/mmu/pt_update.c: pt_entry_exchange, pt_updates_wait
 *   arch/x86/mm/page_type.c: acquire_first, page_put_type
 *   arch/x86/pv/mmu/pt_validate.c: validate_entries, put_range
 *
 * Each frame has one entry, which names the same child or nothing; `references` are the child's. While
 * the frame is no table, its guest writes what it likes. atomic: one compare-and-exchange or locked
 * operation each, with the steps that nobody else can see before it or after it.
 *
 * Holds: an entry is exchanged only in a validated table, or in one whose tear-down still waits for that;
 * the child's references are those that entries of tables and updates under way hold, none lost or kept.
 *
 * Faults: NO_WAIT, LOOK_FIRST (update_begin() looks before it says), PLAIN_STORE (it says so by a plain
 * store, which waits in the CPU's store buffer: x86-TSO)
 */
#define CPUS 3
#define FRAMES 2
#define NONE 7

mtype = { PLAIN, BUSY, TABLE };
mtype type[FRAMES] = PLAIN;
bit entry[FRAMES], waiting[FRAMES]; /* waiting: in pt_updates_wait() */
byte references;
byte updating[CPUS] = NONE;         /* percpu.updating */
byte borrowed; /* references in the hands of updates */
active [CPUS] proctype Cpu()
{
    byte f, o;
    bit old, val, is;

    do
    :: if :: f = 0 :: f = 1 fi;
       if
       :: atomic { type[f] == PLAIN -> if :: entry[f] = 0 :: entry[f] = 1 fi } /* a store of the guest */

       :: atomic { type[f] == PLAIN -> type[f] = BUSY } /* acquire_first() */
          atomic { references = references + entry[f]; type[f] = TABLE } /* validate_entries() */

       :: atomic { type[f] == TABLE -> type[f] = BUSY; waiting[f] = 1 } /* page_put_type() */
#ifndef NO_WAIT
          do :: o < CPUS -> if :: o != _pid -> updating[o] != f :: else fi; o++ :: else -> break od;
#endif
          waiting[f] = 0;
          atomic { assert(references >= entry[f]); references = references - entry[f]; type[f] = PLAIN } /* put_range() */

       :: old = entry[f]; /* pt_entry_exchange() */
          if :: val = 0 :: atomic { val = 1; references++; borrowed++ } fi;
#ifdef LOOK_FIRST
          is = (type[f] == TABLE);
#endif
#ifndef PLAIN_STORE
          updating[_pid] = f;
#endif
#ifndef LOOK_FIRST
          is = (type[f] == TABLE);
#endif
          if
          :: is ->
             atomic {
#ifdef PLAIN_STORE
                 updating[_pid] = f; /* a locked operation empties the buffer */
#endif
                 if
                 :: entry[f] == old ->
                    assert(type[f] == TABLE || waiting[f]);
                    /* What the old entry held is ours now, the new entry holds what was ours. */
                    borrowed = borrowed + old - val;
                    entry[f] = val
                 :: else -> is = 0
                 fi
             }
          :: else
          fi;
          updating[_pid] = NONE; /* update_end() */
          if :: (is && old) || (!is && val) -> d_step { assert(references > 0); references--; borrowed-- } :: else fi
       fi;
       d_step { f = 0; old = 0; val = 0; is = 0; o = 0 }
    od
}

/* Every table's entry has its reference, at any time. */
active proctype Books()
{
end:
    do
    :: d_step {
           (type[0] != BUSY && type[1] != BUSY) ->
           assert(references == borrowed + (type[0] == TABLE && entry[0]) + (type[1] == TABLE && entry[1]))
       }
    od
}
