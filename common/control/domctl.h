/* SPDX-License-Identifier: MIT */
/* The operations of domctl that have files of their own. Each may act on any domain, its caller's too. */
#pragma once

#include <hv/domain.h>
#include <public/domctl.h>

/* Handlers of the table in domctl.c, which may run other vCPUs: of an operation on a domain, and of one on a vCPU that is outside meanwhile. */
typedef long domctl_on_domain(struct domain *d, struct xen_domctl *op);
typedef long domctl_on_vcpu(struct vcpu *v, void *arg);

/* domctl_life.c */
void domain_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info);
domctl_on_domain domctl_create, domctl_create_4_20, domctl_info, domctl_info_exact; /* d NULL: there is none of that id */
domctl_on_domain domctl_max_vcpus, domctl_max_mem, domctl_set_handle, domctl_set_virq_owner, domctl_pause, domctl_unpause;
domctl_on_domain domctl_destroy; /* -ERESTART: to be called again */
/* domctl_vcpu.c */
domctl_on_vcpu domctl_set_context; /* the whole domain is outside */
domctl_on_vcpu domctl_get_context, domctl_set_xstate, domctl_get_xstate, domctl_set_ext, domctl_get_ext, domctl_get_msrs, domctl_set_msrs;
/* domctl_memory.c */
domctl_on_domain domctl_page_info;
/* domctl_sched.c */
int cpumap_write(const struct xenctl_bitmap *map, cpuset_t set) __may_preempt; /* 0, -EFAULT */
domctl_on_domain domctl_set_affinity, domctl_get_affinity, domctl_set_node_affinity, domctl_get_node_affinity, domctl_vcpu_info,
    domctl_scheduler_op;
/* cpu_policy.c */
domctl_on_domain domctl_get_cpu_policy, domctl_set_cpu_policy;
/* domctl_guest.c */
domctl_on_domain domctl_resume, domctl_trigger, domctl_set_debugging, domctl_hypercall_page, domctl_time_offset, domctl_set_tsc,
    domctl_get_tsc, domctl_set_address_size, domctl_get_address_size, domctl_shadow_op;
/* domctl_rights.c */
domctl_on_domain domctl_irq_permission, domctl_iomem_permission;
long domctl_ioport_permission(struct domain *d, struct xen_domctl *op) __may_preempt;
