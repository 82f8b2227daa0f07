/* SPDX-License-Identifier: MIT */
/*
 * What a processor needs. A function of CPUID, IA32_ARCH_CAPABILITIES and the command line alone, so
 * that it can be tested for processors that nobody has at hand.
 */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/x86/speculation.h>

/* ---- spec-ctrl= and cet= ---- */

static int parse_thunk(struct spec_options *o, const char *name)
{
    static const char *const names[] = { "retpoline", "lfence", "jmp" };
    static const int thunks[] = { SPEC_RETPOLINE, SPEC_LFENCE, 0 };
    int i = word_index(name, names, ARRAY_SIZE(names));

    if (i < 0)
        return -EINVAL;
    o->thunk = thunks[i];
    return 0;
}

#define AT(field) offsetof(struct spec_options, field)
static const struct word {
    const char *name; /* NULL: the end of the list */
    size_t at;        /* of its int in struct spec_options */
} spec_words[] = {
    { "bti-thunk", AT(thunk) }, { "ibrs", AT(ibrs) },     { "rsb", AT(rsb) },       { "verw", AT(verw) },
    { "md-clear", AT(verw) },   { "ibpb", AT(ibpb) },     { "ibpb-entry", AT(ibpb_entry) }, { "ssbd", AT(ssbd) },
    { "stibp", AT(stibp) },     { "msr-sc", AT(msr_sc) }, { NULL, 0 },
}, cet_words[] = { { "shstk", AT(shadow_stacks) }, { "ibt", AT(branch_tracking) }, { NULL, 0 } };

static int parse_word(struct spec_options *o, const struct word *words, const char *name, const char *value)
{
    const struct word *w = words;
    bool on;

    while (w->name && strcmp(w->name, name))
        w++;
    if (w->name && w->at == AT(thunk))
        return parse_thunk(o, value);
    if (!w->name || option_bool(value, &on))
        return -EINVAL;
    *(int *)((char *)o + w->at) = on;
    return 0;
}

/* "word=value,word,no-word": all of them count, or none. */
static int parse_list(struct spec_options *options, const char *list, const struct word *words)
{
    struct spec_options new = *options;
    char word[24];

    while (list_next(&list, word, sizeof(word))) {
        char *value = strchr(word, '=');

        if (value)
            *value++ = 0;
        bool negated = !value && !strncmp(word, "no-", 3);
        if (parse_word(&new, words, negated ? word + 3 : word, value ? value : negated ? "no" : "yes"))
            return -EINVAL;
    }
    if (*list)
        return -EINVAL;
    *options = new;
    return 0;
}

int spec_options_parse(struct spec_options *o, const char *list)
{
    bool all;

    if (option_bool(list, &all))
        return parse_list(o, list, spec_words);
    struct spec_options new = all ? (struct spec_options)SPEC_OPTIONS_AUTO : (struct spec_options){ .xpti = SPEC_OFF };
    new.shadow_stacks = o->shadow_stacks; /* those are of cet= */
    new.branch_tracking = o->branch_tracking;
    *o = new;
    return 0;
}

int spec_cet_parse(struct spec_options *o, const char *list)
{
    bool all;

    if (option_bool(list, &all))
        return parse_list(o, list, cet_words);
    o->shadow_stacks = o->branch_tracking = all ? SPEC_AUTO : SPEC_OFF;
    return 0;
}

/* ---- the processor ---- */

static bool model_in(u32 model, const u8 *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == model)
            return true;
    return false;
}
#define MODEL_IN(model, ...) model_in(model, (const u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ }))

static bool intel6(const struct spec_facts *f) { return f->intel && f->family == 6; }

/* Bonnell and Saltwell execute in order. */
static bool in_order(const struct spec_facts *f) { return intel6(f) && MODEL_IN(f->model, 0x1c, 0x26, 0x27, 0x35, 0x36); }

static bool silvermont_or_knights(const struct spec_facts *f)
{
    return intel6(f) && MODEL_IN(f->model, 0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x5d, 0x75, 0x57, 0x85);
}

static bool goldmont(const struct spec_facts *f) { return intel6(f) && MODEL_IN(f->model, 0x5c, 0x5f, 0x7a); }

/* From Skylake on a RET with an empty RSB takes its target from the indirect-branch predictor, which a retpoline is to avoid. */
static bool retpoline_works(const struct spec_facts *f)
{
    if (!f->intel)
        return true;
    if (f->arch_capabilities & (ARCH_CAP_RSBA | ARCH_CAP_IBRS_ALL))
        return false;
    return f->family != 6 || in_order(f) || silvermont_or_knights(f) ||
           MODEL_IN(f->model, 0x17, 0x1d, 0x1e, 0x1f, 0x1a, 0x2e, 0x25, 0x2c, 0x2f, 0x2a, 0x2d, 0x3a, 0x3e, 0x3c, 0x3f, 0x45, 0x46, 0x3d,
                    0x47, 0x4f, 0x56);
}

struct needs {
    bool meltdown, l1tf, mds, taa, fill_buffers, btc, srso, tsa;
};

/* Zen to Zen 2, Hygon's of the first. */
static bool zen_or_zen2(const struct spec_facts *f) { return f->amd && (f->family == 0x17 || f->family == 0x18); }

/* Zen 3, Zen 4. */
static bool zen3_or_zen4(const struct spec_facts *f) { return f->amd && f->family == 0x19; }

static struct needs needs_of(const struct spec_facts *f)
{
    u64 caps = f->arch_capabilities;
    bool leaks = f->intel && !(caps & ARCH_CAP_RDCL_NO) && !in_order(f);

    return (struct needs){
        .meltdown = leaks,
        .l1tf = leaks && !silvermont_or_knights(f) && !goldmont(f),
        .mds = f->intel && !(caps & ARCH_CAP_MDS_NO) && !in_order(f) && !goldmont(f),
        .taa = f->intel && f->rtm && !(caps & ARCH_CAP_TAA_NO),
        .fill_buffers = f->intel && (caps & (ARCH_CAP_FB_CLEAR | ARCH_CAP_RFDS_CLEAR)),
        .btc = zen_or_zen2(f) && !(f->ext8_ebx & E8B_BTC_NO),
        .srso = (zen_or_zen2(f) || zen3_or_zen4(f)) && !(f->ext21_eax & E21A_SRSO_NO),
        .tsa = zen3_or_zen4(f) && (~f->ext21_ecx & (E21C_TSA_SQ_NO | E21C_TSA_L1_NO)),
    };
}

static void spec_list_add(const char **list, size_t max, const char *word)
{
    for (size_t i = 0; i < max; i++)
        if (!list[i]) {
            list[i] = word;
            return;
        }
}

static void name_needs(struct spec_plan *p, const struct needs *n)
{
    const struct {
        bool there;
        const char *name;
    } all[] = {
        { n->meltdown, "Meltdown" },         { n->l1tf, "L1TF" }, { n->mds, "MDS" },   { n->taa, "TAA" },
        { n->fill_buffers, "fill buffers" }, { n->btc, "BTC" },   { n->srso, "SRSO" }, { n->tsa, "TSA" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].there)
            spec_list_add(p->affected, ARRAY_SIZE(p->affected), all[i].name);
}

static bool spec_option_wanted(int option, bool otherwise) { return option == SPEC_AUTO ? otherwise : option == SPEC_ON; }

/* Indirect branches: IBRS that stays on, else retpolines, else IBRS at each entry. */
static void choose_branches(struct spec_plan *p, const struct spec_facts *f, const struct spec_options *o, bool ibrs, bool stibp, bool ssbd)
{
    bool always = f->arch_capabilities & ARCH_CAP_IBRS_ALL;
    int thunk = o->thunk;

    if (ibrs && always && spec_option_wanted(o->ibrs, true)) {
        p->spec_ctrl |= SPEC_CTRL_IBRS;
        if (f->leaf7_2_edx & L72D_BHI_CTRL)
            p->spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
        if (thunk == SPEC_AUTO)
            thunk = 0;
    } else if (ibrs && spec_option_wanted(o->ibrs, !retpoline_works(f) && thunk == SPEC_AUTO)) {
        p->what |= SPEC_IBRS;
        if (thunk == SPEC_AUTO)
            thunk = 0;
    }
    p->what |= thunk == SPEC_AUTO ? SPEC_RETPOLINE : (u32)thunk;
    if (stibp && spec_option_wanted(o->stibp, false))
        p->spec_ctrl |= SPEC_CTRL_STIBP;
    if (ssbd && spec_option_wanted(o->ssbd, false))
        p->spec_ctrl |= SPEC_CTRL_SSBD;
}

/*
 * Retpolines and RSB filling return without a matching call, on which shadow stacks fault; with XPTI an entry would need the
 * shadow stack before it has loaded the tables that map it.
 */
static void choose_shadow_stacks(struct spec_plan *p, const struct spec_facts *f, const struct spec_options *o)
{
    if (!f->shadow_stacks)
        return;
    if (o->shadow_stacks == SPEC_OFF)
        p->no_shadow_stacks = "cet= says so";
    else if (o->shadow_stacks == SPEC_AUTO && f->virtualised && !f->shadow_stacks_virtual)
        p->no_shadow_stacks = "this machine is virtual and does not promise that they survive its exits (cet=shstk uses them)";
    else if (p->what & (SPEC_RETPOLINE | SPEC_RSB | SPEC_XPTI))
        p->no_shadow_stacks = "they go together with neither retpolines nor RSB filling nor XPTI (spec-ctrl=, xpti=)";
    else
        p->what |= SPEC_SHADOW_STACKS;
}

struct spec_plan spec_choose(const struct spec_facts *f, const struct spec_options *o)
{
    struct spec_plan p = { 0 };
    bool speculates = !f->emulated;
    struct needs n = { 0 };
    bool ibrs = f->leaf7_edx & L7D_IBRS_IBPB || f->ext8_ebx & E8B_IBRS;
    bool ibpb = f->leaf7_edx & L7D_IBRS_IBPB || f->ext8_ebx & E8B_IBPB;
    bool stibp = f->leaf7_edx & L7D_STIBP || f->ext8_ebx & E8B_STIBP;
    bool ssbd = f->leaf7_edx & L7D_SSBD || f->ext8_ebx & E8B_SSBD;
    bool md_clear = f->leaf7_edx & L7D_MD_CLEAR, tsa_clear = f->ext21_eax & E21A_VERW_CLEAR;

    if (speculates)
        n = needs_of(f);
    name_needs(&p, &n);
    if (speculates)
        choose_branches(&p, f, o, ibrs, stibp, ssbd);
    else if (o->thunk != SPEC_AUTO)
        p.what |= (u32)o->thunk;
    if (spec_option_wanted(o->xpti, n.meltdown))
        p.what |= SPEC_XPTI;
    /* RSB entries that a guest has left lead to the guest's addresses, from which the hypervisor fetches nothing under SMEP. */
    if (spec_option_wanted(o->rsb, speculates && !f->smep))
        p.what |= SPEC_RSB;
    if (spec_option_wanted(o->verw, (md_clear && (n.mds || n.taa)) || n.fill_buffers || (tsa_clear && n.tsa)))
        p.what |= SPEC_VERW;
    if (ibpb && spec_option_wanted(o->ibpb_entry, false))
        p.what |= SPEC_IBPB_ENTRY;
    choose_shadow_stacks(&p, f, o);
    p.branch_tracking = f->branch_tracking && spec_option_wanted(o->branch_tracking, true);
    p.ibpb_switch = ibpb && spec_option_wanted(o->ibpb, speculates);
    p.rsb_switch = spec_option_wanted(o->rsb, speculates && !(p.ibpb_switch && f->ext8_ebx & E8B_IBPB_RET));
    p.guest_msrs = (ibrs || ibpb) && spec_option_wanted(o->msr_sc, true);
    p.guest_ibpb = p.guest_msrs && ibpb;
    if (p.guest_msrs)
        p.guest_spec_ctrl = (ibrs ? SPEC_CTRL_IBRS : 0) | (stibp ? SPEC_CTRL_STIBP : 0) | (ssbd ? SPEC_CTRL_SSBD : 0);
    p.returns_exposed = (n.btc || n.srso) && !(p.what & SPEC_IBPB_ENTRY);
    p.l1tf = spec_option_wanted(o->pv_l1tf, n.l1tf);
    p.l1tf_dom0 = spec_option_wanted(o->pv_l1tf, false);

    if ((n.mds && !md_clear) || (n.tsa && !tsa_clear))
        spec_list_add(p.missing, ARRAY_SIZE(p.missing), "VERW that clears buffers");
    if (speculates && (f->intel || f->amd) && !ibpb && !in_order(f))
        spec_list_add(p.missing, ARRAY_SIZE(p.missing), "IBPB");
    return p;
}
