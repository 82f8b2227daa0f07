/* SPDX-License-Identifier: MIT */
/*
 * A guest that is told of memory errors: says which frame can be hit, then prints each #MC it gets
 * and each record it fetches as dom0. tests/trap/mce_tests.py sends the errors.
 */
#include "guest.h"
#include <public/mca.h>

#define MSR_MCG_STATUS 0x17a
#define MSR_MC1_STATUS 0x405

static volatile u32 machine_checks;
static u64 mcg, status, address;
static u8 *victim;

static u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static void wrmsr(u32 msr, u64 v) { __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }

static void on_mc(struct frame *f)
{
    (void)f;
    mcg = rdmsr(MSR_MCG_STATUS);
    status = rdmsr(MSR_MC1_STATUS);
    address = rdmsr(MSR_MC1_STATUS + 1);
    machine_checks++;
    /* acknowledged in the loop below, so that a second one can come before */
}

static void acknowledge(void)
{
    wrmsr(MSR_MC1_STATUS, 0);
    wrmsr(MSR_MCG_STATUS, 0);
}

static long mca(struct xen_mc *op) { return HYPERCALL1(__HYPERVISOR_mca, op); }

static bool fetch(u32 kind)
{
    static struct mc_info mi;
    struct xen_mc op = { .cmd = XEN_MC_fetch, .interface_version = XEN_MCA_INTERFACE_VERSION };

    op.u.mc_fetch.flags = kind;
    op.u.mc_fetch.data = (u64)&mi;
    CHECK_EQ(mca(&op), 0);
    if (op.u.mc_fetch.flags == XEN_MC_NODATA)
        return false;
    struct mcinfo_global *g = (void *)mi.mi_data;
    struct mcinfo_bank *b = (void *)((char *)g + g->common.size);

    CHECK_EQ(g->common.type, MC_TYPE_GLOBAL);
    CHECK_EQ(b->common.type, MC_TYPE_BANK);
    print("record: %s, cpu 0x%x, bank 0x%x, status 0x%lx, address 0x%lx, owner 0x%x%s\n", kind == XEN_MC_URGENT ? "urgent" : "not urgent",
          g->mc_coreid, b->mc_bank, b->mc_status, b->mc_addr, b->mc_domid, mi.mi_nentries == 3 ? ", page offline" : "");
    op.u.mc_fetch.flags = kind | XEN_MC_ACK;
    CHECK_EQ(mca(&op), 0);
    return true;
}

static void refusals(void)
{
    static struct mcinfo_logical_cpu cpus[8];
    struct xen_mc op = { .cmd = XEN_MC_fetch, .interface_version = 1 };

    CHECK_EQ(mca(&op), -13);
    op.interface_version = XEN_MCA_INTERFACE_VERSION;
    op.u.mc_fetch.flags = 0;
    CHECK_EQ(mca(&op), -22);
    op.cmd = 77;
    CHECK_EQ(mca(&op), -38);
    op.cmd = XEN_MC_physcpuinfo;
    op.u.mc_physcpuinfo = (struct xen_mc_physcpuinfo){ 0, 0, 0 };
    CHECK_EQ(mca(&op), 0);
    CHECK(op.u.mc_physcpuinfo.ncpus >= 1);
    op.u.mc_physcpuinfo.info = (u64)cpus;
    CHECK_EQ(mca(&op), 0);
    CHECK_EQ(cpus[0].mc_msrvalues[0].reg, 0x179);
    op.u.mc_physcpuinfo.info = 0xffff830000000000;
    CHECK_EQ(mca(&op), -14);
    op.cmd = XEN_MC_msrinject;
    memory_set(&op.u, 0, sizeof(op.u));
    CHECK_EQ(mca(&op), -22);
    op.u.mc_msrinject.mcinj_count = 1;
    op.u.mc_msrinject.mcinj_msr[0].reg = 0xc0000080;
    CHECK_EQ(mca(&op), -22);
    op.cmd = XEN_MC_inject_v2;
    op.u.mc_inject_v2.flags = XEN_MC_INJECT_TYPE_CMCI;
    CHECK_EQ(mca(&op), -95);
}

/* What xen-mceinj does: an error that is only made up, of this guest's own frame. */
static void inject(void)
{
    struct xen_mc op = { .cmd = XEN_MC_msrinject, .interface_version = XEN_MCA_INTERFACE_VERSION };
    struct xen_mc_msrinject *m = &op.u.mc_msrinject;

    m->mcinj_flags = MC_MSRINJ_F_INTERPOSE;
    m->mcinj_count = 4;
    m->mcinj_msr[0] = (struct mcinfo_msr){ 0x17a, 5 };
    m->mcinj_msr[1] = (struct mcinfo_msr){ 0x409, 0xbd000000000000cf };
    m->mcinj_msr[2] = (struct mcinfo_msr){ 0x40a, va_to_mfn(victim + 4096) << 12 };
    m->mcinj_msr[3] = (struct mcinfo_msr){ 0x40b, 0x8c };
    CHECK_EQ(mca(&op), 0);
    op.cmd = XEN_MC_mceinject;
    op.u.mc_mceinject.mceinj_cpunr = 5;
    CHECK_EQ(mca(&op), -22);
    op.u.mc_mceinject.mceinj_cpunr = 0;
    CHECK_EQ(mca(&op), 0);
    CHECK_EQ(machine_checks, 1);
    print("injected: address 0x%lx, wanted 0x%lx\n", address, (u64)(victim + 4096) - 0xffffffff80000000);
    acknowledge();
    CHECK(fetch(XEN_MC_URGENT));
}

/* A damaged frame stays data: it cannot become a page table, nor come back once it is given away. */
static void use_damaged(void)
{
    u64 mfn = va_to_mfn(victim + 4096), pfn = (u64)(victim + 4096 - 0xffffffff80000000) >> 12;
    u64 list = pfn;
    struct xen_memory_reservation r = { &list, 1, 0, 0, DOMID_SELF };

    CHECK_EQ(make_ro(victim + 4096), 0);
    CHECK(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0) < 0);
    CHECK_EQ(remap(victim + 4096, 0), 0);
    list = mfn;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r), 1);
    /* Whatever comes back, it is another frame. */
    list = pfn;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_populate_physmap, &r), 1);
    CHECK(list != mfn);
}

void test_main(void)
{
    u32 seen = 0;

    victim = page_new();
    page_new();
    trap_handlers[18] = on_mc;
    refusals();
    inject();
    use_damaged();
    seen = machine_checks;
    print("victim frame 0x%lx at 0x%lx\n", va_to_mfn(victim), (u64)victim - 0xffffffff80000000);
    for (;;) {
        for (volatile u32 i = 0; i < 20000000; i++) /* errors should find the guest, not the hypervisor */
            ;
        if (machine_checks != seen) {
            seen = machine_checks;
            print("#MC: mcg 0x%lx status 0x%lx address 0x%lx\n", mcg, status, address);
            if (!(status & 0xff00)) /* test of a second one before the first is acknowledged */
                acknowledge();
            else
                print("not acknowledged\n");
        }
        while (fetch(XEN_MC_URGENT) || fetch(XEN_MC_NONURGENT))
            ;
    }
}
