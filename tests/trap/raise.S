/* SPDX-License-Identifier: MIT */
/*
 * Every trap, raised for real: by the instruction that causes it where there is one in ring 0 and
 * QEMU knows it, by INT n, or, for vectors whose error code INT n would not push, by a frame made
 * by hand and a jump to the vector's stub.
 *
 * Two functions a vector: raise_XX, whose fault has no continuation, and fixed_XX, whose has one.
 * Both return 0 if nothing stopped them; fixed_XX returns 1 after its continuation.
 */
#include <hv/x86/layout.h>
#include <hv/x86/percpu_asm.h>

    .text

/* The body marks the address that the frame will name with label 8. */
.macro VECTOR name, body:vararg
    .globl  raise_\name, fixed_\name
raise_\name:
    endbr64
    \body
    xor     %eax, %eax
    ret
fixed_\name:
    endbr64
    \body
    xor     %eax, %eax
    ret
7:  mov     $1, %eax
    ret
    EXTABLE_ASM(8b, 7b)
.endm

.macro FAULT insns:vararg
8:  \insns
.endm
.macro SOFTWARE n
    int     $\n
8:
.endm
.macro FRAME n
    INTERRUPT_FRAME 8f
    pushq   $0
    movabs  $STUBS_VIRT + \n * STUB_SIZE, %rax
    jmp     *%rax
8:
.endm
.macro TASK_SWITCHED
    mov     %cr0, %rax
    or      $CR0_TS, %rax
    mov     %rax, %cr0
8:  fnop
.endm
.macro X87
    fninit
    pushq   $0x337 & ~4
    fldcw   (%rsp)
    add     $8, %rsp
    fld1
    fldz
    fdivrp
8:  fwait
.endm
.macro DIVIDE
    xor     %eax, %eax
    xor     %edx, %edx
    xor     %ecx, %ecx
8:  div     %ecx
.endm
.macro LOAD_NOT_PRESENT reg
    mov     $0xe038, %eax
8:  mov     %eax, %\reg
.endm
.macro NON_CANONICAL
    movabs  $0x8000000000000000, %rax
8:  mov     (%rax), %rax
.endm
.macro UNMAPPED
    movabs  $0x123456789000, %rax
8:  mov     (%rax), %rax
.endm
.macro SINGLE_STEP
    pushfq
    orq     $0x100, (%rsp)
    popfq
    nop
8:
.endm
/* No stack for the page fault of the PUSH. */
.macro BAD_STACK
    mov     $0x1000, %esp
8:  push    %rax
.endm

    VECTOR DE, DIVIDE
    VECTOR DB, SINGLE_STEP
    VECTOR BP, SOFTWARE 3
    VECTOR OF, SOFTWARE 4
    VECTOR BR, SOFTWARE 5
    VECTOR UD, FAULT ud2
    VECTOR NM, TASK_SWITCHED
    VECTOR DF, BAD_STACK
    VECTOR CSO, SOFTWARE 9
    VECTOR TS, FRAME 10
    VECTOR NP, LOAD_NOT_PRESENT ds
    VECTOR SS, LOAD_NOT_PRESENT ss
    VECTOR GP, NON_CANONICAL
    VECTOR PF, UNMAPPED
    VECTOR SPV, SOFTWARE 15
    VECTOR MF, X87
    VECTOR AC, FRAME 17
    VECTOR MC, SOFTWARE 18
    VECTOR XM, SOFTWARE 19
    VECTOR VE, SOFTWARE 20
    VECTOR R22, SOFTWARE 22
    VECTOR R23, SOFTWARE 23
    VECTOR R24, SOFTWARE 24
    VECTOR R25, SOFTWARE 25
    VECTOR R26, SOFTWARE 26
    VECTOR R27, SOFTWARE 27
    VECTOR HV, SOFTWARE 28
    VECTOR VC, FRAME 29
    VECTOR SX, FRAME 30
    VECTOR R31, SOFTWARE 31
    VECTOR IRQ, SOFTWARE 0x2f

/* With a shadow stack, a return to where no call was. */
.macro BAD_RETURN name
    .globl  \name
\name:
    endbr64
    pushq   $0
    xor     %eax, %eax
    rdsspq  %rax
    test    %rax, %rax
    jz      9f
8:  ret
9:  INTERRUPT_FRAME 8b
    pushq   $0
    movabs  $STUBS_VIRT + 21 * STUB_SIZE, %rax
    jmp     *%rax
.endm
    BAD_RETURN raise_CP
    BAD_RETURN fixed_CP
7:  add     $8, %rsp
    mov     $1, %eax
    ret
    EXTABLE_ASM(8b, 7b)
