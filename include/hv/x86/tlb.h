/* SPDX-License-Identifier: MIT */
/* Flushing what CPUs remember of page tables: mm/tlb.c, whose head has the protocol. */
#pragma once

#include <hv/cpuset.h>

void tlb_flush_local(void);  /* all of this CPU, but not global mappings */
void tlb_flush_global(void); /* these too */
/* Flushes of other CPUs return when they are done. Locks may be held, but other CPUs wait for them as long. */
void tlb_flush_cpus(cpuset_t set, u64 address); /* address 0: all */
void tlb_flush_global_all_cpus(void);           /* mappings of the hypervisor went or lost rights */
void tlb_serve(void);                           /* does what other CPUs have asked this one for */
void tlb_load_cr3(u64 cr3);                     /* a guest's table */
/* Flushes CPUs that may still have translations from before the stamp, a value of tlb_clock(). */
void tlb_flush_since(u32 stamp);
bool tlb_flushed_since(u32 stamp); /* there are none */
extern u32 tlb_flush_clock;        /* as fast_paths.S reads it */
u32 tlb_clock(void);
