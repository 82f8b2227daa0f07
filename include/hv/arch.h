/* SPDX-License-Identifier: MIT */
/* All that common code asks of a kind of guest. There is one kind, PV, so arch/x86/pv answers. */
#pragma once

#include <hv/types.h>

struct domain;
struct vcpu;
struct vcpu_guest_context;

void arch_domains_init(void); /* at boot, before the first domain */
/* Their parts of a domain and of a vCPU that are new and zeroed: 0, -ENOMEM. */
int arch_domain_create(struct domain *d) __must_check;
int arch_vcpu_create(struct vcpu *v) __must_check;
/* Of a domain that is paused: returns when no CPU has anything of it loaded, and none walks its page tables any more. */
void arch_domain_unload(const struct domain *d) __may_preempt;
/* Of one that is unloaded, and whose vCPUs have stopped for good: they hold no frames any more. */
void arch_domain_relinquish(struct domain *d) __may_preempt;
/* What arch_domain_create() and arch_vcpu_create() have made, also where they could not finish. */
void arch_domain_free(struct domain *d);
void arch_vcpu_free(struct vcpu *v);
/* A vCPU's state between its memory and this CPU's registers. Interrupts are off, no lock is held. */
void arch_vcpu_save(struct vcpu *v);
void arch_vcpu_load(struct vcpu *v);
/* This CPU goes to the hypervisor's own tables: nothing of a guest's is in use here any more. */
void arch_cpu_leave_guests(void);
/*
 * The state of a vCPU that is outside the hypervisor and has nobody else who writes it. Set: 0; -EINVAL: no vCPU may have that; -EOPNOTSUPP:
 * it had a state before, with other tables.
 */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) __may_preempt __must_check;
/* The vCPU holds no frames any more, and may be given any state. Its domain is paused. */
void arch_vcpu_reset(struct vcpu *v) __may_preempt;

/* Returns when no CPU has a translation from before of the caller's page tables. */
void arch_flush_caller(void);
/* The table of the address that was looked for last: valid for a list of operations, between two preemption points. */
struct arch_walk {
    u64 region;
    paddr_t table;
};
#define ARCH_WALK_NONE ((struct arch_walk){ ~0ULL, 0 })
/*
 * A frame that its owner has granted, in a page-table entry of the caller's: `at` is a virtual address or, with GNTMAP_contains_pte, the
 * machine address of the entry. The entry holds references as any other one. GNTST_*.
 */
int16_t arch_grant_map(struct arch_walk *w, struct domain *owner, mfn_t mfn, u64 at, u32 flags) __may_preempt __must_check;
/* The same entry is cleared, if it still maps the frame as these flags say; or replaced by the entry for the address `from`, which is cleared. */
int16_t arch_grant_unmap(struct arch_walk *w, mfn_t mfn, u64 at, u32 flags, u64 from) __may_preempt __must_check;
