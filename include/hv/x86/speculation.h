/* SPDX-License-Identifier: MIT */
/*
 * Mitigations of speculative execution: what the processor needs, decided once and patched into the
 * code at boot. docs/security.md says what is protected from whom. Included by C and assembler.
 */
#pragma once

/* What is done at entries and exits, and how indirect branches are taken: bits of spec_plan.what. */
#define SPEC_XPTI 0x01       /* guests run on tables that lack the hypervisor's memory (Meltdown) */
#define SPEC_IBRS 0x02       /* SPEC_CTRL.IBRS is set on each entry, the guest's value on each exit */
#define SPEC_IBPB_ENTRY 0x04 /* IBPB on each entry */
#define SPEC_RSB 0x08        /* the return stack is filled on each entry */
#define SPEC_VERW 0x10       /* buffers are cleared on each exit (MDS and its kin) */
#define SPEC_RETPOLINE 0x20
#define SPEC_LFENCE 0x40        /* before indirect branches */
#define SPEC_SHADOW_STACKS 0x80 /* of the hypervisor (cet.h); not beside XPTI, RSB filling and retpolines */

#define SPEC_ENTRY (SPEC_XPTI | SPEC_IBRS | SPEC_IBPB_ENTRY | SPEC_RSB)
#define SPEC_EXIT (SPEC_XPTI | SPEC_IBRS | SPEC_VERW)

#define MSR_SPEC_CTRL 0x48
#define SPEC_CTRL_IBRS 0x1
#define SPEC_CTRL_STIBP 0x2
#define SPEC_CTRL_SSBD 0x4
#define SPEC_CTRL_BHI_DIS_S 0x400
#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB 1
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_FLUSH_CMD 0x10b
#define FLUSH_CMD_L1D 1

/* First bytes that boot writes at a site: a NOP of five bytes that becomes a CALL, a JMP that becomes one or the reverse. */
#define PATCH_CALL 0xe8
#define PATCH_JMP 0xe9
#define PATCH_NOP 0

#ifndef __ASSEMBLER__
#include <hv/types.h>

/* Five bytes at `at` are replaced if the plan has a bit of `what`. */
struct patch_site {
    u64 at, target;
    u32 what, op;
};

/* CPUID and IA32_ARCH_CAPABILITIES, as far as the decision needs them. */
struct spec_facts {
    bool intel, amd, emulated; /* emulated: by software that does not speculate */
    bool smep, rtm;
    bool branch_tracking, shadow_stacks, virtualised,
        shadow_stacks_virtual; /* CET-IBT; CET-SS; on a hypervisor; where exits of the guest do not break them */
    u32 family, model;
    u32 leaf7_edx, leaf7_2_edx, ext8_ebx, ext21_eax, ext21_ecx;
    u64 arch_capabilities;
};

/* Leaf 7 EDX. */
#define L7D_MD_CLEAR (1u << 10)
#define L7D_IBRS_IBPB (1u << 26)
#define L7D_STIBP (1u << 27)
#define L7D_L1D_FLUSH (1u << 28)
#define L7D_ARCH_CAPABILITIES (1u << 29)
#define L7D_SSBD (1u << 31)
/* Leaf 7.2 EDX. */
#define L72D_BHI_CTRL (1u << 4)
/* Leaf 80000008 EBX. */
#define E8B_IBPB (1u << 12)
#define E8B_IBRS (1u << 14)
#define E8B_STIBP (1u << 15)
#define E8B_SSBD (1u << 24)
#define E8B_BTC_NO (1u << 29)
#define E8B_IBPB_RET (1u << 30) /* IBPB forgets returns, too */
/* Leaf 80000021 EAX, ECX. */
#define E21A_VERW_CLEAR (1u << 5)
#define E21C_TSA_SQ_NO (1u << 1)
#define E21C_TSA_L1_NO (1u << 2)
#define E21A_SRSO_NO (1u << 29)
/* IA32_ARCH_CAPABILITIES (Intel SDM vol. 4). */
#define ARCH_CAP_RDCL_NO (1ull << 0)
#define ARCH_CAP_IBRS_ALL (1ull << 1)
#define ARCH_CAP_RSBA (1ull << 2)
#define ARCH_CAP_SSB_NO (1ull << 4)
#define ARCH_CAP_MDS_NO (1ull << 5)
#define ARCH_CAP_TAA_NO (1ull << 8)
#define ARCH_CAP_SBDR_SSDP_NO (1ull << 13)
#define ARCH_CAP_FBSDP_NO (1ull << 14)
#define ARCH_CAP_PSDP_NO (1ull << 15)
#define ARCH_CAP_FB_CLEAR (1ull << 17)
#define ARCH_CAP_RRSBA (1ull << 19)
#define ARCH_CAP_BHI_NO (1ull << 20)
#define ARCH_CAP_RFDS_NO (1ull << 27)
#define ARCH_CAP_RFDS_CLEAR (1ull << 28)

/* Of the command line: SPEC_AUTO where nothing was said. */
enum { SPEC_AUTO = -1, SPEC_OFF, SPEC_ON };
struct spec_options {
    int xpti, pv_l1tf, ibrs, rsb, verw, ibpb, ibpb_entry, ssbd, stibp, msr_sc, shadow_stacks, branch_tracking;
    int thunk; /* SPEC_RETPOLINE, SPEC_LFENCE, 0: a plain jump, SPEC_AUTO */
};
#define SPEC_OPTIONS_AUTO                                  \
    {                                                      \
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 \
    }

struct spec_plan {
    u32 what;
    u64 spec_ctrl;       /* set in every value that SPEC_CTRL gets */
    bool ibpb_switch;    /* when a CPU goes from one vCPU to another */
    bool rsb_switch;     /* the return stack is filled then, which that leaves alone */
    bool guest_msrs;     /* guests have SPEC_CTRL and PRED_CMD, as far as the processor does: */
    u64 guest_spec_ctrl; /* the bits that they may set; 0: no such MSR */
    bool guest_ibpb;
    bool returns_exposed; /* a guest could steer the hypervisor's returns (BTC, SRSO): ibpb-entry would stop it */
    bool branch_tracking;
    const char *no_shadow_stacks;         /* why they are not used where the processor has them */
    bool l1tf, l1tf_dom0;                 /* guests' not-present page-table entries may not name memory; dom0's neither */
    const char *affected[8], *missing[4]; /* what it suffers from; what an update of the microcode would bring */
};
extern struct spec_plan spec;

/* 0, or -EINVAL for a list with a word that makes no sense: nothing of it is taken. */
int spec_options_parse(struct spec_options *o, const char *list) __must_check;
int spec_cet_parse(struct spec_options *o, const char *list) __must_check; /* the same for cet= */
struct spec_plan spec_choose(const struct spec_facts *f, const struct spec_options *o);

/* Boot CPU, before others start: reads the facts, decides, patches, says what it did. May change cpu.cr4. */
void spec_init(void);
void spec_warn_of_guests(void); /* the first domain beside dom0 comes: says once what the options leave open to one that is hostile */
void spec_init_cpu(void);       /* MSRs of this CPU */
void spec_barrier(void);        /* between two vCPUs: what one has taught the predictors is lost to the next */
void spec_fill_rsb(void);       /* spec_ctrl.S */
u64 spec_ctrl_for(u64 wanted);  /* SPEC_CTRL while a guest runs that has written `wanted` */
void spec_ctrl_load(u64 value); /* such a value, for the guest that this CPU goes to */
/* The bits of CPUID leaf 7 EDX and 80000008 EBX that guests see, and what they see of ARCH_CAPABILITIES. */
u32 spec_guest_leaf7_edx(void);
u32 spec_guest_ext8_ebx(void);
u64 spec_guest_arch_capabilities(void);
#endif
