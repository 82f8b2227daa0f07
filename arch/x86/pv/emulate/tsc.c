/* SPDX-License-Identifier: MIT */
/* The TSC of guests: the processor's, unless a toolstack wants another rate, or one that is the same on another machine. */
#include <hv/pv.h>
#include <public/domctl.h>

/* Below, the multiplier of pvclock does not fit; above, products of some years do not. */
#define KHZ_MIN 1000
#define KHZ_MAX 100000000

int pv_tsc_set(struct domain *d, const struct xen_domctl_tsc_info *x)
{
    u32 khz = x->gtsc_khz ? x->gtsc_khz : (u32)tsc_khz;

    if (x->tsc_mode > TSC_MODE_NEVER_EMULATE || khz < KHZ_MIN || khz > KHZ_MAX)
        return -EINVAL;
    d->pv.tsc = (struct emulated_tsc){ .mode = x->tsc_mode,
                                       .khz = khz,
                                       .incarnation = x->incarnation + 1,
                                       .start = system_time_ns() - x->elapsed_nsec,
                                       .scale = tsc_scale_for(khz),
                                       .emulated = x->tsc_mode == TSC_MODE_ALWAYS_EMULATE ||
                                                   (x->tsc_mode == TSC_MODE_DEFAULT && khz != (u32)tsc_khz) };
    for_each_vcpu(d, v) {
        v->tsc_offset = TIME_UNPUBLISHED;
        pv_state_changed(v);
    }
    return 0;
}

void pv_tsc_get(const struct domain *d, struct xen_domctl_tsc_info *x)
{
    const struct emulated_tsc *t = &d->pv.tsc;

    *x = (struct xen_domctl_tsc_info){ .tsc_mode = t->mode,
                                       .gtsc_khz = t->khz ? t->khz : (u32)tsc_khz,
                                       .incarnation = t->incarnation,
                                       .elapsed_nsec = t->emulated                       ? system_time_ns() - t->start :
                                                       t->mode == TSC_MODE_NEVER_EMULATE ? 0 :
                                                                                           tsc_scale_to_ns(tsc_scale, rdtsc()) };
}

u64 pv_tsc_read(const struct vcpu *v)
{
    const struct emulated_tsc *t = &v->domain->pv.tsc;

    return likely(!t->emulated) ? rdtsc() : tsc_scale_to_ticks(t->scale, system_time_ns() - t->start);
}
