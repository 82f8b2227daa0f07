/* SPDX-License-Identifier: MIT */
/*
 * 16550 UARTs and their ancestors. Synchronous until the hypervisor is active, then transmit goes through a buffer
 * that the transmitter-empty interrupt (or polling) drains; a full buffer or sync_console waits. Every wait is bounded: a
 * UART that never gets ready is given up.
 */
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/serial.h>
#include <hv/x86/processor.h>
#include <hv/x86/vectors.h>

enum { UART_DATA = 0, UART_IER = 1, UART_IIR = 2, UART_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5, UART_MSR = 6 };
#define LSR_DATA 0x01
#define LSR_THRE 0x20
#define LCR_DLAB 0x80
#define IER_RX 1
#define IER_TX 2
#define IER_ALL 0x0f
#define IIR_FIFO 0xc0 /* both: a FIFO that works; the 16550 without A shows one, the 8250 and 16450 none */
#define FIFO_SIZE 16
#define POLL_LIMIT 200000
#define TX_SIZE 16384
#define ISA_IRQS 16

struct uart {
    struct console_sink sink;
    struct uart_place place;
    u32 fifo; /* characters that fit behind an empty transmitter */
    bool present, async, interrupts;
    char last; /* dom0's terminal layer sends its own carriage returns */
    char *tx;
    u32 tx_head, tx_tail; /* free-running; the console lock guards them */
};

static void uart_write(struct console_sink *sink, const char *s, size_t n);
static void uart_panic_prepare(struct console_sink *sink);

static char buffers[NR_COMS][TX_SIZE];
static struct uart uarts[NR_COMS] = {
    { .sink = { .name = "com1", .which = SINK_COM1, .write = uart_write, .panic_prepare = uart_panic_prepare },
      .place = { .base = 0x3f8 },
      .tx = buffers[0] },
    { .sink = { .name = "com2", .which = SINK_COM2, .write = uart_write, .panic_prepare = uart_panic_prepare }, .tx = buffers[1] },
};

static force_inline u8 reg_read(const struct uart *u, u32 reg)
{
    const struct uart_place *p = &u->place;

    if (!p->regs)
        return inb((u16)(p->base + reg));
    volatile void *at = (volatile u8 *)p->regs + (reg << p->shift);
    return p->width == 4 ? (u8) * (volatile u32 *)at : *(volatile u8 *)at;
}

static force_inline void reg_write(const struct uart *u, u32 reg, u8 v)
{
    const struct uart_place *p = &u->place;

    if (!p->regs) {
        outb((u16)(p->base + reg), v);
        return;
    }
    volatile void *at = (volatile u8 *)p->regs + (reg << p->shift);
    if (p->width == 4)
        *(volatile u32 *)at = v;
    else
        *(volatile u8 *)at = v;
}

/* The interrupt enables keep what is written; a bus without a device answers with the same value always. */
static bool uart_answers(const struct uart *u)
{
    reg_write(u, UART_IER, IER_ALL);
    bool ones = (reg_read(u, UART_IER) & IER_ALL) == IER_ALL;
    reg_write(u, UART_IER, 0);
    return ones && !(reg_read(u, UART_IER) & IER_ALL) && reg_read(u, UART_LSR) != 0xff;
}

static void set_up(struct uart *u, const struct com_option *o)
{
    u64 divisor = com_divisor(o);
    u8 lcr = divisor || o->lcr_given ? o->lcr : (u8)(reg_read(u, UART_LCR) & ~LCR_DLAB);

    if (divisor) {
        reg_write(u, UART_LCR, lcr | LCR_DLAB);
        reg_write(u, UART_DATA, (u8)divisor);
        reg_write(u, UART_IER, (u8)(divisor >> 8));
    }
    reg_write(u, UART_LCR, lcr);
    u->present = uart_answers(u);
    reg_write(u, UART_FCR, 0xc7); /* enable and clear the FIFOs */
    reg_write(u, UART_MCR, 0x0b); /* DTR RTS OUT2 */
    u->fifo = (reg_read(u, UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_SIZE : 1;
}

static void wait_and_send(struct uart *u, char c)
{
    for (u32 i = 0; i < POLL_LIMIT; i++)
        if (reg_read(u, UART_LSR) & LSR_THRE) {
            reg_write(u, UART_DATA, (u8)c);
            return;
        }
    u->present = false; /* stuck: stop paying for it */
}

/* Moves up to a FIFO's worth from the buffer. */
static void tx_pump(struct uart *u)
{
    if (u->tx_head == u->tx_tail || !(reg_read(u, UART_LSR) & LSR_THRE))
        return;
    for (u32 i = 0; i < u->fifo && u->tx_head != u->tx_tail; i++)
        reg_write(u, UART_DATA, (u8)u->tx[u->tx_head++ % TX_SIZE]);
    if (u->interrupts)
        reg_write(u, UART_IER, u->tx_head == u->tx_tail ? IER_RX : IER_RX | IER_TX);
}

static void uart_emit(struct uart *u, char c)
{
    if (!u->async) {
        wait_and_send(u, c);
        return;
    }
    while (u->tx_tail - u->tx_head == TX_SIZE) {
        wait_and_send(u, u->tx[u->tx_head % TX_SIZE]);
        u->tx_head++;
    }
    u->tx[u->tx_tail++ % TX_SIZE] = c;
}

static void uart_write(struct console_sink *sink, const char *s, size_t n)
{
    struct uart *u = container_of(sink, struct uart, sink);

    for (; n && u->present; n--, s++) {
        if (*s == '\n' && u->last != '\r')
            uart_emit(u, '\r');
        uart_emit(u, *s);
        u->last = *s;
    }
    if (u->async && u->present)
        tx_pump(u);
}

/* In a panic nothing of the configuration is trusted but the place. */
static void uart_panic_prepare(struct console_sink *sink)
{
    struct uart *u = container_of(sink, struct uart, sink);

    reg_write(u, UART_IER, 0);
    if (!u->present)
        set_up(u, com_option((u32)(u - uarts)));
}

void serial_register(void) { console_register_sink(&uarts[0].sink); }
BOOT_STEP(serial_register, NEEDS(NOTHING), GIVES(panic_console), EVERYWHERE);

bool serial_start(u32 n, const struct uart_place *place)
{
    struct uart tried = { .place = *place }, *u = &uarts[n];

    set_up(&tried, com_option(n));
    if (!tried.present)
        return false;
    u->place = *place;
    u->fifo = tried.fifo;
    u->present = true;
    if (n)
        console_register_sink(&u->sink);
    console_sink_ready(&u->sink);
    return true;
}

bool serial_works(u32 n) { return uarts[n].present; }

static bool in_use(const struct uart *u) { return u->present && u->sink.enabled; }

static void go_async(struct uart *u)
{
    u8 irq = u->place.irq;

    u->interrupts = irq && irq < ISA_IRQS;
    if (u->interrupts && irq_route_hypervisor_gsi(irq, VECTOR_SERIAL)) {
        printk(LOG_WARN "%s: no interrupt for GSI %u; the line is polled\n", u->sink.name, irq);
        u->interrupts = false;
    }
    u->async = !opt_sync_console;
    reg_write(u, UART_IER, u->interrupts ? IER_RX : 0);
}

bool serial_init_async(void)
{
    bool polled = false;

    for (struct uart *u = uarts; u < uarts + NR_COMS; u++)
        if (in_use(u)) {
            go_async(u);
            polled |= !u->interrupts;
        }
    return polled;
}

void serial_set_sync(void)
{
    for (u32 n = 0; n < NR_COMS; n++)
        uarts[n].async = false;
}

/* In a report another CPU may be at a buffer still: what was there at first is sent, and no more. */
void serial_flush(void)
{
    for (struct uart *u = uarts; u < uarts + NR_COMS; u++)
        for (u32 left = MIN(u->tx_tail - u->tx_head, (u32)TX_SIZE); left && u->present; left--)
            wait_and_send(u, u->tx[u->tx_head++ % TX_SIZE]);
}

bool serial_sends(void) { return uarts[0].tx_head != uarts[0].tx_tail || uarts[1].tx_head != uarts[1].tx_tail; }

static bool has_input(const struct uart *u) { return in_use(u) && reg_read(u, UART_LSR) & LSR_DATA; }

bool serial_key_pressed(void)
{
    bool pressed = false;

    for (const struct uart *u = uarts; u < uarts + NR_COMS; u++)
        if (has_input(u)) {
            reg_read(u, UART_DATA);
            pressed = true;
        }
    return pressed;
}

void serial_irq(void)
{
    for (const struct uart *u = uarts; u < uarts + NR_COMS; u++)
        for (u32 i = 0; i < 64 && has_input(u); i++)
            console_rx((char)reg_read(u, UART_DATA));
    /* The buffers belong to the console lock; an empty write pumps them. */
    console_write("", 0, CONSOLE_SINKS);
}

bool serial_owns_port(u16 port)
{
    for (const struct uart *u = uarts; u < uarts + NR_COMS; u++)
        if (in_use(u) && !u->place.regs && port >= u->place.base && port < u->place.base + 8)
            return true;
    return false;
}

bool serial_owns_card(u16 bdf)
{
    for (const struct uart *u = uarts; u < uarts + NR_COMS; u++)
        if (in_use(u) && u->place.on_card && u->place.bdf == bdf)
            return true;
    return false;
}
