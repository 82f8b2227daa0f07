/* System time (ns since boot, monotonic), timers and the clocks shown to guests. */
#ifndef HV_TIME_H
#define HV_TIME_H

#include <hv/types.h>

struct domain;
struct vcpu;

/* ns since tsc_init(); 0 before. Usable in any context. */
u64 system_time_ns(void);
/* Parameters of ns = ((tsc << shift) * mul) >> 32, as the ABI's vcpu_time_info wants them. */
void tsc_scale(u32 *mul, s8 *shift);
extern u64 tsc_khz;
u64 tsc_at_ns(u64 ns);
/* System time and the TSC value that it was computed from. */
u64 system_time_snapshot(u64 *tsc);

struct timer {
    u64 expires;            /* system time, ns */
    void (*fn)(void *data); /* in softirq context on the CPU that set the timer */
    void *data;
    u32 slot;               /* heap index + 1; 0: not set */
};
void timer_init(struct timer *t, void (*fn)(void *), void *data);
/* Replaces an earlier deadline. A deadline in the past fires at the next softirq point. */
void timer_set(struct timer *t, u64 expires);
void timer_stop(struct timer *t);
void timers_init(void);

/* Wall clock: seconds and ns at system time 0. */
void wallclock_init(void);
void wallclock_set(u64 sec, u32 nsec, u64 system_time);
void wallclock_publish(struct domain *d);
/* Writes the vCPU's pvclock parameters (vcpu_info.time) anew. */
void vcpu_time_publish(struct vcpu *v);

/* arch */
void tsc_init(void);
void apic_timer_program(u64 expires_ns); /* ~0: stop */
u64 cmos_read_time(void);                /* seconds since 1970, UTC assumed */

#endif
