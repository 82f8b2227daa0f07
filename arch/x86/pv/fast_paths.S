/* SPDX-License-Identifier: MIT */
/*
 * The ways between a guest's user mode, its kernel and the hypervisor that every system call and
 * every page fault takes: hypercalls, SYSCALL from user mode, the iret hypercall, page faults and
 * breakpoints that go to the guest's kernel.
 *
 * Each path does the common case and touches only what that needs. Whatever is not common (an
 * address that needs a closer look, an event that is due, a frame that must be refused) is found
 * before anything has changed, and left to the general path in C (bounce_frame.c, iret.c), which
 * starts from the same frame. Only the guest's memory can fail later: reading faults go to C all
 * the same, a frame that cannot be written ends the domain as it does there.
 *
 * Work that another CPU asks for meanwhile comes with an interrupt, taken right after the return.
 */
#include <hv/x86/bits.h>
#include <hv/x86/layout.h>
#include <hv/x86/percpu_asm.h>

#define FLAGS_LOST (RFLAGS_AC | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | RFLAGS_TF) /* clear in a handler */
#define FLAGS_NOT_OURS (RFLAGS_VIP | RFLAGS_VIF | RFLAGS_VM | RFLAGS_NT | RFLAGS_IOPL) /* of no guest */
#define FLAGS_BY_IRET (RFLAGS_RF | RFLAGS_TF) /* SYSRET does not restore them in time */
#define IN_SYSCALL 0x100        /* VGCF_in_syscall */

/* Fields of this stack's struct stack_top, where %rsp is `pushed` bytes below the error code. */
#define TOP(field, pushed) (field) - REGS_ERROR + (pushed)(%rsp)

/* An access to the guest's stack. */
.macro ON_FAULT fixup, insn:vararg
.Laccess\@:
    \insn
EXTABLE_ASM(.Laccess\@, \fixup)
.endm
#define STORE ON_FAULT bounce_failed,
#define LOAD ON_FAULT iret_unreadable,

/* Work of this CPU that is due, or a vCPU without an info area, is for the general path. */
.macro UNLESS_SIMPLE vcpu, scratch, pushed, general
    mov     TOP(STACK_TOP_CPU, \pushed), \scratch
    cmpl    $0, PERCPU_SOFTIRQ(\scratch)
    jne     \general
    mov     VCPU_INFO(\vcpu), \scratch
    test    \scratch, \scratch
    jz      \general
.endm

.macro UNLESS_CANONICAL address, scratch, otherwise
    mov     \address, \scratch
    shl     $16, \scratch
    sar     $16, \scratch
    cmp     \address, \scratch
    jne     \otherwise
.endm

/* As pv_toggle_mode() does it. %rcx: vcpu. Clobbers %rax and %rdx. */
.macro TOGGLE_MODE kernel, l4, pushed
    movb    $\kernel, VCPU_KERNEL_MODE(%rcx)
    swapgs
    mov     tlb_flush_clock(%rip), %eax
    mov     \l4(%rcx), %rdx
    shl     $12, %rdx
    mov     %rdx, %cr3
    mov     TOP(STACK_TOP_CPU, \pushed), %rdx
    mov     %eax, PERCPU_TLB_FLUSH_TIME(%rdx) /* read before, told after: tlb.c */
.endm

    .section .text.entry, "ax"

/* ---- SYSCALL from 64-bit code ---- */

    .globl  syscall64_entry
syscall64_entry:
    endbr64
    SPEC_CTRL_SYSCALL
    mov     TOP(STACK_TOP_VCPU, 0), %rcx
    cmpb    $0, VCPU_KERNEL_MODE(%rcx)
    je      syscall_from_user
    cmp     $HYPERCALL_IRET, %rax
    je      hypercall_iret

    /* A hypercall. All registers are saved, not only those that C changes: handlers and reports look at the frame. */
    mov     TOP(REGS_RIP, 0), %rcx
    SAVE_REGS
    cmp     $HYPERCALL_COUNT, %rax
    jae     hypercall_absent
    and     $HYPERCALL_COUNT - 1, %eax /* also where the jump is only predicted (Spectre v1) */
    lea     hypercall_table(%rip), %r11
    mov     (%r11, %rax, 8), %r11
    test    %r11, %r11
    jz      hypercall_absent
    mov     %r10, %rcx
    call    __x86_indirect_thunk_r11
hypercall_done:
    mov     %rax, REGS_RAX(%rsp)
    mov     STACK_TOP_VCPU(%rsp), %rcx
    UNLESS_SIMPLE %rcx, %rdx, REGS_ERROR, exit_to_guest
    cmpb    $0, INFO_PENDING(%rdx)
    jne     exit_to_guest
    cmpl    $0, VCPU_NMI_PENDING(%rcx)
    jne     exit_to_guest
    cmpb    $0, VCPU_VMCE_PENDING(%rcx)
    jne     exit_to_guest
    cmpl    $ENTRY_SYSCALL_VECTOR, REGS_VECTOR(%rsp) /* the frame is still the one made above */
    jne     exit_to_guest
    mov     REGS_RFLAGS(%rsp), %r11
    test    $FLAGS_BY_IRET | FLAGS_NOT_OURS, %r11d
    jnz     exit_to_guest
    /* SYSRET to an address that is not canonical faults in the hypervisor on some processors. */
    mov     REGS_RIP(%rsp), %rcx
    UNLESS_CANONICAL %rcx, %rdx, exit_to_guest
    mov     REGS_RDI(%rsp), %rdi
    mov     REGS_RSI(%rsp), %rsi
    mov     REGS_RDX(%rsp), %rdx
    mov     REGS_R8(%rsp), %r8
    mov     REGS_R9(%rsp), %r9
    mov     REGS_R10(%rsp), %r10
    SYSRET_TO_GUEST REGS_ERROR      /* RBX, RBP, R12 to R15 are as C found them */
hypercall_absent:
    mov     %rdi, %rsi
    mov     REGS_RAX(%rsp), %rdi
    call    hypercall_not_offered
    jmp     hypercall_done

syscall_slow:
    mov     TOP(REGS_RIP, 0), %rcx
    mov     TOP(REGS_RFLAGS, 0), %r11
    jmp     syscall_general

/* ---- frames for the guest's kernel ---- */

/* What each of these ways pushes below the error code, from the top. */
#define PUSHED 32
#define SAVED_RAX 24(%rsp)
#define SAVED_RDX 16(%rsp)
#define SAVED_RCX 8(%rsp)
#define SAVED_R11 (%rsp)
.macro POP_SAVED
    pop     %r11
    pop     %rcx
    pop     %rdx
    pop     %rax
.endm

/*
 * %rcx: vcpu, %r11: where the frame goes, %eax: its CS, head: the words above RIP. Leaves %rdx at
 * the info area, and the registers for the handler in the slots of the interrupted ones.
 */
.macro PUSH_FRAME head
    mov     VCPU_INFO(%rcx), %rdx
    ASM_STAC
    STORE   mov %eax, \head + 8(%r11)
    movzbl  INFO_MASK(%rdx), %eax
    and     $1, %eax
    STORE   mov %eax, \head + 12(%r11) /* the high half of CS holds the event mask, */
    shl     $9, %eax
    xor     TOP(REGS_RFLAGS, PUSHED), %rax /* which IF shows inverted: a guest's real one is set */
    or      VCPU_FRAME_IOPL(%rcx), %rax
    STORE   mov %rax, \head + 16(%r11)
    mov     SAVED_RCX, %rax
    STORE   mov %rax, (%r11)
    mov     SAVED_R11, %rax
    STORE   mov %rax, 8(%r11)
.if \head == 24
    mov     TOP(REGS_ERROR, PUSHED), %eax
    STORE   mov %rax, 16(%r11)
.endif
    mov     TOP(REGS_RIP, PUSHED), %rax
    STORE   mov %rax, \head(%r11)
    mov     TOP(REGS_RSP, PUSHED), %rax
    STORE   mov %rax, \head + 24(%r11)
    mov     TOP(REGS_SS, PUSHED), %rax
    STORE   mov %rax, \head + 32(%r11)
    ASM_CLAC
    mov     %r11, TOP(REGS_RSP, PUSHED)
    andl    $~FLAGS_LOST, TOP(REGS_RFLAGS, PUSHED)
.endm

/* %rcx: where the guest's kernel goes on. */
.macro ENTER_GUEST_KERNEL
    mov     SAVED_RDX, %rdx
    mov     SAVED_RAX, %rax
    mov     TOP(REGS_RFLAGS, PUSHED), %r11
    SYSRET_TO_GUEST PUSHED
.endm

bounce_failed:
    ASM_CLAC
    POP_SAVED
    SAVE_REGS
    mov     %rsp, %rdi
    call    guest_bounce_failed
    jmp     exit_to_guest

syscall_from_user:
    UNLESS_SIMPLE %rcx, %r11, 0, syscall_slow
    cmpq    $0, VCPU_SYSCALL_ADDRESS(%rcx)
    je      syscall_slow
    mov     VCPU_BOUNCE_SP(%rcx), %r11
    test    %r11, %r11
    jz      syscall_slow
    push    %rax
    push    %rdx
    push    TOP(REGS_RIP, 16)       /* SYSCALL left them in RCX and R11 */
    push    TOP(REGS_RFLAGS, 24)
    TOGGLE_MODE 1, VCPU_KERNEL_L4, PUSHED
    sub     $16 + 40, %r11
    mov     $SEL_GUEST_CS64, %eax
    PUSH_FRAME 16
    andl    $~RFLAGS_DF, TOP(REGS_RFLAGS, PUSHED)
    cmpb    $0, VCPU_SYSCALL_MASK(%rcx)
    je      1f
    movb    $1, INFO_MASK(%rdx)
1:  mov     VCPU_SYSCALL_ADDRESS(%rcx), %rcx
    ENTER_GUEST_KERNEL

/* ---- exceptions ---- */

#define TRAP(vector, field) VCPU_TRAPS + (vector) * TRAP_SIZE + (field)(%rcx)

/* address: the handler's, in the vCPU; 0: not here. */
.macro BOUNCE vector, head, address:vararg
    SPEC_CTRL_CALL  SPEC_ENTRY, spec_ctrl_entry
    testb   $3, TOP(REGS_CS, 0)
    jz      entry_general
    push    %rax
    push    %rdx
    push    %rcx
    push    %r11
    mov     TOP(STACK_TOP_VCPU, PUSHED), %rcx
    UNLESS_SIMPLE %rcx, %rdx, PUSHED, bounce_general
    cmpq    $0, \address
    je      bounce_general
.if \vector == 14
    mov     %cr2, %r11
    mov     %r11, %rax
    shr     $39, %rax
    cmp     $PERDOMAIN_VIRT_START >> 39, %eax /* the LDT window, mapped on demand */
    je      bounce_general
    mov     TOP(REGS_ERROR, PUSHED), %eax
    test    $PFEC_RESERVED, %eax
    jnz     bounce_general
.endif
    cmpb    $0, VCPU_KERNEL_MODE(%rcx)
    je      1f
    /* From the guest's kernel: the frame goes below its stack pointer, whatever that is. */
.if \vector == 14
    and     $PFEC_PRESENT | PFEC_WRITE, %eax
    cmp     $PFEC_PRESENT | PFEC_WRITE, %eax /* a page table, perhaps */
    je      bounce_general
    andl    $~PFEC_USER, TOP(REGS_ERROR, PUSHED)
    mov     %r11, INFO_CR2(%rdx)
.endif
    mov     TOP(REGS_RSP, PUSHED), %r11
    and     $~15, %r11
    sub     $\head + 40, %r11
    mov     $HV_VIRT_END, %rax
    cmp     %rax, %r11
    jb      bounce_general
    cmovb   %rax, %r11              /* also where the jump is predicted otherwise (Spectre v1) */
    mov     TOP(REGS_CS, PUSHED), %eax
    and     $~3, %eax
    jmp     2f
    /* From user mode: below the stack pointer that the kernel has named. */
1:  mov     VCPU_BOUNCE_SP(%rcx), %rax
    test    %rax, %rax
    jz      bounce_general
.if \vector == 14
    mov     %r11, INFO_CR2(%rdx)
.endif
    lea     -(\head + 40)(%rax), %r11
    TOGGLE_MODE 1, VCPU_KERNEL_L4, PUSHED
    mov     TOP(REGS_CS, PUSHED), %eax
2:  PUSH_FRAME \head
    testb   $TRAP_FLAG_MASK_EVENTS, TRAP(\vector, TRAP_FLAGS)
    jz      3f
    movb    $1, INFO_MASK(%rdx)
3:  mov     \address, %rcx
    ENTER_GUEST_KERNEL
.endm

    .globl  entry_page_fault, entry_breakpoint
entry_page_fault:
    BOUNCE  14, 24, VCPU_FAULT_ADDRESS(%rcx)
entry_breakpoint:
    BOUNCE  3, 16, TRAP(3, TRAP_ADDRESS)
bounce_general:
    POP_SAVED
    jmp     entry_general

/* ---- the iret hypercall ---- */

hypercall_iret:
    cmpq    $0, VCPU_USER_L4(%rcx)
    je      syscall_slow
    cmpw    $0, VCPU_NMI_MASKED(%rcx)   /* and architectural_iopl */
    jne     syscall_slow
    cmpl    $0, VCPU_NMI_PENDING(%rcx)
    jne     syscall_slow
    UNLESS_SIMPLE %rcx, %rax, 0, iret_general
    cmpb    $0, INFO_PENDING(%rax)
    jne     iret_general
    mov     TOP(REGS_RSP, 0), %r11
    mov     $HV_VIRT_END, %rax
    cmp     %rax, %r11
    jb      iret_general
    cmovb   %rax, %r11              /* as above */
    push    %rdx
    ASM_STAC
    /* Each word is read once. Selectors are for IRETQ to judge. */
    LOAD    mov IRET_RIP(%r11), %rdx
    UNLESS_CANONICAL %rdx, %rax, iret_refused /* its #GP is made in C */
    LOAD    movzwl IRET_CS(%r11), %ecx
    LOAD    mov IRET_RFLAGS(%r11), %eax
    LOAD    pushq IRET_SS(%r11)
    LOAD    pushq IRET_FLAGS(%r11)
    LOAD    pushq IRET_RAX(%r11)
    LOAD    pushq IRET_RCX(%r11)
    LOAD    pushq IRET_R11(%r11)
    LOAD    mov IRET_RSP(%r11), %r11
    ASM_CLAC

#define IRET_PUSHED 48
    mov     %rdx, TOP(REGS_RIP, IRET_PUSHED)
    mov     %r11, TOP(REGS_RSP, IRET_PUSHED)
    movzwl  32(%rsp), %edx
    or      $3, %edx
    mov     %rdx, TOP(REGS_SS, IRET_PUSHED)
    mov     %ecx, %edx
    or      $3, %edx                /* never ring 0 */
    mov     %rdx, TOP(REGS_CS, IRET_PUSHED)
    mov     TOP(STACK_TOP_VCPU, IRET_PUSHED), %r11
    mov     VCPU_INFO(%r11), %rdx
    bt      $RFLAGS_IF_BIT, %eax
    setnc   INFO_MASK(%rdx)
    and     $~FLAGS_NOT_OURS, %eax
    or      $RFLAGS_IF | RFLAGS_FIXED, %eax
    mov     %rax, TOP(REGS_RFLAGS, IRET_PUSHED)
    not     %ecx
    test    $3, %cl
    jnz     1f                      /* to the kernel itself: RPL 0 */
    mov     %r11, %rcx
    TOGGLE_MODE 0, VCPU_USER_L4, IRET_PUSHED
1:  pop     %r11
    pop     %rcx
    pop     %rax
    pop     %rdx
    test    $IN_SYSCALL, %edx
    lea     8(%rsp), %rsp           /* SS */
    pop     %rdx
    jz      2f
    mov     TOP(REGS_RIP, 0), %rcx
    mov     TOP(REGS_RFLAGS, 0), %r11
    test    $FLAGS_BY_IRET, %r11d
    jnz     2f
    cmpw    $SEL_GUEST_CS64, TOP(REGS_CS, 0)
    jne     2f
    cmpw    $SEL_GUEST_DS, TOP(REGS_SS, 0)
    jne     2f
    SYSRET_TO_GUEST 0
2:  add     $8, %rsp
    jmp     iret_to_guest

iret_unreadable:
    STACK_TOP %rax
    lea     OF_TOP(REGS_ERROR - 8, %rax), %rsp
iret_refused:
    ASM_CLAC
    pop     %rdx
iret_general:
    mov     $HYPERCALL_IRET, %eax
    jmp     syscall_slow
