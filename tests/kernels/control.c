/* SPDX-License-Identifier: MIT */
/* What a toolstack's small interfaces answer: error records, values by path, event channels that are not there. */
#include "guest.h"
#include <public/hypfs.h>
#include <public/mca.h>

#define ERR_NOENT (-2)
#define ERR_SRCH (-3)
#define ERR_ACCES (-13)
#define ERR_FAULT (-14)
#define ERR_EXIST (-17)
#define ERR_INVAL (-22)
#define ERR_NOSYS (-38)
#define ERR_OPNOTSUPP (-95)
#define ERR_NOBUFS (-105)
#define NOBODY 77

static void *const hypervisors = (void *)0xffff830000000000; /* not the guest's to name */
static struct xen_mc mc;
static struct mcinfo_logical_cpu cpus[2];
static u8 buffer[16384];

static long mca(u32 cmd)
{
    mc.cmd = cmd;
    mc.interface_version = XEN_MCA_INTERFACE_VERSION;
    return HYPERCALL1(__HYPERVISOR_mca, &mc);
}

static long fetch(u32 flags)
{
    mc.u.mc_fetch = (struct xen_mc_fetch){ .flags = flags, .fetch_id = NOBODY, .data = (u64)hypervisors };
    return mca(XEN_MC_fetch);
}

static void records(void)
{
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_mca, hypervisors), ERR_FAULT);
    mc.interface_version = 0;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_mca, &mc), ERR_ACCES);
    CHECK_EQ(mca(NOBODY), ERR_NOSYS);
    CHECK_EQ(mca(0), ERR_NOSYS);
    CHECK_EQ(fetch(0), ERR_INVAL);
    CHECK_EQ(fetch(0x80), ERR_INVAL);
    CHECK_EQ(fetch(XEN_MC_URGENT), 0);
    CHECK_EQ(mc.u.mc_fetch.flags, XEN_MC_NODATA);
    CHECK_EQ(fetch(XEN_MC_NONURGENT), 0);
    CHECK_EQ(mc.u.mc_fetch.flags, XEN_MC_NODATA);
    CHECK_EQ(fetch(XEN_MC_ACK), 0); /* of what has made room meanwhile */
}

static void processors(void)
{
    mc.u.mc_physcpuinfo = (struct xen_mc_physcpuinfo){ 0 };
    CHECK_EQ(mca(XEN_MC_physcpuinfo), 0);
    CHECK_EQ(mc.u.mc_physcpuinfo.ncpus, 1);
    mc.u.mc_physcpuinfo = (struct xen_mc_physcpuinfo){ .info = (u64)cpus };
    CHECK_EQ(mca(XEN_MC_physcpuinfo), ERR_INVAL);
    mc.u.mc_physcpuinfo = (struct xen_mc_physcpuinfo){ .ncpus = 2, .info = (u64)hypervisors };
    CHECK_EQ(mca(XEN_MC_physcpuinfo), ERR_FAULT);
    mc.u.mc_physcpuinfo = (struct xen_mc_physcpuinfo){ .ncpus = 2, .info = (u64)cpus };
    CHECK_EQ(mca(XEN_MC_physcpuinfo), 0);
    CHECK(mc.u.mc_physcpuinfo.ncpus == 1 && cpus[0].mc_ncores == 1 && cpus[0].mc_vendorid[0]);
}

static void injections(void)
{
    static u8 two = 2;
    struct xen_mc_msrinject *m = &mc.u.mc_msrinject;
    const struct xen_mc_msrinject wrong[] = { { .mcinj_cpunr = 1, .mcinj_count = 1 },
                                              { .mcinj_count = 0 },
                                              { .mcinj_count = MC_MSRINJ_MAXMSRS + 1 },
                                              { .mcinj_count = 1, .mcinj_flags = 0x80 },
                                              { .mcinj_count = 1, .mcinj_msr[0].reg = 1UL << 32 },
                                              { .mcinj_count = 1, .mcinj_msr[0].reg = 0xc0000080 } };

    for (u32 i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        *m = wrong[i];
        CHECK_EQ(mca(XEN_MC_msrinject), ERR_INVAL);
    }
    mc.u.mc_mceinject.mceinj_cpunr = 1;
    CHECK_EQ(mca(XEN_MC_mceinject), ERR_INVAL);
    mc.u.mc_inject_v2 = (struct xen_mc_inject_v2){ .flags = XEN_MC_INJECT_TYPE_CMCI };
    CHECK_EQ(mca(XEN_MC_inject_v2), ERR_OPNOTSUPP);
    mc.u.mc_inject_v2 = (struct xen_mc_inject_v2){ .flags = XEN_MC_INJECT_TYPE_MCE };
    CHECK_EQ(mca(XEN_MC_inject_v2), ERR_FAULT);
    mc.u.mc_inject_v2.cpumap.nr_bits = 8;
    mc.u.mc_inject_v2.cpumap.bitmap = (__typeof__(mc.u.mc_inject_v2.cpumap.bitmap))(u64)hypervisors;
    CHECK_EQ(mca(XEN_MC_inject_v2), ERR_FAULT);
    mc.u.mc_inject_v2.cpumap.bitmap = (__typeof__(mc.u.mc_inject_v2.cpumap.bitmap))(u64)&two;
    CHECK_EQ(mca(XEN_MC_inject_v2), ERR_INVAL);
}

static long read(const char *path, u64 length, void *out, u64 size)
{
    return hypercall(__HYPERVISOR_hypfs_op, XEN_HYPFS_OP_read, (u64)path, length, (u64)out, size);
}

static void values(void)
{
    static const char *const paths[] = { "/", "/buildinfo", "/buildinfo/version", "/previous-boot", "/cmdline" };
    static const u8 lengths[] = { 2, 11, 19, 15, 9 };
    const struct xen_hypfs_direntry *e = (void *)buffer;

    for (u32 i = 0; i < 5; i++) {
        CHECK_EQ(read(paths[i], lengths[i], buffer, sizeof(buffer)), 0);
        CHECK_EQ(e->type, i == 2 || i == 4 ? XEN_HYPFS_TYPE_STRING : XEN_HYPFS_TYPE_DIR);
        CHECK_EQ(read(paths[i], lengths[i], buffer, sizeof(*e)), e->content_len ? ERR_NOBUFS : 0);
        CHECK_EQ(read(paths[i], lengths[i], hypervisors, 4096), ERR_FAULT);
    }
    CHECK_EQ(read("/", 0, buffer, 100), ERR_INVAL);
    CHECK_EQ(read("/", XEN_HYPFS_MAX_PATHLEN + 1, buffer, 100), ERR_INVAL);
    CHECK_EQ(read("/", 65, buffer, 100), ERR_NOENT); /* longer than any name here */
    CHECK_EQ(read("/", 1, buffer, 100), ERR_INVAL);  /* no end */
    CHECK_EQ(read("/x", 3, buffer, 100), ERR_NOENT);
    CHECK_EQ(read("/", 2, buffer, sizeof(*e) - 1), ERR_INVAL);
    CHECK_EQ(read(hypervisors, 2, buffer, 100), ERR_FAULT);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(hypercall(__HYPERVISOR_hypfs_op, XEN_HYPFS_OP_get_version, i == 0, i == 1, i == 2, i == 3), ERR_INVAL);
    CHECK_EQ(hypercall(__HYPERVISOR_hypfs_op, XEN_HYPFS_OP_write_contents, 0, 0, 0, 0), ERR_ACCES);
    CHECK_EQ(hypercall(__HYPERVISOR_hypfs_op, NOBODY, 0, 0, 0, 0), ERR_OPNOTSUPP);
}

static void channels(void)
{
    static const u32 ports[] = { 0, 1000, 4096, 1u << 20, ~0u };
    struct evtchn_alloc_unbound a = { .dom = NOBODY, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain b = { .remote_dom = NOBODY };
    struct evtchn_bind_virq v = { .virq = 99 };
    struct evtchn_bind_ipi ipi = { .vcpu = NOBODY };
    struct evtchn_bind_pirq p = { .pirq = 0x123456 };

    for (u32 i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct evtchn_send s = { ports[i] };
        struct evtchn_close c = { ports[i] };
        struct evtchn_bind_vcpu move = { ports[i], 0 };
        struct evtchn_unmask u = { ports[i] };

        CHECK_EQ(evtchn(EVTCHNOP_send, &s), ERR_INVAL);
        CHECK_EQ(evtchn(EVTCHNOP_close, &c), ERR_INVAL);
        CHECK_EQ(evtchn(EVTCHNOP_bind_vcpu, &move), ERR_INVAL);
        CHECK(evtchn(EVTCHNOP_unmask, &u) <= 0);
    }
    CHECK_EQ(evtchn(EVTCHNOP_alloc_unbound, &a), ERR_SRCH);
    CHECK_EQ(evtchn(EVTCHNOP_bind_interdomain, &b), ERR_SRCH);
    b = (struct evtchn_bind_interdomain){ .remote_dom = DOMID_SELF, .remote_port = 1000 };
    CHECK(evtchn(EVTCHNOP_bind_interdomain, &b) < 0);
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &v), ERR_INVAL);
    v = (struct evtchn_bind_virq){ .virq = VIRQ_TIMER, .vcpu = NOBODY };
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &v), ERR_NOENT);
    v.vcpu = 0;
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &v), 0);
    CHECK_EQ(evtchn(EVTCHNOP_bind_virq, &v), ERR_EXIST);
    CHECK_EQ(evtchn(EVTCHNOP_bind_ipi, &ipi), ERR_NOENT);
    CHECK_EQ(evtchn(EVTCHNOP_bind_pirq, &p), ERR_INVAL);
    CHECK_EQ(evtchn(NOBODY, &p), ERR_NOSYS);
    CHECK_EQ(evtchn(EVTCHNOP_send, hypervisors), ERR_FAULT);
    /* What belongs to a device or a timer is not for the guest to raise. */
    struct evtchn_send s = { v.port };
    struct evtchn_bind_vcpu move = { v.port, NOBODY };

    CHECK_EQ(evtchn(EVTCHNOP_send, &s), ERR_INVAL);
    CHECK(evtchn(EVTCHNOP_bind_vcpu, &move) < 0);
}

void test_main(void)
{
    records();
    processors();
    injections();
    values();
    channels();
}
