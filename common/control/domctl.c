/* SPDX-License-Identifier: MIT */
/* domctl: the toolstack on domains. Here the table of operations, and how one of them is run. */
#include "control.h"

/* subop.how */
enum {
    ON_DOMAIN,
    ON_PAUSED_VCPU, /* outside the hypervisor meanwhile */
    ON_VCPU_ALONE,  /* all vCPUs of the domain are: none of them starts this one. Not of the caller's domain */
    FINDS_IT,       /* it finds its domain by itself: there may be none of that id, and it takes no turn */
};

static const struct subop rows[] = {
    [XEN_DOMCTL_createdomain] = { CONTROL, ARG_IN_OUT(struct xen_domctl_createdomain, domctl_create, WITH_DOMAIN), .how = FINDS_IT },
    [XEN_DOMCTL_destroydomain] = { CONTROL, ARG_NONE(domctl_destroy, NO_ARGUMENT, WITH_DOMAIN) },
    [XEN_DOMCTL_pausedomain] = { CONTROL, ARG_NONE(domctl_pause, NO_ARGUMENT, WITH_DOMAIN) },
    [XEN_DOMCTL_unpausedomain] = { CONTROL, ARG_NONE(domctl_unpause, NO_ARGUMENT, WITH_DOMAIN) },
    [XEN_DOMCTL_getdomaininfo] = { CONTROL, ARG_IN_OUT(struct xen_domctl_getdomaininfo, domctl_info), .how = FINDS_IT },
    [XEN_DOMCTL_resumedomain] = { CONTROL, ARG_NONE(domctl_resume, NO_ARGUMENT, WITH_DOMAIN) },
#define D(op, arg, type, handler) [XEN_DOMCTL_##op] = { CONTROL, arg(type, handler, WITH_DOMAIN) },
#define V(op, how_, arg, type, handler) [XEN_DOMCTL_##op] = { CONTROL, arg(type, handler, WITH_VCPU), .how = how_ },
    DOMCTL_LIST(D, V)
#undef D
#undef V
};

/* Those that Xen 4.20 has otherwise: docs/toolstack-versions.md. */
static const struct subop rows_4_20[] = {
    [XEN_DOMCTL_createdomain] = { CONTROL, ARG_IN_OUT(struct xen_domctl_createdomain_4_20, domctl_create_4_20, WITH_DOMAIN),
                                  .how = FINDS_IT },
    [XEN_DOMCTL_getdomaininfo] = { CONTROL, ARG_IN_OUT(struct xen_domctl_getdomaininfo, domctl_info_exact, WITH_DOMAIN), .how = FINDS_IT },
};

/* Their first field names the vCPU. */
_Static_assert(!offsetof(struct xen_domctl_ext_vcpucontext, vcpu) && !offsetof(struct xen_domctl_vcpu_msrs, vcpu) &&
                   !offsetof(struct xen_domctl_vcpucontext, vcpu) && !offsetof(struct xen_domctl_vcpuextstate, vcpu),
               "the vCPU comes first");

static long run_paused(const struct subop *row, struct domain *d, void *arg)
{
    struct vcpu *v = domain_vcpu(d, *(const u32 *)arg);

    if (!v)
        return -ESRCH;
    if (v == current)
        return -EINVAL; /* its state is in use */
    bool alone = row->how == ON_VCPU_ALONE;
    long rc = alone ? domain_pause(d) : vcpu_pause(v);
    if (rc)
        return rc;
    rc = row->run(arg, v);
    if (alone)
        domain_unpause(d);
    else
        vcpu_unpause(v);
    return rc;
}

/*
 * Operations on another domain take turns: nothing is given to a domain while somebody takes it apart. The caller that has the turn waits only
 * for vCPUs of that domain, so it gets through, and the next one gets the turn, also if a third one waits for it meanwhile. Operations on the
 * caller's own domain take no turn: its own vCPUs cannot destroy it, and two of them would wait for each other.
 */
static int turn_begin(struct domain *d)
{
    int rc = 0;

    for (u32 turns = 0; !rc && __atomic_exchange_n(&d->in_domctl, true, __ATOMIC_ACQUIRE);)
        rc = domain_wait_point(&turns);
    return rc;
}

static long run_in_turn(const struct subop *row, struct domain *d, struct xen_domctl *op)
{
    bool other = d != current->domain;
    long rc = other ? turn_begin(d) : 0;

    if (rc)
        return rc;
    /* A dying domain can only be destroyed on, and looked at: xl asks all domains for their vCPUs and weights. */
    if (d->state >= DOMAIN_DYING && op->cmd != XEN_DOMCTL_destroydomain && !(row->copies & SUBOP_OUT))
        rc = -ESRCH;
    else
        rc = row->how == ON_PAUSED_VCPU || row->how == ON_VCPU_ALONE ? run_paused(row, d, &op->u) : row->run(&op->u, d);
    if (other)
        __atomic_store_n(&d->in_domctl, false, __ATOMIC_RELEASE);
    return rc;
}

static long call(const struct subop *row, void *arg, __unused void *whole)
{
    struct xen_domctl *op = container_of(arg, struct xen_domctl, u);
    struct domain *d __held_domain = domain_by_id(op->domain);

    if (row->how == FINDS_IT)
        return row->run(arg, d);
    long rc = d ? run_in_turn(row, d, op) : -ESRCH;
    return rc == -ERESTART ? hypercall_again(__HYPERVISOR_domctl, NULL, 0) : rc;
}

static const struct subops table_4_20 = { rows_4_20, ARRAY_SIZE(rows_4_20), __HYPERVISOR_domctl,
                                          ARG_VERSIONED(struct xen_domctl, XEN_DOMCTL_INTERFACE_VERSION_4_20), .call = call };
const struct subops domctl_table = {
    rows,         ARRAY_SIZE(rows),    __HYPERVISOR_domctl, ARG_VERSIONED(struct xen_domctl, XEN_DOMCTL_INTERFACE_VERSION),
    .call = call, .newer = &table_4_20
};

long do_domctl(guest_ptr_t arg) { return subop_dispatch(&domctl_table, 0, arg, NULL); }
