/* The real-time clock (MC146818), read twice until both readings agree. */
#include <hv/time.h>
#include <hv/x86/processor.h>

static u8 reg(u8 n)
{
    outb(0x70, n);
    return inb(0x71);
}

static u32 decode(u8 v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15);
}

static u64 days_from_civil(u32 y, u32 m, u32 d)
{
    /* Days since 1970-01-01; the year starts in March so that the leap day is its last. */
    if (m <= 2) {
        y--;
        m += 12;
    }
    return 365ULL * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + d - 1 - 719468;
}

u64 cmos_read_time(void)
{
    static const u8 fields[6] = { 0, 2, 4, 7, 8, 9 };
    u8 a[6], b[6];
    bool same = false;

    for (int tries = 0; tries < 16 && !same; tries++) {
        for (int i = 0; i < 100000 && (reg(10) & 0x80); i++)
            ;
        for (int i = 0; i < 6; i++)
            a[i] = reg(fields[i]);
        same = true;
        for (int i = 0; i < 6; i++) {
            b[i] = reg(fields[i]);
            same &= a[i] == b[i];
        }
    }
    u8 mode = reg(11);
    bool binary = mode & 4;
    u32 hour = decode(a[2] & 0x7f, binary);

    if (!(mode & 2) && (a[2] & 0x80)) /* 12-hour clock, afternoon */
        hour = hour % 12 + 12;
    u32 year = 2000 + decode(a[5], binary);

    return days_from_civil(year, decode(a[4], binary), decode(a[3], binary)) * 86400 + hour * 3600 +
           decode(a[1], binary) * 60 + decode(a[0], binary);
}
