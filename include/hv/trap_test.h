/* SPDX-License-Identifier: MIT */
/* Hooks of test builds (make TRAP_TEST=1, make COVERAGE=1); nothing in others. tests/trap/ has the code behind them. */
#pragma once

#include <hv/types.h>

#ifdef TRAP_TEST
/* Raises every trap of the matrix that this phase can have, if traptest= asks for it. */
void trap_test_phase(const char *phase);
/* A report has left its first line; is complete: returns into the test if one runs. */
void trap_test_first_line(void);
void trap_test_report_over(u32 *reporter);
void trap_test_nested(u32 *depth);
bool trap_test_goes_on(void); /* reports return: no CPU may be stopped for one */
/* In the handlers of NMI and #MC. */
void trap_test_inside(void);
/* The next INT3 of a guest stands for a vector that nothing can raise. */
struct cpu_user_regs;
void trap_test_redirect(struct cpu_user_regs *regs);
/* How many broken trampolines to try first; text16 and text32: places in the copy. */
u32 trap_test_trampolines(void);
/* By how much to lengthen the bound for a CPU that runs the tests before it answers. */
u32 trap_test_patience(void);
void trap_test_break_trampoline(u8 *text16, u8 *text32, u32 n);
/* By how much a flush moves the TLB clock (option tlb-tick; tlb-clock is where it starts). */
u32 trap_test_tlb_tick(void);
/* One allocation of memory after so many is refused: tests/kernels/trap_domains.c. */
bool trap_test_allocation_fails(void);
#else
static inline bool trap_test_allocation_fails(void) { return false; }
static inline u32 trap_test_tlb_tick(void) { return 1; }
static inline bool trap_test_goes_on(void) { return false; }
static inline void trap_test_inside(void) {}
static inline void trap_test_redirect(__unused void *regs) {}
static inline u32 trap_test_trampolines(void) { return 0; }
static inline u32 trap_test_patience(void) { return 1; }
static inline void trap_test_break_trampoline(__unused u8 *text16, __unused u8 *text32, __unused u32 n) {}
static inline void trap_test_phase(__unused const char *phase) {}
static inline void trap_test_first_line(void) {}
static inline void trap_test_report_over(__unused u32 *reporter) {}
static inline void trap_test_nested(__unused u32 *depth) {}
#endif

#ifdef COVERAGE
void coverage_dump(void); /* all counters through the debug console, port e9h */
#else
static inline void coverage_dump(void) {}
#endif
