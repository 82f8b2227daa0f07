/* SPDX-License-Identifier: MIT */
/* What the toolstack asks about the machine: messages, memory, CPUs, domains, the scheduler. */
#include "guest.h"
#include <public/sysctl.h>

#define ERR_NOENT (-2)
#define ERR_SRCH (-3)
#define ERR_ACCES (-13)
#define ERR_FAULT (-14)
#define ERR_BUSY (-16)
#define ERR_NODEV (-19)
#define ERR_INVAL (-22)
#define ERR_NOSYS (-38)
#define ERR_OPNOTSUPP (-95)

static struct xen_sysctl op;
static char text[65536];

static long sysctl(u32 cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return HYPERCALL1(__HYPERVISOR_sysctl, &op);
}

static bool has(const char *s, u32 size, const char *what)
{
    for (u32 i = 0, n = 0; i < size; i++) {
        n = s[i] == what[n] ? n + 1 : s[i] == what[0];
        if (!what[n])
            return true;
    }
    return false;
}

static u32 read_messages(bool clear, bool incremental, u32 index)
{
    op.u.readconsole = (struct xen_sysctl_readconsole){
        .clear = clear, .incremental = incremental, .index = index, .buffer = (u64)text, .count = sizeof(text)
    };
    CHECK_EQ(sysctl(XEN_SYSCTL_readconsole), 0);
    return op.u.readconsole.count;
}

static void messages(void)
{
    struct evtchn_bind_virq bind = { .virq = VIRQ_CON_RING };

    events_mask();
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &bind), 0);
    CHECK(has(text, read_messages(false, false, 0), "Starting dom0"));
    u32 end = op.u.readconsole.index;

    CHECK_EQ(read_messages(false, true, end), 0);
    CHECK(!(shared_info->evtchn_pending[0] >> bind.port & 1));
    op.u.debug_keys = (struct xen_sysctl_debug_keys){ (u64) "me", 2 };
    CHECK_EQ(sysctl(XEN_SYSCTL_debug_keys), 0);
    CHECK(shared_info->evtchn_pending[0] >> bind.port & 1);
    u32 n = read_messages(true, true, end);

    CHECK(n && !has(text, n, "Starting dom0") && has(text, n, "'m' pressed") && has(text, n, "d0: 2-level"));
    CHECK_EQ(read_messages(false, false, 0), 0);
    CHECK_EQ(op.u.readconsole.index, end + n);
    print("a line of dom0's\n");
    CHECK_EQ(read_messages(false, false, 0), 0); /* it is no message of the hypervisor's */
    op.u.readconsole = (struct xen_sysctl_readconsole){ .buffer = 0xffff830000000000, .count = 16 };
    CHECK_EQ(sysctl(XEN_SYSCTL_readconsole), 0); /* nothing to write */
    op.u.debug_keys = (struct xen_sysctl_debug_keys){ 0xffff830000000000, 2 };
    CHECK_EQ(sysctl(XEN_SYSCTL_debug_keys), ERR_FAULT);
}

static void machine(void)
{
    static struct xen_sysctl_cputopo cpus[2];
    static struct xen_sysctl_meminfo memory[2];
    static struct xen_sysctl_cpuinfo idle[2];
    static struct physdev_pci_device devices[2] = { { 0, 0, 0 }, { 0, 0, 0xf9 } };
    static u32 distances[4], nodes[3] = { 7, 7, 7 };
    struct xen_sysctl_physinfo *info = &op.u.physinfo;

    CHECK_EQ(sysctl(XEN_SYSCTL_physinfo), 0);
    CHECK_EQ(info->threads_per_core, 1);
    CHECK_EQ(info->cores_per_socket, 1);
    CHECK_EQ(info->nr_cpus, 1);
    CHECK_EQ(info->max_cpu_id, 0);
    CHECK_EQ(info->nr_nodes, 1);
    CHECK_EQ(info->max_node_id, 0);
    CHECK_EQ(info->capabilities, XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1);
    CHECK(info->cpu_khz > 1000 && info->total_pages > info->free_pages && info->max_mfn > start_info->shared_info >> 12);
    u64 bytes = info->total_pages << 12;

    op.u.cputopoinfo = (struct xen_sysctl_cputopoinfo){ 0 };
    CHECK_EQ(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    CHECK_EQ(op.u.cputopoinfo.num_cpus, 1);
    cpus[0] = cpus[1] = (struct xen_sysctl_cputopo){ 7, 7, 7 };
    op.u.cputopoinfo = (struct xen_sysctl_cputopoinfo){ 2, (u64)cpus };
    CHECK_EQ(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    CHECK_EQ(op.u.cputopoinfo.num_cpus, 1);
    CHECK(!cpus[0].core && !cpus[0].socket && !cpus[0].node && cpus[1].node == 7);

    op.u.numainfo = (struct xen_sysctl_numainfo){ 2, (u64)memory, (u64)distances };
    CHECK_EQ(sysctl(XEN_SYSCTL_numainfo), 0);
    CHECK_EQ(op.u.numainfo.num_nodes, 1);
    CHECK(memory[0].memsize == bytes && memory[0].memfree < bytes && !memory[1].memsize && distances[0] == 10 && !distances[1]);

    op.u.pcitopoinfo = (struct xen_sysctl_pcitopoinfo){ 2, (u64)devices, (u64)nodes };
    CHECK_EQ(sysctl(XEN_SYSCTL_pcitopoinfo), 0);
    CHECK(nodes[0] == 0 && nodes[1] == XEN_INVALID_DEV && nodes[2] == 7);
    op.u.pcitopoinfo.nodes = 0;
    CHECK_EQ(sysctl(XEN_SYSCTL_pcitopoinfo), ERR_INVAL);

    op.u.getcpuinfo = (struct xen_sysctl_getcpuinfo){ 2, (u64)idle, 0 };
    CHECK_EQ(sysctl(XEN_SYSCTL_getcpuinfo), 0);
    CHECK_EQ(op.u.getcpuinfo.nr_cpus, 1);
    CHECK(idle[0].idletime && !idle[1].idletime);
}

static void domains(void)
{
    static struct xen_domctl_getdomaininfo list[2];

    op.u.getdomaininfolist = (struct xen_sysctl_getdomaininfolist){ 0, 2, (u64)list, 0 };
    CHECK_EQ(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    CHECK_EQ(op.u.getdomaininfolist.num_domains, 1);
    CHECK(!list[0].domain && list[0].nr_online_vcpus == 1 && (list[0].flags & XEN_DOMINF_running));
    CHECK_EQ(list[0].max_pages, 0xffffffffUL); /* no limit: xentop knows it by that */
    op.u.getdomaininfolist.first_domain = 1;
    CHECK_EQ(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    CHECK_EQ(op.u.getdomaininfolist.num_domains, 0);
    op.u.getdomaininfolist = (struct xen_sysctl_getdomaininfolist){ 0, 2, 0xffff830000000000, 0 };
    CHECK_EQ(sysctl(XEN_SYSCTL_getdomaininfolist), ERR_FAULT);
}

static long pool(u32 cmd, u32 id)
{
    static u64 map;

    map = 0x55;
    op.u.cpupool_op = (struct xen_sysctl_cpupool_op){ .op = cmd, .cpupool_id = id, .cpumap = { (u64)&map, 64 } };
    long rc = sysctl(XEN_SYSCTL_cpupool_op);

    return rc ? rc : (long)map;
}

static void scheduler(void)
{
    CHECK_EQ(sysctl(XEN_SYSCTL_sched_id), 0);
    CHECK_EQ(op.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    op.u.scheduler_op = (struct xen_sysctl_scheduler_op){ 0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_getinfo, { .align[0] = 7 } };
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), 0);
    CHECK_EQ(op.u.scheduler_op.u.sched_credit2.ratelimit_us, 0);
    op.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.sched_credit2.ratelimit_us = XEN_SYSCTL_SCHED_RATELIMIT_MAX + 1;
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), ERR_INVAL);
    op.u.scheduler_op.u.sched_credit2.ratelimit_us = XEN_SYSCTL_SCHED_RATELIMIT_MIN - 1;
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), ERR_INVAL);
    op.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), 0);
    CHECK_EQ(op.u.scheduler_op.u.sched_credit2.ratelimit_us, 0);
    op.u.scheduler_op.cpupool_id = 1;
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), ERR_SRCH);
    op.u.scheduler_op.cpupool_id = 0;
    op.u.scheduler_op.sched_id = 5;
    CHECK_EQ(sysctl(XEN_SYSCTL_scheduler_op), ERR_INVAL);

    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), 1);
    CHECK_EQ(op.u.cpupool_op.n_dom, 1);
    CHECK_EQ(op.u.cpupool_op.sched_id, XEN_SCHEDULER_CREDIT2);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), ERR_NOENT);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, ~0u), ERR_OPNOTSUPP);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0), ERR_BUSY);
}

static long frame(u32 cmd, u64 mfn, u32 *answer)
{
    op.u.page_offline = (struct xen_sysctl_page_offline_op){ cmd, (u32)mfn, (u32)mfn, (u64)answer };
    return sysctl(XEN_SYSCTL_page_offline_op);
}

static void frames(void)
{
    u64 ours = va_to_mfn(page_new());
    static u32 answer;

    CHECK_EQ(frame(sysctl_query_page_offline, ours, &answer), 0);
    CHECK_EQ(answer, PG_OFFLINE_STATUS_ONLINE);
    CHECK_EQ(frame(sysctl_page_offline, ours, &answer), 0);
    CHECK_EQ(answer, PG_OFFLINE_PENDING | PG_OFFLINE_OWNED);
    CHECK_EQ(frame(sysctl_query_page_offline, ours, &answer), 0);
    CHECK_EQ(answer, PG_OFFLINE_STATUS_OFFLINE_PENDING | PG_OFFLINE_STATUS_BROKEN);
    CHECK_EQ(frame(sysctl_page_offline, start_info->shared_info >> 12, &answer), 0);
    CHECK_EQ(answer, PG_OFFLINE_FAILED | PG_OFFLINE_XENPAGE);
    CHECK_EQ(frame(sysctl_page_online, ours, &answer), 0);
    CHECK_EQ(answer, PG_OFFLINE_FAILED);
    CHECK_EQ(frame(sysctl_page_offline, 0xfffffff0, &answer), ERR_INVAL);
    CHECK_EQ(frame(4, ours, &answer), ERR_INVAL);
}

static void refusals(void)
{
    op.u.pm_op.cpuid = op.u.get_pmstat.cpuid = 0;
    CHECK_EQ(sysctl(XEN_SYSCTL_pm_op), ERR_NODEV);
    CHECK_EQ(sysctl(XEN_SYSCTL_get_pmstat), ERR_NODEV);
    op.u.pm_op.cpuid = 64;
    CHECK_EQ(sysctl(XEN_SYSCTL_pm_op), ERR_INVAL);
    op.u.cpu_hotplug = (struct xen_sysctl_cpu_hotplug){ 0, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE };
    CHECK_EQ(sysctl(XEN_SYSCTL_cpu_hotplug), ERR_INVAL);
    op.u.cpu_hotplug.op = 2;
    CHECK_EQ(sysctl(XEN_SYSCTL_cpu_hotplug), ERR_OPNOTSUPP);
    CHECK_EQ(sysctl(5), ERR_NOSYS);
    CHECK_EQ(sysctl(4711), ERR_NOSYS);
    op.interface_version--;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &op), ERR_ACCES);
}

void test_main(void)
{
    messages();
    machine();
    domains();
    scheduler();
    frames();
    refusals();
}
