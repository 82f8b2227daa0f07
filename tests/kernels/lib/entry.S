/* SPDX-License-Identifier: MIT */
/*
 * Entry points of the test kernel. -DVIRT_BASE=0 links it low, -DBARE leaves out the notes that a kernel can do without,
 * -DINIT_P2M=ADDRESS adds that one.
 */
#ifndef VIRT_BASE
#define VIRT_BASE 0xffffffff80000000
#endif
#define TRAP_RETURN_SIZE (8 * 21)   /* struct trap_return */
    .section .note.xen, "a", @note
.macro NOTE type, size
    .balign 4
    .long   4, \size, \type
    .asciz  "Xen"
.endm
#ifndef BARE
    NOTE    1, 8
    .quad   start
    NOTE    2, 8
    .quad   hypercall_page
    NOTE    16, 8
    .quad   1
#endif
#ifdef INIT_P2M
    NOTE    15, 8
    .quad   INIT_P2M
#endif
    NOTE    3, 8
    .quad   VIRT_BASE
    NOTE    4, 8
    .quad   0
    NOTE    5, 8
    .asciz  "xen-3.0"
    NOTE    6, 5
    .asciz  "test"
    .balign 4
    NOTE    8, 8
    .asciz  "generic"
    NOTE    17, 4
    .long   0x8801

    .text
    .globl  start, hypercall_page
    .balign 4096
hypercall_page:                     /* filled by the hypervisor */
    .skip   4096, 0xcc
start:
    cld
    mov     %rsi, start_info(%rip)
    lea     stack_top(%rip), %rsp
    xor     %ebp, %ebp
    call    kernel_main
    ud2

    .globl  hypercall
hypercall:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    syscall
    ret

/* One entry per vector; the frame of the ABI has rcx and r11 on top. */
    .balign 16
    .globl  trap_entries
trap_entries:
    .set    v, 0
    .rept   256
    .balign 16
    push    %rsp
    push    $v
    jmp     trap_common
    .set    v, v + 1
    .endr

/* Stack: vector, rsp at entry, rcx, r11, [error], rip, cs, rflags, rsp, ss */
trap_common:
    push    %rdi
    push    %rsi
    push    %rdx
    push    %rax
    push    %r8
    push    %r9
    push    %r10
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, %rdi
    sub     $TRAP_RETURN_SIZE, %rsp
    and     $~15, %rsp
    mov     %rsp, %rsi              /* the registers and iret frame to continue with: on this stack, so that */
    call    trap_dispatch           /* an NMI finds free space below them to the last */
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdx
    pop     %rsi
    pop     %rdi
    mov     $23, %eax
    syscall

    .globl  entry_event
entry_event:
    push    %rsp
    push    $256
    jmp     trap_common
    .globl  entry_syscall
entry_syscall:
    push    %rsp
    push    $257
    jmp     trap_common
    .globl  entry_syscall32
entry_syscall32:
    push    %rsp
    push    $258
    jmp     trap_common

/* Failsafe: rcx r11 ds es fs gs rip cs rflags rsp ss */
    .globl  entry_failsafe
entry_failsafe:
    mov     %rsp, %rdi
    and     $~15, %rsp
    call    failsafe_dispatch
    ud2

/* u64 user_enter(u64 *save_rsp, struct iret_context *frame): leaves through iret, comes back by user_return. */
    .globl  user_enter
user_enter:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, (%rdi)
    sub     $8 * 9, %rsp            /* the frame, on this stack: an NMI before the SYSCALL puts its own below */
    mov     %rsp, %rdi
    mov     $9, %ecx
    rep movsq
    mov     user_enter_call(%rip), %rax
    mov     user_enter_call + 8(%rip), %rdi
    mov     user_enter_call + 16(%rip), %rsi
    syscall
    .globl  user_return
user_return:
    mov     %rdi, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    mov     %rsi, %rax
    ret

    .bss
    .balign 4096
    .skip   32768
stack_top:
    .globl  stack_top
