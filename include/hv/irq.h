/* SPDX-License-Identifier: MIT */
/* Interrupts: controllers, vectors, and their delivery to dom0 as PIRQ event channels. */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include <hv/types.h>
#include <hv/x86/vectors.h>

struct domain;
struct percpu;

void irq_dispatch(u32 vector);
void irq_init(void);
/*
 * A CPU that is to go offline: its device interrupts are moved to others, one at a time; may preempt. 0, or -E... (no room there, a
 * device that cannot be reached): the CPU stays in use then, with those that had not been moved yet. irq_drain(), on that CPU, takes
 * what was still on its way.
 */
int irq_leave_cpu(const struct percpu *c) __may_preempt __must_check;
void irq_drain(void);
void irq_return_to_cpu(const struct percpu *c);

/* vector_alloc.c. Where an interrupt goes. */
struct irq_place {
    u8 cpu, vector; /* number, not APIC id */
};
/* On the vector `preferred` if one of the CPUs has it free (0: any). 0, -ENOSPC. */
int vector_alloc(u32 pirq, u32 preferred, struct irq_place *at) __must_check;
void vector_free(struct irq_place at);
void vector_leave(struct irq_place at);     /* free, and yet what is on its way to it still finds the PIRQ */
bool vector_pirq(u32 vector, u32 *pirq);    /* of this CPU; false: none */
void vectors_close(const struct percpu *c); /* it gets no more */
void vectors_open(const struct percpu *c);
void vectors_forget(const struct percpu *c); /* all of a closed CPU */
bool irq_reaches(const struct percpu *c);    /* do device interrupts? */

/* A GSI for the hypervisor's own use, with a fixed vector. 0, -ENODEV, -EBUSY. */
int irq_route_hypervisor_gsi(u32 gsi, u32 vector);

/* The same, delivered as an NMI. */
int irq_route_hypervisor_nmi(u32 gsi);

/* pirq.c. GSIs are identity-mapped; MSIs are numbered after them. -EPERM: no right to it (hv/io_rights.h); -EBUSY: another domain's. */
void pirqs_init(void);
void pirq_dispatch(u32 pirq); /* it has fired, on this CPU */
void pirqs_print(void);
int pirq_setup_gsi(u32 gsi, bool level, bool active_low); /* 0, -EEXIST, -EINVAL, -ENOSPC */
int pirq_map_gsi(struct domain *d, u32 gsi);              /* the pirq, or -E... */
int pirq_map_msi(struct domain *d, u16 bdf, u32 entry, bool msix);
int pirq_unmap(struct domain *d, u32 pirq);
void pirqs_release(struct domain *d) __may_preempt;  /* d comes to its end and has no event channels any more; may preempt */
int pirq_bind(struct domain *d, u32 pirq, u32 port); /* from event channels: start delivering */
void pirq_unbind(struct domain *d, u32 pirq);
int pirq_eoi(struct domain *d, u32 pirq);
u32 pirq_status(struct domain *d, u32 pirq); /* XENIRQSTAT_* */
void irq_print(void);

/* Writes of devices to these addresses are MSIs (SDM vol. 3, 10.11.1). */
#define MSI_WINDOW_START 0xfee00000UL
#define MSI_WINDOW_END 0xfef00000UL

/* local_apic.c */
void local_apic_init(void);
void local_apic_eoi(void);
u32 local_apic_id(void);
void local_apic_timer_calibrate(void);
void local_apic_init_cpu(void); /* on another CPU, in the mode of the first */
/* Interrupt command register (SDM vol. 3, 11.6.1). Waits for the previous command, bounded. */
#define IPI_NMI 0x4400u
#define IPI_INIT 0x4500u
#define IPI_STARTUP(page) (0x4600u | (u32)(page))
void local_apic_send(u32 apic_id, u32 command);
/* In the mode that is in force: xAPIC has 8 bits for an id, and all ones address every CPU. */
bool local_apic_reaches(u32 apic_id);
/* io_apic.c */
void io_apic_init(void);
u32 io_apic_gsi_count(void);
bool io_apic_owns_frame(u64 mfn);
#define MAX_GSIS 2048 /* of GSIs beyond these no machine has heard */
struct gsi_route {
    u8 vector, apic_id;
    bool level, active_low, masked, nmi;
};
int io_apic_route(u32 gsi, const struct gsi_route *r); /* -ENODEV: no such pin */
void io_apic_mask(u32 gsi, bool masked);
u32 io_apic_read_guest(u64 base, u32 reg, bool *ok);
/* pic_8259.c */
void pic_init(void);

#endif
