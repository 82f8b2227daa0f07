/* SPDX-License-Identifier: MIT */
/* Finds what the consoles write to: UARTs at ports, on cards, in memory, named by ACPI; text mode or a framebuffer. */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/pci.h>
#include <hv/printk.h>
#include <hv/serial.h>
#include <hv/time.h>
#include <hv/x86/page_table.h>

static const struct uart_place usual_places[NR_COMS] = { { .base = 0x3f8, .irq = 4 }, { .base = 0x2f8, .irq = 3 } };

static bool uart_start(u32 n, struct uart_place place)
{
    if (uart_in_memory(&place)) {
        if (boot_info_memory_type(&boot_info, place.base) == E820_RAM)
            return false;
        place.regs = hv_ioremap(place.base, 8ULL << place.shift);
        if (!place.regs)
            return false;
    }
    return serial_start(n, &place);
}

static bool uart_find_place(u32 n, struct uart_place *place)
{
    const struct com_option *o = com_option(n), *first = com_option(0);

    *place = o->place;
    if (o->where == UART_PCI || o->where == UART_AMT)
        return pci_find_serial(n && first->place.on_card ? first->place.bdf + 1u : 0, o->where == UART_AMT, place);
    if (place->on_card && !uart_in_memory(place))
        pci_place_serial(place, o->has_bridge ? &o->bridge : NULL);
    return true;
}

static void start_usual(u32 n)
{
    bool works = uart_start(n, usual_places[n]);

    printk(LOG_WARN "com%u: there is no UART where com%u= says; %s\n", n + 1, n + 1,
           works ? "the usual one is used" : "at the usual place, neither");
}

static void start_com(u32 n)
{
    struct com_option *o = com_option(n);
    struct uart_place place;

    if (o->where == UART_ACPI) /* once the tables are read */
        return;
    if (uart_find_place(n, &place) && uart_start(n, place))
        o->place = place;
    else if (o->given)
        start_usual(n);
}

void consoles_start_serial(void)
{
    start_com(0);
    if (com_option(1)->given || console_wants(SINK_COM2))
        start_com(1);
}
BOOT_STEP(consoles_start_serial, NEEDS(options, memory_map, cpu_features), GIVES(serial_console), EVERYWHERE);

static bool start_spcr(u32 n, const struct acpi_spcr *s)
{
    struct com_option *o = com_option(n);

    if (!s->present)
        return false;
    if (!o->given)
        o->baud = s->baud;
    return uart_start(n, (struct uart_place){ .base = s->address, .shift = s->shift, .width = s->width });
}

void consoles_start_acpi(void)
{
    struct acpi_spcr spcr = { .present = false };
    u32 length;
    const void *table = acpi_find_table("SPCR", false, &length);

    if (table && acpi_parse_spcr(&spcr, table, length))
        printk(LOG_WARN "ACPI: table SPCR is malformed\n");
    for (u32 n = 0; n < NR_COMS; n++) {
        bool named = com_option(n)->where == UART_ACPI;

        if (serial_works(n) || (n && !named))
            continue;
        if (start_spcr(n, &spcr))
            printk(LOG_INFO "com%u: the UART that ACPI's SPCR names, at %#lx\n", n + 1, spcr.address);
        else if (named)
            start_usual(n);
    }
}
BOOT_STEP(consoles_start_acpi, NEEDS(consoles, acpi_tables), GIVES(all_serial_lines), EVERYWHERE);

void consoles_start_video(void)
{
    const struct boot_framebuffer *fb = &boot_info.fb;

    if (boot_info.platform != PLATFORM_EFI && (!fb->valid || fb->text))
        vga_text_init();
    else if (fb->valid && !fb->text)
        framebuffer_init(fb);
}
BOOT_STEP(consoles_start_video, NEEDS(options, sound_information, memory_types, boot_allocator), GIVES(video_console), EVERYWHERE);

/* ---- lines without an interrupt ---- */

#define POLL_BUSY_NS 2000000ULL /* what a FIFO holds takes 1.4 ms at 115200 baud */
#define POLL_IDLE_NS 20000000ULL

static struct timer poll_timer;

static void serial_poll_timer(__unused void *data)
{
    serial_irq();
    timer_set(&poll_timer, system_time_ns() + (serial_sends() ? POLL_BUSY_NS : POLL_IDLE_NS));
}

void consoles_go_async(void)
{
    if (!serial_init_async())
        return;
    timer_init(&poll_timer, serial_poll_timer, NULL);
    serial_poll_timer(NULL);
}
BOOT_STEP(consoles_go_async, NEEDS(consoles, dom0, interrupts, timers), GIVES(NOTHING), EVERYWHERE);
