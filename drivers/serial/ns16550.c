/*
 * 16550 UART. Synchronous until the hypervisor is active, then transmit goes through a buffer
 * that the transmitter-empty interrupt drains; a full buffer or sync_console waits. Every wait
 * is bounded: a UART that never gets ready is given up.
 */
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/irq.h>
#include <hv/lib.h>
#include <hv/printk.h>
#include <hv/x86/processor.h>

enum { UART_DATA = 0, UART_IER = 1, UART_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5, UART_MSR = 6 };
#define LSR_DATA 0x01
#define LSR_THRE 0x20
#define IER_RX 1
#define IER_TX 2
#define FIFO_SIZE 16
#define POLL_LIMIT 200000
#define TX_SIZE 16384

struct uart {
    u16 base;
    u8 gsi;
    u32 baud;
    u8 lcr;
    bool present, async;
};

static struct uart com1 = { .base = 0x3f8, .gsi = 4, .baud = 115200, .lcr = 3 };
static struct uart *const console_uart = &com1;
static char tx[TX_SIZE];
static u32 tx_head, tx_tail; /* free-running; the console lock guards them */

/* BAUD[,DPS[,IOBASE[,IRQ]]] as in com1=115200,8n1,0x3f8,4; "auto" keeps what the firmware set up. */
static int parse_com(const char *p, void *var)
{
    struct uart *u = var;
    const char *end;

    if (!strncmp(p, "auto", 4)) {
        u->baud = 0;
        end = p + 4;
    } else {
        u->baud = (u32)parse_u64(p, &end);
        if (!u->baud || 115200 % u->baud)
            return -EINVAL;
        if (*end == '/') /* an explicit clock: Xen's BAUD/HZ */
            parse_u64(end + 1, &end);
    }
    if (*end == ',' && end[1] >= '5' && end[1] <= '8' && end[2] && end[3]) {
        u8 parity = end[2] == 'o' ? 1 : end[2] == 'e' ? 3 : 0;

        u->lcr = (u8)((end[1] - '5') | (parity << 3) | ((end[3] == '2') << 2));
        end += 4;
    }
    if (*end == ',') {
        u->base = (u16)parse_u64(end + 1, &end);
        if (*end == ',')
            u->gsi = (u8)parse_u64(end + 1, &end);
    }
    return *end ? -EINVAL : 0;
}
OPTION("com1", parse_com, com1,
       "`BAUD[,8n1[,IOBASE[,IRQ]]]`, or `auto` to keep the firmware's speed",
       "`115200,8n1,0x3f8,4`");

static void uart_setup(struct uart *u)
{
    if (u->baud) {
        u16 divisor = (u16)(115200 / u->baud);

        outb(u->base + UART_LCR, u->lcr | 0x80);
        outb(u->base + UART_DATA, (u8)divisor);
        outb(u->base + UART_IER, (u8)(divisor >> 8));
    }
    outb(u->base + UART_LCR, u->lcr);
    outb(u->base + UART_IER, 0);
    outb(u->base + UART_FCR, 0xc7); /* enable and clear the FIFOs */
    outb(u->base + UART_MCR, 0x0b); /* DTR RTS OUT2 */
    u->present = inb(u->base + UART_LSR) != 0xff;
}

static void wait_and_send(struct uart *u, char c)
{
    for (u32 i = 0; i < POLL_LIMIT; i++)
        if (inb(u->base + UART_LSR) & LSR_THRE) {
            outb(u->base + UART_DATA, (u8)c);
            return;
        }
    u->present = false; /* stuck: stop paying for it */
}

/* Moves up to a FIFO's worth from the buffer. */
static void tx_pump(struct uart *u)
{
    if (tx_head == tx_tail || !(inb(u->base + UART_LSR) & LSR_THRE))
        return;
    for (unsigned i = 0; i < FIFO_SIZE && tx_head != tx_tail; i++)
        outb(u->base + UART_DATA, (u8)tx[tx_head++ % TX_SIZE]);
    outb(u->base + UART_IER, tx_head == tx_tail ? IER_RX : IER_RX | IER_TX);
}

static void emit(struct uart *u, char c)
{
    if (!u->async) {
        wait_and_send(u, c);
        return;
    }
    while (tx_tail - tx_head == TX_SIZE) {
        wait_and_send(u, tx[tx_head % TX_SIZE]);
        tx_head++;
    }
    tx[tx_tail++ % TX_SIZE] = c;
}

static void serial_write(const char *s, size_t n)
{
    struct uart *u = console_uart;
    static char last; /* dom0's terminal layer sends its own carriage returns */

    for (; n && u->present; n--, s++) {
        if (*s == '\n' && last != '\r')
            emit(u, '\r');
        emit(u, *s);
        last = *s;
    }
    if (u->async && u->present)
        tx_pump(u);
}

/* In a panic nothing of the configuration is trusted but the port. */
static void serial_panic_prepare(void)
{
    struct uart *u = console_uart;

    outb(u->base + UART_IER, 0);
    if (!u->present)
        uart_setup(u);
}

static struct console_sink serial_sink = {
    .name = "com1",
    .write = serial_write,
    .panic_prepare = serial_panic_prepare,
    .enabled = true,
};

void serial_early_init(void)
{
    uart_setup(console_uart);
    console_register_sink(&serial_sink);
}

void serial_init_async(void)
{
    struct uart *u = console_uart;

    if (!u->present || !serial_sink.enabled)
        return;
    if (irq_route_hypervisor_gsi(u->gsi, VECTOR_SERIAL))
        printk(LOG_WARN "serial: no interrupt for GSI %u; output is synchronous and there is no input\n", u->gsi);
    else {
        u->async = !opt_sync_console;
        outb(u->base + UART_IER, IER_RX);
    }
}

void serial_set_sync(void)
{
    struct uart *u = console_uart;

    u->async = false;
}

void serial_flush(void)
{
    /* In a report another CPU may be at the buffer still: what was there at first is sent, and no more. */
    for (u32 left = MIN(tx_tail - tx_head, TX_SIZE); left && console_uart->present; left--)
        wait_and_send(console_uart, tx[tx_head++ % TX_SIZE]);
}

bool serial_key_pressed(void)
{
    struct uart *u = console_uart;

    if (!u->present || !(inb(u->base + UART_LSR) & LSR_DATA))
        return false;
    inb(u->base + UART_DATA);
    return true;
}

void serial_irq(void)
{
    struct uart *u = console_uart;

    for (unsigned i = 0; i < 64 && (inb(u->base + UART_LSR) & LSR_DATA); i++)
        console_rx((char)inb(u->base + UART_DATA));
    /* The buffer belongs to the console lock; an empty write pumps it. */
    console_write("", 0, true);
}

bool serial_owns_port(u16 port)
{
    return console_uart->present && serial_sink.enabled && port >= console_uart->base && port < console_uart->base + 8;
}
