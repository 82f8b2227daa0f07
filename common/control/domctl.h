/* SPDX-License-Identifier: MIT */
/* The operations of domctl that have files of their own. Each may act on any domain, its caller's too. */
#pragma once

#include <hv/domain.h>
#include <public/domctl.h>

/* domctl_life.c */
void domain_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info);
long domctl_create(struct domain *d, struct xen_domctl *op); /* d NULL: there is none of that id */
long domctl_info(struct domain *d, struct xen_domctl *op);   /* the same */
long domctl_max_vcpus(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_max_mem(struct domain *d, struct xen_domctl *op);
long domctl_set_handle(struct domain *d, struct xen_domctl *op);
long domctl_set_virq_owner(struct domain *d, struct xen_domctl *op);
long domctl_pause(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_unpause(struct domain *d, struct xen_domctl *op);
long domctl_destroy(struct domain *d, struct xen_domctl *op) __may_preempt; /* -ERESTART: to be called again */
/* domctl_vcpu.c: v is outside the hypervisor; for the first one its whole domain is */
long domctl_set_context(struct vcpu *v, void *arg) __may_preempt;
long domctl_get_context(struct vcpu *v, void *arg);
long domctl_set_xstate(struct vcpu *v, void *arg);
long domctl_get_xstate(struct vcpu *v, void *arg);
long domctl_set_ext(struct vcpu *v, void *arg);
long domctl_get_ext(struct vcpu *v, void *arg);
long domctl_get_msrs(struct vcpu *v, void *arg);
long domctl_set_msrs(struct vcpu *v, void *arg);
/* domctl_memory.c */
long domctl_page_info(struct domain *d, struct xen_domctl *op) __may_preempt;
/* domctl_sched.c */
int cpumap_write(const struct xenctl_bitmap *map, cpuset_t set) __may_preempt; /* 0, -EFAULT */
long domctl_set_affinity(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_get_affinity(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_set_node_affinity(struct domain *d, struct xen_domctl *op);
long domctl_get_node_affinity(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_vcpu_info(struct domain *d, struct xen_domctl *op);
long domctl_scheduler_op(struct domain *d, struct xen_domctl *op);
/* cpu_policy.c */
long domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op);
long domctl_set_cpu_policy(struct domain *d, struct xen_domctl *op);
/* domctl_guest.c */
long domctl_resume(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_trigger(struct domain *d, struct xen_domctl *op);
long domctl_set_debugging(struct domain *d, struct xen_domctl *op);
long domctl_hypercall_page(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_time_offset(struct domain *d, struct xen_domctl *op);
long domctl_set_tsc(struct domain *d, struct xen_domctl *op) __may_preempt;
long domctl_get_tsc(struct domain *d, struct xen_domctl *op);
long domctl_set_address_size(struct domain *d, struct xen_domctl *op);
long domctl_get_address_size(struct domain *d, struct xen_domctl *op);
long domctl_shadow_op(struct domain *d, struct xen_domctl *op);
/* domctl_rights.c */
long domctl_irq_permission(struct domain *d, struct xen_domctl *op);
long domctl_iomem_permission(struct domain *d, struct xen_domctl *op);
long domctl_ioport_permission(struct domain *d, struct xen_domctl *op);
