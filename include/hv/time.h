/* SPDX-License-Identifier: MIT */
/* System time (ns since boot, monotonic), timers and the clocks shown to guests. */
#pragma once

#include <hv/x86/processor.h>

#define NS_PER_SEC 1000000000ULL

struct domain;
struct percpu;
struct vcpu;

/* ns since tsc_init(); 0 before. Usable in any context. */
u64 system_time_ns(void);
static inline void delay_ns(u64 ns) /* busy */
{
    for (u64 end = system_time_ns() + ns; system_time_ns() < end;)
        cpu_relax();
}
/* ns = (((tsc - tsc0) << shift) * mul) >> 32, as the ABI's vcpu_time_info wants it. */
struct tsc_scale {
    u32 mul;
    s8 shift; /* negative: to the right */
};
struct tsc_scale tsc_scale_for(u64 khz); /* khz: from 1000 on */
u64 tsc_scale_to_ns(struct tsc_scale scale, u64 ticks);
u64 tsc_scale_to_ticks(struct tsc_scale scale, u64 ns); /* the reverse; all ones where that does not fit */
extern u64 tsc_khz;                                     /* the machine's */
extern struct tsc_scale tsc_scale;
u64 tsc_start(void); /* this CPU's tsc0 */
/* This CPU's TSC at a system time, modulo 2^64; from some centuries on all are one. */
u64 tsc_at_ns(u64 ns);

struct timer {
    u64 expires;            /* system time, ns */
    void (*fn)(void *data); /* in softirq context on the CPU that set the timer */
    void *data;
    struct timer_heap *heap; /* that it is in, or was in last */
    u32 slot;                /* heap index + 1; 0: not set */
};
void timer_init(struct timer *t, void (*fn)(void *), void *data); /* in no heap; fn gets data. Room for it has been reserved */
/* Replaces an earlier deadline. A deadline in the past fires at the next softirq point. */
void timer_set(struct timer *t, u64 expires);
/* For good: when this returns, the handler does not run and never will; timer_set() does nothing any more. */
void timer_kill(struct timer *t);
/* The handler may be running on another CPU while this returns. */
void timer_stop(struct timer *t);
/* Before n timers are made, and after they are gone: every CPU's heap has room for all there are. -ENOMEM: none was reserved. */
int timers_reserve(u32 n) __must_check;
void timers_release(u32 n);                         /* no lock; heaps keep their size */
void timers_init(void);                             /* boot */
int timers_init_cpu(struct percpu *c) __must_check; /* -ENOMEM */
void timers_move_away(struct percpu *to);           /* all of this CPU's */

/* Wall clock: seconds and ns at system time 0. */
void wallclock_init(void);
void wallclock_set(u64 sec, u32 nsec, u64 system_time); /* sec and nsec were the time at this system time (ns). Takes wallclock_lock */
void wallclock_publish(struct domain *d);               /* to shared_info; takes wallclock_lock */
/* Writes the vCPU's pvclock parameters (vcpu_info.time), for this CPU. */
void vcpu_time_publish(struct vcpu *v);

/* arch */
void tsc_init(void);
/* The same few rounds on the boot CPU and on the other one: sets percpu.tsc_offset of the latter. */
void tsc_sync_source(struct percpu *c);
void tsc_sync_target(void);
struct tsc_sample {
    u64 before, there, after; /* here, on the other CPU, here again */
};
s64 tsc_skew(const struct tsc_sample *samples, u32 n); /* 0: none that the measurement can tell */
/* A counter's value at some moment between two readings of the TSC: the quickest of several such pairs. */
struct clock_point {
    u64 before, after;
    u32 count;
};
struct clock_point clock_point_take(u32 (*read)(void)); /* interrupts off */
void apic_timer_program(u64 expires_ns);                /* ~0: stop */
/* Seconds since 1970, UTC assumed; 0 if there is no real-time clock or what it says is no time. */
u64 cmos_read_time(void);
#define CMOS_STATUS_A 10
u8 cmos_read(u8 reg); /* boot, and dom0 not running: no lock */
