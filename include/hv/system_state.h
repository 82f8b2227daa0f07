/* SPDX-License-Identifier: MIT */
/* The phase the machine is in. One function moves it, forward only. */
#pragma once

#include <hv/types.h>

enum phase {
    PHASE_EARLY_BOOT, /* first C line: page tables of the stub, no percpu vCPU, no allocator */
    PHASE_BOOT,       /* current is valid (idle vCPU), direct map complete, allocators work */
    PHASE_SMP_BOOT,   /* other CPUs are being started */
    PHASE_ACTIVE,     /* guests run */
    PHASE_SHUTDOWN,
    PHASE_COUNT,
};

extern enum phase machine_phase; /* written by system_state.c alone */
static inline enum phase system_phase(void) { return READ_ONCE(machine_phase); }
const char *system_phase_name(void);
void system_phase_advance(enum phase next); /* one step forward, or PHASE_SHUTDOWN from anywhere. Any context */
/* True from the moment that `phase` has begun. */
static inline bool booted_past(enum phase phase) { return system_phase() >= phase; }
