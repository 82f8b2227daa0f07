/* SPDX-License-Identifier: MIT */
/* The operations of sysctl that have files of their own. */
#pragma once

#include <hv/hypercall.h>
#include <public/sysctl.h>

/* sysctl_machine.c */
long sysctl_physinfo(struct xen_sysctl_physinfo *info);
long sysctl_cputopoinfo(struct xen_sysctl_cputopoinfo *op);
long sysctl_numainfo(struct xen_sysctl_numainfo *op);
long sysctl_pcitopoinfo(const struct xen_sysctl_pcitopoinfo *op) __may_preempt;
long sysctl_getcpuinfo(struct xen_sysctl_getcpuinfo *op);
long sysctl_offline_pages(const struct xen_sysctl_page_offline_op *op) __may_preempt;
/* cpu_policy.c */
u32 cpu_featureset_word(u32 index, u32 n); /* index: XEN_SYSCTL_cpu_featureset_*; n below CPU_FEATURESET_WORDS */
#define CPU_FEATURESET_WORDS 12
long sysctl_cpu_levelling_caps(struct xen_sysctl_cpu_levelling_caps *op);
long sysctl_cpu_featureset(struct xen_sysctl_cpu_featureset *op);
long sysctl_cpu_policy(struct xen_sysctl_cpu_policy *op);
