/* SPDX-License-Identifier: MIT */
/* The real header; ports, MSRs and control registers are answered by the test. */
#ifndef FAKE_PROCESSOR_H
#define FAKE_PROCESSOR_H

#include_next <hv/x86/processor.h>

u8 fake_inb(u16 port);
void fake_outb(u16 port, u8 v);
u64 fake_rdmsr(u32 msr);
void fake_wrmsr(u32 msr, u64 v);
struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf);
#ifdef FAKE_TSC
u64 fake_rdtsc_ordered(void);
#define rdtsc_ordered fake_rdtsc_ordered
#endif
#ifdef FAKE_PORTS
void fake_outw(u16 port, u16 v);
void fake_outl(u16 port, u32 v);
u32 fake_port_in(u16 port, unsigned bytes);
void fake_port_out(u16 port, unsigned bytes, u32 v);
#define port_in fake_port_in
#define port_out fake_port_out
#define outw fake_outw
#define outl fake_outl
#endif
#define irq_disable() ((void)0)
#define irq_enable() ((void)0)
#define irq_window() ((void)0)
#define inb fake_inb
#define outb fake_outb
#define rdmsr fake_rdmsr
#define wrmsr fake_wrmsr
extern bool (*fake_msr_exists)(u32 msr); /* NULL: all do */
static inline bool fake_rdmsr_safe(u32 msr, u64 *v)
{
    bool exists = !fake_msr_exists || fake_msr_exists(msr);

    *v = exists ? fake_rdmsr(msr) : 0;
    return exists;
}
#define rdmsr_safe fake_rdmsr_safe
static inline bool fake_wrmsr_safe(u32 msr, u64 v)
{
    bool exists = !fake_msr_exists || fake_msr_exists(msr);

    if (exists)
        fake_wrmsr(msr, v);
    return exists;
}
#define wrmsr_safe fake_wrmsr_safe
#define cpuid_count fake_cpuid

u64 fake_read_cr3(void);
void fake_write_cr3(u64 v); /* flushes what is not global */
void fake_write_cr4(u64 v);
void fake_invlpg(u64 va);
void fake_cpu_relax(void); /* this CPU waits for another one */
#define read_cr3 fake_read_cr3
#define write_cr3 fake_write_cr3
extern u64 fake_cr4; /* CR4_PGE, if the test does not change it */
#define read_cr4() (fake_cr4)
#define write_cr4 fake_write_cr4
#define invlpg fake_invlpg
#define cpu_relax fake_cpu_relax

#endif
