/* SPDX-License-Identifier: MIT */
/* Toolstacks of Xen 4.17 and of 4.20, one after the other: what both call alike, what they call otherwise, and texts in buffers. */
#include "domains.h"
#include <public/sysctl.h>

#define ERR_SRCH (-3)
#define ERR_ACCES (-13)
#define ERR_FAULT (-14)
#define ERR_INVAL (-22)
#define ERR_NOBUFS (-105)

static const u32 versions[] = { XEN_DOMCTL_INTERFACE_VERSION, XEN_DOMCTL_INTERFACE_VERSION_4_20 };

static long domctl_in(u32 version, u32 cmd, domid_t id)
{
    domctl_op.cmd = cmd;
    domctl_op.interface_version = version;
    domctl_op.domain = id;
    return HYPERCALL1(__HYPERVISOR_domctl, &domctl_op);
}

static long create_newer(struct xen_domctl_createdomain_4_20 c)
{
    domctl_op.u.createdomain_4_20 = c;
    return domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_createdomain, DOMID_INVALID);
}

static domid_t created(long rc)
{
    CHECK_EQ(rc, 0);
    return domctl_op.domain;
}

static void creation(void)
{
    struct xen_domctl_createdomain_4_20 c = { .handle = { 1, 2, 3 },
                                              .flags = XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain,
                                              .max_vcpus = 3,
                                              .max_evtchn_port = 1023,
                                              .max_grant_frames = -1,
                                              .max_maptrack_frames = -1,
                                              .grant_opts = 1 };
    const struct xen_domctl_createdomain_4_20 good = c;

    c.altp2m_opts = 1;
    CHECK_EQ(create_newer(c), ERR_INVAL);
    c.altp2m_opts = 0;
    c.vmtrace_size = 4096;
    CHECK_EQ(create_newer(c), ERR_INVAL);
    c.vmtrace_size = 0;
    c.arch.misc_flags = 0x80;
    CHECK_EQ(create_newer(c), ERR_INVAL);
    domid_t id = created(create_newer(good));

    /* What went in went out, in the caller's layout. */
    CHECK(domctl_op.u.createdomain_4_20.max_vcpus == 3 && !domctl_op.u.createdomain_4_20.arch.misc_flags);
    for (u32 i = 0; i < 2; i++) {
        CHECK_EQ(domctl_in(versions[i], XEN_DOMCTL_getdomaininfo, id), 0);
        CHECK(domctl_op.u.getdomaininfo.domain == id && domctl_op.u.getdomaininfo.handle[2] == 3);
        CHECK(domctl_op.u.getdomaininfo.flags & XEN_DOMINF_xs_domain);
        domctl_op.u.max_vcpus.max = 2;
        CHECK_EQ(domctl_in(versions[i], XEN_DOMCTL_max_vcpus, id), ERR_INVAL);
    }
    domctl_op.u.max_vcpus.max = 3;
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_max_vcpus, id), 0);
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_destroydomain, id), 0);
}

/* An id that no domain has: the older version describes the next one, the newer one says so. */
static void looking(void)
{
    domid_t first = created(domain_try_create(1)), second = created(domain_try_create(1));

    domain_destroy(first);
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION, XEN_DOMCTL_getdomaininfo, first), 0);
    CHECK_EQ(domctl_op.domain, second);
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_getdomaininfo, first), ERR_SRCH);
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_getdomaininfo, DOMID_INVALID), ERR_SRCH);
    CHECK_EQ(domctl_in(XEN_DOMCTL_INTERFACE_VERSION_4_20, XEN_DOMCTL_getdomaininfo, 0), 0);
    CHECK_EQ(domctl_op.domain, 0);
    domain_destroy(second);
}

static void unknown(void)
{
    static const u32 others[] = { 0, XEN_DOMCTL_INTERFACE_VERSION - 1, XEN_DOMCTL_INTERFACE_VERSION + 1,
                                  XEN_DOMCTL_INTERFACE_VERSION_4_20 + 1 };
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_sched_id, .interface_version = XEN_DOMCTL_INTERFACE_VERSION_4_20 };

    for (u32 i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK_EQ(domctl_in(others[i], XEN_DOMCTL_getdomaininfo, 0), ERR_ACCES);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &s), ERR_ACCES); /* its version has stayed */
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &s), 0);
}

static void texts(void)
{
    static const u32 in_field[] = { XENVER_extraversion, XENVER_capabilities, XENVER_changeset, XENVER_commandline };
    static char field[1024];
    static struct {
        u32 len;
        char buf[1020];
    } var;

    for (u32 i = 0; i < 4; i++) {
        u32 op = XENVER_extraversion2 + i, n = 0;
        long size = HYPERCALL2(__HYPERVISOR_xen_version, op, 0);

        CHECK(size > 0 && size < 1000);
        var.len = (u32)size - 1;
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, op, &var), ERR_NOBUFS);
        memory_set(var.buf, '#', sizeof(var.buf));
        var.len = sizeof(var.buf);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, op, &var), size);
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, in_field[i], field), 0);
        while (n < size && n < 15 && var.buf[n] == field[n])
            n++;
        CHECK(n == size || n == 15); /* as far as the shortest field goes */
        CHECK_EQ(var.buf[size], '#');
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_xen_version, op, 0x1000), ERR_FAULT);
    }
}

void test_main(void)
{
    creation();
    looking();
    unknown();
    texts();
}
