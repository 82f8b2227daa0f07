/* Interrupts: controllers, vectors, and their delivery to dom0 as PIRQ event channels. Devices interrupt the first CPU. */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include <hv/types.h>
#include <hv/x86/vectors.h>

struct domain;

void irq_dispatch(u32 vector);
void irq_init(void);

/* A GSI for the hypervisor's own use, with a fixed vector. 0, -ENODEV, -EBUSY. */
int irq_route_hypervisor_gsi(u32 gsi, u32 vector);

/* The same, delivered as an NMI. */
int irq_route_hypervisor_nmi(u32 gsi);

/* PIRQs of the hardware domain. GSIs are identity-mapped; MSIs are numbered after them. */
int pirq_setup_gsi(u32 gsi, bool level, bool active_low); /* 0, -EEXIST, -EINVAL, -ENOSPC */
int pirq_map_gsi(struct domain *d, u32 gsi);              /* the pirq, or -E... */
int pirq_map_msi(struct domain *d, u16 bdf, u32 entry, bool msix);
int pirq_unmap(struct domain *d, u32 pirq);
int pirq_bind(struct domain *d, u32 pirq, u32 port);      /* from event channels: start delivering */
void pirq_unbind(struct domain *d, u32 pirq);
int pirq_eoi(struct domain *d, u32 pirq);
u32 pirq_status(struct domain *d, u32 pirq);              /* XENIRQSTAT_* */
void irq_print(void);
u32 pirq_count(void);

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
struct gsi_route {
    u8 vector;
    bool level, active_low, masked, nmi;
};
int io_apic_route(u32 gsi, const struct gsi_route *r); /* -ENODEV: no such pin */
void io_apic_mask(u32 gsi, bool masked);
u32 io_apic_read_guest(u64 base, u32 reg, bool *ok);
/* pic_8259.c */
void pic_init(void);

#endif
