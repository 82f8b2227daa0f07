/* SPDX-License-Identifier: MIT */
/* physdev_op: interrupts, I/O privilege and PCI devices of the hardware domain. */
#include <hv/hypercall.h>
#include <hv/pirq.h>
#include <hv/x86/apic.h>
#include <hv/x86/pv/trap.h>
#include <public/physdev.h>

static long op_irq_status(struct physdev_irq_status_query *q)
{
    if (q->irq >= MAX_PIRQS)
        return -EINVAL;
    q->flags = pirq_status(current->domain, q->irq);
    return 0;
}

static long op_set_iopl(const struct physdev_set_iopl *s)
{
    if (s->iopl > 3)
        return -EINVAL;
    pv_set_iopl(current, s->iopl);
    return 0;
}

static long op_set_iobitmap(const struct physdev_set_iobitmap *b)
{
    if (b->nr_ports > 0x10000)
        return -EINVAL;
    current->pv.iobitmap = b->bitmap;
    current->pv.iobitmap_ports = b->nr_ports;
    return 0;
}

static long op_apic_read(struct physdev_apic *a)
{
    bool ok;

    a->value = io_apic_read_guest(a->apic_physbase, a->reg, &ok);
    return ok ? 0 : -EINVAL;
}

static long op_alloc_vector(struct physdev_irq *i)
{
    i->vector = i->irq; /* dom0 has no use for the real one */
    return 0;
}

static long op_eoi(const struct physdev_eoi *e) { return pirq_eoi(current->domain, e->irq); }

static long op_map_pirq(struct physdev_map_pirq *m)
{
    long rc;

    if (m->domid != DOMID_SELF && m->domid != current->domain->id)
        return -ESRCH;
    switch (m->type) {
    case MAP_PIRQ_TYPE_GSI: rc = m->index < 0 ? -EINVAL : pirq_map_gsi(current->domain, (u32)m->index); break;
    case MAP_PIRQ_TYPE_MSI_SEG:
        if (m->bus >> 16)
            return -EOPNOTSUPP; /* segments other than 0 */
        /* fall through */
    case MAP_PIRQ_TYPE_MSI:
        rc = pirq_map_msi(current->domain, (u16)((m->bus & 0xff) << 8 | (m->devfn & 0xff)), (u32)m->entry_nr, m->table_base != 0);
        break;
    default: return -EOPNOTSUPP; /* one message a device: Linux falls back to that */
    }
    if (rc < 0)
        return rc;
    m->pirq = (int)rc;
    return 0;
}

static long op_unmap_pirq(const struct physdev_unmap_pirq *u)
{
    if (u->domid != DOMID_SELF && u->domid != current->domain->id)
        return -ESRCH;
    return pirq_unmap(current->domain, (u32)u->pirq);
}

static long op_setup_gsi(struct physdev_setup_gsi *g)
{
    return g->gsi < 0 ? -EINVAL : pirq_setup_gsi((u32)g->gsi, g->triggering != 0, g->polarity != 0);
}

static long op_accept(__unused void *arg) { return 0; /* dom0 tells of devices; nothing is to be done yet */ }

static const struct subop rows[] = {
    [PHYSDEVOP_irq_status_query] = { ANYBODY, ARG_IN_OUT(struct physdev_irq_status_query, op_irq_status) },
    [PHYSDEVOP_set_iopl] = { ANYBODY, ARG_IN(struct physdev_set_iopl, op_set_iopl) },
    [PHYSDEVOP_set_iobitmap] = { ANYBODY, ARG_IN(struct physdev_set_iobitmap, op_set_iobitmap) },
    [PHYSDEVOP_apic_read] = { HARDWARE, ARG_IN_OUT(struct physdev_apic, op_apic_read) },
    /* The checks of a read; pins are programmed through setup_gsi and bind_pirq. */
    [PHYSDEVOP_apic_write] = { HARDWARE, ARG_IN(struct physdev_apic, op_apic_read) },
    [PHYSDEVOP_alloc_irq_vector] = { HARDWARE, ARG_IN_OUT(struct physdev_irq, op_alloc_vector) },
    [PHYSDEVOP_eoi] = { ANYBODY, ARG_IN(struct physdev_eoi, op_eoi) },
    [PHYSDEVOP_map_pirq] = { ANYBODY, ARG_IN_OUT(struct physdev_map_pirq, op_map_pirq) },
    [PHYSDEVOP_unmap_pirq] = { ANYBODY, ARG_IN(struct physdev_unmap_pirq, op_unmap_pirq) },
    [PHYSDEVOP_manage_pci_add] = { HARDWARE, ARG_IN(u8[2], op_accept) },
    [PHYSDEVOP_manage_pci_remove] = { HARDWARE, ARG_IN(u8[2], op_accept) },
    [PHYSDEVOP_manage_pci_add_ext] = { HARDWARE, ARG_IN(u8[8], op_accept) },
    [PHYSDEVOP_setup_gsi] = { HARDWARE, ARG_IN(struct physdev_setup_gsi, op_setup_gsi) },
    [PHYSDEVOP_pci_mmcfg_reserved] = { HARDWARE, ARG_IN(u8[24], op_accept) },
    [PHYSDEVOP_pci_device_add] = { HARDWARE, ARG_IN(u8[12], op_accept) },
    [PHYSDEVOP_pci_device_remove] = { HARDWARE, ARG_IN(u8[4], op_accept) },
    [PHYSDEVOP_pci_device_reset] = { HARDWARE, ARG_IN(u8[8], op_accept) },
};

const struct subops physdev_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_physdev_op };

long do_physdev_op(u64 cmd, guest_ptr_t arg) { return subop_dispatch(&physdev_op_table, (u32)cmd, arg, NULL); }
