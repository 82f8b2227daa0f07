/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor after boot, and the one way out to a guest.
 *
 * The hypervisor runs with interrupts off; they are taken in guest mode, in the idle loop and
 * at explicit points. NMI, #MC, #DB and #DF may come anywhere, also between SYSCALL and the
 * first stack and between the last stack and SYSRET: they have IST stacks, and nothing here
 * depends on GS.
 */
#include <hv/x86/layout.h>
#include <hv/x86/percpu_asm.h>

    .section .text.entry, "ax"

/* Faults, software interrupts and device interrupts. The stub has pushed error code and vector. */
    .balign 16
    .globl  entry_common
entry_common:
    SPEC_CTRL_CALL  SPEC_ENTRY, spec_ctrl_entry
    .globl  entry_general /* from fast_paths.S */
entry_general:
    SAVE_REGS
    ASM_CLAC
    mov     %rsp, %rdi
    testb   $3, REGS_CS(%rsp)
    jz      from_hypervisor
from_guest:
    call    trap_from_guest
    .globl  exit_to_guest
exit_to_guest:
    mov     %rsp, %rdi
    call    prepare_guest_return
    test    %al, %al
    jnz     exit_sysret
    RESTORE_REGS
    add     $8, %rsp
    .globl  iret_to_guest
iret_to_guest:
    SPEC_CTRL_CALL  SPEC_EXIT, spec_ctrl_exit
guest_iretq:
    iretq
EXTABLE_ASM(guest_iretq, iret_guest_fault)

/* Only where prepare_guest_return() found a canonical RIP and the flat selectors. */
exit_sysret:
    RESTORE_REGS
    mov     8(%rsp), %rcx
    mov     0x18(%rsp), %r11
    SYSRET_TO_GUEST 0

/* IRETQ refused the guest's frame. Its registers are live again and the frame is still in place: the exception is the guest's. */
iret_guest_fault:
    pushq   $0
    SAVE_REGS
    mov     %rsp, %rdi
    call    guest_iret_failed
    jmp     exit_to_guest

from_hypervisor:
    call    trap_from_hypervisor
return_to_hypervisor:
    test    %rax, %rax
    jnz     return_nmis_blocked
    RESTORE_REGS
    add     $8, %rsp
    iretq
/*
 * Into an NMI handler: only its own IRETQ may unblock NMIs. %rax: frame_without_iret(). A shadow stack holds the
 * interrupted SSP, RIP and CS, perhaps at the end of another stack than the interrupted one. RET needs the RIP on that.
 */
return_nmis_blocked:
    xor     %ecx, %ecx
    rdsspq  %rcx
    test    %rcx, %rcx
    jz      2f
    mov     (%rcx), %rdx
    mov     8(%rcx), %rsi
    add     $24, %rcx
    wrssq   %rsi, -8(%rdx)
    lea     -8 + 1(%rdx), %rsi      /* a restore token, 64-bit */
    wrssq   %rsi, -16(%rdx)
    cmp     %rcx, %rdx
    je      1f
    clrssbsy (%rcx)
1:  rstorssp -16(%rdx)
    mov     $1, %ecx
    incsspq %rcx                    /* over the token that names the stack we came from */
2:  mov     %rax, %rsp
    RESTORE_REGS
    popfq
    ret

/*
 * NMI, #MC, #DB, #DF. From a guest, move to the vCPU's stack: the IST stack is free again for
 * the next one before anything that could fault or schedule runs.
 */
    .globl  entry_ist
entry_ist:
    SAVE_REGS
    ASM_CLAC
    testb   $3, REGS_CS(%rsp)
    jz      ist_from_hypervisor
    SPEC_CTRL_CALL  SPEC_ENTRY, spec_ctrl_entry
    mov     %rsp, %rsi
    STACK_TOP %rax
    mov     OF_TOP(STACK_TOP_CPU, %rax), %rax
    mov     PERCPU_RSP0(%rax), %rdi
    sub     $REGS_ES, %rdi
    mov     %rdi, %rdx
    mov     $REGS_ES / 8, %ecx
    rep movsq
    mov     %rdx, %rsp
    mov     %rdx, %rdi
    JUMP_UNLESS SPEC_SHADOW_STACKS, from_guest
    rdsspq  %rax
    clrssbsy (%rax)
    setssbsy
    jmp     from_guest

ist_from_hypervisor:
    SPEC_CTRL_CALL  SPEC_ENTRY | SPEC_EXIT, spec_ctrl_entry_ist
    mov     %rsp, %rdi
    call    trap_from_hypervisor
    SPEC_CTRL_CALL  SPEC_ENTRY | SPEC_EXIT, spec_ctrl_exit_ist
    jmp     return_to_hypervisor

/* void nmi_unblock(void): IRETQ to its own end. */
    .globl  nmi_unblock
nmi_unblock:
    INTERRUPT_FRAME 1f
    iretq
1:  ret

/* From the trampolines below: the frame is complete down to the vector. */
    .globl  syscall_entry, syscall_general
syscall_entry:
    endbr64
    SPEC_CTRL_SYSCALL
syscall_general: /* what fast_paths.S does not do */
    SAVE_REGS
    mov     %rsp, %rdi
    call    syscall_from_guest
    jmp     exit_to_guest

/* void switch_stack(u64 *save_rsp, u64 load_rsp): continues on the other vCPU's stack. */
    .globl  switch_stack
switch_stack:
    PUSH_CALLEE_SAVED
    xor     %eax, %eax
    rdsspq  %rax
    lea     -8(%rax), %rcx          /* where SAVEPREVSSP leaves the token to come back by */
    push    %rcx
    mov     %rsp, (%rdi)
    mov     %rsi, %rsp
    pop     %rcx
    test    %rax, %rax
    jz      1f
    rstorssp (%rcx)
    saveprevssp
1:  POP_CALLEE_SAVED
    ret

/* First code of a new vCPU after switch_stack(). */
    .globl  vcpu_first_entry
vcpu_first_entry:
    call    schedule_tail
    jmp     exit_to_guest

/*
 * SYSCALL entry. This page is mapped at the start of every vCPU's stack block (LSTAR, CSTAR
 * point there), so the block's own stack is at a constant distance from %rip. Until %rsp is
 * loaded, nothing may fault: only this block's top is touched.
 */
#define TOP(field) trampoline_page + STACK_BLOCK_SIZE - STACK_TOP_SIZE + (field)(%rip)

    .section .text.trampoline, "ax"
    .balign 4096
    .globl  trampoline_page, trampoline_cstar
trampoline_page:
.macro SYSCALL_TRAMPOLINE cs, target
    endbr64
    mov     %rsp, TOP(REGS_RSP)
    lea     TOP(REGS_RSP), %rsp
    movq    $SEL_GUEST_DS, 8(%rsp)
    push    %r11
    pushq   $\cs
    push    %rcx
    pushq   $0
    movl    $ENTRY_SYSCALL_VECTOR, 4(%rsp)
1:  jmp     *\target(%rip)
    /* Too far for a direct jump. What the processor would predict is the guest's to train. */
    .balign 16, 0xcc
2:  RETPOLINE %rcx, mov \target(%rip), %rcx
    PATCH_SITE 1b, 2b, SPEC_RETPOLINE | SPEC_IBRS | SPEC_LFENCE, PATCH_JMP
.endm
    SYSCALL_TRAMPOLINE SEL_GUEST_CS64, syscall64_target
    .balign 64
trampoline_cstar:
    SYSCALL_TRAMPOLINE SEL_GUEST_CS32, syscall32_target
    .balign 8
syscall64_target:
    .quad   syscall64_entry
syscall32_target:
    .quad   syscall_entry
    .balign 4096
