/* SPDX-License-Identifier: MIT */
/*
 * Log output. printk() may be called in any phase and any context; it never blocks for ever.
 * Messages go to the boot log and ring always, to the console sinks when their level is at or
 * below the threshold (loglvl=, guest_loglvl=).
 */
#pragma once

#include <hv/lib.h>

/* Severity prefixes. Guest messages are what a guest can cause at will: they are rate-limited. */
#define LOG_ERR "\0010"
#define LOG_WARN "\0011"
#define LOG_INFO "\0012"
#define LOG_DEBUG "\0013"
#define GUEST_ERR "\0020"
#define GUEST_WARN "\0021"
#define GUEST_INFO "\0022"
#define GUEST_DEBUG "\0023"

void printk(const char *fmt, ...) __printf(1, 2);
void vprintk(const char *fmt, va_list ap);

/* timestamp.c: what console_timestamps= wants before a line, with its blank; its length. */
size_t timestamp(char *buf, size_t size);
/* Seconds since 1970 at system time 0. */
void timestamp_set_wallclock(u64 sec, u32 nsec);

/* A character of the log, made harmless: what dom0 has printed is in there, too. */
static inline char log_char(char c) { return c == '\n' || (c >= ' ' && c < 127) ? c : ' '; }
