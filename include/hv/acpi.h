/* SPDX-License-Identifier: MIT */
/* The few ACPI tables that a hypervisor needs: MADT, FADT, HPET, SPCR, BGRT, DMAR. ACPI 6.4, chapter 5. */
#pragma once

#include <hv/types.h>

#define ACPI_MAX_IO_APICS 128
#define ACPI_MAX_OVERRIDES 16 /* ISA interrupts, each once */
#define ACPI_MAX_CPUS 256
#define ACPI_ALL_CPUS (~0u) /* as a processor's UID */

struct acpi_gas {
    u8 space, width, offset, access;
    u64 address;
} __packed;

struct acpi_info {
    bool present;
    paddr_t rsdp, local_apic;
    u32 nr_left_out; /* entries of the MADT that made no sense */
    u32 nr_cpus;
    struct acpi_cpu {
        u32 apic_id, acpi_id; /* no APIC id stands here twice, none addresses all CPUs */
        bool enabled;
    } cpus[ACPI_MAX_CPUS];
    u32 nr_io_apics;
    struct acpi_io_apic {
        paddr_t address;
        u32 gsi_base;
    } io_apics[ACPI_MAX_IO_APICS];
    u32 nr_overrides;
    struct acpi_override {
        u8 isa_irq;
        u32 gsi;
        bool level, active_low;
    } overrides[ACPI_MAX_OVERRIDES];
    u32 nr_nmis; /* wires from the machine's NMI to local APICs */
    struct acpi_nmi {
        u32 uid; /* as cpus[].acpi_id, or ACPI_ALL_CPUS */
        u8 lint;
        bool level, active_low;
    } nmis[ACPI_MAX_CPUS];
    u16 pm1a_control, pm1b_control, pm_timer; /* ports, 0: none */
    bool no_x2apic;                           /* the firmware asks that x2APIC mode be left off (DMAR, X2APIC_OPT_OUT) */
    u8 rtc_century;                           /* the real-time clock's register for it; 0: none */
    bool have_reset;
    struct acpi_gas reset_register;
    volatile u8 *reset_memory; /* where that is device memory, mapped */
    u8 reset_value;
};
extern struct acpi_info acpi;
/* The MADT's name for the CPU with that APIC id; ~0: it has none. */
u32 acpi_id_of(u32 apic_id);

/* Reads the tables; what is missing or broken is named and left at its default. */
void acpi_init(paddr_t rsdp);
/*
 * A table by its signature, whole, in the direct map; NULL: none that can be used, with the reason printed if there is a broken one.
 * any_sum: rather one with a wrong checksum than none. After acpi_init().
 */
const void *acpi_find_table(const char *signature, bool any_sum, u32 *length) __must_check;
/* Parsers of single tables: 0, or -EINVAL (too short). Nothing in them is trusted. */
int acpi_parse_madt(struct acpi_info *a, const void *table, u32 length);
int acpi_parse_fadt(struct acpi_info *a, const void *table, u32 length);
/*
 * Does the machine's NMI come to this input, 0 or 1, of the processor (ACPI 6.4, 5.2.12.7 and 5.2.12.13)? A MADT that says nothing of
 * NMIs leaves the PC's wiring, which is LINT1 of each.
 */
bool acpi_nmi_at(u32 apic_id, u8 lint, bool *level, bool *active_low);
/* The HPET's registers. False: the table is too short, or they lie in RAM, in no memory at all, or beyond what the processor reaches. */
bool acpi_hpet_address(const void *table, u32 length, paddr_t *address) __must_check;
/* SPCR: a 16550 at an I/O port (below 64 Ki) or in memory, its registers as in struct uart_place; baud 0: the firmware's. */
struct acpi_spcr {
    bool present;
    u64 address;
    u8 shift, width;
    u32 baud;
};
int acpi_parse_spcr(struct acpi_spcr *s, const void *table, u32 length);
/* BGRT, whose picture the firmware may have left in memory that is free by now. False: too short a table. */
bool acpi_bgrt_image(const void *table, u32 length, paddr_t *image) __must_check;
void acpi_bgrt_forget_image(void *table, u32 length); /* takes the picture out of the table, and mends its checksum */
bool acpi_checksum_ok(const void *p, u32 length);     /* the sum of all bytes is 0 */
/* Sleep through PM1 control; returns only if it did not work. */
void acpi_enter_sleep(u16 pm1a_value, u16 pm1b_value);
