/* SPDX-License-Identifier: MIT */
/* Vectors to what they are for: the hypervisor's own devices and messages, or a device's interrupt (pirq.c). */
#include <hv/boot_step.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/serial.h>
#include <hv/softirq.h>
#include <hv/x86/apic.h>
#include <hv/x86/processor.h>
#include <hv/x86/tlb.h>
#include <hv/x86/vectors.h>

static u64 unexpected[256];

/* The 8259 pair: moved out of the exception vectors, so that spurious interrupts do no harm, then masked for good. */
static void pic_init(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    outb(0x20, 0x11); /* ICW1: edge-triggered, a pair, ICW4 follows */
    outb(0xa0, 0x11);
    outb(0x21, VECTOR_PIC_BASE); /* ICW2: first vector */
    outb(0xa1, VECTOR_PIC_BASE + 8);
    outb(0x21, 4); /* ICW3: the second one is at input 2 */
    outb(0xa1, 2);
    outb(0x21, 1); /* ICW4: 8086 mode */
    outb(0xa1, 1);
    outb(0x21, 0xff); /* OCW1: all masked */
    outb(0xa1, 0xff);
}

void irq_init(void)
{
    pic_init();
    io_apic_init();
    pirqs_init();
}
BOOT_STEP(irq_init, NEEDS(acpi_tables, page_allocator), GIVES(interrupts), EVERYWHERE);

void irq_dispatch(u32 vector)
{
    u32 pirq;

    this_cpu()->irq_count++;
    switch (vector) {
    case VECTOR_TIMER:
        softirq_raise(SOFTIRQ_TIMER);
        local_apic_eoi();
        return;
    case VECTOR_SERIAL:
        serial_irq();
        local_apic_eoi();
        return;
    case VECTOR_KICK: /* the way out of here looks at softirqs */ local_apic_eoi(); return;
    case VECTOR_FLUSH:
        tlb_serve();
        local_apic_eoi();
        return;
    case VECTOR_SPURIOUS:
        unexpected[vector]++; /* no EOI: SDM vol. 3, 11.9 */
        return;
    }
    if (vector_pirq(vector, &pirq)) {
        pirq_dispatch(pirq);
        return;
    }
    if (!unexpected[vector]++)
        printk(LOG_WARN "interrupt on vector %02x, which nobody asked for\n", vector);
    /* A spurious 8259 interrupt never reached the local APIC's ISR. */
    if (vector >= VECTOR_PIC_BASE + 16)
        local_apic_eoi();
}

void irq_print(void)
{
    pirqs_print();
    for (u32 v = 0; v < 256; v++)
        if (unexpected[v])
            printk("  vector %02x: %lu unexpected\n", v, unexpected[v]);
}
