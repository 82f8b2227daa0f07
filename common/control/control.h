/* SPDX-License-Identifier: MIT */
/* Between the files of common/control: operations that are not in the file of their hypercall's table. */
#pragma once

#include <hv/hypercall.h>
#include <public/domctl.h>
#include <public/platform.h>
#include <public/sysctl.h>

/* ---- domctl: each may act on any domain, its caller's too ---- */
/*
 * Operations whose argument is their part of the union: D on a domain, V on a vCPU of one, which is outside meanwhile. Name, for V how
 * (domctl.c), what is copied, type, handler. They may run other vCPUs.
 */
#define DOMCTL_LIST(D, V)                                                                                   \
    D(max_mem, ARG_IN, const struct xen_domctl_max_mem, domctl_max_mem)                                     \
    D(getpageframeinfo3, ARG_IN, const struct xen_domctl_getpageframeinfo3, domctl_page_info)               \
    D(max_vcpus, ARG_IN, const struct xen_domctl_max_vcpus, domctl_max_vcpus)                               \
    V(setvcpucontext, ON_VCPU_ALONE, ARG_IN, const struct xen_domctl_vcpucontext, domctl_set_context)       \
    V(getvcpucontext, ON_PAUSED_VCPU, ARG_IN, const struct xen_domctl_vcpucontext, domctl_get_context)      \
    V(set_ext_vcpucontext, ON_PAUSED_VCPU, ARG_IN, const struct xen_domctl_ext_vcpucontext, domctl_set_ext) \
    V(get_ext_vcpucontext, ON_PAUSED_VCPU, ARG_IN_OUT, struct xen_domctl_ext_vcpucontext, domctl_get_ext)   \
    V(get_vcpu_msrs, ON_PAUSED_VCPU, ARG_IN_OUT, struct xen_domctl_vcpu_msrs, domctl_get_msrs)              \
    V(set_vcpu_msrs, ON_PAUSED_VCPU, ARG_IN, const struct xen_domctl_vcpu_msrs, domctl_set_msrs)            \
    D(get_cpu_policy, ARG_IN_OUT, struct xen_domctl_cpu_policy, domctl_get_cpu_policy)                      \
    D(set_cpu_policy, ARG_IN_OUT_ALWAYS, struct xen_domctl_cpu_policy, domctl_set_cpu_policy)               \
    D(setdomainhandle, ARG_IN, const struct xen_domctl_setdomainhandle, domctl_set_handle)                  \
    D(set_virq_handler, ARG_IN, const struct xen_domctl_set_virq_handler, domctl_set_virq_owner)            \
    D(setvcpuaffinity, ARG_IN, struct xen_domctl_vcpuaffinity, domctl_set_affinity)                         \
    D(getvcpuaffinity, ARG_IN_OUT, struct xen_domctl_vcpuaffinity, domctl_get_affinity)                     \
    D(scheduler_op, ARG_IN_OUT, struct xen_domctl_scheduler_op, domctl_scheduler_op)                        \
    D(getvcpuinfo, ARG_IN_OUT, struct xen_domctl_getvcpuinfo, domctl_vcpu_info)                             \
    D(setnodeaffinity, ARG_IN, const struct xen_domctl_nodeaffinity, domctl_set_node_affinity)              \
    D(getnodeaffinity, ARG_IN, const struct xen_domctl_nodeaffinity, domctl_get_node_affinity)              \
    D(sendtrigger, ARG_IN, const struct xen_domctl_sendtrigger, domctl_trigger)                             \
    D(setdebugging, ARG_IN, const struct xen_domctl_setdebugging, domctl_set_debugging)                     \
    D(hypercall_init, ARG_IN, const struct xen_domctl_hypercall_init, domctl_hypercall_page)                \
    D(settimeoffset, ARG_IN, const struct xen_domctl_settimeoffset, domctl_time_offset)                     \
    D(settscinfo, ARG_IN, const struct xen_domctl_tsc_info, domctl_set_tsc)                                 \
    D(gettscinfo, ARG_OUT, struct xen_domctl_tsc_info, domctl_get_tsc)                                      \
    D(set_address_size, ARG_IN, const struct xen_domctl_address_size, domctl_set_address_size)              \
    D(get_address_size, ARG_OUT, struct xen_domctl_address_size, domctl_get_address_size)                   \
    D(shadow_op, ARG_IN_OUT, struct xen_domctl_shadow_op, log_dirty_op)                                     \
    V(setvcpuextstate, ON_PAUSED_VCPU, ARG_IN, const struct xen_domctl_vcpuextstate, domctl_set_xstate)     \
    V(getvcpuextstate, ON_PAUSED_VCPU, ARG_IN_OUT, struct xen_domctl_vcpuextstate, domctl_get_xstate)       \
    D(irq_permission, ARG_IN, const struct xen_domctl_irq_permission, domctl_irq_permission)                \
    D(iomem_permission, ARG_IN, const struct xen_domctl_iomem_permission, domctl_iomem_permission)          \
    D(ioport_permission, ARG_IN, const struct xen_domctl_ioport_permission, domctl_ioport_permission)

#define D(op, copied, type, handler) long handler(type *x, struct domain *d);
#define V(op, how, copied, type, handler) long handler(type *x, struct vcpu *v);
DOMCTL_LIST(D, V)
#undef D
#undef V
/* The others. */
long domctl_create(struct xen_domctl_createdomain *c, struct domain *d); /* d NULL: there is none of that id */
long domctl_create_4_20(struct xen_domctl_createdomain_4_20 *x, struct domain *d);
long domctl_info(struct xen_domctl_getdomaininfo *x);
long domctl_info_exact(struct xen_domctl_getdomaininfo *x, struct domain *d);
long domctl_pause(void *none, struct domain *d) __may_preempt;
long domctl_unpause(void *none, struct domain *d);
long domctl_resume(void *none, struct domain *d) __may_preempt;
long domctl_destroy(void *none, struct domain *d) __may_preempt; /* -ERESTART: to be called again */

void domain_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info);
int cpumap_write(const struct xenctl_bitmap *map, cpuset_t set) __may_preempt; /* 0, -EFAULT */

/* ---- sysctl and platform_op ---- */
u32 cpu_featureset_word(u32 index, u32 n); /* index: XEN_SYSCTL_cpu_featureset_*; n below CPU_FEATURESET_WORDS */
#define CPU_FEATURESET_WORDS 12
long sysctl_cpu_levelling_caps(struct xen_sysctl_cpu_levelling_caps *op);
long sysctl_cpu_featureset(struct xen_sysctl_cpu_featureset *op);
long sysctl_cpu_policy(struct xen_sysctl_cpu_policy *op);
long efi_firmware_info(u32 index, struct xenpf_efi_info *info);
long efi_runtime_call(struct xenpf_efi_runtime_call *c) __may_preempt;
