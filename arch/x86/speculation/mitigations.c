/* SPDX-License-Identifier: MIT */
/* Mitigations on this machine: facts from the processor, sites patched, words about it. */
#include <hv/cmdline.h>
#include <hv/printk.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>

struct spec_plan spec __ro_after_init;
static struct spec_facts facts __ro_after_init;

static struct spec_options options = SPEC_OPTIONS_AUTO;
static int opt_xpti = SPEC_AUTO, opt_pv_l1tf = SPEC_AUTO;

static int parse_spec_ctrl(const char *value, void *var) { return spec_options_parse(var, value); }
OPTION("spec-ctrl", parse_spec_ctrl, options,
       "mitigations of speculative execution: `no`, or a list of `bti-thunk=retpoline|lfence|jmp`, `ibrs`, "
       "`rsb`, `verw` (`md-clear`), `ibpb`, `ibpb-entry`, `ssbd`, `stibp`, `msr-sc`, each with `=no` or `no-` in "
       "front; see `security.md`",
       "what the processor needs");

static int parse_cet(const char *value, void *var) { return spec_cet_parse(var, value); }
OPTION("cet", parse_cet, options,
       "control-flow enforcement for the hypervisor, where the CPU has it: a boolean, or a list of `shstk` "
       "(shadow stacks), `ibt` (indirect branch tracking), each with `=no` or `no-` in front; see `security.md`",
       "on; shadow stacks are off in a virtual machine unless CPUID says CET_SSS");

static int parse_tristate(const char *value, void *var)
{
    bool on = false;

    if (strcmp(value, "default") && option_bool(value, &on))
        return -EINVAL;
    *(int *)var = strcmp(value, "default") ? on : SPEC_AUTO;
    return 0;
}
OPTION("xpti", parse_tristate, opt_xpti, "guests run on page tables that lack the hypervisor's memory (Meltdown): a boolean, or `default`",
       "where the processor needs it");
OPTION("pv-l1tf", parse_tristate, opt_pv_l1tf,
       "not-present page-table entries of guests may not name memory (L1TF): a boolean, for dom0 too, or `default`",
       "where the processor needs it, not for dom0");

static void read_facts(struct spec_facts *f)
{
    u32 signature = cpuid_count(1, 0).eax, family = signature >> 8 & 15;

    /* A hypervisor below may show the features and refuse the register. */
    bool cet = (cpu.shadow_stacks || cpu.branch_tracking) && wrmsr_safe(MSR_S_CET, 0);

    *f = (struct spec_facts){
        .intel = cpu.intel,
        .amd = cpu.amd,
        .emulated = cpu.tcg,
        .smep = cpu.smep,
        .shadow_stacks = cet && cpu.shadow_stacks,
        .branch_tracking = cet && cpu.branch_tracking,
        .virtualised = cpuid_count(1, 0).ecx >> 31,
        .family = family == 15 ? family + (signature >> 20 & 0xff) : family,
        .model = (signature >> 4 & 15) | (signature >> 12 & 0xf0),
    };
    if (cpu.max_leaf >= 7) {
        struct cpuid_regs r = cpuid_count(7, 0);

        f->rtm = r.ebx >> 11 & 1;
        f->leaf7_edx = r.edx;
        f->leaf7_2_edx = r.eax >= 2 ? cpuid_count(7, 2).edx : 0;
        f->shadow_stacks_virtual = r.eax >= 1 && cpuid_count(7, 1).edx >> 18 & 1;
    }
    if (cpu.max_ext_leaf >= 0x80000008)
        f->ext8_ebx = cpuid_count(0x80000008, 0).ebx;
    if (cpu.max_ext_leaf >= 0x80000021) {
        struct cpuid_regs r = cpuid_count(0x80000021, 0);

        f->ext21_eax = r.eax;
        f->ext21_ecx = r.ecx;
    }
    if (f->leaf7_edx & L7D_ARCH_CAPABILITIES && !rdmsr_safe(MSR_ARCH_CAPABILITIES, &f->arch_capabilities))
        f->arch_capabilities = 0;
}

extern const struct patch_site __patch_sites_start[], __patch_sites_end[];

static void spec_patch_site(const struct patch_site *s)
{
    static const u8 nop[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
    u8 bytes[5] = { (u8)s->op };
    s32 distance = (s32)(s->target - (s->at + sizeof(bytes)));

    memcpy(bytes + 1, &distance, sizeof(distance));
    text_write(s->at, s->op == PATCH_NOP ? nop : bytes, sizeof(bytes));
}

static size_t spec_append_word(char *line, size_t size, size_t used, const char *word)
{
    return used + (size_t)hv_snprintf(line + used, size - used, "%s%s", used ? ", " : "", word);
}

static void say_list(const char *what, const char *const *words, size_t n, const char *none)
{
    char line[512] = ""; /* longer than all words together */
    size_t used = 0;

    for (size_t i = 0; i < n; i++)
        if (words[i] && used < sizeof(line))
            used = spec_append_word(line, sizeof(line), used, words[i]);
    if (used || none)
        printk(LOG_INFO "Speculation: %s %s\n", what, used ? line : none);
}

static void spec_print_plan(void)
{
    u32 w = spec.what;
    const char *const here[] = {
        w & SPEC_RETPOLINE ? "retpolines" :
        w & SPEC_LFENCE    ? "LFENCE before branches" :
                             NULL,
        w & SPEC_IBRS                   ? "IBRS on entry" :
        spec.spec_ctrl & SPEC_CTRL_IBRS ? "IBRS always on" :
                                          NULL,
        spec.spec_ctrl & SPEC_CTRL_BHI_DIS_S ? "BHI_DIS_S" : NULL,
        spec.spec_ctrl & SPEC_CTRL_STIBP ? "STIBP" : NULL,
        spec.spec_ctrl & SPEC_CTRL_SSBD ? "SSBD" : NULL,
        w & SPEC_RSB ? "RSB filled" : NULL,
        w & SPEC_IBPB_ENTRY ? "IBPB on entry" : NULL,
        spec.ibpb_switch ? "IBPB between vCPUs" : NULL,
        spec.rsb_switch ? "RSB filled between vCPUs" : NULL,
        w & SPEC_VERW ? "VERW on exit" : NULL,
        w & SPEC_XPTI ? "guests' page tables isolated (XPTI)" : NULL,
        spec.l1tf ? "not-present page-table entries checked" : NULL,
        w & SPEC_SHADOW_STACKS ? "shadow stacks" : NULL,
        spec.branch_tracking ? "branch tracking" : NULL,
        spec.guest_msrs ? "SPEC_CTRL and PRED_CMD for guests" : NULL,
    };

    say_list("the processor suffers from", spec.affected, ARRAY_SIZE(spec.affected), NULL);
    say_list("in use:", here, ARRAY_SIZE(here), facts.emulated ? "nothing, QEMU's emulator does not speculate" : "nothing");
    if (spec.no_shadow_stacks)
        printk(LOG_INFO "CET: no shadow stacks, %s\n", spec.no_shadow_stacks);
    say_list("missing, an update of the microcode may bring it:", spec.missing, ARRAY_SIZE(spec.missing), NULL);
}

void spec_init(void)
{
    if (opt_xpti != SPEC_AUTO)
        options.xpti = opt_xpti;
    if (opt_pv_l1tf != SPEC_AUTO)
        options.pv_l1tf = opt_pv_l1tf;
    read_facts(&facts);
    spec = spec_choose(&facts, &options);
    for (const struct patch_site *s = __patch_sites_start; s < __patch_sites_end; s++)
        if (s->what & spec.what)
            spec_patch_site(s);
    /* Translations of the hypervisor must not outlive the change of tables. */
    if (spec.what & SPEC_XPTI)
        cpu.cr4 &= ~CR4_PGE;
    spec_print_plan();
}

void spec_warn_of_guests(void)
{
    static bool told;

    if (spec.returns_exposed && !__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
        printk(LOG_WARN "Speculation: a guest can mislead this processor's returns (BTC, SRSO) to read the hypervisor's memory. If guests "
                        "are not trusted, start with spec-ctrl=ibpb-entry\n");
}

void spec_init_cpu(void)
{
    if (spec.spec_ctrl)
        wrmsr(MSR_SPEC_CTRL, spec.spec_ctrl);
}

u64 spec_ctrl_for(u64 wanted) { return wanted | spec.spec_ctrl; }

void spec_ctrl_load(u64 value)
{
    if (spec.guest_spec_ctrl && !(spec.what & SPEC_IBRS)) /* else spec_ctrl_exit() does */
        wrmsr(MSR_SPEC_CTRL, value);
}

void spec_barrier(void)
{
    if (spec.ibpb_switch)
        wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
    if (spec.rsb_switch)
        spec_fill_rsb();
}

/* ---- what guests see ---- */

u32 spec_guest_leaf7_edx(void)
{
    u32 msrs = spec.guest_msrs ? L7D_IBRS_IBPB | L7D_STIBP | L7D_SSBD : 0;

    return facts.leaf7_edx & (L7D_MD_CLEAR | L7D_L1D_FLUSH | L7D_ARCH_CAPABILITIES | msrs);
}

u32 spec_guest_ext8_ebx(void) { return facts.ext8_ebx & (E8B_BTC_NO | (spec.guest_msrs ? E8B_IBPB | E8B_IBRS | E8B_STIBP | E8B_SSBD : 0)); }

/*
 * What says that something is not needed, or that VERW works. Not IBRS_ALL: it separates rings, and a PV kernel shares
 * its ring with its processes.
 */
u64 spec_guest_arch_capabilities(void)
{
    return facts.arch_capabilities & (ARCH_CAP_RDCL_NO | ARCH_CAP_RSBA | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO |
                                      ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA |
                                      ARCH_CAP_BHI_NO | ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR);
}
