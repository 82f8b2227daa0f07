/* SPDX-License-Identifier: MIT */
/* domctl: what a toolstack says to a guest as a whole, or asks: its clocks, its hypercall page, an NMI, go on; its frames; its devices. */
#include "control.h"

#include <hv/pv.h>

/* ---- what its frames are at the moment, for a toolstack that saves them ---- */

#define FRAMES_MAX 1024

static u64 kind_of(const struct page_info *pg)
{
    u64 x = READ_ONCE(pg->type_info), refs = READ_ONCE(pg->ref_info);
    enum page_type type = page_type_of(x);

    if (refs & PGR_SPECIAL)
        return XEN_DOMCTL_PFINFO_XTAB;
    if (refs & PGR_BROKEN)
        return XEN_DOMCTL_PFINFO_BROKEN; /* who reads it gets a machine check */
    if (!(x & PGT_COUNT_MASK) || type < PGT_L1 || type > PGT_L4)
        return 0;
    return (u64)(type - PGT_L1 + 1) << XEN_DOMCTL_PFINFO_LTAB_SHIFT | (x & PGT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
}

long domctl_page_info(const struct xen_domctl_getpageframeinfo3 *q, struct domain *d)
{
    if (q->num > FRAMES_MAX)
        return -E2BIG;
    for (u64 i = 0; i < q->num; i++) {
        guest_ptr_t slot = guest_ptr_index(q->array, i, sizeof(u64));
        u64 mfn, kind = XEN_DOMCTL_PFINFO_XTAB;

        if (copy_from_guest(&mfn, slot, sizeof(mfn)))
            return -EFAULT;
        if (mfn_valid(mfn) && page_get(mfn_to_page(mfn), d)) {
            kind = kind_of(mfn_to_page(mfn));
            page_put(mfn_to_page(mfn));
        }
        if (copy_to_guest(slot, &kind, sizeof(kind)))
            return -EFAULT;
        if ((i & 63) == 63)
            preempt_point();
    }
    return 0;
}

/* ---- which of the machine's devices it may use. A caller gives and takes only what its own domain may use ---- */

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

/* ---- the guest itself ---- */

long domctl_resume(__unused void *none, struct domain *d) { return domain_resume(d); }

/* Of the triggers PV guests have the NMI alone; the answers to others are Xen's. */
long domctl_trigger(const struct xen_domctl_sendtrigger *x, struct domain *d)
{
    struct vcpu *v = domain_vcpu(d, x->vcpu);

    if (!v)
        return x->vcpu < MAX_VIRT_CPUS ? -ESRCH : -EINVAL;
    if (x->trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return x->trigger == XEN_DOMCTL_SENDTRIGGER_POWER || x->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP ? -EINVAL : -ENOSYS;
    vcpu_add_nmis(v, 1);
    return 0;
}

/* Debuggers reach a guest by getvcpucontext and its memory. That there is one is shown by getdomaininfo. */
long domctl_set_debugging(const struct xen_domctl_setdebugging *x, struct domain *d)
{
    if (d == current->domain)
        return -EINVAL;
    d->debugged = x->enable;
    return 0;
}

long domctl_hypercall_page(const struct xen_domctl_hypercall_init *x, struct domain *d) { return pv_init_hypercall_page(d, x->gmfn); }

long domctl_time_offset(const struct xen_domctl_settimeoffset *x, struct domain *d)
{
    d->time_offset = x->time_offset_seconds;
    wallclock_publish(d);
    return 0;
}

long domctl_set_tsc(const struct xen_domctl_tsc_info *x, struct domain *d)
{
    long rc = domain_pause(d);

    if (rc)
        return rc;
    rc = pv_tsc_set(d, x);
    domain_unpause(d);
    return rc;
}

long domctl_get_tsc(struct xen_domctl_tsc_info *x, struct domain *d)
{
    pv_tsc_get(d, x);
    return 0;
}

long domctl_set_address_size(const struct xen_domctl_address_size *x, __unused struct domain *d)
{
    return x->size == 64 ? 0 : x->size == 32 ? -EOPNOTSUPP : -EINVAL;
}

long domctl_get_address_size(struct xen_domctl_address_size *x, __unused struct domain *d)
{
    x->size = 64;
    return 0;
}
