/* SPDX-License-Identifier: MIT */
/*
 * Exceptions in the 32-bit stubs: every gate leads to a report on COM1 and on the VGA text screen,
 * and a halt. Loaders mostly put the image where it is linked: for that place descriptors and IDT
 * are complete at link time, and an entry's first two instructions load them (LOAD_LINKED_TABLES).
 * If it lies elsewhere, the pointers lead to nothing; early_idt32_load makes the IDT once more.
 */
#include "boot_asm.h"

    .section .boot.text, "ax"
    .code32

/* In: %ebp load address. Clobbers eax, ecx, edx, edi. */
    .globl  early_idt32_load
early_idt32_load:
    lea     OFF(early_idt32)(%ebp), %edi
    lea     BOFF(stubs32)(%ebp), %edx
    xor     %ecx, %ecx
1:  mov     %edx, %eax
    and     $0xffff, %eax
    or      $(SEL_BOOT_CS32 << 16), %eax
    mov     %eax, (%edi, %ecx, 8)
    mov     %edx, %eax
    mov     $0x8e00, %ax
    mov     %eax, 4(%edi, %ecx, 8)
    add     $8, %edx
    inc     %ecx
    cmp     $32, %ecx
    jb      1b
    push    %edi
    pushw   $(32 * 8 - 1)
    lidt    (%esp)
    add     $6, %esp
    ret

/* 8 bytes each: the vector's name is its distance from stubs32. */
    .section .boot.stubs, "ax"
    .globl  stubs32
stubs32:
    .rept   32
    call    exception32
    .balign 8
    .endr

    .section .boot.text, "ax"
exception32:
    mov     (%esp), %ecx
    mov     %esp, %esi
    call    1f
1:  pop     %ebp
    sub     $BOFF(1b), %ebp
    lea     BOFF(stubs32) + 5(%ebp), %eax
    sub     %eax, %ecx
    shr     $3, %ecx
    push    %ecx
    lea     BOFF(msg_exception)(%ebp), %ebx
    call    print32
    pop     %eax
    call    print_hex32
    lea     BOFF(msg_stack)(%ebp), %ebx
    call    print32
    mov     4(%esi), %eax
    call    print_hex32
    mov     8(%esi), %eax
    call    print_hex32
    mov     12(%esi), %eax
    call    print_hex32
    lea     BOFF(msg_cr2)(%ebp), %ebx
    call    print32
    mov     %cr2, %eax
    call    print_hex32
    lea     BOFF(msg_halted)(%ebp), %ebx
/* In: %ebx message. Prints it and stops for good. */
    .globl  fail32
fail32:
    call    print32
2:  cli
    hlt
    jmp     2b

print_hex32:
    mov     %eax, %edx
    mov     $8, %ecx
1:  rol     $4, %edx
    mov     %edx, %eax
    and     $15, %eax
    cmp     $10, %al
    jb      2f
    add     $('a' - '0' - 10), %al
2:  add     $'0', %al
    call    putc32
    loop    1b
    mov     $' ', %al
    jmp     putc32

/* In: %ebx string. Clobbers eax, ebx. */
    .globl  print32
print32:
1:  mov     (%ebx), %al
    test    %al, %al
    jz      2f
    call    putc32
    inc     %ebx
    jmp     1b
2:  ret

/* One character to COM1, waiting no longer than 64 Ki polls, and to the next VGA cell. */
putc32:
    push    %edx
    push    %ecx
    push    %eax
    mov     $0x3fd, %edx
    mov     $0x10000, %ecx
1:  in      (%dx), %al
    test    $0x20, %al
    jnz     2f
    loop    1b
2:  mov     (%esp), %eax
    mov     $0x3f8, %edx
    out     %al, (%dx)
    mov     OFF(vga_cursor32)(%ebp), %ecx
    cmp     $(80 * 25), %ecx
    jae     3f
    mov     $0x0f, %ah
    mov     %ax, 0xb8000(, %ecx, 2)
    incl    OFF(vga_cursor32)(%ebp)
3:  pop     %eax
    pop     %ecx
    pop     %edx
    ret

    .section .boot.data, "a"
    .globl  linked_gdt_pointer, linked_idt_pointer
    .balign 8
linked_idt:
    .set    v, 0
    .rept   32
    .short  (STUBS32_PHYS + STUB32_SIZE * v) & 0xffff
    .short  SEL_BOOT_CS32
    .short  0x8e00
    .short  (STUBS32_PHYS + STUB32_SIZE * v) >> 16
    .set    v, v + 1
    .endr
linked_gdt_pointer:
    .short  GDT_LIMIT
    .long   boot_gdt - IMAGE_VIRT_START + IMAGE_PHYS_LINK - GDT_RESERVED_BASE
linked_idt_pointer:
    .short  32 * 8 - 1
    .long   linked_idt
msg_exception:  .asciz "Caisson: exception in the 32-bit boot stub, vector "
msg_stack:      .asciz " stack (error code or EIP first): "
msg_cr2:        .asciz " CR2: "
msg_halted:     .asciz "\r\nHalted. Please report these numbers.\r\n"

    .section .bss.page_aligned, "aw", @nobits
    .balign 8
early_idt32:    .skip 32 * 8
vga_cursor32:   .skip 4
    .balign 8
