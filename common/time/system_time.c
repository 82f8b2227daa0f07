/* SPDX-License-Identifier: MIT */
/* The clocks that guests see: pvclock (vcpu_info.time) and wall clock (shared_info.wc_*). */
#include <hv/boot_step.h>
#include <hv/domain.h>
#include <hv/printk.h>

static u64 wc_sec;
static u32 wc_nsec;
static spinlock_t wallclock_lock = SPINLOCK_INIT(LOCK_LEAF);

void wallclock_init(void)
{
    u64 now = system_time_ns(), seconds = cmos_read_time();

    if (!seconds)
        printk(LOG_WARN "There is no real-time clock, or what it says is no time: the wall clock starts at 1970 until dom0 sets it\n");
    wallclock_set(seconds, 0, now);
}
BOOT_STEP(wallclock_init, NEEDS(acpi_tables, clock), GIVES(wallclock), EVERYWHERE);

void wallclock_set(u64 sec, u32 nsec, u64 system_time)
{
    /* Seconds and ns at system time 0, in two parts: any number of seconds fits. */
    u64 up_sec = system_time / NS_PER_SEC, up_nsec = system_time % NS_PER_SEC;
    u64 whole = sec + nsec / NS_PER_SEC, rest = nsec % NS_PER_SEC;
    bool borrow = rest < up_nsec;
    bool before_1970 = whole < up_sec + borrow; /* the ABI's seconds have no sign: guests would read 2106 */

    spin_lock_scope(&wallclock_lock);
    wc_sec = before_1970 ? 0 : whole - up_sec - borrow;
    wc_nsec = before_1970 ? 0 : (u32)(rest + borrow * NS_PER_SEC - up_nsec);
    timestamp_set_wallclock(wc_sec, wc_nsec);
}

void wallclock_publish(struct domain *d)
{
    struct shared_info *s = d->shared_info;

    spin_lock_scope(&wallclock_lock);
    /* The guest reads version, values, version: an odd one, or two that differ, and it reads again. So the values change between two stores. */
    u32 version = (s->wc_version + 1) | 1;
    WRITE_ONCE(s->wc_version, version);
    wmb();
    u64 sec = wc_sec + (u64)d->time_offset;
    if (d->time_offset < 0 && sec > wc_sec)
        sec = 0; /* before 1970 */
    s->wc_sec = (u32)sec;
    s->wc_sec_hi = (u32)(sec >> 32);
    s->wc_nsec = wc_nsec;
    wmb();
    WRITE_ONCE(s->wc_version, version + 1);
}

void vcpu_time_publish(struct vcpu *v)
{
    struct vcpu_time_info *t = &v->info->time;
    u32 version = (READ_ONCE(t->version) + 1) | 1;
    const struct emulated_tsc *own = &v->domain->pv.tsc;
    struct tsc_scale scale = own->emulated ? own->scale : tsc_scale;

    WRITE_ONCE(t->version, version);
    wmb();
    /* System time 0 and its TSC, always: so all vCPUs compute the same function of the TSC, to the last ns. Or that of an emulated TSC's 0. */
    t->system_time = own->emulated ? own->start : 0;
    t->tsc_timestamp = own->emulated ? 0 : tsc_start();
    t->tsc_to_system_mul = scale.mul;
    t->tsc_shift = scale.shift;
    t->flags = 0;
    wmb();
    WRITE_ONCE(t->version, version + 1);
    v->tsc_offset = this_cpu()->tsc_offset;
}
