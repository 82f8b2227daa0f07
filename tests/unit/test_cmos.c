/* SPDX-License-Identifier: MIT */
/* The real-time clock: both modes, centuries, and what is no time; the wall clock that guests see. */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/domain.h>
#include <hv/time.h>

struct acpi_info acpi;
static u8 cmos[128], index_;

u8 fake_inb(u16 port) { return port == 0x71 ? cmos[index_] : 0xff; }
void fake_outb(u16 port, u8 v)
{
    if (port == 0x70)
        index_ = v & 0x7f;
}

/* mode: register B. Fields as the registers hold them. */
static u64 at(u8 mode, u8 century, u8 year, u8 month, u8 day, u8 hour, u8 minute, u8 second)
{
    memset(cmos, 0, sizeof(cmos));
    cmos[0] = second;
    cmos[2] = minute;
    cmos[4] = hour;
    cmos[7] = day;
    cmos[8] = month;
    cmos[9] = year;
    cmos[11] = mode;
    cmos[0x32] = century;
    return cmos_read_time();
}

enum { BCD_24 = 2, BINARY_24 = 6, BCD_12 = 0, BINARY_12 = 4, PM = 0x80 };

static void modes(void **state)
{
    (void)state;
    acpi.rtc_century = 0;
    assert_int_equal(at(BCD_24, 0, 0x26, 0x11, 0x27, 0x15, 0x30, 0x59), 1795793459);
    assert_int_equal(at(BINARY_24, 0, 26, 11, 27, 15, 30, 59), 1795793459);
    assert_int_equal(at(BCD_12, 0, 0x26, 0x11, 0x27, 0x03 | PM, 0x30, 0x59), 1795793459);
    assert_int_equal(at(BINARY_12, 0, 26, 11, 27, 3 | PM, 30, 59), 1795793459);
    /* Midnight and noon of a 12-hour clock. */
    u64 midnight = at(BCD_24, 0, 0x24, 0x02, 0x29, 0, 0, 0);

    assert_int_equal(at(BCD_12, 0, 0x24, 0x02, 0x29, 0x12, 0, 0), midnight);
    assert_int_equal(at(BCD_12, 0, 0x24, 0x02, 0x29, 0x12 | PM, 0, 0), midnight + 43200);
    assert_int_equal(at(BCD_12, 0, 0x24, 0x02, 0x29, 0x01, 0, 0), midnight + 3600);
    assert_int_equal(at(BCD_12, 0, 0x24, 0x02, 0x29, 0x11 | PM, 0, 0), midnight + 23 * 3600);
}

static void centuries(void **state)
{
    (void)state;
    acpi.rtc_century = 0;
    assert_int_equal(at(BCD_24, 0x20, 0x70, 1, 1, 0, 0, 0), 0); /* no register is named: 1970 */
    assert_int_equal(at(BCD_24, 0, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59), 946684799);
    assert_int_equal(at(BCD_24, 0, 0x00, 1, 1, 0, 0, 0), 946684800);
    assert_int_equal(at(BCD_24, 0, 0x69, 1, 1, 0, 0, 0), 3124224000);
    acpi.rtc_century = 0x32;
    assert_int_equal(at(BCD_24, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59), 946684799);
    assert_int_equal(at(BCD_24, 0x20, 0x99, 1, 1, 0, 0, 0), 4070908800);
    assert_int_equal(at(BCD_24, 0x20, 0x70, 1, 1, 0, 0, 0), 3155760000);
    assert_int_equal(at(BCD_24, 0x21, 0x00, 1, 1, 0, 0, 0), 4102444800);
    assert_int_equal(at(BINARY_24, 20, 26, 11, 27, 15, 30, 59), 1795793459);
    assert_int_equal(at(BCD_24, 0xff, 0x26, 0x11, 0x27, 0x15, 0x30, 0x59), 1795793459); /* the register holds something else */
    assert_int_equal(at(BCD_24, 0x19, 0x26, 1, 1, 0, 0, 0), 0);                         /* 1926 */
}

static void no_time(void **state)
{
    (void)state;
    acpi.rtc_century = 0;
    memset(cmos, 0xff, sizeof(cmos)); /* no such device */
    assert_int_equal(cmos_read_time(), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 0, 1, 0, 0, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 0x13, 1, 0, 0, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 1, 0, 0, 0, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 1, 0x32, 0, 0, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 1, 1, 0x24, 0, 0), 0);
    assert_int_equal(at(BCD_12, 0, 0x26, 1, 1, 0x13, 0, 0), 0);
    assert_int_equal(at(BCD_12, 0, 0x26, 1, 1, 0, 0, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0x26, 1, 1, 0, 0x60, 0), 0);
    assert_int_equal(at(BCD_24, 0, 0xff, 1, 1, 0, 0, 0), 0);
}

static struct shared_info shared;

struct tsc_scale tsc_scale = { 1, 0 };
u64 tsc_start(void) { return 0; }

static void expect_wall_clock(u64 sec, u32 nsec)
{
    static struct domain d = { .shared_info = &shared };

    wallclock_publish(&d);
    assert_int_equal(shared.wc_version & 1, 0);
    assert_int_equal((u64)shared.wc_sec_hi << 32 | shared.wc_sec, sec);
    assert_int_equal(shared.wc_nsec, nsec);
}

/* A time at some moment; what is published is that of system time 0. */
static void wall_clock(void **state)
{
    (void)state;
    wallclock_set(1795793459, 500000000, 2250000000);
    expect_wall_clock(1795793457, 250000000);
    wallclock_set(1795793459, 250000000, 2500000000);
    expect_wall_clock(1795793456, 750000000);
    wallclock_set(~0ULL - 5, 4000000001u, 0);
    expect_wall_clock(~0ULL - 1, 1);
    /* Before 1970: guests read seconds without a sign. */
    wallclock_set(2, 0, 2000000001);
    expect_wall_clock(0, 0);
    /* A domain's own, to the machine's. */
    static struct domain d = { .shared_info = &shared, .time_offset = -10 };

    wallclock_set(1000, 0, 0);
    wallclock_publish(&d);
    assert_int_equal(shared.wc_sec, 990);
    d.time_offset = -1001;
    wallclock_publish(&d);
    assert_int_equal(shared.wc_sec | shared.wc_sec_hi, 0);
    d.time_offset = 1L << 33;
    wallclock_publish(&d);
    assert_int_equal((u64)shared.wc_sec_hi << 32 | shared.wc_sec, (1UL << 33) + 1000);
    memset(cmos, 0xff, sizeof(cmos));
    fake_now = 50000000;
    wallclock_init();
    expect_wall_clock(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(modes), cmocka_unit_test(centuries), cmocka_unit_test(no_time),
                                        cmocka_unit_test(wall_clock) };

    return cmocka_run_group_tests_name("the real-time clock", tests, NULL, NULL);
}
