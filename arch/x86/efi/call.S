/* SPDX-License-Identifier: MIT */
/* Into the firmware and back. One CPU at a time (runtime.c). */
#include <hv/x86/percpu_asm.h>

    .section .text, "ax"
    .globl  efi_enter, efi_abort
/* u64 efi_enter(u64 fn, const u64 args[5]): rcx, rdx, r8, r9, then the stack, above 32 bytes of the callee's. */
efi_enter:
    PUSH_CALLEE_SAVED
    mov     %rsp, firmware_rsp(%rip)
    and     $~15, %rsp
    sub     $48, %rsp
    mov     %rdi, %rax
    mov     32(%rsi), %rcx
    mov     %rcx, 32(%rsp)
    mov     (%rsi), %rcx
    mov     8(%rsi), %rdx
    mov     16(%rsi), %r8
    mov     24(%rsi), %r9
    call    __x86_indirect_thunk_rax
leave:
    cli
    mov     firmware_rsp(%rip), %rsp
    POP_CALLEE_SAVED
    cld
    ret
/* Its exception comes here, with whatever registers it had. */
efi_abort:
    movabs  $0x8000000000000007, %rax /* EFI_DEVICE_ERROR */
    jmp     leave

    .section .bss, "aw", @nobits
    .balign 8
firmware_rsp:
    .quad   0
