/* SPDX-License-Identifier: MIT */
/* The MMU of PV guests: their page-table entries, base tables, and where translations of theirs may be. docs/pv-mmu.md has the rules. */
#pragma once

#include <hv/arch.h>
#include <hv/domain.h>
#include <hv/x86/page_table.h>
#include <hv/x86/speculation.h>

/* ---- pt_update.c ---- */
/*
 * Replaces the entry at machine address `at` of a table of `level` that table_dom owns; an L1 entry maps a frame of page_dom. 0; -EAGAIN:
 * the frame is no such table (any more, or yet); -EINVAL, -EPERM: the entry is refused.
 */
int pt_entry_update(struct domain *table_dom, unsigned level, paddr_t at, pte_t val, bool preserve_ad,
                    struct domain *page_dom) __may_preempt __must_check;
/* By compare-and-exchange for emulated guest instructions: -EAGAIN also if *at is not `expected` any more. */
int pt_entry_cmpxchg_l1(struct domain *table_dom, paddr_t at, pte_t expected, pte_t val) __may_preempt __must_check;

/* update_begin() refuses the table from now on: returns when no CPU changes an entry that was not refused. Locks may be held. */
void pt_updates_wait(const struct page_info *pg);

/* ---- address_space.c ---- */
void pv_load_address_space(struct vcpu *v);                    /* CR3 of this CPU, for the mode that v is in */
void pv_enter_address_space(struct percpu *c, struct vcpu *v); /* from another domain's, or from the hypervisor's own */
/* References of the new base, of the kernel's or user mode, and of the old one: 0, -EINVAL. mfn 0 for user mode: none. */
int pv_set_base(struct vcpu *v, bool user, mfn_t mfn) __may_preempt __must_check;
void pv_note_base(struct vcpu *v, bool user, mfn_t mfn); /* without references and CR3: what v runs on follows, also if it is the same */
/* An entry of an L4 table of d, not in the hypervisor's slots, has changed: what vCPUs run on in its stead follows. */
void pv_l4_changed(struct domain *d, const pte_t *entry);
/* Flushes translations of the domain's vCPUs that the guest's bitmap names (NULL: all); address 0: all of them. */
int pv_flush_vcpus(const struct domain *d, guest_ptr_t guest_bitmap, u64 address) __must_check;
/* Machine address of the entry of `level` that va goes through in v's kernel tables, 0: none. */
paddr_t pv_walk(const struct vcpu *v, u64 va, unsigned level);

/* ---- xpti.c: what guests run on where they may not see the hypervisor's memory ---- */
static inline bool xpti_active(void) { return spec.what & SPEC_XPTI; }
/* Do nothing without XPTI. */
int xpti_init_cpu(struct percpu *c) __must_check; /* after its IST stacks */
int xpti_init_vcpu(struct vcpu *v) __must_check;
void xpti_free_vcpu(struct vcpu *v);                   /* also what xpti_init_vcpu() could not finish */
void xpti_enter_cpu(struct percpu *c, struct vcpu *v); /* v ran elsewhere, or another one here */
/* Only where they are. */
void xpti_load_l4(struct vcpu *v, bool user, mfn_t mfn); /* mfn 0: none */
void xpti_l4_changed(const struct domain *d, const pte_t *entry);

/* ---- ptwr.c ---- */
/* A kernel's write to va hit a read-only page. True: done, or to be tried again; false: the #PF is the guest's. */
bool ptwr_emulate(struct vcpu *v, struct cpu_user_regs *regs, u64 va) __may_preempt;

/* ---- pt_validate.c ---- */
void pv_fill_hypervisor_slots(struct domain *d, pte_t *l4); /* of an L4 table that becomes one */
