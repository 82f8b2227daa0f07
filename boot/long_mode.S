/* SPDX-License-Identifier: MIT */
/* From 32-bit protected mode to boot_main(). In: %ebp load address, %ebx protocol, %esi information structure, %esp a stack. */
#include "boot_asm.h"
#include "page_tables.S"

    .section .boot.text, "ax"
    .code32
    .globl  long_mode_switch
long_mode_switch:
    /* One GDT for all modes; its base is such that our selectors start at 0xe000. */
    lea     OFF(boot_gdt) - GDT_RESERVED_BASE(%ebp), %eax
    push    %eax
    pushw   $GDT_LIMIT
    lgdt    (%esp)
    add     $6, %esp
    lea     BOFF(1f)(%ebp), %eax
    pushl   $SEL_BOOT_CS32
    push    %eax
    lret
1:  mov     $SEL_HV_DS, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    call    early_idt32_load

    push    %ebx
    call    check_cpu32
    BUILD_PAGE_TABLES
    SET_TSS_BASE
    SET_STACK_TOPS
    pop     %ebx

    mov     $CR4_BOOT, %eax
    mov     %eax, %cr4
    lea     OFF(hv_l4)(%ebp), %eax
    mov     %eax, %cr3
    mov     $MSR_EFER, %ecx
    xor     %edx, %edx
    mov     $EFER_BOOT, %eax
    wrmsr
    lea     BOFF(2f)(%ebp), %edx
    mov     $CR0_BOOT, %eax
    pushl   $SEL_HV_CS64
    push    %edx
    mov     %ebx, %edi
    mov     %eax, %cr0
    lret

    .code64
2:  lidt    idt_pointer(%rip)
    jmp     long_mode_high

/* In 64-bit mode, still at the physical address: %edi protocol, %esi info, %ebp load address. */
    .globl  long_mode_high
long_mode_high:
    mov     $SEL_TSS, %eax
    ltr     %ax
    movabs  $1f, %rax
    jmp     *%rax

    .section .init.text, "ax"
1:  lgdt    gdt_pointer(%rip)
    mov     $SEL_HV_DS, %eax
    mov     %eax, %ss
    xor     %eax, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %fs
    mov     %eax, %gs
    lea     boot_stack_end(%rip), %rsp
    sub     $STACK_TOP_SIZE, %rsp
    and     $~15, %rsp
    xor     %ebp, %ebp
    pushq   $0
    popfq
    mov     %esi, %esi
    /* The identity mapping has served its purpose. */
    movq    $0, hv_l4(%rip)
    mov     %cr3, %rax
    mov     %rax, %cr3
    lea     boot_image_phys(%rip), %rcx
    and     $~0xfff, %rax
    lea     hv_l4(%rip), %rdx
    movabs  $IMAGE_VIRT_START, %r8
    sub     %r8, %rdx
    sub     %rdx, %rax
    mov     %rax, (%rcx)
    call    boot_main
    ud2

    .section .boot.text, "ax"
    .code32
/* Long mode, NX, the fences of SSE2 and what compilers use everywhere: without them there is nothing to run on. */
check_cpu32:
    mov     $0x80000000, %eax
    cpuid
    lea     BOFF(msg_no_lm)(%ebp), %ebx
    cmp     $0x80000001, %eax
    jb      fail32
    mov     $0x80000001, %eax
    cpuid
    lea     BOFF(msg_no_lm)(%ebp), %ebx
    bt      $29, %edx
    jnc     fail32
    lea     BOFF(msg_no_nx)(%ebp), %ebx
    bt      $20, %edx
    jnc     fail32
    mov     $1, %eax
    cpuid
    lea     BOFF(msg_no_sse)(%ebp), %ebx
    not     %edx
    test    $3 << 25 | 1 << 15, %edx /* SSE, SSE2, CMOV */
    jnz     fail32
    ret

    .section .boot.data, "a"
    .globl  idt_pointer
msg_no_lm: .asciz "Caisson: this processor has no 64-bit mode. Use another machine, or qemu-system-x86_64.\r\n"
msg_no_nx: .asciz "Caisson: this processor reports no NX (execute disable). Enable it in the firmware setup.\r\n"
msg_no_sse: .asciz "Caisson: this processor reports no SSE2 or no CMOV. Use another machine or, in an emulator, another CPU model.\r\n"
    .balign 2
idt_pointer:
    .short  256 * 16 - 1
    .quad   idt_table

    .section .rodata, "a"
    .balign 2
    .globl  gdt_pointer
gdt_pointer:
    .short  GDT_LIMIT
    .quad   boot_gdt - GDT_RESERVED_BASE
