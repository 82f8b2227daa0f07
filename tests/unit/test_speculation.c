/* SPDX-License-Identifier: MIT */
/* What is chosen for processors that nobody has at hand. */
#include "fakes.h"

#include <hv/x86/speculation.h>

static struct spec_options options;

static struct spec_plan plan(struct spec_facts f, const char *words)
{
    options = (struct spec_options)SPEC_OPTIONS_AUTO;
    if (*words)
        assert_int_equal(spec_options_parse(&options, words), 0);
    return spec_choose(&f, &options);
}

static bool named(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] && !strcmp(list[i], word))
            return true;
    return false;
}
#define NAMED(list, word) named(list, ARRAY_SIZE(list), word)

#define UPDATED (L7D_MD_CLEAR | L7D_IBRS_IBPB | L7D_STIBP | L7D_SSBD)
static const struct spec_facts haswell = { .intel = true, .smep = true, .family = 6, .model = 0x3c, .leaf7_edx = UPDATED };
static const struct spec_facts skylake = { .intel = true, .smep = true, .rtm = true, .family = 6, .model = 0x5e, .leaf7_edx = UPDATED };
static const struct spec_facts icelake = {
    .intel = true,
    .smep = true,
    .family = 6,
    .model = 0x6a,
    .leaf7_edx = UPDATED | L7D_ARCH_CAPABILITIES,
    .leaf7_2_edx = L72D_BHI_CTRL,
    .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO | ARCH_CAP_FB_CLEAR,
};
static const struct spec_facts goldmont = { .intel = true, .smep = true, .family = 6, .model = 0x5c, .leaf7_edx = UPDATED };
static const struct spec_facts bonnell = { .intel = true, .family = 6, .model = 0x1c };
static const struct spec_facts zen2 = {
    .amd = true, .smep = true, .family = 0x17, .model = 0x31, .ext8_ebx = E8B_IBPB | E8B_STIBP | E8B_SSBD
};
static const struct spec_facts zen3 = { .amd = true, .smep = true, .family = 0x19, .model = 0x21, .ext8_ebx = E8B_IBPB | E8B_IBRS };
static const struct spec_facts k8 = { .amd = true, .family = 15 };

static void intel(void **state)
{
    (void)state;
    struct spec_plan p = plan(haswell, "");

    assert_int_equal(p.what, SPEC_XPTI | SPEC_RETPOLINE | SPEC_VERW);
    assert_true(p.l1tf && !p.l1tf_dom0 && p.ibpb_switch && p.guest_msrs && !p.spec_ctrl);
    assert_true(NAMED(p.affected, "Meltdown") && NAMED(p.affected, "MDS") && !NAMED(p.affected, "TAA") && !p.missing[0]);

    /* Returns may be predicted as branches are: retpolines do not help. */
    p = plan(skylake, "");
    assert_int_equal(p.what, SPEC_XPTI | SPEC_IBRS | SPEC_VERW);
    assert_true(NAMED(p.affected, "TAA"));

    p = plan(icelake, "");
    assert_int_equal(p.what, SPEC_VERW);
    assert_int_equal(p.spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
    assert_true(!p.l1tf && NAMED(p.affected, "fill buffers"));

    p = plan(goldmont, "");
    assert_true((p.what & SPEC_XPTI) && !p.l1tf && !(p.what & SPEC_VERW));

    p = plan(bonnell, "");
    assert_int_equal(p.what, SPEC_RETPOLINE | SPEC_RSB); /* and no SMEP */
    assert_true(!p.affected[0] && !p.missing[0]);
}

static void without_new_microcode(void **state)
{
    (void)state;
    struct spec_facts old = skylake;

    old.leaf7_edx = 0;
    struct spec_plan p = plan(old, "");

    assert_int_equal(p.what, SPEC_XPTI | SPEC_RETPOLINE); /* better than nothing */
    assert_true(NAMED(p.missing, "IBPB") && NAMED(p.missing, "VERW that clears buffers"));
    assert_true(!p.guest_msrs && !p.ibpb_switch);
    /* What is not there cannot be asked for. */
    p = plan(old, "ibrs,ibpb,ibpb-entry,ssbd,stibp,msr-sc");
    assert_true(!(p.what & (SPEC_IBRS | SPEC_IBPB_ENTRY)) && !p.spec_ctrl && !p.ibpb_switch && !p.guest_msrs);
}

static void amd(void **state)
{
    (void)state;
    struct spec_plan p = plan(zen2, "");

    assert_int_equal(p.what, SPEC_RETPOLINE);
    assert_true(NAMED(p.affected, "BTC") && !p.l1tf && p.ibpb_switch && p.guest_ibpb);
    assert_int_equal(p.guest_spec_ctrl, SPEC_CTRL_STIBP | SPEC_CTRL_SSBD); /* a guest's IBRS would be refused by the processor */
    assert_int_equal(plan(zen2, "no-msr-sc").guest_spec_ctrl, 0);
    assert_int_equal(plan(zen2, "ibpb-entry").what, SPEC_RETPOLINE | SPEC_IBPB_ENTRY);
    assert_true(NAMED(plan(zen2, "").affected, "SRSO"));
    assert_true(plan(zen2, "").returns_exposed && plan(zen3, "").returns_exposed && !plan(skylake, "").returns_exposed);
    assert_true(!plan(zen2, "ibpb-entry").returns_exposed);
    p = plan(zen3, "");
    assert_true(NAMED(p.affected, "SRSO") && NAMED(p.affected, "TSA") && NAMED(p.missing, "VERW that clears buffers"));
    assert_true(!(p.what & SPEC_VERW));

    /* Newer microcode; a processor that has no need of it. */
    struct spec_facts f = zen3;

    f.ext21_eax = E21A_VERW_CLEAR;
    p = plan(f, "");
    assert_true((p.what & SPEC_VERW) && !p.missing[0]);
    f.ext21_ecx = E21C_TSA_SQ_NO | E21C_TSA_L1_NO;
    assert_true(!NAMED(plan(f, "").affected, "TSA") && !(plan(f, "").what & SPEC_VERW));

    /* Between vCPUs returns are forgotten by IBPB, or else by filling. */
    assert_true(plan(zen2, "").rsb_switch && plan(haswell, "").rsb_switch && !plan(zen2, "no-rsb").rsb_switch);
    f.ext8_ebx |= E8B_IBPB_RET;
    assert_true(!plan(f, "").rsb_switch && plan(f, "no-ibpb").rsb_switch);
    assert_int_equal(plan(k8, "").what, SPEC_RETPOLINE | SPEC_RSB);
}

static void emulated(void **state)
{
    (void)state;
    struct spec_facts f = { .amd = true, .family = 15, .emulated = true };

    assert_int_equal(plan(f, "").what, 0);
    assert_int_equal(plan(f, "rsb,verw,bti-thunk=lfence").what, SPEC_RSB | SPEC_VERW | SPEC_LFENCE);
}

static struct spec_plan cet_plan(struct spec_facts f, const char *spec_words, const char *cet_words)
{
    options = (struct spec_options)SPEC_OPTIONS_AUTO;
    if (*cet_words)
        assert_int_equal(spec_cet_parse(&options, cet_words), 0);
    if (*spec_words)
        assert_int_equal(spec_options_parse(&options, spec_words), 0);
    return spec_choose(&f, &options);
}

static void control_flow(void **state)
{
    (void)state;
    struct spec_facts f = icelake;
    struct spec_plan p = cet_plan(f, "", "");

    assert_true(!(p.what & SPEC_SHADOW_STACKS) && !p.branch_tracking && !p.no_shadow_stacks); /* the processor has neither */
    assert_false(cet_plan(f, "", "shstk,ibt").what & SPEC_SHADOW_STACKS);
    f.shadow_stacks = f.branch_tracking = true;
    p = cet_plan(f, "", "");
    assert_true((p.what & SPEC_SHADOW_STACKS) && p.branch_tracking && !p.no_shadow_stacks);
    p = cet_plan(f, "no", "");
    assert_true((p.what & SPEC_SHADOW_STACKS) && p.branch_tracking);

    /* Not beside what takes returns apart, nor where an entry could not reach them. */
    const char *const against[] = { "bti-thunk=retpoline", "rsb" };

    for (size_t i = 0; i < ARRAY_SIZE(against); i++) {
        p = cet_plan(f, against[i], "shstk");
        assert_true(!(p.what & SPEC_SHADOW_STACKS) && p.no_shadow_stacks && p.branch_tracking);
    }
    options = (struct spec_options)SPEC_OPTIONS_AUTO;
    options.xpti = SPEC_ON;
    p = spec_choose(&f, &options);
    assert_true(!(p.what & SPEC_SHADOW_STACKS) && p.no_shadow_stacks);

    /* A virtual machine may lose a shadow stack at an exit, unless it says that it does not. */
    f.virtualised = true;
    p = cet_plan(f, "", "");
    assert_true(!(p.what & SPEC_SHADOW_STACKS) && p.no_shadow_stacks && p.branch_tracking);
    assert_true(cet_plan(f, "", "shstk").what & SPEC_SHADOW_STACKS);
    f.shadow_stacks_virtual = true;
    assert_true(cet_plan(f, "", "").what & SPEC_SHADOW_STACKS);

    assert_true(!(cet_plan(f, "", "no").what & SPEC_SHADOW_STACKS) && !cet_plan(f, "", "no").branch_tracking);
    assert_true(!(cet_plan(f, "", "no-shstk").what & SPEC_SHADOW_STACKS) && cet_plan(f, "", "shstk=no").branch_tracking);
    assert_true((cet_plan(f, "", "ibt=off").what & SPEC_SHADOW_STACKS) && !cet_plan(f, "", "no-ibt").branch_tracking);
    assert_int_not_equal(spec_cet_parse(&options, "ss"), 0);
    assert_int_not_equal(spec_cet_parse(&options, "shstk=x"), 0);
}

static void option_words(void **state)
{
    (void)state;
    assert_int_equal(plan(haswell, "no").what, 0);
    assert_false(plan(haswell, "no").l1tf);
    assert_int_equal(plan(haswell, "yes").what, plan(haswell, "").what);
    assert_int_equal(plan(haswell, "no-verw,bti-thunk=lfence").what, SPEC_XPTI | SPEC_LFENCE);
    assert_int_equal(plan(haswell, "ibrs=yes,md-clear=off").what, SPEC_XPTI | SPEC_IBRS);
    assert_int_equal(plan(haswell, "ibrs,bti-thunk=retpoline").what, SPEC_XPTI | SPEC_IBRS | SPEC_RETPOLINE | SPEC_VERW);
    assert_int_equal(plan(skylake, "bti-thunk=jmp").what, SPEC_XPTI | SPEC_VERW);
    assert_int_equal(plan(haswell, "ssbd,stibp").spec_ctrl, SPEC_CTRL_SSBD | SPEC_CTRL_STIBP);
    options = (struct spec_options)SPEC_OPTIONS_AUTO;
    options.pv_l1tf = SPEC_ON;
    assert_true(spec_choose(&haswell, &options).l1tf_dom0);

    const char *const wrong[] = { "retpoline", "rsb=perhaps", "bti-thunk", "bti-thunk=x", "no-", ",", "rsb,,verw" };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (!spec_options_parse(&options, wrong[i]))
            fail_msg("'%s' was accepted", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intel),    cmocka_unit_test(without_new_microcode), cmocka_unit_test(amd),
        cmocka_unit_test(emulated), cmocka_unit_test(option_words),          cmocka_unit_test(control_flow),
    };

    return cmocka_run_group_tests_name("speculation", tests, NULL, NULL);
}
