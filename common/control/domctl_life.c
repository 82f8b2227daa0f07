/* SPDX-License-Identifier: MIT */
/* domctl: what a toolstack says about the life of domains. domctl.c gives each domain to one caller at a time. */
#include "control.h"

#include <hv/evtchn.h>
#include <hv/x86/speculation.h>

#define CONTROLLER_PAUSES_MAX 255

/* The configurations that are offered: PV guests, without devices of their own. */
static bool config_ok(const struct xen_domctl_createdomain *c)
{
    return !(c->flags & ~(u32)(XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)) && c->max_vcpus && c->max_vcpus <= MAX_VIRT_CPUS &&
           c->max_grant_frames <= GRANT_MAX_FRAMES && c->max_maptrack_frames <= MAPTRACK_MAX_FRAMES &&
           XEN_DOMCTL_GRANT_version(c->grant_opts) && !c->iommu_opts && !c->vmtrace_size && !c->cpupool_id && !c->arch.emulation_flags &&
           !c->arch.misc_flags;
}

/* The number that the caller has given, or gets. */
static domid_t *id_in(void *part) { return &container_of(part, struct xen_domctl, u)->domain; }

long domctl_create(struct xen_domctl_createdomain *c, struct domain *d)
{
    domid_t *id = id_in(c);
    struct domain_config config = { .max_vcpus = c->max_vcpus,
                                    .xs_domain = c->flags & XEN_DOMCTL_CDF_xs_domain,
                                    .max_ports = MIN(c->max_evtchn_port, EVTCHN_FIFO_NR_CHANNELS - 1) + 1,
                                    .max_grant_frames = c->max_grant_frames < 0 ? GRANT_MAX_FRAMES : (u32)c->max_grant_frames,
                                    .max_maptrack_frames = c->max_maptrack_frames < 0 ? MAPTRACK_MAX_FRAMES : (u32)c->max_maptrack_frames };

    if (d && *id)
        return -EEXIST;
    if (!config_ok(c))
        return -EINVAL;
    memcpy(config.handle, c->handle, sizeof(config.handle));
    int rc = domain_create(*id && *id < DOMID_FIRST_RESERVED ? *id : DOMID_INVALID, &config, &d);
    if (!rc) {
        spec_warn_of_guests();
        *id = d->id;
        domain_put(d);
    }
    return rc;
}

/* A word more stands before the last ones: modes of page tables that hardware-virtualised guests may have several of. */
long domctl_create_4_20(struct xen_domctl_createdomain_4_20 *x, struct domain *d)
{
    const struct xen_domctl_createdomain_4_20 c = *x;
    struct xen_domctl_createdomain *newer = (void *)x;

    memcpy(&newer->vmtrace_size, &c.vmtrace_size, sizeof(c) - offsetof(struct xen_domctl_createdomain_4_20, vmtrace_size));
    long rc = c.altp2m_opts ? -EINVAL : domctl_create(newer, d);
    *x = c;
    return rc;
}

long domctl_max_vcpus(const struct xen_domctl_max_vcpus *x, struct domain *d)
{
    if (x->max != d->max_vcpus || d->state != DOMAIN_CREATED)
        return -EINVAL;
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (!d->vcpu[i] && !vcpu_create(d, i))
            return -ENOMEM;
        preempt_point();
    }
    return 0;
}

long domctl_max_mem(const struct xen_domctl_max_mem *x, struct domain *d)
{
    spin_lock_scope(&d->page_lock);
    d->max_pages = MIN(x->max_memkb >> (PAGE_SHIFT - 10), NO_PAGE_LIMIT);
    return 0;
}

long domctl_set_handle(const struct xen_domctl_setdomainhandle *x, struct domain *d)
{
    memcpy(d->handle, x->handle, sizeof(d->handle));
    return 0;
}

long domctl_set_virq_owner(const struct xen_domctl_set_virq_handler *x, struct domain *d) { return evtchn_set_virq_owner(d, x->virq); }

long domctl_pause(__unused void *none, struct domain *d)
{
    int rc = d->controller_pauses < CONTROLLER_PAUSES_MAX ? domain_pause(d) : -EOVERFLOW;

    if (!rc)
        d->controller_pauses++;
    return rc;
}

long domctl_unpause(__unused void *none, struct domain *d)
{
    if (!d->controller_pauses)
        return -EINVAL;
    d->controller_pauses--;
    domain_unpause(d);
    return 0;
}

long domctl_destroy(__unused void *none, struct domain *d) { return domain_kill(d); }

/* A code alone, without an end, is one that the guest has latched for later (SCHEDOP_shutdown_code). */
static u32 state_flags(const struct domain *d)
{
    bool ended = d->state >= DOMAIN_CRASHED && d->shutdown_code != SHUTDOWN_NONE;

    return (d->state >= DOMAIN_DYING ? XEN_DOMINF_dying : 0) | (ended ? XEN_DOMINF_shutdown : 0) |
           (d->controller_pauses ? XEN_DOMINF_paused : 0) | (d->xs_domain ? XEN_DOMINF_xs_domain : 0) |
           (d->debugged ? XEN_DOMINF_debugged : 0) | d->shutdown_code << XEN_DOMINF_shutdownshift;
}

/* Counts vCPUs. XEN_DOMINF_blocked: all vCPUs that are online are blocked. */
static void count_vcpus(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    u32 flags = XEN_DOMINF_blocked;

    for_each_vcpu(d, v) {
        u32 paused = READ_ONCE(v->pause_flags);

        info->max_vcpu_id = v->id;
        info->cpu_time += v->runstate.time[RUNSTATE_running];
        if (paused & PAUSE_DOWN)
            continue;
        info->nr_online_vcpus++;
        if (!(paused & (PAUSE_BLOCKED | PAUSE_POLL)))
            flags &= ~(u32)XEN_DOMINF_blocked;
        if (vcpu_is_running(v))
            flags |= XEN_DOMINF_running;
    }
    if (info->nr_online_vcpus)
        info->flags |= flags;
}

void domain_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    *info = (struct xen_domctl_getdomaininfo){ .domain = d->id,
                                               .flags = state_flags(d),
                                               .tot_pages = d->tot_pages,
                                               .max_pages = d->max_pages,
                                               .outstanding_pages = d->claim,
                                               .shared_info_frame = virt_to_mfn(d->shared_info),
                                               .max_vcpu_id = XEN_INVALID_MAX_VCPU_ID };
    memcpy(info->handle, d->handle, sizeof(info->handle));
    count_vcpus(d, info);
}

long domctl_info_exact(struct xen_domctl_getdomaininfo *x, struct domain *d)
{
    if (!d)
        return -ESRCH;
    domain_describe(d, x);
    *id_in(x) = d->id;
    return 0;
}

/* Describes the domain with this id or, as the ABI had it, the one with the next higher id: toolstacks walked all domains so. */
long domctl_info(struct xen_domctl_getdomaininfo *x)
{
    domid_t id = *id_in(x);
    struct domain *d __counted_domain = id < DOMID_FIRST_RESERVED ? domain_from_id(id) : NULL;

    return id < DOMID_FIRST_RESERVED ? domctl_info_exact(x, d) : -EINVAL;
}
