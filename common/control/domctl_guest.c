/* SPDX-License-Identifier: MIT */
/* domctl: what a toolstack says to a guest as a whole: its clocks, its hypercall page, an NMI, go on. */
#include "domctl.h"

#include <hv/pv.h>

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

/* There are no shadow page tables, which a live migration would need. To turn off what is not on is an error, which toolstacks expect. */
long domctl_shadow_op(const struct xen_domctl_shadow_op *x, __unused struct domain *d)
{
    return x->op == XEN_DOMCTL_SHADOW_OP_OFF ? -EINVAL : -EOPNOTSUPP;
}
