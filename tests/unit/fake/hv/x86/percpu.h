/* SPDX-License-Identifier: MIT */
/* The CPU is found without the stack. */
#define this_cpu hidden_this_cpu
#include_next <hv/x86/percpu.h>
#undef this_cpu

#ifndef FAKE_PERCPU_H
#define FAKE_PERCPU_H
extern struct percpu *fake_cpu; /* &boot_percpu, if the test does not change it */
static inline struct percpu *this_cpu(void) { return fake_cpu; }
#endif
