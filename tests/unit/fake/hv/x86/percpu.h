/* One CPU, found without the stack. */
#define this_cpu hidden_this_cpu
#include_next <hv/x86/percpu.h>
#undef this_cpu

#ifndef FAKE_PERCPU_H
#define FAKE_PERCPU_H
static inline struct percpu *this_cpu(void)
{
    return &boot_percpu;
}
#endif
