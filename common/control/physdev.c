/* SPDX-License-Identifier: MIT */
/* physdev_op: interrupts, I/O privilege and PCI devices of the hardware domain. */
#include <hv/domain.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/pirq.h>
#include <hv/x86/io_apic.h>
#include <hv/x86/percpu.h>
#include <hv/x86/pv/trap.h>
#include <public/physdev.h>

static long op_irq_status(void *arg)
{
    struct physdev_irq_status_query *q = arg;

    if (q->irq >= MAX_PIRQS)
        return -EINVAL;
    q->flags = pirq_status(current->domain, q->irq);
    return 0;
}

static long op_set_iopl(void *arg)
{
    u32 iopl = ((struct physdev_set_iopl *)arg)->iopl;

    if (iopl > 3)
        return -EINVAL;
    pv_set_iopl(current, iopl);
    return 0;
}

static long op_set_iobitmap(void *arg)
{
    const struct physdev_set_iobitmap *b = arg;

    if (b->nr_ports > 0x10000)
        return -EINVAL;
    current->pv.iobitmap = b->bitmap;
    current->pv.iobitmap_ports = b->nr_ports;
    return 0;
}

static long op_apic_read(void *arg)
{
    struct physdev_apic *a = arg;
    bool ok;

    if (!current->domain->is_hardware)
        return -EPERM;
    a->value = io_apic_read_guest(a->apic_physbase, a->reg, &ok);
    return ok ? 0 : -EINVAL;
}

static long op_apic_write(void *arg)
{
    return op_apic_read(arg); /* the same checks; pins are programmed through setup_gsi and bind_pirq */
}

static long op_alloc_vector(void *arg)
{
    struct physdev_irq *i = arg;

    if (!current->domain->is_hardware)
        return -EPERM;
    i->vector = i->irq; /* dom0 has no use for the real one */
    return 0;
}

static long op_eoi(void *arg) { return pirq_eoi(current->domain, ((struct physdev_eoi *)arg)->irq); }

static long op_map_pirq(void *arg)
{
    struct physdev_map_pirq *m = arg;
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

static long op_unmap_pirq(void *arg)
{
    const struct physdev_unmap_pirq *u = arg;

    if (u->domid != DOMID_SELF && u->domid != current->domain->id)
        return -ESRCH;
    return pirq_unmap(current->domain, (u32)u->pirq);
}

static long op_setup_gsi(void *arg)
{
    struct physdev_setup_gsi *g = arg;

    if (!current->domain->is_hardware)
        return -EPERM;
    return g->gsi < 0 ? -EINVAL : pirq_setup_gsi((u32)g->gsi, g->triggering != 0, g->polarity != 0);
}

static long op_accept(void *arg)
{
    (void)arg;
    return current->domain->is_hardware ? 0 : -EPERM; /* dom0 tells of devices; nothing is to be done yet */
}

static const struct subop ops[] = {
    [PHYSDEVOP_irq_status_query] = { op_irq_status, sizeof(struct physdev_irq_status_query), true },
    [PHYSDEVOP_set_iopl] = { op_set_iopl, sizeof(struct physdev_set_iopl), false },
    [PHYSDEVOP_set_iobitmap] = { op_set_iobitmap, sizeof(struct physdev_set_iobitmap), false },
    [PHYSDEVOP_apic_read] = { op_apic_read, sizeof(struct physdev_apic), true },
    [PHYSDEVOP_apic_write] = { op_apic_write, sizeof(struct physdev_apic), false },
    [PHYSDEVOP_alloc_irq_vector] = { op_alloc_vector, sizeof(struct physdev_irq), true },
    [PHYSDEVOP_eoi] = { op_eoi, sizeof(struct physdev_eoi), false },
    [PHYSDEVOP_map_pirq] = { op_map_pirq, sizeof(struct physdev_map_pirq), true },
    [PHYSDEVOP_unmap_pirq] = { op_unmap_pirq, sizeof(struct physdev_unmap_pirq), false },
    [PHYSDEVOP_manage_pci_add] = { op_accept, 2, false },
    [PHYSDEVOP_manage_pci_remove] = { op_accept, 2, false },
    [PHYSDEVOP_manage_pci_add_ext] = { op_accept, 8, false },
    [PHYSDEVOP_setup_gsi] = { op_setup_gsi, sizeof(struct physdev_setup_gsi), false },
    [PHYSDEVOP_pci_mmcfg_reserved] = { op_accept, 24, false },
    [PHYSDEVOP_pci_device_add] = { op_accept, 12, false },
    [PHYSDEVOP_pci_device_remove] = { op_accept, 4, false },
};

long do_physdev_op(u64 cmd, guest_ptr_t arg) { return subop_dispatch(ops, ARRAY_SIZE(ops), __HYPERVISOR_physdev_op, (u32)cmd, arg); }
