/* SPDX-License-Identifier: MIT */
/* The 256 vector stubs and the IDT, both complete at link time. */
#include <hv/x86/layout.h>
#include <hv/x86/vectors.h>

#ifdef TRAP_TEST
#define BOUNCED_BREAKPOINT -1 /* stands for other vectors there (trap_test_redirect) */
#else
#define BOUNCED_BREAKPOINT 3
#endif

    .section .text.stubs, "ax"
    .globl  vector_stubs
vector_stubs:

.macro STUB vec, ist, err
    .org    vector_stubs + \vec * STUB_SIZE, 0xcc
    endbr64
    .if     \err == 0
    pushq   $0
    movb    $\vec, 4(%rsp)
    .else
    movw    $\vec, 4(%rsp) /* MOVL would not fit; above it are the error code's reserved bits */
    .endif
    .if     \ist
    jmp     entry_ist
    .elseif \vec == 14
    jmp     entry_page_fault
    .elseif \vec == BOUNCED_BREAKPOINT
    jmp     entry_breakpoint
    .else
    jmp     entry_common
    .endif
.endm

#define X(v, name, dpl, ist, err, what) STUB v, ist, err;
    VECTOR_LIST(X)
#undef X
    .set    v, VECTOR_FIRST_EXTERNAL
    .rept   256 - VECTOR_FIRST_EXTERNAL
    STUB    v, 0, 0
    .set    v, v + 1
    .endr
    .org    vector_stubs + 256 * STUB_SIZE, 0xcc

#ifdef TRAP_TEST
#define TEST_DPL(v, dpl) (dpl|(3&((v==2)|(v==18)))) /* a guest raises NMI and #MC with INT n */
#else
#define TEST_DPL(v, dpl) dpl
#endif

/* Intel SDM vol. 3, figure 6-8: 64-bit interrupt gates, so that handlers start with IF clear. */
.macro GATE vec, dpl, ist
    .short  (STUBS_VIRT + \vec * STUB_SIZE) & 0xffff
    .short  SEL_HV_CS64
    .byte   \ist
    .byte   0x8e | (\dpl << 5)
    .short  ((STUBS_VIRT + \vec * STUB_SIZE) >> 16) & 0xffff
    .long   (STUBS_VIRT + \vec * STUB_SIZE) >> 32
    .long   0
.endm

    .section .rodata, "a"
    .balign 4096
    .globl  idt_table
idt_table:
#define X(v, name, dpl, ist, err, what) GATE v, TEST_DPL(v, dpl), ist;
    VECTOR_LIST(X)
#undef X
    .set    v, VECTOR_FIRST_EXTERNAL
    .rept   256 - VECTOR_FIRST_EXTERNAL
    GATE    v, 0, 0
    .set    v, v + 1
    .endr
