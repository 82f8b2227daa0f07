/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 entry on BIOS machines: 32-bit protected mode, paging off, %eax the loader's
 * magic, %ebx the information structure. Not covered by an IDT of ours: LGDT and LIDT here, and
 * in long_mode.S MOV to CR0, the far return and LIDT. An exception before the stack is set uses
 * the loader's.
 */
#include "boot_asm.h"

    .section .boot.text, "ax"
    .code32
    .globl  multiboot2_entry32
multiboot2_entry32:
    LOAD_LINKED_TABLES
    cli
    cld
    /* No stack is promised: lend the reserved word of the information structure for one CALL. */
    lea     8(%ebx), %esp
    call    1f
1:  pop     %ebp
    sub     $BOFF(1b), %ebp
    lea     OFF(boot_stack_end) - STACK_TOP_SIZE(%ebp), %esp
    mov     %ebx, %esi
    mov     $BOOT_PROTO_MULTIBOOT2, %ebx
    cmp     $0x36d76289, %eax
    je      long_mode_switch
    lea     BOFF(msg_loader)(%ebp), %ebx
    jmp     fail32

    .section .boot.data, "a"
msg_loader: .asciz "Caisson: not started by a Multiboot2 loader. Use GRUB's multiboot2 command.\r\n"
