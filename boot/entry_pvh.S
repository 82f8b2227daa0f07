/* SPDX-License-Identifier: MIT */
/*
 * PVH entry (qemu -kernel): 32-bit protected mode, paging off, %ebx struct hvm_start_info.
 * Loaders place the image where it is linked. Not covered: as in entry_bios.S.
 */
#include "boot_asm.h"

    .section .boot.text, "ax"
    .code32
pvh_entry32:
    LOAD_LINKED_TABLES
    cli
    cld
    mov     $IMAGE_PHYS_LINK, %ebp
    lea     OFF(boot_stack_end) - STACK_TOP_SIZE(%ebp), %esp
    mov     %ebx, %esi
    mov     $BOOT_PROTO_PVH, %ebx
    jmp     long_mode_switch

/* XEN_ELFNOTE_PHYS32_ENTRY */
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18
    .asciz  "Xen"
    .quad   pvh_entry32
