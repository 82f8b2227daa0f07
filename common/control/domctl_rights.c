/* SPDX-License-Identifier: MIT */
/* domctl: which of the machine's devices a domain may use. A caller gives and takes only what its own domain may use. */
#include "domctl.h"

long domctl_irq_permission(const struct xen_domctl_irq_permission *p, struct domain *d)
{
    if (p->pirq < MAX_PIRQS && !io_rights_has_pirq(&current->domain->io, p->pirq))
        return -EPERM;
    return io_rights_pirq(&d->io, p->pirq, p->allow_access);
}

long domctl_iomem_permission(const struct xen_domctl_iomem_permission *p, struct domain *d)
{
    mfn_t last = p->first_mfn + p->nr_mfns - 1;

    if (last < p->first_mfn || last > MAX_IOMEM)
        return -EINVAL;
    if (!io_rights_has_iomem(&current->domain->io, p->first_mfn, last))
        return -EPERM;
    return io_rights_iomem(&d->io, p->first_mfn, last, p->allow_access);
}

#define PORTS_AT_ONCE 1024 /* between two preemption points: there are 65,536 */

long domctl_ioport_permission(const struct xen_domctl_ioport_permission *p, struct domain *d)
{
    if (!p->nr_ports || p->first_port >= NR_PORTS || p->nr_ports > NR_PORTS - p->first_port)
        return -EINVAL;
    for (u32 i = 0; i < p->nr_ports; i++) {
        if (!io_rights_has_port(&current->domain->io, (u16)(p->first_port + i)))
            return -EPERM;
        if (i % PORTS_AT_ONCE == PORTS_AT_ONCE - 1)
            preempt_point();
    }
    for (u32 i = 0, n; i < p->nr_ports; i += n) {
        n = MIN(p->nr_ports - i, (u32)PORTS_AT_ONCE);
        if (io_rights_ports(&d->io, p->first_port + i, n, p->allow_access))
            return -EINVAL;
        preempt_point();
    }
    return 0;
}
