/* SPDX-License-Identifier: MIT */
/* The operations of sysctl that have files of their own. arg: the operation's member of the union. */
#pragma once

#include <hv/hypercall.h>
#include <public/sysctl.h>

/* sysctl_machine.c */
subop_handler sysctl_physinfo, sysctl_cputopoinfo, sysctl_numainfo, sysctl_pcitopoinfo, sysctl_getcpuinfo, sysctl_offline_pages;
/* cpu_policy.c */
u32 cpu_featureset_word(u32 index, u32 n); /* index: XEN_SYSCTL_cpu_featureset_*; n below CPU_FEATURESET_WORDS */
#define CPU_FEATURESET_WORDS 12
subop_handler sysctl_cpu_levelling_caps, sysctl_cpu_featureset, sysctl_cpu_policy;
