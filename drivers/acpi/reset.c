/* SPDX-License-Identifier: MIT */
/* Sleep and reset. Every way is tried, the surest last. */
#include <hv/acpi.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/x86/processor.h>

#define PM1_SLEEP_ENABLE 0x2000

void acpi_enter_sleep(u16 a, u16 b)
{
    if (!acpi.pm1a_control)
        return;
    recorder_orderly_end();
    outw(acpi.pm1a_control, (u16)(a & ~PM1_SLEEP_ENABLE));
    if (acpi.pm1b_control)
        outw(acpi.pm1b_control, (u16)(b & ~PM1_SLEEP_ENABLE));
    outw(acpi.pm1a_control, a | PM1_SLEEP_ENABLE);
    if (acpi.pm1b_control)
        outw(acpi.pm1b_control, b | PM1_SLEEP_ENABLE);
}

static void acpi_settle(void)
{
    for (int i = 0; i < 20000; i++)
        inb(0x80);
}

/* The register that the FADT names, whose address has been checked (ACPI 6.4, 4.8.3.6). No lock: others are stopped, or never end theirs. */
static void write_reset_register(void)
{
    u64 at = acpi.reset_register.address;

    if (acpi.reset_register.space == 0)
        *acpi.reset_memory = acpi.reset_value;
    else if (acpi.reset_register.space == 1)
        outb((u16)at, acpi.reset_value);
    else {
        outl(0xcf8, 0x80000000u | (u32)(at >> 32) << 11 | (u32)(at >> 16 & 7) << 8 | (u32)(at & 0xfc));
        outb((u16)(0xcfc + (at & 3)), acpi.reset_value);
    }
}

/* Keyboard controller: pulses the reset line, once it has taken what was written before. */
static void pulse_reset_line(void)
{
    for (int i = 0; i < 10000 && (inb(0x64) & 2); i++)
        inb(0x80);
    outb(0x64, 0xfe);
}

void machine_restart(void)
{
    static const struct table_pointer no_idt;

    irq_disable();
    if (acpi.have_reset) {
        write_reset_register();
        acpi_settle();
    }
    pulse_reset_line();
    acpi_settle();
    outb(0xcf9, 0x02); /* chipset reset control */
    outb(0xcf9, 0x06);
    acpi_settle();
    __asm__ volatile("lidt %0; int3" ::"m"(no_idt)); /* triple fault */
    machine_halt();
}

void machine_power_off(void)
{
    /* dom0 knows the sleep type (from AML) and has written it before it calls; nothing more can be done here. */
    printk(LOG_INFO "The machine can be switched off now.\n");
    machine_halt();
}
