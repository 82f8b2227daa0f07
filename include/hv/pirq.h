/* SPDX-License-Identifier: MIT */
/*
 * PIRQs, device interrupts that a domain gets as event channels: arch/x86/irq/pirq.c. GSIs are identity-mapped; MSIs are numbered after
 * them. Errors of all: -EPERM (no right to the PIRQ, hv/io_rights.h), -EBUSY (it is another domain's, or the hypervisor's), -EINVAL (no
 * such PIRQ), -ENOSPC (no CPU has a vector left). Each takes irq_lock; event_lock may be held.
 */
#pragma once

#include <hv/types.h>

struct domain;
struct percpu;

void pirqs_init(void);
/* A PIRQ has fired on this CPU: ends the interrupt and sends its event. Interrupts off, no lock held. */
void pirq_dispatch(u32 pirq);
void pirqs_print(void);
int pirq_setup_gsi(u32 gsi, bool level, bool active_low); /* 0; -EEXIST: it is bound */
int pirq_map_gsi(struct domain *d, u32 gsi);              /* the PIRQ, or -E... */
/* entry: of the MSI-X table, or 0. The PIRQ, or -E... */
int pirq_map_msi(struct domain *d, u16 bdf, u32 entry, bool msix);
int pirq_unmap(struct domain *d, u32 pirq); /* 0; -EBUSY: it is bound */
/* For a domain that comes to its end and has no event channels any more: unmaps all. */
void pirqs_release(struct domain *d) __may_preempt;
int pirq_bind(struct domain *d, u32 pirq, u32 port); /* 0; -EEXIST: it is bound. Delivery to the port begins */
void pirq_unbind(struct domain *d, u32 pirq);
int pirq_eoi(struct domain *d, u32 pirq);
u32 pirq_status(struct domain *d, u32 pirq); /* XENIRQSTAT_*; 0 also without a right to it */

/* A GSI of the hypervisor's own, to the first CPU: on a fixed vector, or as an NMI. 0, -ENODEV, -EBUSY. Boot only: no lock. */
int irq_route_hypervisor_gsi(u32 gsi, u32 vector);
int irq_route_hypervisor_nmi(u32 gsi);

/*
 * A CPU that is to go offline: its device interrupts are moved to others, one at a time. 0, or -E... (no room there, a device that
 * cannot be reached): the CPU stays in use then, with those that had not been moved yet. irq_drain(), on that CPU with interrupts off,
 * takes what was still on its way. irq_return_to_cpu(): the CPU may get device interrupts again.
 */
int irq_leave_cpu(const struct percpu *c) __may_preempt __must_check;
void irq_drain(void);
void irq_return_to_cpu(const struct percpu *c);

/* ---- irq_dispatch.c: interrupts that have reached this CPU ---- */
void irq_init(void); /* boot: 8259, I/O APICs, PIRQs */
/* From the trap entry, interrupts off: serves the vector and ends it at the local APIC. Takes irq_lock and event_lock for a PIRQ. */
void irq_dispatch(u32 vector);
void irq_print(void); /* debug key: PIRQs, and interrupts on vectors that nobody has */

/* ---- vector_alloc.c: the vectors of device interrupts, a space for each CPU. irq_lock held where nothing else is said. ---- */
/* Where a device interrupt goes. */
struct irq_vector {
    u8 cpu, vector; /* number of the CPU, not its APIC id */
};
/* On the vector `preferred` if one of the CPUs has it free (0: any). 0, -ENOSPC. */
int vector_alloc(u32 pirq, u32 preferred, struct irq_vector *at) __must_check;
void vector_free(struct irq_vector at); /* nothing can come on it any more */
/* Frees the vector; what is on its way to it still finds the PIRQ until the vector is given away again. */
void vector_leave(struct irq_vector at);
/* The PIRQ of a vector of this CPU; false: none. No lock, interrupts off. */
bool vector_pirq(u32 vector, u32 *pirq);
void vectors_close(const struct percpu *c);  /* the CPU gets no more vectors */
void vectors_open(const struct percpu *c);   /* it may get vectors again */
void vectors_forget(const struct percpu *c); /* frees all vectors of a closed CPU */
bool irq_reaches(const struct percpu *c);    /* can devices address this CPU? No lock */
