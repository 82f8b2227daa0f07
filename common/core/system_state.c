/* SPDX-License-Identifier: MIT */
/* The machine's phase: written here only, forward only. */
#include <hv/panic.h>
#include <hv/recorder.h>

enum phase machine_phase = PHASE_EARLY_BOOT;

const char *system_phase_name(void)
{
    static const char *const names[PHASE_COUNT] = { "early_boot", "boot", "smp_boot", "active", "shutdown" };

    return names[system_phase()];
}

void system_phase_advance(enum phase next)
{
    /* Shutdown may come from anywhere; otherwise each phase follows its predecessor. */
    if (next != PHASE_SHUTDOWN)
        ASSERT(next == machine_phase + 1);
    WRITE_ONCE(machine_phase, next);
    recorder_phase(next);
}
