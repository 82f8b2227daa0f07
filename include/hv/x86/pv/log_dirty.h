/* SPDX-License-Identifier: MIT */
/* Log-dirty: which frames of a guest have been written to (pv/mmu/log_dirty.c; docs/pv-mmu.md, Logging of writes). */
#pragma once

#include <hv/domain.h>
#include <hv/x86/page_table.h>

struct xen_domctl_shadow_op;

/*
 * v has faulted at va, or the hypervisor in its stead. True: while its writes are logged, and by the guest's own tables the access is
 * permitted; to be tried again. Else *error becomes what they make of it.
 */
bool log_dirty_fault(struct vcpu *v, u64 va, u32 *error);
/* While writes are logged. */
void log_dirty_note_base(struct vcpu *v, bool user, mfn_t mfn);  /* pv_note_base() */
void log_dirty_l4_changed(struct domain *d, const pte_t *entry); /* pv_l4_changed() */
void log_dirty_forget(struct page_info *table);                  /* it is torn down, and was PGT_COPIED */

/* The toolstack's operation; d's turn is held (domctl.c). 0, -EINVAL, -EOPNOTSUPP, -ENOMEM, -EFAULT, -ERESTART. */
long log_dirty_op(struct xen_domctl_shadow_op *op, struct domain *d) __may_preempt __must_check;
void log_dirty_end(struct domain *d) __may_preempt; /* d is paused, and unloaded; also if nothing is logged */
