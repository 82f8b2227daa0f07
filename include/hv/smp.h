/*
 * The other CPUs. They are started one at a time, with bounded waits; one that does not answer is
 * named and left out. Until the scheduler uses them they are parked: halted with interrupts off,
 * ready for NMI and #MC, so that a broadcast machine check finds nobody unprepared.
 */
#ifndef HV_SMP_H
#define HV_SMP_H

#include <hv/types.h>

void smp_start_others(void);
u32 smp_online_count(void);

/* For reports: stops every other CPU by NMI and waits for them, about a second at most. */
void smp_stop_others(void);
void smp_note_stopped(void); /* called by the CPU that stops */

#endif
