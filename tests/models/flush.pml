/* SPDX-License-Identifier: MIT */
/*
 * CPUs that ask each other to flush, and that load and leave address spaces (docs/locking.md, Waiting for another CPU).
 *
 * Stands for:
 *   arch/x86/mm/tlb.c: tlb_ask_cpu, tlb_serve, tlb_request_served, tlb_flush_others, cpus_with_guests, tlb_flush_cpus
 *   arch/x86/pv/mmu/address_space.c: pv_enter_address_space, arch_cpu_leave_guests
 *
 * Two of three CPUs have an address of their own each, whose mapping they take away, flush and make anew; all three load
 * the address space and leave it, and have what is mapped in their TLBs. Requests are counted in C; here each CPU's is a
 * bit of `asked` until the target has done it, which tells the same to who waits. atomic: one locked operation, or the
 * write of CR3.
 *
 * Holds: when a CPU has flushed, no other has a translation from before; two that wait for each other get on.
 *
 * Faults: LOADED_LATE (a CPU says what it loads when it has loaded CR3; or says so by a plain store, which waits in its
 * store buffer meanwhile: x86-TSO), LEFT_EARLY (it says that it has left before it has), ADDRESS_LOST (a second address
 * does not become a whole flush), DONE_FIRST (a request counts as done before the flush), NO_SERVICE (who waits serves nobody)
 */
#define CPUS 3
#define NONE 7
#define BIT(i) (1 << (i))

byte mapped = 3, tlb[CPUS];                                  /* sets of addresses, numbered by CPU */
bit loaded[CPUS], has[CPUS], what[CPUS];                     /* percpu.loaded_dom; CR3 is a guest's; flush_what */
byte asked[CPUS], address[CPUS] = NONE;                      /* who waits for it; flush_address */

inline serve()
{
    snap = asked[me];
#ifdef DONE_FIRST
    asked[me] = asked[me] & ~snap;
#endif
    atomic { whole = what[me]; what[me] = 0 }
    atomic { one = address[me]; address[me] = NONE }
    atomic { /* writes CR3, or INVLPG */
        if
        :: whole -> tlb[me] = (has[me] -> mapped : 0)
        :: !whole && one != NONE -> tlb[me] = tlb[me] & ~BIT(one)
        :: else
        fi;
        whole = 0; one = NONE
    }
    asked[me] = asked[me] & ~snap;
    snap = 0
}

inline ask(o)
{
    if
    :: as_whole = 1
    :: atomic { as_whole = 0; if :: address[o] == NONE -> address[o] = me :: else -> as_whole = (address[o] != me) fi }
#ifdef ADDRESS_LOST
       as_whole = 0
#endif
    fi;
    if :: as_whole -> what[o] = 1 :: else fi;
    atomic { asked[o] = asked[o] | BIT(me); as_whole = 0 }
}

proctype Cpu(byte me)
{
    byte o, set, snap, one = NONE;
    bit whole, as_whole;

end:
    do
    :: !has[me] -> /* pv_enter_address_space() */
#ifndef LOADED_LATE
       loaded[me] = 1;
#endif
       atomic { has[me] = 1; tlb[me] = mapped }
#ifdef LOADED_LATE
       loaded[me] = 1
#endif
    :: has[me] -> /* arch_cpu_leave_guests() */
#ifdef LEFT_EARLY
       loaded[me] = 0;
#endif
       atomic { has[me] = 0; tlb[me] = 0 }
       loaded[me] = 0
    :: asked[me] -> serve()
    :: has[me] && me < 2 -> /* takes the mapping away, flushes */
       atomic { mapped = mapped & ~BIT(me); tlb[me] = tlb[me] & ~BIT(me); o = 0 }
       do :: o < CPUS -> if :: o != me && loaded[o] -> set = set | BIT(o) :: else fi; o++ :: else -> o = 0; break od;
       do :: o < CPUS -> if :: set & BIT(o) -> ask(o) :: else fi; o++ :: else -> o = 0; break od;
       do
       :: o < CPUS ->
          do
          :: !(asked[o] & BIT(me) && set & BIT(o)) -> break
#ifndef NO_SERVICE
          :: asked[o] & BIT(me) && set & BIT(o) && asked[me] -> serve()
#endif
          od;
          o++
       :: else -> o = 0; break
       od;
       atomic {
           assert(!((tlb[0] | tlb[1] | tlb[2]) & BIT(me)));
           mapped = mapped | BIT(me); set = 0;
           tlb[0] = tlb[0] | has[0] << me; tlb[1] = tlb[1] | has[1] << me; tlb[2] = tlb[2] | has[2] << me
       }
    :: me == 2 -> /* from now on it only answers: two others that wait for each other are seen by that */
end_rest:
       do :: asked[me] -> serve() od
    od
}

init { atomic { run Cpu(0); run Cpu(1); run Cpu(2) } }
