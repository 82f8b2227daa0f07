/* SPDX-License-Identifier: MIT */
/*
 * What entries and exits do on processors that need it. Sites in entry.S and fast_paths.S (SPEC_CTRL_CALL) are
 * NOPs that boot turns into calls of these routines, and the parts that are not needed are jumped over.
 *
 * With SPEC_XPTI a guest runs on tables that hold of the hypervisor only what an entry touches before
 * its call: this section, the IDT, the CPU's struct percpu with its TSS, the tops of its IST stacks and of
 * the vCPU's own stack (xpti.c). percpu.guest_cr3 is what CR3 holds then; any other value means that the
 * hypervisor is mapped. So each routine may run in any state, also a second time: NMI, #MC, #DB and #DF come between
 * any two instructions.
 *
 * All keep the general registers but for flags, and need the top page of a stack only.
 */
#include <hv/x86/layout.h>
#include <hv/x86/percpu_asm.h>

/* 32 harmless predictions for returns. Clobbers %rax and %rcx. */
.macro FILL_RSB
    mov     %rsp, %rax
    mov     $16, %ecx
.Lfill\@:
    call    .Lfirst\@
    int3
.Lfirst\@:
    call    .Lsecond\@
    int3
.Lsecond\@:
    dec     %ecx
    jnz     .Lfill\@
    lfence
    mov     %rax, %rsp
.endm

    .section .text.entry, "ax"

    .globl  spec_ctrl_entry
spec_ctrl_entry:
    push    %rax
    push    %rcx
    push    %rdx
    JUMP_UNLESS SPEC_XPTI, 1f
    STACK_TOP %rcx
    mov     OF_TOP(STACK_TOP_CPU, %rcx), %rcx
    mov     %cr3, %rax
    cmp     PERCPU_GUEST_CR3(%rcx), %rax
    jne     1f
    mov     PERCPU_FULL_CR3(%rcx), %rax
    mov     %rax, %cr3
1:  JUMP_UNLESS SPEC_IBPB_ENTRY, 2f
    mov     $MSR_PRED_CMD, %ecx
    mov     $PRED_CMD_IBPB, %eax
    xor     %edx, %edx
    wrmsr
2:  JUMP_UNLESS SPEC_IBRS, 3f
    mov     $MSR_SPEC_CTRL, %ecx
    mov     spec + SPEC_PLAN_SPEC_CTRL(%rip), %eax
    or      $SPEC_CTRL_IBRS, %eax
    xor     %edx, %edx
    wrmsr
3:  JUMP_UNLESS SPEC_RSB, 6f
    FILL_RSB
6:  pop     %rdx
    pop     %rcx
    pop     %rax
    ret

    .globl  spec_ctrl_exit
spec_ctrl_exit:
    push    %rax
    push    %rcx
    push    %rdx
    JUMP_UNLESS SPEC_IBRS, 1f
    STACK_TOP %rax
    mov     OF_TOP(STACK_TOP_VCPU, %rax), %rax
    mov     VCPU_SPEC_CTRL(%rax), %eax
    mov     $MSR_SPEC_CTRL, %ecx
    xor     %edx, %edx
    wrmsr
1:  JUMP_UNLESS SPEC_XPTI, 2f
    STACK_TOP %rdx
    mov     OF_TOP(STACK_TOP_VCPU, %rdx), %rax
    mov     OF_TOP(STACK_TOP_CPU, %rdx), %rdx
    mov     %cr3, %rcx
    mov     %rcx, PERCPU_FULL_CR3(%rdx)
    cmpb    $0, VCPU_KERNEL_MODE(%rax)
    mov     VCPU_KERNEL_ROOT(%rax), %rcx
    cmove   VCPU_USER_ROOT(%rax), %rcx
    mov     %rcx, PERCPU_GUEST_CR3(%rdx)
    mov     %rcx, %cr3
2:  JUMP_UNLESS SPEC_VERW, 3f
    verw    verw_selector(%rip)
3:  pop     %rdx
    pop     %rcx
    pop     %rax
    ret
verw_selector:
    .short  SEL_HV_DS

/* NMI, #MC, #DB, #DF in the hypervisor: as it was found it is left. %rbx and %r12, which C keeps, hold CR3 and SPEC_CTRL in between. */
    .globl  spec_ctrl_entry_ist, spec_ctrl_exit_ist
spec_ctrl_entry_ist:
    mov     %cr3, %rbx
    JUMP_UNLESS SPEC_IBRS, 1f
    mov     $MSR_SPEC_CTRL, %ecx
    rdmsr
    mov     %eax, %r12d
1:  jmp     spec_ctrl_entry
spec_ctrl_exit_ist:
    JUMP_UNLESS SPEC_IBRS, 1f
    push    %rax
    mov     $MSR_SPEC_CTRL, %ecx
    mov     %r12d, %eax
    xor     %edx, %edx
    wrmsr
    pop     %rax
1:  JUMP_UNLESS SPEC_XPTI, 2f
    mov     %rbx, %cr3
2:  ret

/* void spec_fill_rsb(void). A shadow stack has taken the calls for what they look like: they come off it. */
    .globl  spec_fill_rsb
spec_fill_rsb:
    FILL_RSB
    xor     %eax, %eax
    rdsspq  %rax
    test    %rax, %rax
    jz      1f
    mov     $32, %eax
    incsspq %rax
1:  ret

/*
 * Indirect branches of compiled code: gcc's -mindirect-branch=thunk-extern, clang's -mretpoline-external-thunk. Plain
 * jumps until boot decides otherwise.
 */
.macro THUNK reg
    .balign 32
    .globl  __x86_indirect_thunk_\reg
    .hidden __x86_indirect_thunk_\reg
__x86_indirect_thunk_\reg:
    jmp     *%\reg
    .org    __x86_indirect_thunk_\reg + 5, 0xcc
1:  RETPOLINE %\reg
4:  lfence
    jmp     *%\reg
    PATCH_SITE __x86_indirect_thunk_\reg, 1b, SPEC_RETPOLINE, PATCH_JMP
    PATCH_SITE __x86_indirect_thunk_\reg, 4b, SPEC_LFENCE, PATCH_JMP
.endm
    .irp    reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    THUNK   \reg
    .endr
    .globl  __llvm_retpoline_r11
    .hidden __llvm_retpoline_r11
    .set    __llvm_retpoline_r11, __x86_indirect_thunk_r11
    .globl  entry_text_end
entry_text_end:
