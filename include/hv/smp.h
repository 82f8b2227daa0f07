/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs. They are started one at a time, with bounded waits; one that does not answer is
 * named and left out. One that is taken offline is parked: halted, but ready for NMI and #MC, so that
 * a broadcast machine check finds every CPU prepared.
 */
#pragma once

#include <hv/types.h>

void smp_start_others(void); /* boot, one at a time; what fails is printed */
void smp_use_others(void);   /* guests may run: the scheduler gets the CPUs */
u32 smp_online_count(void);
/*
 * Vacates and parks a CPU, or brings it back: 0, -EINVAL (no such CPU, the first one), -EBUSY (another change is under way), -ENOSPC (its
 * device interrupts find no room elsewhere).
 */
int smp_cpu_offline(u32 id) __may_preempt __must_check;
int smp_cpu_online(u32 id) __may_preempt __must_check;
void smp_park(void); /* this CPU, from its idle loop */

/* For reports: stops every other CPU by NMI and waits for them, about a second at most. */
void smp_stop_others(void);
void smp_note_stopped(void);  /* called by the CPU that stops */
void smp_stop_if_asked(void); /* in the NMI handler */
