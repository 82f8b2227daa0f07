/*
 * Hooks of test builds (make TRAP_TEST=1, make COVERAGE=1); nothing in others. tests/trap/ has
 * the code behind them.
 */
#ifndef HV_TRAP_TEST_H
#define HV_TRAP_TEST_H

#include <hv/types.h>

#ifdef TRAP_TEST
/* Raises every trap of the matrix that this phase can have, if traptest= asks for it. */
void trap_test_phase(const char *phase);
/* A report has left its first line; is complete: returns into the test if one runs. */
void trap_test_first_line(void);
void trap_test_report_over(u32 *reporter);
void trap_test_nested(u32 *depth);
#else
static inline void trap_test_phase(const char *phase) { (void)phase; }
static inline void trap_test_first_line(void) {}
static inline void trap_test_report_over(u32 *reporter) { (void)reporter; }
static inline void trap_test_nested(u32 *depth) { (void)depth; }
#endif

#ifdef COVERAGE
void coverage_dump(void); /* all counters through the debug console, port e9h */
#else
static inline void coverage_dump(void) {}
#endif

#endif
