/* SPDX-License-Identifier: MIT */
/*
 * u64 guest_copy_raw_to(guest_ptr_t guest, const void *src, u64 n)
 * u64 guest_copy_raw_from(void *dst, guest_ptr_t guest, u64 n)
 *
 * Copy; returns the bytes left when the guest's side faults. EFLAGS.AC is set only here. The guest's address is masked as
 * guest_address() does it.
 */
#include <hv/x86/percpu_asm.h>

.macro GUEST_ADDRESS reg
    mov     $HV_VIRT_END, %rax
    mov     \reg, %rcx
    btr     $47, %rcx
    cmp     %rax, \reg
    cmovb   %rcx, \reg
.endm

    .text
    .globl  guest_copy_raw_to, guest_copy_raw_from
guest_copy_raw_to:
    GUEST_ADDRESS %rdi
    jmp     .Lcopy
guest_copy_raw_from:
    GUEST_ADDRESS %rsi
.Lcopy:
    ASM_STAC
    mov     %rdx, %rcx
    shr     $3, %rcx
    and     $7, %edx
.Lcopy_words:
    rep movsq
    mov     %edx, %ecx
.Lcopy_bytes:
    rep movsb
    ASM_CLAC
    mov     %rcx, %rax
    ret
.Lwords_fault:
    lea     (%rdx, %rcx, 8), %rcx
.Lbytes_fault:
    ASM_CLAC
    mov     %rcx, %rax
    ret
EXTABLE_ASM(.Lcopy_words, .Lwords_fault)
EXTABLE_ASM(.Lcopy_bytes, .Lbytes_fault)
