/* SPDX-License-Identifier: MIT */
/* The operations of sysctl that have files of their own. arg: the operation's member of the union. */
#pragma once

#include <hv/types.h>
#include <public/sysctl.h>

/* sysctl_machine.c */
long sysctl_physinfo(void *arg);
long sysctl_cputopoinfo(void *arg);
long sysctl_numainfo(void *arg);
long sysctl_pcitopoinfo(void *arg) __may_preempt;
long sysctl_getcpuinfo(void *arg);
long sysctl_offline_pages(void *arg) __may_preempt;
/* cpu_policy.c */
u32 cpu_featureset_word(u32 index, u32 n); /* index: XEN_SYSCTL_cpu_featureset_*; n below CPU_FEATURESET_WORDS */
#define CPU_FEATURESET_WORDS 12
long sysctl_cpu_levelling_caps(void *arg);
long sysctl_cpu_featureset(void *arg);
long sysctl_cpu_policy(void *arg);
