/* SPDX-License-Identifier: MIT */
/* What CPUID shows is what the toolstack says for each domain, within what the machine can do. */
#include "domu.h"
#include <public/sysctl.h>

#define MAX_LEAVES 120
#define AVX (1u << 28)
#define XSAVE (1u << 26)
#define OSXSAVE (1u << 27)
#define POPCNT (1u << 23)
#define BY_AVX (1u << 12 | 1u << 29) /* FMA, F16C */
#define FSGSBASE 1u
#define AVX2 (1u << 5)
#define AVX512 0xdc230000u
#define SHA (1u << 29)
#define NO_SUBLEAF XEN_CPUID_NO_SUBLEAF

static struct domu g;
static struct xen_sysctl sysctl_op;
static struct xen_cpuid_leaf offered[MAX_LEAVES], shown[MAX_LEAVES];
static struct xen_msr_entry msrs[2];
static u32 nr_offered;

static long policy(u32 index, struct xen_cpuid_leaf *list, u32 room)
{
    sysctl_op = (struct xen_sysctl){ XEN_SYSCTL_get_cpu_policy, XEN_SYSCTL_INTERFACE_VERSION, { { 0 } } };
    sysctl_op.u.cpu_policy = (struct xen_sysctl_cpu_policy){ index, room, 2, 0, (u64)list, list ? (u64)msrs : 0 };
    return HYPERCALL1(__HYPERVISOR_sysctl, &sysctl_op);
}

static long domain_policy(u32 cmd, struct xen_cpuid_leaf *list, u32 n, u32 nr_msrs)
{
    domctl_op.u.cpu_policy = (struct xen_domctl_cpu_policy){ n, nr_msrs, (u64)list, (u64)msrs, 0, 0, 0 };
    return domctl(cmd, g.id);
}

static struct xen_cpuid_leaf *find(struct xen_cpuid_leaf *list, u32 leaf, u32 sub)
{
    for (u32 i = 0; i < nr_offered; i++)
        if (list[i].leaf == leaf && list[i].subleaf == sub)
            return &list[i];
    return NULL;
}

static void forced_cpuid(u32 leaf, u32 sub, u32 o[4])
{
    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid" : "=a"(o[0]), "=b"(o[1]), "=c"(o[2]), "=d"(o[3]) : "a"(leaf), "c"(sub));
}

static void lists(void)
{
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_raw, NULL, 0), 0);
    CHECK_EQ(sysctl_op.u.cpu_policy.nr_leaves, MAX_LEAVES);
    CHECK_EQ(sysctl_op.u.cpu_policy.nr_msrs, 2);
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_raw, offered, MAX_LEAVES), 0);
    CHECK(sysctl_op.u.cpu_policy.nr_leaves > 14);
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_pv_default, offered, MAX_LEAVES), 0);
    nr_offered = sysctl_op.u.cpu_policy.nr_leaves;
    CHECK_EQ(msrs[0].idx, 0xce);
    CHECK_EQ(msrs[1].idx, 0x10a);
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_pv_default, offered, nr_offered - 1), -105);
    CHECK_EQ(policy(3, offered, MAX_LEAVES), -95); /* HVM's */
    CHECK_EQ(policy(6, offered, MAX_LEAVES), -22);
    CHECK_EQ(find(offered, 0, NO_SUBLEAF)->a, 0xd);
    CHECK(find(offered, 1, NO_SUBLEAF)->c >> 31); /* a hypervisor is there */

    u32 words[16], o[4];

    sysctl_op.cmd = XEN_SYSCTL_get_cpu_featureset;
    sysctl_op.u.cpu_featureset = (struct xen_sysctl_cpu_featureset){ XEN_SYSCTL_cpu_featureset_pv, 16, (u64)words };
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &sysctl_op), 0);
    CHECK(sysctl_op.u.cpu_featureset.nr_features >= 12);
    CHECK_EQ(words[0], find(offered, 1, NO_SUBLEAF)->d);
    CHECK_EQ(words[5], find(offered, 7, 0)->b);
    /* This kernel's own domain has no list, and shows the same. */
    forced_cpuid(7, 0, o);
    CHECK_EQ(o[1], find(offered, 7, 0)->b);
}

/* As libxc gives it back: with a hypervisor's leaves, and more of those that are empty. */
static void unmodified(void)
{
    struct xen_cpuid_leaf *more = offered + nr_offered;

    more[0] = (struct xen_cpuid_leaf){ 0x40000000, NO_SUBLEAF, 0x40000005, 0, 0, 0 };
    more[1] = (struct xen_cpuid_leaf){ 0x40000100, NO_SUBLEAF, 0, 0, 0, 0 };
    more[2] = (struct xen_cpuid_leaf){ 7, 1, 0, 0, 0, 0 };
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, offered, nr_offered + 3, 0), 0);
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, offered, nr_offered, 2), 0);
    CHECK_EQ(domain_policy(XEN_DOMCTL_get_cpu_policy, shown, MAX_LEAVES, 2), 0);
    CHECK_EQ(domctl_op.u.cpu_policy.nr_leaves, nr_offered);
    for (u32 i = 0; i < nr_offered; i++)
        CHECK(shown[i].leaf == offered[i].leaf && shown[i].a == offered[i].a && shown[i].b == offered[i].b && shown[i].c == offered[i].c &&
              shown[i].d == offered[i].d);
}

static void refused(struct xen_cpuid_leaf leaf, long answer)
{
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, &leaf, 1, 0), answer);
    CHECK_EQ(domctl_op.u.cpu_policy.err_leaf, leaf.leaf);
    CHECK_EQ(domctl_op.u.cpu_policy.err_subleaf, leaf.subleaf);
    CHECK_EQ(domctl_op.u.cpu_policy.err_msr, ~0u);
}

static void refusals(void)
{
    refused((struct xen_cpuid_leaf){ 0, NO_SUBLEAF, 0xe, 0, 0, 0 }, -22);
    refused((struct xen_cpuid_leaf){ 7, 0, 1, 0, 0, 0 }, -22);
    refused((struct xen_cpuid_leaf){ 0x80000000, NO_SUBLEAF, 0x80000100, 0, 0, 0 }, -22);
    refused((struct xen_cpuid_leaf){ 7, 1, 1, 0, 0, 0 }, -34);
    refused((struct xen_cpuid_leaf){ 1, 0, 1, 0, 0, 0 }, -34); /* it has no subleaves */
    refused((struct xen_cpuid_leaf){ 0x80000100, NO_SUBLEAF, 1, 0, 0, 0 }, -34);
    msrs[1].val ^= 1UL << 63;
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, NULL, 0, 2), -22);
    CHECK_EQ(domctl_op.u.cpu_policy.err_msr, 0x10a);
    CHECK_EQ(domctl_op.u.cpu_policy.err_leaf, ~0u);
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, offered, MAX_LEAVES + 1, 0), -7);
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, (void *)0xffff830000000000, 1, 0), -14);
    CHECK_EQ(domain_policy(XEN_DOMCTL_get_cpu_policy, shown, nr_offered, 2), 0); /* nothing has changed */
    CHECK_EQ(find(shown, 0, NO_SUBLEAF)->a, 0xd);
}

/* The guest: what it is shown, and whether it may enable AVX. */
static void looks(u64 arg)
{
    u32 o[4];

    (void)arg;
    forced_cpuid(1, 0, (u32 *)&domu_box.words[0]);
    forced_cpuid(7, 0, (u32 *)&domu_box.words[2]);
    forced_cpuid(0xd, 0, (u32 *)&domu_box.words[4]);
    forced_cpuid(0x80000002, 0, (u32 *)&domu_box.words[6]);
    forced_cpuid(0xc, 0, (u32 *)&domu_box.words[8]);
    forced_cpuid(0x40000000, 0, o);
    CHECK_EQ(o[1], 0x566e6558);
    domu_box.words[10] = !((u32)domu_box.words[1] & OSXSAVE) || TRAPS(13, __asm__ volatile("xsetbv" ::"a"(7), "d"(0), "c"(0)));
}

static void run(bool less)
{
    struct xen_cpuid_leaf *one = find(offered, 1, NO_SUBLEAF), changes[] = {
        { 1, NO_SUBLEAF, 0x12345, 0, less ? ~(AVX | POPCNT) : ~0u, ~0u },
        { 7, 0, 0, ~FSGSBASE, ~0u, ~0u },
        { 0x80000002, NO_SUBLEAF, 0x61696143, 0, 0, 0 },
        { 0, NO_SUBLEAF, 0xd, offered[0].b, offered[0].c, offered[0].d },
    };
    const volatile u32 *box;
    bool avx = one->c & AVX;

    domu_new(&g, 1, looks, 0);
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, changes, 4, 0), 0);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, changes, 1, 0), -17); /* it has looked */
    box = (const volatile u32 *)g.box->words;
    CHECK_EQ(box[0], 0x12345);
    CHECK_EQ(box[1] >> 24, 0);                                                     /* vCPU 0 */
    CHECK_EQ(box[2] & ~OSXSAVE, one->c & (less ? ~(AVX | BY_AVX | POPCNT) : ~0u)); /* no more than there is */
    CHECK_EQ(!(box[2] & OSXSAVE), !(one->c & XSAVE));
    CHECK_EQ(box[3], one->d);
    CHECK_EQ(box[5], find(offered, 7, 0)->b & ~(FSGSBASE | (less ? AVX2 | AVX512 : 0)));
    CHECK_EQ(box[8], find(offered, 0xd, 0)->a & (less ? 3u : ~0u)); /* no AVX-512 either */
    CHECK(!box[8] || less || box[10] == find(offered, 0xd, 0)->c);
    CHECK(!box[8] || !less || box[10] == 576);
    CHECK_EQ(box[12], 0x61696143);
    CHECK(!(box[16] | box[17] | box[18] | box[19]));
    CHECK_EQ(g.box->words[10], less || !avx);
    domu_destroy(&g);
}

/* Without a feature those that need it are not shown either, though they are asked for; all others are. */
static void lacks(u32 leaf, u32 word, u32 feature, u32 ecx1, u32 edx1, u32 ebx7)
{
    struct xen_cpuid_leaf *l, list[3] = { *find(offered, 1, NO_SUBLEAF), *find(offered, 7, 0), *find(offered, 0xd, 1) };

    for (l = list; l->leaf != leaf;)
        l++;
    (&l->a)[word] &= ~feature;
    CHECK_EQ(domain_policy(XEN_DOMCTL_set_cpu_policy, list, 3, 0), 0);
    CHECK_EQ(domain_policy(XEN_DOMCTL_get_cpu_policy, shown, nr_offered, 2), 0);
    CHECK_EQ(find(shown, 1, NO_SUBLEAF)->c, find(offered, 1, NO_SUBLEAF)->c & ~ecx1);
    CHECK_EQ(find(shown, 1, NO_SUBLEAF)->d, find(offered, 1, NO_SUBLEAF)->d & ~edx1);
    CHECK_EQ(find(shown, 7, 0)->b, find(offered, 7, 0)->b & ~ebx7);
    CHECK_EQ(find(shown, 0xd, 1)->a, ecx1 & XSAVE ? 0 : find(offered, 0xd, 1)->a);
}

static void dependents(void)
{
    const u32 by_sse3 = 0x00180201, by_sse2 = by_sse3 | 0x02000002;

    lacks(1, 2, XSAVE, XSAVE | AVX | BY_AVX, 0, AVX2 | AVX512);
    lacks(1, 2, AVX, AVX | BY_AVX, 0, AVX2 | AVX512);
    lacks(7, 1, AVX2, 0, 0, AVX2 | AVX512);
    lacks(1, 3, 1u << 24, by_sse2, 7u << 24, SHA); /* FXSR: SSE, SSE2 */
    lacks(1, 3, 1u << 26, by_sse2, 1u << 26, SHA);
    lacks(1, 2, 1, by_sse3, 0, 0);
    lacks(1, 3, 1, 0, 1u << 23 | 1, 0); /* FPU: MMX */
    lacks(1, 3, 1u << 8, 1u << 13, 1u << 8, 0);
    lacks(1, 2, 0, 0, 0, 0);
}

void test_main(void)
{
    lists();
    domu_create(&g, 1);
    unmodified();
    refusals();
    dependents();
    domain_destroy(g.id);
    run(false);
    run(true);
}
