/* SPDX-License-Identifier: MIT */
/* The real-time clock (MC146818), read twice until both readings agree. */
#include <hv/acpi.h>
#include <hv/lib.h>
#include <hv/time.h>

#define UPDATING 0x80 /* register A */
#define BINARY 4      /* register B */
#define HOURS_24 2
#define AFTERNOON 0x80u
#define STATUS_B 11

enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, CENTURY, NR_FIELDS };
static const u8 registers[NR_FIELDS] = { 0, 2, 4, 7, 8, 9 }; /* the century's is FADT's to say */

u8 cmos_read(u8 n)
{
    outb(0x70, n);
    return inb(0x71);
}

static void read_fields(u8 f[NR_FIELDS])
{
    for (int i = 0; i < CENTURY; i++)
        f[i] = cmos_read(registers[i]);
    f[CENTURY] = acpi.rtc_century ? cmos_read(acpi.rtc_century) : 0;
}

static u32 decode(u8 v, bool binary) { return binary ? v : (v >> 4) * 10u + (v & 15); }

static u64 days_from_civil(u32 y, u32 m, u32 d)
{
    /* Days since 1970-01-01; the year starts in March so that the leap day is its last. */
    if (m <= 2) {
        y--;
        m += 12;
    }
    return 365ULL * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + d - 1 - 719468;
}

/* Without a usable century register, years 70 to 99 are 1970 to 1999, the others 2000 to 2069. */
static u32 whole_year(u32 year, u32 century)
{
    if (century >= 19 && century <= 29)
        return century * 100 + year;
    return year + (year < 70 ? 2000 : 1900);
}

/* 12 is the hour before 1, in the morning as in the afternoon. */
static u32 hour_of(u8 v, u8 mode)
{
    u32 hour = decode(mode & HOURS_24 ? v : (u8)(v & ~AFTERNOON), mode & BINARY);

    if (mode & HOURS_24)
        return hour;
    return hour < 1 || hour > 12 ? 24 : hour % 12 + (v & AFTERNOON ? 12 : 0);
}

u64 cmos_read_time(void)
{
    u8 a[NR_FIELDS], b[NR_FIELDS];
    bool same = false;

    for (int tries = 0; tries < 16 && !same; tries++) {
        for (int i = 0; i < 100000 && (cmos_read(CMOS_STATUS_A) & UPDATING); i++)
            ;
        read_fields(a);
        read_fields(b);
        same = !memcmp(a, b, sizeof(a));
    }
    u8 mode = cmos_read(STATUS_B);
    bool binary = mode & BINARY;
    u32 second = decode(a[SECOND], binary), minute = decode(a[MINUTE], binary), hour = hour_of(a[HOUR], mode);
    u32 day = decode(a[DAY], binary), month = decode(a[MONTH], binary), year = decode(a[YEAR], binary);
    if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 || year > 99)
        return 0;
    year = whole_year(year, decode(a[CENTURY], binary));
    return year < 1970 ? 0 : days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}
