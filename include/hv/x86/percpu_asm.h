/* Assembler macros shared by entry code and copy routines. */
#ifndef HV_X86_PERCPU_ASM_H
#define HV_X86_PERCPU_ASM_H

/* A fault at insn continues at fixup. Same layout as struct exception_table_entry. */
#define EXTABLE_ASM(insn, fixup)        \
    .pushsection .ex_table, "a";        \
    .balign 4;                          \
    .long insn - .;                     \
    .long fixup - .;                    \
    .popsection

/* A three-byte NOP that features_patch_smap() turns into CLAC or STAC where the CPU has SMAP. */
#define SMAP_SITE(section_name)                 \
    661: .byte 0x0f, 0x1f, 0x00;                \
    .pushsection section_name, "a";             \
    .quad 661b;                                 \
    .popsection
#define ASM_CLAC SMAP_SITE(.smap_clac)
#define ASM_STAC SMAP_SITE(.smap_stac)

#ifdef __ASSEMBLER__
#include <hv/x86/speculation.h>

/* An entry of struct patch_site. */
.macro PATCH_SITE at, target, what, op
    .pushsection .patch_sites, "a"
    .quad   \at, \target
    .long   \what, \op
    .popsection
.endm

/* Five bytes that become "call routine" where the processor needs a bit of `what`. */
.macro HARDEN what, routine
661: .byte  0x0f, 0x1f, 0x44, 0x00, 0x00
    PATCH_SITE 661b, \routine, \what, PATCH_CALL
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
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
.endm
.macro POP_CALLEE_SAVED
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
.endm

/* The general registers of struct cpu_user_regs; the stack pointer is at its error code before and after. */
.macro SAVE_REGS
    cld
    push    %rdi
    push    %rsi
    push    %rdx
    push    %rcx
    push    %rax
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
.endm

.macro RESTORE_REGS
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rax
    pop     %rcx
    pop     %rdx
    pop     %rsi
    pop     %rdi
.endm
#endif

#endif
