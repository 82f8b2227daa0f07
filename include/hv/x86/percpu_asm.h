/* SPDX-License-Identifier: MIT */
/* Assembler macros shared by entry code and copy routines. */
#pragma once
/* clang-format off */

/* A fault at insn continues at fixup. Same layout as struct exception_table_entry. */
#define EXTABLE_ASM(insn, fixup)        \
    .pushsection .ex_table, "a";        \
    .balign 4;                          \
    .long insn - .;                     \
    .long fixup - .;                    \
    .popsection

/* A three-byte NOP that cpu_enable_features() turns into CLAC or STAC where the CPU has SMAP. */
#define SMAP_SITE(section_name)                 \
    661: .byte 0x0f, 0x1f, 0x00;                \
    .pushsection section_name, "a";             \
    .quad 661b;                                 \
    .popsection
#define ASM_CLAC SMAP_SITE(.smap_clac)
#define ASM_STAC SMAP_SITE(.smap_stac)

#ifdef __ASSEMBLER__
#include "asm_offsets.h"
#include <hv/x86/cet.h>
#include <hv/x86/speculation.h>

/* An entry of struct patch_site. */
.macro PATCH_SITE at, target, what, op
    .pushsection .patch_sites, "a"
    .quad   \at, \target
    .long   \what, \op
    .popsection
.endm

/* Goes on at label where no bit of `what` is in use. */
.macro JUMP_UNLESS what, label
661: .byte 0xe9
    .long   \label - 662f
662:
    PATCH_SITE 661b, 0, \what, PATCH_NOP
.endm

/* A NOP of five bytes, over which boot may write a CALL or a JMP. */
.macro NOP5
    .byte   0x0f, 0x1f, 0x44, 0x00, 0x00
.endm

/* Five bytes that become "call routine" where the processor needs a bit of `what`. */
.macro SPEC_CTRL_CALL what, routine
661: NOP5
    PATCH_SITE 661b, \routine, \what, PATCH_CALL
.endm

/* SYSCALL leaves its code without a shadow stack: the vCPU's is taken before anything is called. */
.macro SPEC_CTRL_SYSCALL
661: NOP5
    PATCH_SITE 661b, spec_ctrl_entry, SPEC_ENTRY, PATCH_CALL
    PATCH_SITE 661b, 663f, SPEC_SHADOW_STACKS, PATCH_JMP /* the later one of two holds */
662:
    .subsection 1
663: setssbsy
    SPEC_CTRL_CALL  SPEC_ENTRY, spec_ctrl_entry
    jmp     662b
    .subsection 0
.endm

/* To the guest by SYSRET, with its RIP and RFLAGS in place; %rsp is `pushed` bytes below the frame's error code. */
.macro SYSRET_TO_GUEST pushed
661: NOP5
    PATCH_SITE 661b, spec_ctrl_exit, SPEC_EXIT, PATCH_CALL
    PATCH_SITE 661b, 662f, SPEC_SHADOW_STACKS, PATCH_JMP
    mov     REGS_RSP - REGS_ERROR + \pushed(%rsp), %rsp
    sysretq
    .subsection 1
662: SPEC_CTRL_CALL SPEC_EXIT, spec_ctrl_exit
    clrssbsy SHADOW_STACK_TOKEN - (STACK_BLOCK_SIZE - STACK_TOP_SIZE + REGS_ERROR - \pushed)(%rsp)
    mov     REGS_RSP - REGS_ERROR + \pushed(%rsp), %rsp
    sysretq
    .subsection 0
.endm

/* What an interruption at \rip would push, on both stacks. Clobbers %rax, %rcx, flags. */
.macro INTERRUPT_FRAME rip
    xor     %eax, %eax
    rdsspq  %rax
    test    %rax, %rax
    jz      782f
    .rept   3
    call    781f                    /* one to the next instruction would leave no word */
    int3
781:
    .endr
    add     $24, %rsp
    wrssq   %rax, -24(%rax)
    lea     \rip(%rip), %rcx
    wrssq   %rcx, -16(%rax)
    mov     %cs, %ecx
    wrssq   %rcx, -8(%rax)
782: mov    %rsp, %rax
    mov     %ss, %ecx
    push    %rcx
    push    %rax
    pushfq
    mov     %cs, %ecx
    push    %rcx
    lea     \rip(%rip), %rcx
    push    %rcx
.endm

/* A branch to \reg (which `load` may set first) whose prediction a guest cannot train. */
.macro RETPOLINE reg, load:vararg
    call    773f
772: pause
    lfence
    jmp     772b
773:
    \load
    mov     \reg, (%rsp)
    ret
.endm

/* The top of this stack's block, to be used with offsets into struct stack_top. */
.macro STACK_TOP reg
    mov     %rsp, \reg
    or      $STACK_BLOCK_SIZE - 1, \reg
.endm
#define OF_TOP(field, reg) 1 - STACK_TOP_SIZE + (field)(reg)

/* What C leaves as it found it. */
.macro PUSH_CALLEE_SAVED
    .irp    reg, rbx, rbp, r12, r13, r14, r15
    push    %\reg
    .endr
.endm
.macro POP_CALLEE_SAVED
    .irp    reg, r15, r14, r13, r12, rbp, rbx
    pop     %\reg
    .endr
.endm

/* The general registers of struct cpu_user_regs; the stack pointer is at its error code before and after. */
.macro SAVE_REGS
    cld
    .irp    reg, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
    push    %\reg
    .endr
.endm

.macro RESTORE_REGS
    .irp    reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    pop     %\reg
    .endr
.endm
#endif
