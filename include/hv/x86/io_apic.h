/* SPDX-License-Identifier: MIT */
/* I/O APICs, found through the MADT; GSIs are numbered across them: arch/x86/irq/io_apic.c. Takes io_apic_lock, a leaf. */
#pragma once

#include <hv/types.h>

#define MAX_GSIS 2048 /* of GSIs beyond these no machine has heard */

struct gsi_route {
    u8 vector, apic_id;
    bool level, active_low, masked, nmi;
};

void io_apic_init(void);                               /* boot: masks every pin but those of SMIs */
u32 io_apic_gsi_count(void);                           /* one more than the highest GSI */
bool io_apic_owns_frame(u64 mfn);                      /* the frame holds registers of one */
int io_apic_route(u32 gsi, const struct gsi_route *r); /* 0; -ENODEV: no such pin */
void io_apic_mask(u32 gsi, bool masked);               /* nothing happens if there is no such pin */
/* A register of the I/O APIC at machine address `base`, as dom0 may read it; *ok: there is one. */
u32 io_apic_read_guest(u64 base, u32 reg, bool *ok);
