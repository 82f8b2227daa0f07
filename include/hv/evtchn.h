/* SPDX-License-Identifier: MIT */
/* Event channels: 2-level and FIFO ABI. Ports and bindings are guarded by the domain's event_lock. */
#pragma once

#include <hv/domain.h>

int evtchn_init_domain(struct domain *d); /* 0, -ENOMEM */
/* Closes all ports, for good: 0, or -ERESTART where domain_work_point() says so (kill_index keeps the place). */
int evtchn_destroy(struct domain *d) __may_preempt __must_check;
void evtchn_free_domain(struct domain *d); /* no reference to the domain is left */
/* Raises a VIRQ of d: per-vCPU ones for v, global ones (v NULL) for the domain's vCPU 0 binding. */
void evtchn_send_virq(struct domain *d, struct vcpu *v, u32 virq);
/* Raises a global one for its owner: dom0, or who the toolstack says. Takes the owner's event_lock; nothing before there is a dom0. */
void evtchn_send_global_virq(u32 virq);
int evtchn_set_virq_owner(struct domain *d, u32 virq) __must_check; /* -EINVAL: not a global one, or d goes */
void evtchn_send_pirq(struct domain *d, u32 port);                  /* takes event_lock */
/* Masked or not: 1 if one of the n ports is pending, 0 if none is, -EINVAL: one before the first such is not in use. */
int evtchn_any_pending(struct domain *d, const u32 *ports, u32 n) __must_check;
void evtchn_print(struct domain *d); /* debug key; takes event_lock for each port */

/* Delivery by ABI; event_lock held. */
void evtchn_2l_set_pending(struct vcpu *v, u32 port);
bool evtchn_2l_unmask(struct domain *d, u32 port);        /* true: it is pending, and is to be raised again */
bool evtchn_2l_is_pending(struct domain *d, u32 port);    /* false also for a port that this ABI has no bit for */
bool evtchn_2l_clear_pending(struct domain *d, u32 port); /* true: it was */
void evtchn_fifo_set_pending(struct vcpu *v, struct evtchn *c, u32 port);
bool evtchn_fifo_unmask(struct domain *d, struct evtchn *c, u32 port); /* true: it is pending, and is to be raised again */
bool evtchn_fifo_is_pending(struct domain *d, u32 port);               /* false also for a port without an event word */
void evtchn_fifo_clear_pending(struct domain *d, u32 port);            /* leaves it linked */
bool evtchn_fifo_is_linked(struct domain *d, u32 port);                /* in a queue that the guest has not consumed yet */
long evtchn_fifo_init_control(struct evtchn_init_control *op, struct domain *d) __may_preempt; /* handlers of event_channel_op */
void evtchn_fifo_reset(struct domain *d) __may_preempt; /* back to 2-level; the frames go back to the guest */
long evtchn_fifo_expand_array(const struct evtchn_expand_array *op, struct domain *d) __may_preempt;
struct evtchn *evtchn_from_port(struct domain *d, u32 port); /* NULL: no such port */
void vcpu_mark_events_pending(struct vcpu *v);               /* evtchn_upcall_pending, and vcpu_kick() if it was clear */
