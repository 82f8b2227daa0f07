/* SPDX-License-Identifier: MIT */
/* com1= and com2=, the UART driver on simulated UARTs at a port and in memory, and the SPCR. */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/console.h>
#include <hv/pirq.h>
#include <hv/serial.h>

/* ---- a UART: what was written to its registers, and what its transmitter sent ---- */

static struct {
    u16 base; /* 0: none */
    u32 fifo; /* characters that fit while one is sent */
    u8 iir;   /* bits 6, 7 */
    u8 ier, lcr, mcr, dll, dlm, fcr;
    u32 waiting; /* in the transmitter; the next look at LSR finds it empty */
    char sent[4096];
    u32 nr_sent, lost;
} uart;

static void transmit(u8 v)
{
    if (uart.waiting == uart.fifo) {
        uart.lost++;
        return;
    }
    uart.waiting++;
    uart.sent[uart.nr_sent++ % sizeof(uart.sent)] = (char)v;
}

static void write_register(u32 reg, u8 v)
{
    bool dlab = uart.lcr & 0x80;

    switch (reg) {
    case 0:
        if (dlab)
            uart.dll = v;
        else
            transmit(v);
        break;
    case 1:
        if (dlab)
            uart.dlm = v;
        else
            uart.ier = v & 0x0f;
        break;
    case 2: uart.fcr = v; break;
    case 3: uart.lcr = v; break;
    case 4: uart.mcr = v; break;
    }
}

static u8 read_register(u32 reg)
{
    switch (reg) {
    case 1: return uart.lcr & 0x80 ? uart.dlm : uart.ier;
    case 2: return uart.iir | 1;
    case 3: return uart.lcr;
    case 5: uart.waiting = 0; return 0x60;
    default: return 0;
    }
}

void fake_outb(u16 port, u8 v)
{
    if (uart.base && port >= uart.base && port < uart.base + 8)
        write_register(port - uart.base, v);
    else
        assert_true(port >= 0x3f8 && port <= 0x3ff); /* com1's own; nothing else is ever touched */
}

u8 fake_inb(u16 port) { return uart.base && port >= uart.base && port < uart.base + 8 ? read_register(port - uart.base) : 0xff; }

/* ---- the console ---- */

static struct console_sink *sink;
bool opt_sync_console;
void console_register_sink(struct console_sink *s) { sink = s; }
void console_sink_ready(struct console_sink *s) { s->enabled = true; }
void console_write(const char *s, size_t n, u32 where)
{
    sink->write(sink, s, n);
    (void)where;
}
void console_rx(char c) { (void)c; }
static int route_result;
int irq_route_hypervisor_gsi(u32 gsi, u32 vector)
{
    (void)gsi;
    (void)vector;
    return route_result;
}

static const struct com_option usual = { .baud = 115200, .base_baud = 115200, .lcr = 3, .place = { .base = 0x3f8, .width = 1, .irq = 4 } };

static int reset(void **state)
{
    (void)state;
    fake_reset();
    memset(&uart, 0, sizeof(uart));
    uart.base = 0x2f8;
    uart.fifo = 16;
    uart.iir = 0xc0;
    route_result = 0;
    serial_set_sync();
    *com_option(0) = usual;
    return 0;
}

/* ---- options ---- */

static struct com_option parsed(const char *value)
{
    struct com_option o = usual;

    if (com_option_parse(&o, value))
        fail_msg("%s was refused", value);
    return o;
}

static void syntax(void **state)
{
    (void)state;
    struct com_option o = parsed("9600,7e2,0x2f8,3");

    assert_true(o.baud == 9600 && o.lcr == 0x1e && o.place.base == 0x2f8 && o.place.irq == 3 && o.given && o.lcr_given);
    assert_int_equal(com_divisor(&o), 12);
    o = parsed("115200");
    assert_true(o.baud == 115200 && o.place.base == 0x3f8 && o.place.irq == 4 && com_divisor(&o) == 1);
    o = parsed("auto");
    assert_true(!o.baud && !o.lcr_given);
    o = parsed("115200/921600,8n1");
    assert_int_equal(com_divisor(&o), 8);
    o = parsed("38400,,0x2e8");
    assert_true(o.place.base == 0x2e8 && o.place.irq == 3 && !o.lcr_given);
    o = parsed("115200,8n1,0x1000");
    assert_int_equal(o.place.irq, 0); /* whose interrupt that is, nobody said */
    o = parsed("115200,8n1,pci");
    assert_true(o.where == UART_PCI && !o.place.on_card && !o.place.irq);
    o = parsed("115200,8n1,amt,msi,00:16.3");
    assert_true(o.where == UART_AMT && o.place.on_card && o.place.bdf == 0xb3);
    o = parsed("115200,8n1,0xc000,0,1f:1f.7,00:1c.1");
    assert_true(o.place.bdf == 0x1fff && o.has_bridge && o.bridge == 0xe1 && o.place.base == 0xc000);
    o = parsed("115200,8n1,acpi");
    assert_int_equal(o.where, UART_ACPI);
    o = parsed("115200,8n1,0xfe040000,0,reg-shift=2,reg-width=4");
    assert_true(uart_in_memory(&o.place) && o.place.shift == 2 && o.place.width == 4);
    o = parsed("baud=115200,parity=n,stop_bits=1,io_base=0x3f8,reg_width=4");
    assert_true(o.place.base == 0x3f8 && o.lcr == 3);
    o = parsed("115200,8n1,0x3f8,4,reg_width=4,reg_shift=2");
    assert_int_equal(o.place.irq, 4);
    o = parsed("9600,data-bits=5,parity=s,stop-bits=2,dev=pci,port=02:00.1,bridge=00:01.0");
    assert_true(o.lcr == 0x3c && o.where == UART_PCI && o.place.bdf == 0x201);
    o = parsed("115200,clock-hz=0x70800");
    assert_int_equal(com_divisor(&o), 4);
}

static void refused(void **state)
{
    static const char *const values[] = {
        "",
        "x",
        "0",
        "115200,8",
        "115200,8x1",
        "115200,9n1",
        "115200,8n3",
        "115200,8n1x",
        "115200,8n1,0",
        "115200,8n1,dbgp",
        "115200,8n1,0xfff9",
        "115200,8n1,0xcf8",
        "115200,8n1,0xcf1",
        "115200,8n1,0xcff",
        "115200,8n1,0x60", /* ports that reset the machine, and others */
        "115200,8n1,0x2f8,256",
        "115200,8n1,0x2f8,x",
        "115200,8n1,pci,0,00:20.0",
        "115200,8n1,pci,0,100:00.0",
        "115200,8n1,pci,0,00:00.8",
        "115200,8n1,pci,0,00:00.",
        "115200,8n1,pci,0,0000.0",
        "115200,8n1,pci,0,00:00.0,00:01.0,7",
        "200000",
        "1",
        "70000",
        "18446744073709551617",
        "115200/0",
        "115200/",
        "115200/x",
        "115200,baud",
        "115200,nonsense=1",
        "115200,=1",
        "115200,reg-width=2",
        "115200,reg-shift=9",
        "115200,baud=9600,8n1",
        "115200,8n1,0xfe040001,reg-shift=2,reg-width=4",
        "115200,8n1,0xfe040000,reg-width=4",
        "115200,8n1,0x1000000000000",
        "115200,8n1,0x2f8,3,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct com_option o = *com_option(0);

        if (com_option_parse(&o, values[i]) != -EINVAL)
            fail_msg("%s was taken", values[i]);
    }
}

/* ---- the driver ---- */

static bool start_as(const char *value)
{
    *com_option(0) = parsed(value);
    serial_register();
    return serial_start(0, &com_option(0)->place);
}

static void set_up(void **state)
{
    (void)state;
    assert_true(start_as("9600,7e2,0x2f8,3"));
    assert_true(uart.dll == 12 && !uart.dlm && uart.lcr == 0x1e && uart.mcr == 0x0b && uart.fcr == 0xc7 && !uart.ier);
    assert_true(start_as("50,8n1,0x2f8,3"));
    assert_true(uart.dll == 0x00 && uart.dlm == 0x09);
    /* The firmware's speed and format. */
    uart.dll = 7;
    uart.lcr = 0x1a;
    assert_true(start_as("auto,,0x2f8"));
    assert_true(uart.dll == 7 && uart.lcr == 0x1a);
    assert_true(start_as("auto,8n1,0x2f8"));
    assert_true(uart.dll == 7 && uart.lcr == 3);
    assert_true(serial_owns_port(0x2f8) && serial_owns_port(0x2ff) && !serial_owns_port(0x300) && !serial_owns_port(0x3f8));
}

static void absent(void **state)
{
    (void)state;
    uart.base = 0;
    assert_false(start_as("115200,8n1"));
}

static void all_of(const char *text, u32 n)
{
    assert_int_equal(uart.lost, 0);
    assert_int_equal(uart.nr_sent, n);
    assert_memory_equal(uart.sent, text, n);
}

static void no_fifo(u8 iir)
{
    char text[300];

    memset(text, 'x', sizeof(text));
    reset(NULL);
    uart.fifo = 1;
    uart.iir = iir;
    assert_true(start_as("115200,8n1,0x2f8,3"));
    sink->write(sink, text, 10);
    all_of(text, 10);
    serial_init_async();
    sink->write(sink, text + 10, 200);
    assert_true(serial_sends());
    for (u32 i = 0; i < 400 && serial_sends(); i++)
        serial_irq();
    all_of(text, 210);
}

/* 8250 and 16450 have none; the one of the first 16550 does not work. */
static void no_fifo_is_overrun(void **state)
{
    (void)state;
    no_fifo(0);
    no_fifo(0x80);
}

static void buffered(void **state)
{
    static char text[3000];

    (void)state;
    memset(text, 'y', sizeof(text));
    assert_true(start_as("115200,8n1,0x2f8,3"));
    assert_false(serial_init_async());
    sink->write(sink, text, 1000);
    assert_int_equal(uart.nr_sent, 16);
    assert_int_equal(uart.ier, 3);
    serial_irq();
    assert_int_equal(uart.nr_sent, 32);
    serial_set_sync();
    serial_flush();
    all_of(text, 1000);
    assert_false(serial_sends());
}

static void polled(void **state)
{
    (void)state;
    assert_true(start_as("115200,8n1,0x2f8,0"));
    assert_true(serial_init_async());
    sink->write(sink, "abc", 3);
    serial_irq();
    assert_int_equal(uart.ier, 0);
    route_result = -EBUSY;
    serial_set_sync();
    assert_true(start_as("115200,8n1,0x2f8,3"));
    assert_true(serial_init_async());
    assert_non_null(strstr(fake_log, "com1: no interrupt"));
}

/* Registers of four bytes each, in memory: what is written lands in the right ones. */
static void in_memory(void **state)
{
    u32 regs[8] = { [5] = 0x60 };
    struct uart_place place = { .base = 0xfe040000, .shift = 2, .width = 4, .regs = regs };

    (void)state;
    *com_option(0) = parsed("9600,8n1,0xfe040000,0,reg-shift=2,reg-width=4");
    serial_register();
    assert_true(serial_start(0, &place));
    assert_int_equal(regs[3], 3);
    assert_int_equal(regs[4], 0x0b);
    assert_int_equal(regs[2], 0xc7);
    sink->write(sink, "A", 1);
    assert_int_equal(regs[0], 'A');
    assert_false(serial_owns_port(0x3f8));
}

/* ---- SPCR ---- */

static u8 table[80];

static int spcr(struct acpi_spcr *s, u8 kind, u8 space, u8 width, u8 access, u64 address, u8 baud, u32 length)
{
    memset(table, 0, sizeof(table));
    table[36] = kind;
    table[40] = space;
    table[41] = width;
    table[43] = access;
    memcpy(table + 44, &address, 8);
    table[58] = baud;
    *s = (struct acpi_spcr){ 0 };
    return acpi_parse_spcr(s, table, length);
}

static void spcr_tables(void **state)
{
    struct acpi_spcr s;

    (void)state;
    assert_int_equal(spcr(&s, 0, 1, 8, 1, 0x3e8, 7, 80), 0);
    assert_true(s.present && s.address == 0x3e8 && s.baud == 115200 && s.shift == 0 && s.width == 1);
    assert_int_equal(spcr(&s, 0x12, 0, 32, 3, 0xfedc9000, 0, 80), 0);
    assert_true(s.present && s.address == 0xfedc9000 && s.baud == 0 && s.shift == 2 && s.width == 4);
    assert_int_equal(spcr(&s, 1, 0, 32, 1, 0xfedc9000, 3, 80), 0);
    assert_true(s.present && s.baud == 9600 && s.shift == 2 && s.width == 1);
    assert_int_equal(spcr(&s, 3, 0, 32, 3, 0x9000000, 0, 80), 0); /* PL011 */
    assert_false(s.present);
    assert_int_equal(spcr(&s, 0, 1, 8, 1, 0, 7, 80), 0);
    assert_false(s.present);
    assert_int_equal(spcr(&s, 0, 1, 8, 1, 0x3f8, 7, 79), -EINVAL);
    assert_int_equal(spcr(&s, 0, 1, 8, 1, 0xfff9, 7, 80), -EINVAL);
    assert_int_equal(spcr(&s, 0, 1, 8, 1, 0xcf8, 7, 80), -EINVAL);
    assert_int_equal(spcr(&s, 0, 0, 32, 3, 0x3f8, 7, 80), -EINVAL);
    assert_int_equal(spcr(&s, 0, 0, 32, 3, 0xfedc9001, 7, 80), -EINVAL);
    assert_int_equal(spcr(&s, 0, 2, 32, 3, 0xfedc9000, 7, 80), -EINVAL);
    assert_false(s.present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(syntax, reset),
        cmocka_unit_test_setup(refused, reset),
        cmocka_unit_test_setup(set_up, reset),
        cmocka_unit_test_setup(absent, reset),
        cmocka_unit_test_setup(no_fifo_is_overrun, reset),
        cmocka_unit_test_setup(buffered, reset),
        cmocka_unit_test_setup(polled, reset),
        cmocka_unit_test_setup(in_memory, reset),
        cmocka_unit_test_setup(spcr_tables, reset),
    };

    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
