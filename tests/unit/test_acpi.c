/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

#include <hv/acpi.h>
#include <hv/x86/cpu.h>

static const u8 madt[] = {
    'A', 'P', 'I',  'C', 0, 0, 0,    0,    1,    0, 'B', 'O', 'C', 'H', 'S', ' ', 0,    0,    0, 0, 0, 0,
    0,   0,   0,    0,   0, 0, 0,    0,    0,    0, 0,   0,   0,   0,   0,   0,   0xe0, 0xfe, 1, 0, 0, 0, /* local APIC, flags */
    0,   8,   0,    0,   1, 0, 0,    0,                                                                   /* CPU 0 */
    0,   8,   1,    1,   0, 0, 0,    0,                                                                   /* CPU 1, disabled */
    1,   12,  0,    0,   0, 0, 0xc0, 0xfe, 0,    0, 0,   0,   2,   10,  0,   0,   2,    0,    0, 0, 0, 0, /* IRQ 0 to GSI 2 */
    2,   10,  0,    9,   9, 0, 0,    0,    0x0f, 0,                                                       /* IRQ 9 level, active low */
    4,   6,   0xff, 0,   0, 1,
};

static void good_madt(void **state)
{
    (void)state;
    struct acpi_info a = { 0 };

    assert_int_equal(acpi_parse_madt(&a, madt, sizeof(madt)), 0);
    assert_int_equal(a.local_apic, 0xfee00000);
    assert_int_equal(a.nr_cpus, 1);
    assert_int_equal(a.nr_io_apics, 1);
    assert_int_equal(a.io_apics[0].address, 0xfec00000);
    assert_int_equal(a.nr_overrides, 2);
    assert_int_equal(a.overrides[0].gsi, 2);
    assert_false(a.overrides[0].level);
    assert_true(a.overrides[1].level && a.overrides[1].active_low);
}

static void bgrt(void **state)
{
    (void)state;
    u8 t[56] = { 'B', 'G', 'R', 'T', sizeof(t) };
    u64 picture = 0x1e000018;
    paddr_t image = 0;

    t[38] = 0x3;
    memcpy(t + 40, &picture, 8);
    assert_true(acpi_bgrt_image(t, sizeof(t), &image));
    assert_int_equal(image, picture);
    assert_false(acpi_bgrt_image(t, 47, &image));
    acpi_bgrt_forget_image(t, sizeof(t));
    assert_true(acpi_checksum_ok(t, sizeof(t)));
    assert_int_equal(t[38], 0x2);
    assert_true(acpi_bgrt_image(t, sizeof(t), &image));
    assert_int_equal(image, 0);
}

static void fadt(void **state)
{
    (void)state;
    u8 t[244] = { 0 };
    struct acpi_info a = { 0 };
    u32 control = 0x604, flags = 1 << 10;

    memcpy(t + 64, &control, 4);
    memcpy(t + 112, &flags, 4);
    t[116] = 1;
    t[120] = 0xf9;
    t[121] = 0x0c;
    t[128] = 6;
    assert_int_equal(acpi_parse_fadt(&a, t, sizeof(t)), 0);
    assert_int_equal(a.pm1a_control, 0x604);
    assert_true(a.have_reset);
    assert_int_equal(a.reset_register.address, 0xcf9);
    assert_int_equal(a.reset_value, 6);
    assert_int_not_equal(acpi_parse_fadt(&a, t, 100), 0);
    memset(&a, 0, sizeof(a));
    assert_int_equal(acpi_parse_fadt(&a, t, 116), 0);
    assert_false(a.have_reset); /* ACPI 1.0 table: no such field */
}

static void hostile(void **state)
{
    (void)state;
    srandom(2);
    for (u32 i = 0; i < 40000; i++) {
        u32 n = (u32)random() % (sizeof(madt) + 1);
        u8 *t = malloc(n ? n : 1);
        struct acpi_info a = { 0 };

        memcpy(t, madt, n);
        for (u32 k = 0; k < 2 && n; k++)
            t[(u32)random() % n] = (u8)random();
        (void)!acpi_parse_madt(&a, t, n);
        (void)!acpi_parse_fadt(&a, t, n);
        assert_true(a.nr_cpus <= ACPI_MAX_CPUS && a.nr_io_apics <= ACPI_MAX_IO_APICS && a.nr_overrides <= ACPI_MAX_OVERRIDES);
        free(t);
    }
}

static void checksum(void **state)
{
    (void)state;
    u8 t[4] = { 1, 2, 3, 250 };

    assert_true(acpi_checksum_ok(t, 4));
    t[0]++;
    assert_false(acpi_checksum_ok(t, 4));
}

static void hpet(void **state)
{
    (void)state;
    u8 t[56] = { [40] = 0, [46] = 0xd0, [47] = 0xfe }; /* the address from byte 44 on */
    paddr_t at;

    cpu.phys_bits = 40;
    assert_true(acpi_hpet_address(t, sizeof(t), &at));
    assert_int_equal(at, 0xfed00000);
    assert_false(acpi_hpet_address(t, 51, &at));
    t[40] = 1; /* a port */
    assert_false(acpi_hpet_address(t, sizeof(t), &at));
    t[40] = 0;
    t[44] = 4; /* not aligned */
    assert_false(acpi_hpet_address(t, sizeof(t), &at));
    t[44] = 0;
    t[51] = 1; /* beyond what the processor reaches */
    assert_false(acpi_hpet_address(t, sizeof(t), &at));
    memset(t, 0, sizeof(t));
    assert_false(acpi_hpet_address(t, sizeof(t), &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(good_madt), cmocka_unit_test(bgrt),     cmocka_unit_test(fadt),
                                        cmocka_unit_test(hostile),   cmocka_unit_test(checksum), cmocka_unit_test(hpet) };

    return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
