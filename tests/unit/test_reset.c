/* SPDX-License-Identifier: MIT */
/* Sleep and reset: which register is written with what, in which order. */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/panic.h>
#include <hv/recorder.h>
#include <hv/x86/processor.h>
#include <setjmp.h>

struct acpi_info acpi;
static u64 writes[32]; /* width, port and value */
static u32 nr_writes, full_for, ended_in_order;
static jmp_buf gone;

#define WRITE(width, port, value) ((u64)(width) << 48 | (u64)(port) << 32 | (u32)(value))

static void write(u64 w)
{
    assert_true(nr_writes < ARRAY_SIZE(writes));
    writes[nr_writes++] = w;
}

u8 fake_inb(u16 port)
{
    if (port == 0x64)
        return full_for && full_for-- ? 2 : 0;
    if (nr_writes && writes[nr_writes - 1] == WRITE(1, 0xcf9, 6))
        longjmp(gone, 1); /* the machine has gone */
    return 0xff;
}

void fake_outb(u16 port, u8 v) { write(WRITE(1, port, v)); }
void fake_outw(u16 port, u16 v) { write(WRITE(2, port, v)); }
void fake_outl(u16 port, u32 v) { write(WRITE(4, port, v)); }
void recorder_orderly_end(void) { ended_in_order++; }
void machine_halt(void) { longjmp(gone, 2); }

static int reset(void **state)
{
    (void)state;
    acpi = (struct acpi_info){ 0 };
    nr_writes = full_for = ended_in_order = 0;
    return 0;
}

static void sleep_registers(void **state)
{
    (void)state;
    acpi_enter_sleep(0x3c01, 0x3c02);
    assert_int_equal(nr_writes + ended_in_order, 0);
    acpi.pm1a_control = 0x604;
    acpi_enter_sleep(0x3c01, 0x3c02);
    assert_int_equal(nr_writes, 2);
    /* The type first, then the bit that starts it. */
    assert_int_equal(writes[0], WRITE(2, 0x604, 0x1c01));
    assert_int_equal(writes[1], WRITE(2, 0x604, 0x3c01));
    nr_writes = 0;
    acpi.pm1b_control = 0x704;
    acpi_enter_sleep(0x1c01, 0x1c02);
    assert_int_equal(nr_writes, 4);
    assert_int_equal(writes[1], WRITE(2, 0x704, 0x1c02));
    assert_int_equal(writes[2], WRITE(2, 0x604, 0x3c01));
    assert_int_equal(writes[3], WRITE(2, 0x704, 0x3c02));
    assert_int_equal(ended_in_order, 2);
}

static void restart(u32 first_writes)
{
    nr_writes = 0;
    if (!setjmp(gone))
        machine_restart();
    assert_int_equal(nr_writes, first_writes + 3);
    assert_int_equal(writes[first_writes], WRITE(1, 0x64, 0xfe));
    assert_int_equal(writes[first_writes + 1], WRITE(1, 0xcf9, 2));
    assert_int_equal(writes[first_writes + 2], WRITE(1, 0xcf9, 6));
}

static void reset_registers(void **state)
{
    (void)state;
    u8 memory = 0;

    restart(0);
    full_for = 3; /* the keyboard controller is busy for a while, then for ever */
    restart(0);
    full_for = ~0u;
    restart(0);
    full_for = 0;
    acpi.have_reset = true;
    acpi.reset_value = 0x0e;
    acpi.reset_register.space = 1;
    acpi.reset_register.address = 0xcf9;
    restart(1);
    assert_int_equal(writes[0], WRITE(1, 0xcf9, 0x0e));
    acpi.reset_register.space = 0;
    acpi.reset_memory = &memory;
    restart(0);
    assert_int_equal(memory, 0x0e);
    /* Configuration space: device 1fh, function 3, register 46h of bus 0. */
    acpi.reset_register.space = 2;
    acpi.reset_register.address = 0x001f00030046;
    restart(2);
    assert_int_equal(writes[0], WRITE(4, 0xcf8, 0x8000fb44));
    assert_int_equal(writes[1], WRITE(1, 0xcfe, 0x0e));
}

static void power_off(void **state)
{
    (void)state;
    int how = setjmp(gone);

    if (!how)
        machine_power_off();
    assert_int_equal(how, 2);
    assert_int_equal(nr_writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(sleep_registers, reset), cmocka_unit_test_setup(reset_registers, reset),
                                        cmocka_unit_test_setup(power_off, reset) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
