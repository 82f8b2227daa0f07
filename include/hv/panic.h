/*
 * The hypervisor's own end. Guest input never leads here: callers in pv/, grant/, evtchn/ say
 * at the call why no guest can reach it.
 */
#ifndef HV_PANIC_H
#define HV_PANIC_H

#include <hv/x86/regs.h>

/* Reports once on every console and halts or reboots (noreboot, panic=SECONDS). */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
/* The same for an exception, with registers, page walk and backtrace. */
void fatal_trap(const struct cpu_user_regs *regs, const char *why) __noreturn;

/* Checked in release builds too. */
#define ASSERT(c)                                                                     \
    do {                                                                              \
        if (unlikely(!(c)))                                                           \
            panic("assertion '%s' failed at %s:%d", #c, __FILE__, __LINE__);          \
    } while (0)
#define BUG() panic("impossible state at %s:%d", __FILE__, __LINE__)

/* Orderly ends, after dom0 asked for them. */
void machine_power_off(void) __noreturn;
void machine_restart(void) __noreturn;
void machine_halt(void) __noreturn;

/* Nearest symbol: writes "name+0xoff" (or the bare address) and returns buf. */
const char *symbol_describe(u64 addr, char *buf, size_t size);

extern bool opt_noreboot;

#endif
