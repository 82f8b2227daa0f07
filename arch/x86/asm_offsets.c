/* SPDX-License-Identifier: MIT */
/* Offsets that assembler needs, extracted from this file's assembler output by the Makefile. */
#include <hv/hypercall.h>
#include <hv/x86/ap_mailbox.h>
#include <hv/x86/speculation.h>

#define DEFINE(name, value) __asm__ volatile("\n.ascii \"->" #name " %c0\"" ::"i"(value))

void asm_offsets(void);
void asm_offsets(void)
{
    DEFINE(STACK_TOP_SIZE, sizeof(struct stack_top));
    DEFINE(STACK_TOP_CPU, offsetof(struct stack_top, cpu));
    DEFINE(STACK_TOP_VCPU, offsetof(struct stack_top, vcpu));
    DEFINE(PERCPU_SOFTIRQ, offsetof(struct percpu, softirq_pending));
    DEFINE(PERCPU_GUEST_CR3, offsetof(struct percpu, guest_cr3));
    DEFINE(PERCPU_FULL_CR3, offsetof(struct percpu, full_cr3));
    DEFINE(PERCPU_TLB_FLUSH_TIME, offsetof(struct percpu, tlb_flush_time));
    DEFINE(PERCPU_TSS, offsetof(struct percpu, tss));
    DEFINE(PERCPU_RSP0, offsetof(struct percpu, tss.rsp[0]));
    DEFINE(VCPU_INFO, offsetof(struct vcpu, info));
    DEFINE(VCPU_NMI_PENDING, offsetof(struct vcpu, nmi_pending));
    DEFINE(VCPU_NMI_MASKED, offsetof(struct vcpu, nmi_masked));
    DEFINE(VCPU_VMCE_PENDING, offsetof(struct vcpu, pv.vmce.pending));
    DEFINE(VCPU_KERNEL_MODE, offsetof(struct vcpu, pv.guest_kernel_mode));
    DEFINE(VCPU_KERNEL_L4, offsetof(struct vcpu, pv.run_l4[0]));
    DEFINE(VCPU_USER_L4, offsetof(struct vcpu, pv.run_l4[1]));
    DEFINE(VCPU_KERNEL_ROOT, offsetof(struct vcpu, pv.xpti.root[0]));
    DEFINE(VCPU_USER_ROOT, offsetof(struct vcpu, pv.xpti.root[1]));
    DEFINE(VCPU_SPEC_CTRL, offsetof(struct vcpu, pv.spec_ctrl_hw));
    DEFINE(SPEC_PLAN_SPEC_CTRL, offsetof(struct spec_plan, spec_ctrl));
    DEFINE(VCPU_BOUNCE_SP, offsetof(struct vcpu, pv.bounce_sp));
    DEFINE(VCPU_FRAME_IOPL, offsetof(struct vcpu, pv.frame_iopl));
    DEFINE(VCPU_SYSCALL_ADDRESS, offsetof(struct vcpu, pv.syscall_cb.address));
    DEFINE(VCPU_SYSCALL_MASK, offsetof(struct vcpu, pv.syscall_cb.mask_events));
    DEFINE(VCPU_FAULT_ADDRESS, offsetof(struct vcpu, pv.fault_address));
    DEFINE(VCPU_TRAPS, offsetof(struct vcpu, pv.traps));
    DEFINE(TRAP_SIZE, sizeof(struct trap_info));
    DEFINE(TRAP_FLAGS, offsetof(struct trap_info, flags));
    DEFINE(TRAP_FLAG_MASK_EVENTS, TRAP_FLAG_MASK_EVENTS);
    DEFINE(TRAP_ADDRESS, offsetof(struct trap_info, address));
    DEFINE(INFO_PENDING, offsetof(struct vcpu_info, evtchn_upcall_pending));
    DEFINE(INFO_MASK, offsetof(struct vcpu_info, evtchn_upcall_mask));
    DEFINE(INFO_CR2, offsetof(struct vcpu_info, arch.cr2));
    DEFINE(IRET_RAX, offsetof(struct iret_context, rax));
    DEFINE(IRET_R11, offsetof(struct iret_context, r11));
    DEFINE(IRET_RCX, offsetof(struct iret_context, rcx));
    DEFINE(IRET_FLAGS, offsetof(struct iret_context, flags));
    DEFINE(IRET_RIP, offsetof(struct iret_context, rip));
    DEFINE(IRET_CS, offsetof(struct iret_context, cs));
    DEFINE(IRET_RFLAGS, offsetof(struct iret_context, rflags));
    DEFINE(IRET_RSP, offsetof(struct iret_context, rsp));
    DEFINE(IRET_SS, offsetof(struct iret_context, ss));
    DEFINE(ENTRY_SYSCALL_VECTOR, ENTRY_SYSCALL);
    DEFINE(HYPERCALL_COUNT, HYPERCALL_MAX);
    DEFINE(HYPERCALL_IRET, __HYPERVISOR_iret);
    DEFINE(REGS_R10, offsetof(struct cpu_user_regs, r10));
    DEFINE(REGS_R9, offsetof(struct cpu_user_regs, r9));
    DEFINE(REGS_R8, offsetof(struct cpu_user_regs, r8));
    DEFINE(REGS_RAX, offsetof(struct cpu_user_regs, rax));
    DEFINE(REGS_RDX, offsetof(struct cpu_user_regs, rdx));
    DEFINE(REGS_RSI, offsetof(struct cpu_user_regs, rsi));
    DEFINE(REGS_RDI, offsetof(struct cpu_user_regs, rdi));
    DEFINE(REGS_ERROR, offsetof(struct cpu_user_regs, error_code));
    DEFINE(REGS_RFLAGS, offsetof(struct cpu_user_regs, rflags));
    DEFINE(REGS_VECTOR, offsetof(struct cpu_user_regs, entry_vector));
    DEFINE(REGS_RIP, offsetof(struct cpu_user_regs, rip));
    DEFINE(REGS_CS, offsetof(struct cpu_user_regs, cs));
    DEFINE(REGS_RSP, offsetof(struct cpu_user_regs, rsp));
    DEFINE(REGS_SS, offsetof(struct cpu_user_regs, ss));
    DEFINE(REGS_ES, offsetof(struct cpu_user_regs, es));
    DEFINE(AP_MAILBOX_STAGE, offsetof(struct ap_mailbox, stage));
    DEFINE(AP_MAILBOX_VECTOR, offsetof(struct ap_mailbox, vector));
    DEFINE(AP_MAILBOX_CR3, offsetof(struct ap_mailbox, cr3));
    DEFINE(AP_MAILBOX_STACK, offsetof(struct ap_mailbox, stack));
    DEFINE(AP_MAILBOX_ENTRY, offsetof(struct ap_mailbox, entry));
    DEFINE(AP_MAILBOX_PERCPU, offsetof(struct ap_mailbox, percpu));
    DEFINE(AP_MAILBOX_IVT_POINTER, offsetof(struct ap_mailbox, ivt_pointer));
    DEFINE(AP_MAILBOX_IDT32_POINTER, offsetof(struct ap_mailbox, idt32_pointer));
    DEFINE(AP_MAILBOX_GDT_POINTER, offsetof(struct ap_mailbox, gdt_pointer));
    DEFINE(AP_MAILBOX_IDT64_POINTER, offsetof(struct ap_mailbox, idt64_pointer));
    DEFINE(AP_MAILBOX_GDT64_POINTER, offsetof(struct ap_mailbox, gdt64_pointer));
}
