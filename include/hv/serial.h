/* SPDX-License-Identifier: MIT */
/*
 * The serial lines com1 and com2: what com1= and com2= say of them, and where their UARTs are. An I/O port is used as it
 * stands; arch/x86/start_consoles.c looks for a card, and maps registers in memory.
 */
#pragma once

#include <hv/types.h>

#define NR_COMS 2

enum uart_where {
    UART_AT_BASE, /* I/O port or memory address */
    UART_PCI,     /* a card, but none of Intel's management engine */
    UART_AMT,     /* a card, that one too */
    UART_ACPI,    /* what the firmware's SPCR names */
};

/* A 16550: eight registers of `width` bytes, each 1 << shift bytes behind the one before. */
struct uart_place {
    paddr_t base;    /* below 64 Ki: an I/O port */
    u8 shift, width; /* width: 1 or 4; of registers in memory only */
    u8 irq;          /* ISA; 0: the line is polled */
    bool on_card;
    u16 bdf;             /* of the card: bus << 8 | device << 3 | function */
    volatile void *regs; /* where it is mapped; NULL: an I/O port */
};

struct com_option {
    u32 baud;      /* 0: what the firmware set up */
    u32 base_baud; /* the clock / 16 */
    u8 lcr;
    bool lcr_given; /* else the firmware's stays, if the speed does */
    bool given;     /* on the command line */
    enum uart_where where;
    struct uart_place place;
    bool has_bridge; /* bridge-bdf; port-bdf is in place */
    u16 bridge;
};

/* 0: the speed is not touched. */
static inline u64 com_divisor(const struct com_option *o) { return o->baud ? ((u64)o->base_baud + o->baud / 2) / o->baud : 0; }

/* 0 or -EINVAL; o is half written then. drivers/serial/com_options.c */
int com_option_parse(struct com_option *o, const char *value) __must_check;
struct com_option *com_option(u32 n); /* of com1 (0), com2 (1), as the command line left them */

#define IO_PORTS 0x10000
static inline bool uart_in_memory(const struct uart_place *p) { return p->base >= IO_PORTS; }
/* Eight ports that can be a UART's: below 100h are the mainboard's own, from CF8h to CFFh PCI's and the one that resets. */
static inline bool uart_ports_sound(u64 base) { return base >= 0x100 && base <= IO_PORTS - 8 && (base > 0xcff || base + 8 <= 0xcf8); }

/* com1 becomes known to the console, so that a panic finds it; nothing is touched. First of all. */
void serial_register(void);
/* Sets the UART up at the place, and tells the console. false: there is none. A card's configuration is ours from now on. */
bool serial_start(u32 n, const struct uart_place *place) __must_check;
bool serial_works(u32 n); /* com1 (0), com2 (1) has been started */

/* Interrupts for those that have one; true: some must be polled, by serial_irq(). Output no longer waits. */
bool serial_init_async(void);
void serial_irq(void);   /* interrupt or poll: takes what came in, sends what waits */
bool serial_sends(void); /* a buffer is not empty */

/* What guests do not reach. */
bool serial_owns_port(u16 port);
bool serial_owns_card(u16 bdf); /* its configuration space is not for guests to write */

void serial_set_sync(void); /* from here on output waits for the UART; no lock: for fatal paths */
void serial_flush(void);    /* sends what is buffered, synchronously */
bool serial_key_pressed(void);
