/* SPDX-License-Identifier: MIT */
/* The hypervisor's own end. Guest input never leads here: callers in pv/, grant/, evtchn/ say at the call why no guest can reach it. */
#pragma once

#include <hv/panic_codes.h>
#include <hv/x86/regs.h>

/* Reports once on every console and halts or reboots (noreboot, panic=SECONDS). */
void panic(enum panic_code code, const char *fmt, ...) __printf(2, 3) __noreturn;
/* The same for an exception, with registers, page walk and backtrace. */
void fatal_trap(const struct cpu_user_regs *regs, enum panic_code code, const char *fmt, ...) __printf(3, 4) __noreturn;
/* A fault inside the report: one line, and the end. On other CPUs than the reporting one: a stop. */
void panic_nested(const struct cpu_user_regs *regs, const char *why) __noreturn;
extern u32 panic_reporter; /* the CPU that reports: its number plus one; 0: none. Written by fatal.c alone. */
static inline bool panic_in_progress(void) { return READ_ONCE(panic_reporter) != 0; }

/* "T0E", "K01"; and the sentences of the list, for an exception those of its kind. */
const char *panic_code_name(enum panic_code code);
const char *panic_code_cause(enum panic_code code);
const char *panic_code_advice(enum panic_code code);

/* Checked in release builds too. */
#define ASSERT(c)                                                                          \
    do {                                                                                   \
        if (unlikely(!(c)))                                                                \
            panic(PANIC_ASSERT, "assertion '%s' failed at %s:%d", #c, __FILE__, __LINE__); \
    } while (0)

/* Orderly ends, after dom0 asked for them. */
void machine_power_off(void) __noreturn;
void machine_restart(void) __noreturn; /* acpi/reset.c: by every way there is, one after the other */
void machine_halt(void) __noreturn;    /* this CPU, interrupts off, for ever */

/* Nearest symbol: writes "address name+0xoff" (or the bare address) and returns buf. */
const char *symbol_describe(u64 addr, char *buf, size_t size);

extern bool opt_noreboot;
