/* SPDX-License-Identifier: MIT */
/* The time before each line of the log (console_timestamps=). Read and set without a lock: each is one word. */
#include <hv/cmdline.h>
#include <hv/printk.h>
#include <hv/time.h>

enum stamp { STAMP_NONE, STAMP_DATE, STAMP_DATEMS, STAMP_BOOT, STAMP_RAW };

static enum stamp opt_stamp;
static u64 wallclock; /* ns since 1970 at system time 0; 0: not known yet */

static int parse_stamp(const char *value, void *var)
{
    static const char *const names[] = { "none", "date", "datems", "boot", "raw" };
    int which = word_index(value, names, ARRAY_SIZE(names));
    bool on = false;

    if (which < 0 && option_bool(value, &on))
        return -EINVAL;
    *(enum stamp *)var = which >= 0 ? (enum stamp)which : on ? STAMP_DATE : STAMP_NONE;
    return 0;
}
OPTION("console_timestamps", parse_stamp, opt_stamp,
       "what stands before each line: `none`, `date` (UTC; the word alone is the same), `datems` (with milliseconds), `boot` (seconds "
       "since start), `raw` (the TSC). Until the date is known it is `boot`",
       "`none`");

void timestamp_set_wallclock(u64 sec, u32 nsec) { WRITE_ONCE(wallclock, sec < (1ULL << 33) ? sec * NS_PER_SEC + nsec : 0); }

/* The calendar in years that begin in March, from 0000-03-01 on: the leap day is a year's last. */
static void civil_from_days(u64 days, u64 *y, u64 *m, u64 *d)
{
    u64 since = days + 719468, year = since * 400 / 146097 + 2, of_year;

    do {
        year--;
        of_year = 365 * year + year / 4 - year / 100 + year / 400;
    } while (of_year > since);
    u64 day = since - of_year, month = (5 * day + 2) / 153;
    *d = day - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = year + (month >= 10);
}

static size_t print_date(char *buf, size_t size, u64 ns, bool ms)
{
    u64 y, m, d, s = ns / NS_PER_SEC % 86400;

    civil_from_days(ns / NS_PER_SEC / 86400, &y, &m, &d);
    size_t n = (size_t)hv_snprintf(buf, size, "[%04lu-%02lu-%02lu %02lu:%02lu:%02lu", y, m, d, s / 3600, s / 60 % 60, s % 60);
    return n + (size_t)hv_snprintf(buf + n, size - n, ms ? ".%03lu] " : "] ", ns / 1000000 % 1000);
}

size_t timestamp(char *buf, size_t size)
{
    u64 now = system_time_ns(), start = READ_ONCE(wallclock), us = now / 1000;

    if (opt_stamp == STAMP_NONE)
        return 0;
    if (opt_stamp == STAMP_RAW)
        return (size_t)hv_snprintf(buf, size, "[%016lx] ", rdtsc());
    if (start && opt_stamp != STAMP_BOOT)
        return print_date(buf, size, start + now, opt_stamp == STAMP_DATEMS);
    return (size_t)hv_snprintf(buf, size, "[%5lu.%06lu] ", us / 1000000, us % 1000000);
}
