/* SPDX-License-Identifier: MIT */
/*
 * What the first CPU stands on from its first 64-bit instruction, and keeps: descriptors, page tables, stacks.
 * boot/page_tables.S fills them in.
 */
#include <hv/x86/layout.h>

    .section .data.page_aligned, "aw"
    .balign 4096
    .globl  boot_gdt
boot_gdt:
    .quad   0
    .quad   0x00af9b000000ffff      /* e008 hypervisor code, 64-bit */
    .quad   0x00cf93000000ffff      /* e010 hypervisor data */
    .quad   0x00cf9b000000ffff      /* e018 boot code, 32-bit */
    .quad   0x00cffb000000ffff      /* e023 guest code, 32-bit */
    .quad   0x00cff3000000ffff      /* e02b guest data */
    .quad   0x00affb000000ffff      /* e033 guest code, 64-bit */
    .quad   0
    .quad   0x0000890000000067, 0   /* e040 TSS, base filled in by SET_TSS_BASE */
    .quad   0, 0                    /* e050 LDT */
    .fill   4096 - (. - boot_gdt), 1, 0

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
    .globl  hv_l4, hv_l3_ro_m2p, hv_l3_vmap, hv_l3_rw_m2p, hv_l3_frametable, hv_l3_image, hv_l3_directmap, image_l1, image_l2, identity_l3, identity_l2
hv_l4:              .skip 4096
hv_l3_ro_m2p:       .skip 4096
hv_l3_vmap:         .skip 4096
hv_l3_rw_m2p:       .skip 4096
hv_l3_frametable:   .skip 4096
hv_l3_image:        .skip 4096
hv_l3_directmap:    .skip 4096
image_l2:           .skip 4096
image_l1:           .skip 4096
identity_l3:        .skip 4096
identity_l2:        .skip 4096

    .section .bss.block_aligned, "aw", @nobits
    .balign STACK_BLOCK_SIZE
    .globl  boot_stack_block, boot_stack_end
boot_stack_block:   .skip STACK_BLOCK_SIZE
boot_stack_end:
    .globl  boot_ist_stacks
boot_ist_stacks:    .skip 4 * STACK_BLOCK_SIZE
