/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 entry on UEFI machines: 64-bit mode on the firmware's page tables and IDT, boot
 * services alive, %eax the magic, %rbx the information structure. The firmware's IDT covers us, also
 * after its boot services have ended, until its segments and tables go. Not covered: LGDT, MOV to
 * CR3 and LIDT.
 */
#include "boot_asm.h"
#include "page_tables.S"

    .section .boot.text, "ax"
    .code64
    .globl  multiboot2_entry_efi64
multiboot2_entry_efi64:
    cld
    and     $~15, %rsp
    mov     %ebx, %edi
    lea     __boot_start(%rip), %rbp
    /* Runs at the physical address: position-independent, and touches only .init data. */
    lea     OFF(efi_exit_boot_services)(%rbp), %rax
    push    %rdi
    push    %rbp
    call    *%rax
    pop     %rbp
    pop     %rsi
    cli
    lea     OFF(boot_stack_end) - STACK_TOP_SIZE(%rbp), %rsp
    mov     %cr4, %rax
    test    $CR4_LA57, %eax
    jnz     leave_five_levels

    BUILD_PAGE_TABLES
    SET_TSS_BASE
    SET_STACK_TOPS

    mov     $MSR_EFER, %ecx
    xor     %edx, %edx
    mov     $EFER_BOOT | EFER_LMA, %eax /* as on other CPUs, whatever the firmware had on (FFXSR: FXSAVE without XMM) */
    wrmsr
    mov     $CR4_BOOT, %eax
    mov     %rax, %cr4
    mov     $CR0_BOOT, %eax
    mov     %rax, %cr0
    lea     1f(%rip), %rax
    pushq   $SEL_HV_CS64
    push    %rax
    lea     OFF(boot_gdt) - GDT_RESERVED_BASE(%rbp), %rax
    push    %rax
    pushw   $GDT_LIMIT
    lea     OFF(hv_l4)(%rbp), %rax
    lgdt    (%rsp)
    mov     %rax, %cr3
    lidt    idt_pointer(%rip)
    add     $10, %rsp
    lretq
1:
    mov     $BOOT_PROTO_MULTIBOOT2_EFI, %edi
    jmp     long_mode_high

/*
 * Five-level paging can be left with paging off alone (SDM vol. 3, 2.5): through compatibility mode to 32-bit protected mode, where the
 * entries of BIOS machines go on. The firmware maps us where we lie, which is below 4 GiB. Not covered from the first LGDT to the LIDT: the
 * firmware's IDT names its own segments, and is none for 32-bit mode.
 */
leave_five_levels:
    lea     OFF(boot_gdt) - GDT_RESERVED_BASE(%rbp), %rax
    push    %rax
    pushw   $GDT_LIMIT
    lgdt    (%rsp)
    lea     2f(%rip), %rax
    pushq   $SEL_BOOT_CS32
    push    %rax
    lretq
    .code32
2:  mov     $SEL_HV_DS, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     %cr4, %eax
    and     $~CR4_PCIDE, %eax       /* paging cannot end with it */
    mov     %eax, %cr4
    mov     %cr0, %eax
    and     $~CR0_PG, %eax
    mov     %eax, %cr0
    LOAD_LINKED_TABLES
    mov     $BOOT_PROTO_MULTIBOOT2_EFI, %ebx
    jmp     long_mode_switch
