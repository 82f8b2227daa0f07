/* SPDX-License-Identifier: MIT */
/*
 * Every allocation that an operation makes is refused once: the operation says so, and nothing is left of it. For all that creates a domain, gives it
 * something, maps and binds, by the toolstack and by the guest itself.
 */
#include "domu.h"
#include "grants.h"
#include "smp.h"

#define VCPUS 3
#define PORTS 150 /* more than a page of them */
#define CHUNK 64
#define ROUNDS 14
#define ENOMEM 12
/* What was made before a refusal stays with the domain, and serves the next call: by the allocation, or for a whole vCPU. */
enum { NOTHING, EACH, WHOLE };

struct operation {
    const char *name;
    long (*run)(void);  /* 0, or the error */
    void (*undo)(void); /* after a refusal and after success; NULL: there is nothing to do */
    u32 least;          /* how many allocations it makes at least */
    u8 keeps;
    long error; /* 0: -ENOMEM */
};

static struct domu g;
static u64 frames[512], mfn;
static u32 refused_in_all;
static bool grown; /* the small heap, and page tables of the hypervisor's addresses: in the first rounds, for good */

/* How many allocations were refused. */
static u32 refuse_each(const struct operation *o)
{
    for (u32 n = 1, refused = 0;; n += o->keeps == EACH && n == 2 ? 0 : 1, refused++) {
        u64 before = free_frames(), pages = (u64)HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF });

        fail_allocation(n);
        long rc = o->run();
        bool all = fail_allocation(0);

        if (o->undo)
            o->undo();
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), pages);
        if (rc != (all ? 0 : o->error ? o->error : -ENOMEM) || (!all && grown && !o->keeps && free_frames() != before))
            print("%s: with allocation %u refused: 0x%lx, frames 0x%lx before, 0x%lx afterwards\n", o->name, n, rc, before, free_frames());
        CHECK_EQ(rc, all ? 0 : o->error ? o->error : -ENOMEM);
        if (!all && grown && !o->keeps)
            CHECK_EQ(free_frames(), before);
        if (all)
            return refused;
    }
}

static void refuse_all(const struct operation *list, u32 n, bool first)
{
    for (u32 i = 0; i < n; i++) {
        u32 refused = refuse_each(&list[i]);

        if (refused < list[i].least)
            print("%s: %u allocations refused\n", list[i].name, refused);
        CHECK(!first || refused >= list[i].least);
        refused_in_all += refused;
    }
}

static long memory(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }
static long event_op(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg); }
static void reset_ports(domid_t id) { CHECK_EQ(event_op(EVTCHNOP_reset, &(struct evtchn_reset){ id }), 0); }

static long many_ports(domid_t id)
{
    for (u32 i = 0; i < PORTS; i++) {
        struct evtchn_alloc_unbound u = { .dom = id, .remote_dom = DOMID_SELF };
        long rc = event_op(EVTCHNOP_alloc_unbound, &u);

        if (rc)
            return rc;
    }
    return 0;
}

/* CHUNK single frames against one block, or the other way round. */
static long exchange(u64 *in, u32 in_order, u64 *out, u32 out_order)
{
    struct xen_memory_exchange x = { .in = { in, CHUNK >> in_order, in_order, 0, DOMID_SELF },
                                     .out = { out, CHUNK >> out_order, out_order, 0, DOMID_SELF } };
    long rc = memory(XENMEM_exchange, &x);

    CHECK_EQ(x.nr_exchanged, rc ? 0 : CHUNK >> in_order);
    return rc;
}

/* ---- the toolstack ---- */

static long new_domain(void) { return domain_try_create(VCPUS); }
static void end_domain(void)
{
    if (domctl_op.domain != DOMID_INVALID)
        domain_destroy(domctl_op.domain);
}
static long new_vcpus(void) { return domain_try_vcpus(g.id, VCPUS); }
static long give_context(void) { return domu_set_context(&g, 0); }
static long give_other_context(void)
{
    smp_make_context(1, NULL);
    smp_context.ctrlreg[3] = g.mfn[g.l4_pfn] << 12;
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ 1, (u64)&smp_context };
    return domctl(XEN_DOMCTL_setvcpucontext, g.id);
}
static long take_context(void)
{
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ 0, (u64)&domu_context };
    return domctl(XEN_DOMCTL_getvcpucontext, g.id);
}
static long policy(u32 cmd)
{
    static struct xen_cpuid_leaf leaves[140];
    static u32 count = 140;
    bool set = cmd == XEN_DOMCTL_set_cpu_policy;

    domctl_op.u.cpu_policy = (struct xen_domctl_cpu_policy){ .nr_leaves = set ? count : 140, .leaves = (u64)leaves };
    long rc = domctl(cmd, g.id);

    if (!rc && !set)
        count = domctl_op.u.cpu_policy.nr_leaves;
    return rc;
}
static long take_policy(void) { return policy(XEN_DOMCTL_get_cpu_policy); }
static long give_policy(void) { return policy(XEN_DOMCTL_set_cpu_policy); }
static long give_grant_frames(void)
{
    struct gnttab_setup_table s = { .dom = g.id, .nr_frames = 9, .frame_list = frames };

    CHECK_EQ(grant_op(GNTTABOP_setup_table, &s, 1), 0);
    return s.status;
}
static long take_grant_frames(void)
{
    struct xen_mem_acquire_resource r = { .domid = g.id, .type = XENMEM_resource_grant_table, .nr_frames = 20, .frame_list = frames };

    return memory(XENMEM_acquire_resource, &r);
}
static long give_memory_map(void)
{
    static struct e820entry map = { 0, 0x1000000, 1 };

    return memory(XENMEM_set_memory_map, &(struct xen_foreign_memory_map){ g.id, { 1, &map } });
}
static long machine_map(void)
{
    static struct e820entry map[64];

    return memory(XENMEM_machine_memory_map, &(struct xen_memory_map){ 64, map });
}
static u32 given;
static long give_frames(void)
{
    for (u32 i = 0; i < 16; i++)
        frames[i] = i;
    given = (u32)reserve(XENMEM_populate_physmap, g.id, frames, 16, 0);
    return given == 16 ? 0 : -ENOMEM;
}
static long give_block(void)
{
    frames[0] = 0;
    given = (u32)reserve(XENMEM_increase_reservation, g.id, frames, 1, 4) * 16;
    for (u32 i = 1; i < given; i++)
        frames[i] = frames[0] + i;
    return given ? 0 : -ENOMEM;
}
static void take_frames(void) { CHECK_EQ(reserve(XENMEM_decrease_reservation, g.id, frames, given, 0), given); }
static long claim(void) { return memory(XENMEM_claim_pages, &(struct xen_memory_reservation){ .nr_extents = 760, .domid = g.id }); }
static void claim_nothing(void) { CHECK_EQ(memory(XENMEM_claim_pages, &(struct xen_memory_reservation){ .domid = g.id }), 0); }
static long ports_of_guest(void) { return many_ports(g.id); }
static void no_ports_of_guest(void) { reset_ports(g.id); }
static u8 *window;
static u64 own_pte;
static long map_its_frame(void) { return map_foreign(window, g.mfn[0x100] << 12 | READ_ONLY, g.id); }
static void unmap_its_frame(void) { CHECK_EQ(remap(window, own_pte), 0); }

static const struct operation of_new[] = { { "max_vcpus", new_vcpus, NULL, 3 * VCPUS, WHOLE, 0 } };
static const struct operation of_toolstack[] = {
    { "createdomain", new_domain, end_domain, 8, NOTHING, 0 },
    { "get_cpu_policy", take_policy, NULL, 1, NOTHING, 0 },
    { "set_cpu_policy", give_policy, NULL, 1, NOTHING, 0 },
    { "setup_table", give_grant_frames, NULL, 9, EACH, GNTST_general_error },
    { "acquire_resource", take_grant_frames, NULL, 9, EACH, 0 },
    { "set_memory_map", give_memory_map, NULL, 1, EACH, 0 },
    { "machine_memory_map", machine_map, NULL, 1, NOTHING, 0 },
    { "populate_physmap", give_frames, take_frames, 16, NOTHING, 0 },
    { "increase_reservation", give_block, take_frames, 1, NOTHING, 0 },
    { "claim_pages", claim, claim_nothing, 0, NOTHING, 0 },
    { "alloc_unbound", ports_of_guest, no_ports_of_guest, 1, NOTHING, 0 },
    { "a foreign mapping", map_its_frame, unmap_its_frame, 0, NOTHING, 0 },
    { "setvcpucontext", give_context, NULL, 1, NOTHING, 0 },
    { "setvcpucontext of another one", give_other_context, NULL, 1, NOTHING, 0 },
    { "getvcpucontext", take_context, NULL, 1, NOTHING, 0 },
};

/* ---- the guest ---- */

static u8 *page, *fifo;
static long ports_of_own(void)
{
    long rc = many_ports(DOMID_SELF);

    for (u32 i = 0; i < PORTS && !rc; i++) { /* both ends are ours */
        struct evtchn_alloc_unbound u = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };

        rc = event_op(EVTCHNOP_alloc_unbound, &u);
        if (!rc)
            rc = event_op(EVTCHNOP_bind_interdomain, &(struct evtchn_bind_interdomain){ DOMID_SELF, u.port, 0 });
    }
    for (u32 i = 0; i < PORTS && !rc; i++)
        rc = event_op(EVTCHNOP_bind_ipi, &(struct evtchn_bind_ipi){ 0, 0 });
    return rc;
}
static void no_ports(void) { reset_ports(DOMID_SELF); }
static long fifo_ports(void)
{
    struct evtchn_init_control c = { .control_gfn = va_to_mfn(fifo), .vcpu = 0 };
    long rc;

    memory_set(page, 0, PAGE_SIZE); /* ports that are linked there would not be free */
    rc = event_op(EVTCHNOP_init_control, &c);

    if (!rc)
        rc = event_op(EVTCHNOP_expand_array, &(struct evtchn_expand_array){ va_to_mfn(page) });
    return rc ? rc : ports_of_own();
}
static u32 handle;
static long map_grant(void)
{
    struct gnttab_map_grant_ref m = grant_map(0, GNTMAP_device_map, GRANT_FREE, 0);

    handle = m.handle;
    mfn = m.dev_bus_addr;
    return m.status;
}
static long own_map(void)
{
    struct e820entry e;

    return memory(XENMEM_memory_map, &(struct xen_memory_map){ 1, &e });
}
static void nothing(u32 id) { (void)id; }
static long new_vcpu(void)
{
    smp_make_context(2, nothing);
    return HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 2, &smp_context);
}
/* Single frames, a block for them, and single ones again. */
static long there_and_back(void)
{
    u64 block = 0;
    long rc = exchange(frames, 0, &block, 6);

    if (rc)
        return rc;
    rc = exchange(&block, 6, frames, 0);
    for (u32 i = 0; i < CHUNK && rc; i++) /* that it is contiguous changes nothing */
        frames[i] = block + i;
    return rc;
}
static long more_memory(void)
{
    given = (u32)reserve(XENMEM_increase_reservation, DOMID_SELF, frames + CHUNK, 16, 0);
    return given == 16 ? 0 : -ENOMEM;
}
static void less_memory(void) { CHECK_EQ(reserve(XENMEM_decrease_reservation, DOMID_SELF, frames + CHUNK, given, 0), given); }

static const struct operation of_guest[] = {
    { "bind", ports_of_own, no_ports, 4, NOTHING, 0 },
    { "bind, FIFO", fifo_ports, no_ports, 4, NOTHING, 0 },
    { "map_grant_ref", map_grant, NULL, 2, EACH, GNTST_no_device_space },
    { "memory_map", own_map, NULL, 1, NOTHING, 0 },
    { "VCPUOP_initialise", new_vcpu, NULL, 1, NOTHING, 0 },
    { "exchange", there_and_back, NULL, 4, NOTHING, 0 },
    { "increase_reservation of its own", more_memory, less_memory, 16, NOTHING, 0 },
};

static void in_guest(u64 arg)
{
    (void)arg;
    page = page_new();
    fifo = page_new();
    CHECK_EQ(reserve(XENMEM_increase_reservation, DOMID_SELF, frames, CHUNK, 0), CHUNK);
    refused_in_all = 0;
    refuse_all(of_guest, sizeof(of_guest) / sizeof(of_guest[0]), true);
    CHECK_EQ(grant_unmap(0, mfn, handle), GNTST_okay);
    domu_box.words[0] = refused_in_all;
}

/* ---- */

static void round_of_all(bool first)
{
    memory_set(&g, 0, sizeof(g));
    CHECK_EQ(domain_try_create(VCPUS), 0);
    g.id = domctl_op.domain;
    g.vcpus = VCPUS;
    refuse_all(of_new, 1, first);
    domain_set_max(g.id, DOMU_PFNS);
    domu_load(&g, in_guest, 0);
    domu_make_context(&g);
    refuse_all(of_toolstack, sizeof(of_toolstack) / sizeof(of_toolstack[0]), first);
    grant_give(GRANT_FREE, g.id, window, 0);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    refused_in_all += (u32)g.box->words[0];
    domu_destroy(&g);
    CHECK(!domain_exists(g.id));
    CHECK(grant_take_back(GRANT_FREE));
}

void test_main(void)
{
    u64 before = 0;

    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    grant_set_up();
    window = page_new();
    own_pte = *pte_of(window, 1);
    for (u32 round = 0; round < ROUNDS; round++) {
        grown = round >= ROUNDS - 2;
        if (!grown)
            before = free_frames();
        round_of_all(!round);
    }
    print("%u allocations were refused\n", refused_in_all);
    CHECK_EQ(free_frames(), before);
}
