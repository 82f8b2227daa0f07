/* SPDX-License-Identifier: MIT */
/*
 * Where a starting CPU begins: two pages below 1 MiB, copied there by ap_bringup.c. The first is
 * code (this text, read and execute), the second the mailbox (struct ap_mailbox, read and write).
 *
 * Each mode has its IDT from its first instruction on; a gate writes the vector into the mailbox
 * and halts, and the boot CPU names it. Not covered: the first LIDT, the moves to CR0 that change
 * the mode, and from the switch to 64-bit mode the far return and the LIDT (5 in all).
 */
#include <hv/x86/layout.h>
#include <hv/x86/ap_mailbox.h>
#include "asm_offsets.h"

#define T(sym) ((sym) - ap_trampoline)
#define MB(field) (4096 + AP_MAILBOX_##field)

/* A handler of 8 bytes for each exception: its vector goes to `fault` on the stack. */
.macro VECTORS fault
    .set    v, 0
    .rept   32
    .balign 8
    push    $v
    jmp     \fault
    .set    v, v + 1
    .endr
.endm

    .section .rodata, "a"
    .balign 16
    .globl  ap_trampoline, ap_trampoline_end, ap_vectors16, ap_vectors32
ap_trampoline:
    .code16
    lidtl   %cs:MB(IVT_POINTER)
    mov     %cs, %ax
    mov     %ax, %ds
    mov     %ax, %ss
    mov     $8192 - STACK_TOP_SIZE, %esp
    movl    $AP_STAGE_REAL, %ds:MB(STAGE)
ap_test16:
    xor     %ebx, %ebx
    mov     %cs, %bx
    shl     $4, %ebx
    lgdtl   %ds:MB(GDT_POINTER)
    lea     T(ap_start32)(%ebx), %ecx
    pushl   $SEL_BOOT_CS32
    pushl   %ecx
    mov     $(CR0_PE | CR0_ET | CR0_NE), %eax
    lidtl   %ds:MB(IDT32_POINTER)
    mov     %eax, %cr0
    lretl

    .balign 8
ap_vectors16:
    VECTORS ap_fault16
ap_fault16:
    pop     %ax
    movzwl  %ax, %eax
    mov     %eax, %cs:MB(VECTOR)
1:  hlt
    jmp     1b

    .code32
ap_start32:
    mov     $SEL_HV_DS, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    lea     8192 - STACK_TOP_SIZE(%ebx), %esp
    movl    $AP_STAGE_32, MB(STAGE)(%ebx)
ap_test32:
    mov     $CR4_BOOT, %eax
    mov     %eax, %cr4
    mov     MB(CR3)(%ebx), %eax
    mov     %eax, %cr3
    mov     $MSR_EFER, %ecx
    xor     %edx, %edx
    mov     $EFER_BOOT, %eax
    wrmsr
    lea     T(ap_start64)(%ebx), %ecx
    pushl   $SEL_HV_CS64
    pushl   %ecx
    mov     $CR0_BOOT, %eax
    mov     %eax, %cr0
    lret

    .balign 8
ap_vectors32:
    VECTORS ap_fault32
ap_fault32:
    pop     %eax
    call    1f
1:  pop     %ebx
    and     $~0xfff, %ebx
    mov     %eax, MB(VECTOR)(%ebx)
1:  hlt
    jmp     1b

    .code64
ap_start64:
    lidt    ap_trampoline + MB(IDT64_POINTER)(%rip)
    mov     ap_trampoline + MB(STACK)(%rip), %rsp
    mov     $SEL_TSS, %eax
    ltr     %ax
    lgdt    ap_trampoline + MB(GDT64_POINTER)(%rip)
    mov     $SEL_HV_DS, %eax
    mov     %eax, %ss
    xor     %eax, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %fs
    mov     %eax, %gs
    xor     %ebp, %ebp
    movl    $AP_STAGE_64, ap_trampoline + MB(STAGE)(%rip)
    mov     ap_trampoline + MB(PERCPU)(%rip), %rdi
    jmp     *ap_trampoline + MB(ENTRY)(%rip)
ap_trampoline_end:
    .globl  ap_test16, ap_test32
