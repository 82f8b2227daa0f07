/* SPDX-License-Identifier: MIT */
/* domctl: what a toolstack says to a guest as a whole: its clocks, its hypercall page, an NMI, go on. */
#include "domctl.h"

#include <hv/pv.h>

long domctl_resume(struct domain *d, __unused struct xen_domctl *op) { return domain_resume(d); }

/* Of the triggers PV guests have the NMI alone; the answers to others are Xen's. */
long domctl_trigger(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_sendtrigger *x = &op->u.sendtrigger;
    struct vcpu *v = domain_vcpu(d, x->vcpu);

    if (!v)
        return x->vcpu < MAX_VIRT_CPUS ? -ESRCH : -EINVAL;
    if (x->trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return x->trigger == XEN_DOMCTL_SENDTRIGGER_POWER || x->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP ? -EINVAL : -ENOSYS;
    vcpu_add_nmis(v, 1);
    return 0;
}

/* Debuggers reach a guest by getvcpucontext and its memory. That there is one is shown by getdomaininfo. */
long domctl_set_debugging(struct domain *d, struct xen_domctl *op)
{
    if (d == current->domain)
        return -EINVAL;
    d->debugged = op->u.setdebugging.enable;
    return 0;
}

long domctl_hypercall_page(struct domain *d, struct xen_domctl *op) { return pv_init_hypercall_page(d, op->u.hypercall_init.gmfn); }

long domctl_time_offset(struct domain *d, struct xen_domctl *op)
{
    d->time_offset = op->u.settimeoffset.time_offset_seconds;
    wallclock_publish(d);
    return 0;
}

long domctl_set_tsc(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_tsc_info *x = &op->u.tsc_info;
    long rc = domain_pause(d);

    if (rc)
        return rc;
    rc = pv_tsc_set(d, x);
    domain_unpause(d);
    return rc;
}

long domctl_get_tsc(struct domain *d, struct xen_domctl *op)
{
    pv_tsc_get(d, &op->u.tsc_info);
    return 0;
}

long domctl_set_address_size(__unused struct domain *d, struct xen_domctl *op)
{
    u32 size = op->u.address_size.size;

    return size == 64 ? 0 : size == 32 ? -EOPNOTSUPP : -EINVAL;
}

long domctl_get_address_size(__unused struct domain *d, struct xen_domctl *op)
{
    op->u.address_size.size = 64;
    return 0;
}

/* There are no shadow page tables, which a live migration would need. To turn off what is not on is an error, which toolstacks expect. */
long domctl_shadow_op(__unused struct domain *d, struct xen_domctl *op)
{
    return op->u.shadow_op.op == XEN_DOMCTL_SHADOW_OP_OFF ? -EINVAL : -EOPNOTSUPP;
}
