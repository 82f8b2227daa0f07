/* SPDX-License-Identifier: MIT */
/*
 * u32 smap_probe_run(u64 rip, u64 rsp, const void *idtr, const void *usual_idtr)
 *
 * To ring 3 and back: by SYSCALL (0), by an exception whose gate names smap_probe_fault (1), or by an NMI (2), which is then taken as
 * usual: then once more. idtr is loaded meanwhile. Interrupts are off.
 */
#include <hv/x86/layout.h>
#include <hv/x86/percpu_asm.h>

    .text
    .globl  smap_probe_run, smap_probe_syscall, smap_probe_fault, smap_probe_nmi
smap_probe_run:
    PUSH_CALLEE_SAVED
    mov     %rcx, usual(%rip)
    mov     %rsp, probe_rsp(%rip)
    pushq   $SEL_GUEST_DS
    push    %rsi
    pushq   $2                      /* RFLAGS: nothing but the bit that is always there */
    pushq   $SEL_GUEST_CS64
    push    %rdi
    lidt    (%rdx)
    iretq

smap_probe_syscall:
    endbr64
    xor     %eax, %eax
    jmp     back
smap_probe_fault:
    endbr64
    mov     $1, %eax
    jmp     back
smap_probe_nmi:
    endbr64
    mov     $2, %eax
back:
    mov     usual(%rip), %rcx
    lidt    (%rcx)
    mov     probe_rsp(%rip), %rsp
    mov     $SEL_HV_DS, %ecx
    mov     %ecx, %ss
    mov     %ecx, %ds
    mov     %ecx, %es
    cmp     $2, %eax
    jne     2f
    call    nmi_unblock             /* the handler takes this one */
    int     $2
    mov     $2, %eax
2:  POP_CALLEE_SAVED
    ret

    .bss
    .balign 8
probe_rsp:
    .quad   0
usual:
    .quad   0
