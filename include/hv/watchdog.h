/* SPDX-License-Identifier: MIT */
/* The NMI watchdog: what its timer writes and the NMI handler looks at. */
#pragma once

#include <hv/types.h>

struct nmi_watchdog {
    u64 last_beat, limit; /* TSC ticks; limit 0: off */
    u32 seconds;
    u64 period;           /* of the NMIs, in TSC ticks, as what follows */
    u64 last_nmi, credit; /* the handler's: time for which a tick is still to be expected */
};
extern struct nmi_watchdog nmi_watchdog;

void watchdog_start(void); /* watchdog=, when timers and interrupt controllers work */
