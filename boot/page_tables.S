/* SPDX-License-Identifier: MIT */
/*
 * BUILD_PAGE_TABLES: the boot page tables, written with 32-bit registers only so that the
 * same text serves the 32-bit stubs and the 64-bit EFI entry.
 *
 * In: %ebp load address (2 MiB aligned, below 4 GiB). Clobbers eax, ebx, ecx, edx, edi.
 * Maps: the image at IMAGE_VIRT_START with each section's own permissions (no page is
 * writable and executable), the image's 2 MiB once more at its physical address for the
 * switch, and the top-level entries of the direct map, vmap and tables, still empty.
 */
#include "boot_asm.h"

.macro LINK_TABLE table, index, child
    lea     OFF(\child) + PTE_PRESENT + PTE_RW(%ebp), %eax
    mov     %eax, OFF(\table) + 8 * (\index)(%ebp)
.endm

/* L1 entries for the pages from the offset in %ecx to \end, flags \lo and \hi. */
.macro MAP_SECTION end, lo, hi
77: cmp     $\end, %ecx
    jae     78f
    lea     \lo(%ebp, %ecx), %eax
    mov     %ecx, %edi
    shr     $9, %edi
    mov     %eax, OFF(image_l1)(%ebp, %edi)
    movl    $\hi, OFF(image_l1) + 4(%ebp, %edi)
    add     $4096, %ecx
    jmp     77b
78:
.endm

.macro BUILD_PAGE_TABLES
    LINK_TABLE hv_l4, L4_IDX(RO_M2P_VIRT_START), hv_l3_ro_m2p
    LINK_TABLE hv_l4, L4_IDX(VMAP_VIRT_START), hv_l3_vmap
    LINK_TABLE hv_l4, L4_IDX(RW_M2P_VIRT_START), hv_l3_rw_m2p
    LINK_TABLE hv_l4, L4_IDX(FRAMETABLE_VIRT_START), hv_l3_frametable
    LINK_TABLE hv_l4, L4_IDX(IMAGE_VIRT_START), hv_l3_image
    LINK_TABLE hv_l4, L4_IDX(DIRECTMAP_VIRT_START), hv_l3_directmap
    LINK_TABLE hv_l3_image, L3_IDX(IMAGE_VIRT_START), image_l2
    LINK_TABLE image_l2, L2_IDX(IMAGE_VIRT_START), image_l1

    /* Guests may read the M2P: the user bit is needed at every level above it. */
    orl     $PTE_USER, OFF(hv_l4) + 8 * L4_IDX(RO_M2P_VIRT_START)(%ebp)

    xor     %ecx, %ecx
    MAP_SECTION BOFF(__boot_end), (PTE_PRESENT | PTE_GLOBAL), 0
    mov     $OFF(__text_start), %ecx
    MAP_SECTION OFF(__text_end), (PTE_PRESENT | PTE_GLOBAL), 0
    MAP_SECTION OFF(__rodata_end), (PTE_PRESENT | PTE_GLOBAL), PTE_NX_HIGH
    MAP_SECTION OFF(__image_end), (PTE_PRESENT | PTE_RW | PTE_GLOBAL), PTE_NX_HIGH

    LINK_TABLE hv_l4, 0, identity_l3
    mov     %ebp, %ecx
    shr     $30, %ecx
    lea     OFF(identity_l2) + PTE_PRESENT + PTE_RW(%ebp), %eax
    mov     %eax, OFF(identity_l3)(%ebp, %ecx, 8)
    mov     %ebp, %ecx
    shr     $21, %ecx
    and     $511, %ecx
    lea     PTE_PRESENT | PTE_RW | PTE_PSE(%ebp), %eax
    mov     %eax, OFF(identity_l2)(%ebp, %ecx, 8)
.endm

/* Base of the boot CPU's TSS into its descriptor: with TR loaded, NMI, #DF and #MC have stacks. */
.macro SET_TSS_BASE
    mov     $VLOW(boot_percpu + PERCPU_TSS), %eax
    mov     %ax, OFF(boot_gdt) + (SEL_TSS & 0xfff) + 2(%ebp)
    shr     $16, %eax
    mov     %al, OFF(boot_gdt) + (SEL_TSS & 0xfff) + 4(%ebp)
    mov     %ah, OFF(boot_gdt) + (SEL_TSS & 0xfff) + 7(%ebp)
    movl    $VHIGH, OFF(boot_gdt) + (SEL_TSS & 0xfff) + 8(%ebp)
.endm

/* The tops of all boot stacks name the boot CPU: a trap may come with the first 64-bit instruction. */
.macro SET_STACK_TOPS
    .irp    n, 0, 1, 2, 3, 4
    movl    $VLOW(boot_percpu), OFF(boot_stack_block) + (\n + 1) * STACK_BLOCK_SIZE - STACK_TOP_SIZE + STACK_TOP_CPU(%ebp)
    movl    $VHIGH, OFF(boot_stack_block) + (\n + 1) * STACK_BLOCK_SIZE - STACK_TOP_SIZE + STACK_TOP_CPU + 4(%ebp)
    .endr
.endm
