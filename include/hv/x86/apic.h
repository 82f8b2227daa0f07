/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of this CPU: arch/x86/irq/local_apic.c, Intel SDM vol. 3, chapter 11. Any context, NMI and #MC included, no lock; its timer is
 * programmed by apic_timer_program() (hv/time.h).
 */
#pragma once

#include <hv/types.h>

/* Writes of devices to these machine addresses are MSIs (SDM vol. 3, 11.11.1). */
#define MSI_WINDOW_START 0xfee00000UL
#define LOCAL_APIC_DEFAULT 0xfee00000UL /* of the registers, after reset (SDM vol. 3, 11.4.1) */
#define MSI_WINDOW_END 0xfef00000UL

void local_apic_init(void);     /* the first CPU; panics without an APIC */
void local_apic_init_cpu(void); /* each other CPU, in the mode of the first */
void local_apic_timer_calibrate(void);
void local_apic_eoi(void); /* of the interrupt that is being served */

/* Interrupt command register (SDM vol. 3, 11.6.1); or one of these, or a vector. */
#define IPI_NMI 0x4400u
#define IPI_INIT 0x4500u
#define IPI_STARTUP(page) (0x4600u | (u32)(page))
/* xAPIC: waits for this CPU's previous command, bounded. */
void local_apic_send(u32 apic_id, u32 command);
/* In the mode that is in force: xAPIC has 8 bits for an id, and all ones address every CPU. */
bool local_apic_reaches(u32 apic_id);

/* ---- io_apic.c: I/O APICs, found through the MADT; GSIs are numbered across them. Takes io_apic_lock, a leaf ---- */
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
