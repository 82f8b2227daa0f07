/* SPDX-License-Identifier: MIT */
/* domctl: the toolstack on domains. Here the table of operations, and how one of them is run. */
#include "domctl.h"

#include <hv/hypercall.h>

/* subop.how */
enum {
    ON_DOMAIN,
    ON_PAUSED_VCPU, /* outside the hypervisor meanwhile */
    ON_VCPU_ALONE,  /* all vCPUs of the domain are: none of them starts this one. Not of the caller's domain */
    FINDS_IT,       /* it finds its domain by itself: there may be none of that id, and it takes no turn */
};

static const struct subop rows[] = {
    [XEN_DOMCTL_createdomain] = { CONTROL, ARG_IN_OUT(struct xen_domctl_createdomain), .how = FINDS_IT, .on_domain = domctl_create },
    [XEN_DOMCTL_destroydomain] = { CONTROL, ARG_NONE, .on_domain = domctl_destroy },
    [XEN_DOMCTL_pausedomain] = { CONTROL, ARG_NONE, .on_domain = domctl_pause },
    [XEN_DOMCTL_unpausedomain] = { CONTROL, ARG_NONE, .on_domain = domctl_unpause },
    [XEN_DOMCTL_getdomaininfo] = { CONTROL, ARG_IN_OUT(struct xen_domctl_getdomaininfo), .how = FINDS_IT, .on_domain = domctl_info },
    [XEN_DOMCTL_max_mem] = { CONTROL, ARG_IN(struct xen_domctl_max_mem), .on_domain = domctl_max_mem },
    [XEN_DOMCTL_getpageframeinfo3] = { CONTROL, ARG_IN(struct xen_domctl_getpageframeinfo3), .on_domain = domctl_page_info },
    [XEN_DOMCTL_max_vcpus] = { CONTROL, ARG_IN(struct xen_domctl_max_vcpus), .on_domain = domctl_max_vcpus },
    [XEN_DOMCTL_setvcpucontext] = { CONTROL, ARG_IN(struct xen_domctl_vcpucontext), .how = ON_VCPU_ALONE, .on_vcpu = domctl_set_context },
    [XEN_DOMCTL_getvcpucontext] = { CONTROL, ARG_IN(struct xen_domctl_vcpucontext), .how = ON_PAUSED_VCPU, .on_vcpu = domctl_get_context },
    [XEN_DOMCTL_set_ext_vcpucontext] = { CONTROL, ARG_IN(struct xen_domctl_ext_vcpucontext), .how = ON_PAUSED_VCPU,
                                         .on_vcpu = domctl_set_ext },
    [XEN_DOMCTL_get_ext_vcpucontext] = { CONTROL, ARG_IN_OUT(struct xen_domctl_ext_vcpucontext), .how = ON_PAUSED_VCPU,
                                         .on_vcpu = domctl_get_ext },
    [XEN_DOMCTL_get_vcpu_msrs] = { CONTROL, ARG_IN_OUT(struct xen_domctl_vcpu_msrs), .how = ON_PAUSED_VCPU, .on_vcpu = domctl_get_msrs },
    [XEN_DOMCTL_set_vcpu_msrs] = { CONTROL, ARG_IN(struct xen_domctl_vcpu_msrs), .how = ON_PAUSED_VCPU, .on_vcpu = domctl_set_msrs },
    [XEN_DOMCTL_get_cpu_policy] = { CONTROL, ARG_IN_OUT(struct xen_domctl_cpu_policy), .on_domain = domctl_get_cpu_policy },
    [XEN_DOMCTL_set_cpu_policy] = { CONTROL, ARG_IN_OUT_ALWAYS(struct xen_domctl_cpu_policy), .on_domain = domctl_set_cpu_policy },
    [XEN_DOMCTL_setdomainhandle] = { CONTROL, ARG_IN(struct xen_domctl_setdomainhandle), .on_domain = domctl_set_handle },
    [XEN_DOMCTL_set_virq_handler] = { CONTROL, ARG_IN(struct xen_domctl_set_virq_handler), .on_domain = domctl_set_virq_owner },
    [XEN_DOMCTL_setvcpuaffinity] = { CONTROL, ARG_IN(struct xen_domctl_vcpuaffinity), .on_domain = domctl_set_affinity },
    [XEN_DOMCTL_getvcpuaffinity] = { CONTROL, ARG_IN_OUT(struct xen_domctl_vcpuaffinity), .on_domain = domctl_get_affinity },
    [XEN_DOMCTL_scheduler_op] = { CONTROL, ARG_IN_OUT(struct xen_domctl_scheduler_op), .on_domain = domctl_scheduler_op },
    [XEN_DOMCTL_getvcpuinfo] = { CONTROL, ARG_IN_OUT(struct xen_domctl_getvcpuinfo), .on_domain = domctl_vcpu_info },
    [XEN_DOMCTL_setnodeaffinity] = { CONTROL, ARG_IN(struct xen_domctl_nodeaffinity), .on_domain = domctl_set_node_affinity },
    [XEN_DOMCTL_getnodeaffinity] = { CONTROL, ARG_IN(struct xen_domctl_nodeaffinity), .on_domain = domctl_get_node_affinity },
    [XEN_DOMCTL_resumedomain] = { CONTROL, ARG_NONE, .on_domain = domctl_resume },
    [XEN_DOMCTL_sendtrigger] = { CONTROL, ARG_IN(struct xen_domctl_sendtrigger), .on_domain = domctl_trigger },
    [XEN_DOMCTL_setdebugging] = { CONTROL, ARG_IN(struct xen_domctl_setdebugging), .on_domain = domctl_set_debugging },
    [XEN_DOMCTL_hypercall_init] = { CONTROL, ARG_IN(struct xen_domctl_hypercall_init), .on_domain = domctl_hypercall_page },
    [XEN_DOMCTL_settimeoffset] = { CONTROL, ARG_IN(struct xen_domctl_settimeoffset), .on_domain = domctl_time_offset },
    [XEN_DOMCTL_settscinfo] = { CONTROL, ARG_IN(struct xen_domctl_tsc_info), .on_domain = domctl_set_tsc },
    [XEN_DOMCTL_gettscinfo] = { CONTROL, ARG_OUT(struct xen_domctl_tsc_info), .on_domain = domctl_get_tsc },
    [XEN_DOMCTL_set_address_size] = { CONTROL, ARG_IN(struct xen_domctl_address_size), .on_domain = domctl_set_address_size },
    [XEN_DOMCTL_get_address_size] = { CONTROL, ARG_OUT(struct xen_domctl_address_size), .on_domain = domctl_get_address_size },
    [XEN_DOMCTL_shadow_op] = { CONTROL, ARG_IN(struct xen_domctl_shadow_op), .on_domain = domctl_shadow_op },
    [XEN_DOMCTL_setvcpuextstate] = { CONTROL, ARG_IN(struct xen_domctl_vcpuextstate), .how = ON_PAUSED_VCPU, .on_vcpu = domctl_set_xstate },
    [XEN_DOMCTL_getvcpuextstate] = { CONTROL, ARG_IN_OUT(struct xen_domctl_vcpuextstate), .how = ON_PAUSED_VCPU,
                                     .on_vcpu = domctl_get_xstate },
    [XEN_DOMCTL_irq_permission] = { CONTROL, ARG_IN(struct xen_domctl_irq_permission), .on_domain = domctl_irq_permission },
    [XEN_DOMCTL_iomem_permission] = { CONTROL, ARG_IN(struct xen_domctl_iomem_permission), .on_domain = domctl_iomem_permission },
    [XEN_DOMCTL_ioport_permission] = { CONTROL, ARG_IN(struct xen_domctl_ioport_permission), .on_domain = domctl_ioport_permission },
};

/* Those that Xen 4.20 has otherwise: docs/toolstack-versions.md. */
static const struct subop rows_4_20[] = {
    [XEN_DOMCTL_createdomain] = { CONTROL, ARG_IN_OUT(struct xen_domctl_createdomain_4_20), .how = FINDS_IT,
                                  .on_domain = domctl_create_4_20 },
    [XEN_DOMCTL_getdomaininfo] = { CONTROL, ARG_IN_OUT(struct xen_domctl_getdomaininfo), .how = FINDS_IT, .on_domain = domctl_info_exact },
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
    rc = row->on_vcpu(v, arg);
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
    if (d->state >= DOMAIN_DYING && row->on_domain != domctl_destroy && !(row->copies & SUBOP_OUT))
        rc = -ESRCH;
    else
        rc = row->how == ON_PAUSED_VCPU || row->how == ON_VCPU_ALONE ? run_paused(row, d, &op->u) : row->on_domain(d, op);
    if (other)
        __atomic_store_n(&d->in_domctl, false, __ATOMIC_RELEASE);
    return rc;
}

static long call(const struct subop *row, void *arg, __unused void *whole)
{
    struct xen_domctl *op = container_of(arg, struct xen_domctl, u);
    struct domain *d __held_domain = domain_by_id(op->domain);

    if (row->how == FINDS_IT)
        return row->on_domain(d, op);
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
