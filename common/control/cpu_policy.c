/* SPDX-License-Identifier: MIT */
/*
 * What CPUID shows to a domain, as lists of leaves: what the machine has, what any guest may be shown, what one domain is shown. The toolstack
 * reads the second one, changes it as the guest's configuration says, and gives it back before the domain's first run.
 */
#include "control.h"

#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/speculation.h>

/* What the ABI's lists may have: the toolstack makes room for that many, and its own lists may be longer than ours. */
#define MAX_LEAVES 120
#define MAX_MSRS 2
#define XSTATE_LEAVES 8 /* up to AVX-512's third component */

/* How many subleaves the ABI's lists have of it; 0: it has none. */
static u32 subleaves(u32 leaf)
{
    switch (leaf) {
    case 4: return 6;
    case 7: return 1;
    case 0xb: return 2;
    case 0xd: return XSTATE_LEAVES;
    default: return 0;
    }
}

typedef void (*leaf_source)(u32 leaf, u32 sub, u32 out[4]);

/* All leaves of a policy, in order, from zeroed ones with room for MAX_LEAVES; how many. */
static u32 list_leaves(struct xen_cpuid_leaf *list, leaf_source source)
{
    u32 n = 0, last[4];

    for (u32 base = 0; base <= 0x80000000; base += 0x80000000) {
        source(base, 0, last);
        u32 end = MIN(last[0], base ? CPUID_LAST_EXT : CPUID_LAST_BASIC);
        for (u32 leaf = base; leaf <= end; leaf++)
            for (u32 sub = 0; sub < MAX(subleaves(leaf), 1u); sub++, n++) {
                list[n].leaf = leaf;
                list[n].subleaf = subleaves(leaf) ? sub : XEN_CPUID_NO_SUBLEAF;
                source(leaf, sub, &list[n].a);
            }
        if (base)
            break;
    }
    return n;
}

/*
 * What a toolstack may say of a leaf, by word: '=' it is as it is, whatever is said; '&' it may take features away; '<' it may say less; 'f' it is
 * free, and hurts nobody but the guest. Words of leaves that are not here are as they are. As Xen has it, a feature that is asked for and not
 * there is left out without an error: a configuration means "if the machine has it", and toolstacks set bits by what the machine has.
 */
static const struct {
    u32 first, last;
    u32 sub;
    char words[5];
} rules[] = {
    { 0, 0, 0, "<fff" },                   /* last leaf, vendor */
    { 1, 1, 0, "f=&&" },                   /* family and model, features */
    { 2, 2, 0, "ffff" },                   /* caches */
    { 7, 7, 0, "<&&&" },                   /* last subleaf, features */
    { 0xd, 0xd, 1, "&===" },               /* forms of XSAVE */
    { 0x80000000, 0x80000000, 0, "<fff" }, /* last leaf */
    { 0x80000001, 0x80000001, 0, "f=&&" }, /* features */
    { 0x80000002, 0x80000004, 0, "ffff" }, /* the processor's name */
    { 0x80000005, 0x80000006, 0, "ffff" }, /* caches */
    { 0x80000007, 0x80000007, 0, "===&" }, /* invariant TSC */
    { 0x80000008, 0x80000008, 0, "=&==" }, /* features */
    { 0x80000021, 0x80000021, 0, "&===" }, /* features */
};

static const char *rule_for(u32 leaf, u32 sub)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (leaf >= rules[i].first && leaf <= rules[i].last && (!subleaves(leaf) || sub == rules[i].sub))
            return rules[i].words;
    return leaf == 4 ? "ffff" : "====";
}

/* Changes a domain's leaf to what the toolstack says, as far as it may. */
static int apply_leaf(struct xen_cpuid_leaf *to, const struct xen_cpuid_leaf *said)
{
    const char *rule = rule_for(to->leaf, to->subleaf);
    const u32 *want = &said->a;
    u32 offered[4], *word = &to->a;

    pv_cpuid_offered(to->leaf, to->subleaf, offered);
    for (u32 i = 0; i < 4; i++) {
        if (rule[i] == '<' && want[i] > offered[i])
            return -EINVAL;
        if (rule[i] != '=')
            word[i] = rule[i] == '&' ? want[i] & offered[i] : want[i];
    }
    return 0;
}

/* Of the ABI's lists, and what we have not: without content, or where a hypervisor's own leaves begin. */
static bool may_be_left_out(const struct xen_cpuid_leaf *l)
{
    return l->leaf == 0x40000000 || l->leaf == 0x40000100 || !(l->a | l->b | l->c | l->d);
}

static int apply_leaves(struct xen_cpuid_leaf *list, u32 count, struct xen_domctl_cpu_policy *p)
{
    struct xen_cpuid_leaf said;

    for (u32 i = 0; i < p->nr_leaves; i++) {
        if (copy_from_guest(&said, guest_ptr_index(p->leaves, i, sizeof(said)), sizeof(said)))
            return -EFAULT;
        struct xen_cpuid_leaf *l = cpuid_find(list, count, said.leaf, said.subleaf);
        int rc = !l || l->subleaf != said.subleaf ? (may_be_left_out(&said) ? 0 : -ERANGE) : apply_leaf(l, &said);
        if (rc) {
            p->err_leaf = said.leaf;
            p->err_subleaf = said.subleaf;
            return rc;
        }
    }
    return 0;
}

/* Shown by MSRs, as lists have them; what they are is the machine's to say. */
static const u32 policy_msrs[MAX_MSRS] = { MSR_PLATFORM_INFO, MSR_ARCH_CAPABILITIES };

static void msr_entry(struct xen_msr_entry *e, u32 i, bool offered)
{
    bool capabilities = policy_msrs[i] == MSR_ARCH_CAPABILITIES;

    *e = (struct xen_msr_entry){ .idx = policy_msrs[i] };
    if (offered)
        e->val = capabilities ? spec_guest_arch_capabilities() : 0;
    else if (!rdmsr_safe(e->idx, &e->val))
        e->val = 0;
}

static int check_msrs(struct xen_domctl_cpu_policy *p)
{
    struct xen_msr_entry said, is;

    for (u32 i = 0; i < p->nr_msrs; i++) {
        if (copy_from_guest(&said, guest_ptr_index(p->msrs, i, sizeof(said)), sizeof(said)))
            return -EFAULT;
        bool ok = false;
        for (u32 n = 0; n < MAX_MSRS && !ok; n++) {
            msr_entry(&is, n, true);
            ok = is.idx == said.idx && is.val == said.val && !said.flags;
        }
        if (!ok) {
            p->err_msr = said.idx;
            return -EINVAL;
        }
    }
    return 0;
}

/* The words of featuresets, as the ABI numbers them. */
static const struct {
    u32 leaf, sub, word;
} feature_words[CPU_FEATURESET_WORDS] = { { 1, 0, 3 },          { 1, 0, 2 }, { 0x80000001, 0, 3 }, { 0x80000001, 0, 2 },
                                          { 0xd, 1, 0 },        { 7, 0, 1 }, { 7, 0, 2 },          { 0x80000007, 0, 3 },
                                          { 0x80000008, 0, 1 }, { 7, 0, 3 }, { 7, 1, 0 },          { 0x80000021, 0, 0 } };

/* What means nothing without a feature, or breaks programs that look for it alone. Bits of words; a feature comes before what needs it. */
#define B(n) (1u << (n))
static const struct {
    u32 word, feature, in, dependent;
} dependencies[] = {
    { 0, B(0), 0, B(23) },                                                  /* FPU: MMX */
    { 0, B(4), 2, B(27) },                                                  /* TSC: RDTSCP */
    { 0, B(4), 7, B(8) },                                                   /* TSC: that it is invariant */
    { 0, B(8), 1, B(13) },                                                  /* CX8: CX16 */
    { 0, B(23), 2, B(22) | B(30) | B(31) },                                 /* MMX: MMXEXT, 3DNOW */
    { 0, B(24), 0, B(25) },                                                 /* FXSR: SSE */
    { 0, B(24), 2, B(25) },                                                 /* FXSR: FFXSR */
    { 0, B(25), 0, B(26) },                                                 /* SSE: SSE2 */
    { 0, B(25), 3, B(7) },                                                  /* SSE: MISALIGN */
    { 0, B(26), 1, B(0) | B(1) | B(25) },                                   /* SSE2: SSE3, PCLMUL, AES */
    { 0, B(26), 5, B(29) },                                                 /* SSE2: SHA */
    { 0, B(26), 6, B(8) },                                                  /* SSE2: GFNI */
    { 1, B(0), 1, B(9) },                                                   /* SSE3: SSSE3 */
    { 1, B(0), 3, B(6) },                                                   /* SSE3: SSE4A */
    { 1, B(9), 1, B(19) },                                                  /* SSSE3: SSE4.1 */
    { 1, B(19), 1, B(20) },                                                 /* SSE4.1: SSE4.2 */
    { 1, B(26), 4, ~0u },                                                   /* XSAVE: its forms */
    { 1, B(26), 1, B(28) },                                                 /* XSAVE: AVX */
    { 1, B(28), 1, B(12) | B(29) },                                         /* AVX: FMA, F16C */
    { 1, B(28), 3, B(11) | B(16) },                                         /* AVX: XOP, FMA4 */
    { 1, B(28), 5, B(5) },                                                  /* AVX: AVX2 */
    { 1, B(28), 6, B(9) | B(10) },                                          /* AVX: VAES, VPCLMUL */
    { 1, B(25), 6, B(9) },                                                  /* AES: VAES */
    { 1, B(1), 6, B(10) },                                                  /* PCLMUL: VPCLMUL */
    { 5, B(5), 5, B(16) },                                                  /* AVX2: AVX512F */
    { 5, B(16), 5, B(17) | B(21) | B(26) | B(27) | B(28) | B(30) | B(31) }, /* AVX512F: DQ, IFMA, PF, ER, CD, BW, VL */
    { 5, B(16), 6, B(11) | B(14) },                                         /* AVX512F: VNNI, VPOPCNTDQ */
    { 5, B(16), 9, B(2) | B(3) },                                           /* AVX512F: 4VNNIW, 4FMAPS */
    { 5, B(30), 6, B(1) | B(6) | B(12) },                                   /* AVX512BW: VBMI, VBMI2, BITALG */
};

static u32 *feature_word(struct xen_cpuid_leaf *list, u32 count, u32 n)
{
    struct xen_cpuid_leaf *l = cpuid_find(list, count, feature_words[n].leaf, feature_words[n].sub);

    return l ? &l->a + feature_words[n].word : NULL;
}

/* As Xen has it, features that stay without what they depend on go too, without an error. */
static void drop_dependents(struct xen_cpuid_leaf *list, u32 count)
{
    for (size_t i = 0; i < ARRAY_SIZE(dependencies); i++) {
        const u32 *word = feature_word(list, count, dependencies[i].word);
        u32 *in = feature_word(list, count, dependencies[i].in);

        if (in && (!word || !(*word & dependencies[i].feature)))
            *in &= ~dependencies[i].dependent;
    }
}

/* Components that the features leave, and what CPUID says of the area for them: SDM vol. 1, 13.2. */
static u64 derive_xstate(struct xen_cpuid_leaf *list, u32 count)
{
    const struct xen_cpuid_leaf *one = cpuid_find(list, count, 1, 0), *seven = cpuid_find(list, count, 7, 0);
    struct xen_cpuid_leaf *l;
    u64 mask = cpu.xcr0_mask;
    u32 size = FPU_XSAVE_LEAST;

    if (!one || !(one->c >> 26 & 1)) /* XSAVE */
        mask = 0;
    if (!one || !(one->c >> 28 & 1)) /* AVX */
        mask &= XCR0_X87 | XCR0_SSE;
    if (!seven || !(seven->b >> 16 & 1)) /* AVX512F */
        mask &= ~XCR0_AVX512;
    for (u32 sub = XSTATE_LEAVES; sub--;) {
        l = cpuid_find(list, count, 0xd, sub);
        if (!l || sub == 1)
            continue;
        if (sub > 1 && mask >> sub & 1)
            size = MAX(size, l->a + l->b);
        else if (sub || !mask)
            l->a = l->b = l->c = l->d = 0;
        else {
            l->a = (u32)mask;
            l->b = l->c = size;
        }
    }
    return mask;
}

/* From what the domain has, or any guest may have. */
static u32 list_of_domain(struct xen_cpuid_leaf *list, const struct domain *d)
{
    if (!d->pv.cpuid)
        return list_leaves(list, pv_cpuid_offered);
    memcpy(list, d->pv.cpuid, d->pv.nr_cpuid * sizeof(*list));
    return d->pv.nr_cpuid;
}

long domctl_set_cpu_policy(struct xen_domctl_cpu_policy *p, struct domain *d)
{
    p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
    if (d->state != DOMAIN_CREATED)
        return -EEXIST; /* its kernel has looked */
    if (p->nr_leaves > MAX_LEAVES || p->nr_msrs > MAX_MSRS)
        return -E2BIG;
    struct xen_cpuid_leaf *list __freed = hv_alloc(MAX_LEAVES * sizeof(*list)), *old = d->pv.cpuid;
    if (!list)
        return -ENOMEM;
    u32 count = list_of_domain(list, d);
    long rc = apply_leaves(list, count, p);
    if (!rc)
        rc = check_msrs(p);
    if (rc)
        return rc;
    drop_dependents(list, count);
    d->pv.xcr0_mask = derive_xstate(list, count);
    d->pv.cpuid = list;
    d->pv.nr_cpuid = count;
    list = old;
    return 0;
}

/* ---- what there is ---- */

static int copy_policy(const struct xen_cpuid_leaf *list, u32 count, bool offered, guest_ptr_t leaves, u32 *nr_leaves, guest_ptr_t msrs,
                       u32 *nr_msrs)
{
    struct xen_msr_entry msr;

    if ((leaves.va && *nr_leaves < count) || (msrs.va && *nr_msrs < MAX_MSRS))
        return -ENOBUFS;
    if (leaves.va && copy_to_guest(leaves, list, count * sizeof(*list)))
        return -EFAULT;
    for (u32 i = 0; i < MAX_MSRS && msrs.va; i++) {
        msr_entry(&msr, i, offered);
        if (copy_to_guest(guest_ptr_index(msrs, i, sizeof(msr)), &msr, sizeof(msr)))
            return -EFAULT;
    }
    *nr_leaves = leaves.va ? count : MAX_LEAVES;
    *nr_msrs = MAX_MSRS;
    return 0;
}

/* By the ABI's numbers, which featuresets and policies share: raw, host, pv or pv_max, hvm, pv_default or pv_max, hvm. */
static int source_of(u32 index, leaf_source *source)
{
    static const leaf_source sources[] = { cpuid_machine, cpuid_machine, pv_cpuid_offered, NULL, pv_cpuid_offered, NULL };

    if (index >= ARRAY_SIZE(sources))
        return -EINVAL;
    *source = sources[index_nospec(index, ARRAY_SIZE(sources))];
    return *source ? 0 : -EOPNOTSUPP; /* HVM's */
}

long sysctl_cpu_policy(struct xen_sysctl_cpu_policy *op)
{
    leaf_source source;
    int rc = op->_rsvd ? -EINVAL : source_of(op->index, &source);
    if (rc)
        return rc;
    struct xen_cpuid_leaf *list __freed = hv_alloc(MAX_LEAVES * sizeof(*list));
    if (!list)
        return -ENOMEM;
    return copy_policy(list, list_leaves(list, source), source != cpuid_machine, op->leaves, &op->nr_leaves, op->msrs, &op->nr_msrs);
}

long domctl_get_cpu_policy(struct xen_domctl_cpu_policy *p, struct domain *d)
{
    struct xen_cpuid_leaf *list __freed = hv_alloc(MAX_LEAVES * sizeof(*list));

    if (!list)
        return -ENOMEM;
    return copy_policy(list, list_of_domain(list, d), true, p->leaves, &p->nr_leaves, p->msrs, &p->nr_msrs);
}

u32 cpu_featureset_word(u32 index, u32 n)
{
    leaf_source source;
    u32 words[4];
    if (n >= CPU_FEATURESET_WORDS || source_of(index, &source))
        return 0;
    source(feature_words[n].leaf, feature_words[n].sub, words);
    return words[feature_words[n].word];
}

long sysctl_cpu_featureset(struct xen_sysctl_cpu_featureset *op)
{
    u32 room = op->features.va ? op->nr_features : 0;
    leaf_source source;
    int rc = source_of(op->index, &source);
    for (u32 n = 0; n < MIN(room, (u32)CPU_FEATURESET_WORDS) && !rc; n++) {
        u32 word = cpu_featureset_word(op->index, n);

        rc = copy_to_guest(guest_ptr_index(op->features, n, sizeof(word)), &word, sizeof(word));
    }
    op->nr_features = op->features.va ? MIN(room, (u32)CPU_FEATURESET_WORDS) : CPU_FEATURESET_WORDS;
    return !rc && op->features.va && room < CPU_FEATURESET_WORDS ? -ENOBUFS : rc;
}

long sysctl_cpu_levelling_caps(struct xen_sysctl_cpu_levelling_caps *op)
{
    op->caps = cpu.cpuid_fault_msr ? XEN_SYSCTL_CPU_LEVELCAP_faulting : 0; /* else user mode sees what the processor says */
    return 0;
}
