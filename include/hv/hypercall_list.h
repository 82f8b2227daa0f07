/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls: X(name, arguments, who may call, what it is for). The number is __HYPERVISOR_name, the handler do_name(). Each argument is a
 * register of the guest's, whole. Prototypes, the table, the fuzzer's numbers and docs/hypercalls.md (tools/gen_hypercalls.py) are made of
 * this list.
 */
#pragma once

#define HYPERCALL_LIST(X)                                                                                                            \
    X(set_trap_table, (guest_ptr_t list), ANYBODY, "the kernel's handlers of exceptions")                                            \
    X(mmu_update, (guest_ptr_t updates, u64 count, guest_ptr_t done_at, u64 domids), ANYBODY, "entries of page tables, the M2P")     \
    X(set_gdt, (guest_ptr_t frame_list, u64 entries), ANYBODY, "frames of the GDT")                                                  \
    X(stack_switch, (u64 ss, u64 rsp), ANYBODY, "the kernel's stack")                                                                \
    X(set_callbacks, (u64 event, u64 failsafe, u64 syscall), ANYBODY, "handlers of events, failed returns, system calls (old form)") \
    X(fpu_taskswitch, (u64 set), ANYBODY, "CR0.TS")                                                                                  \
    X(platform_op, (guest_ptr_t arg), CONTROL, "the machine: clock, CPUs, firmware, sleep states")                                   \
    X(set_debugreg, (u64 reg, u64 value), ANYBODY, "a debug register")                                                               \
    X(get_debugreg, (u64 reg), ANYBODY, "a debug register")                                                                          \
    X(update_descriptor, (u64 at, u64 descriptor), ANYBODY, "an entry of a GDT or LDT")                                              \
    X(memory_op, (u64 cmd, guest_ptr_t arg), ANYBODY, "what memory the domain has")                                                  \
    X(multicall, (guest_ptr_t list, u64 count), ANYBODY, "several hypercalls in one")                                                \
    X(update_va_mapping, (u64 va, u64 entry, u64 flags), ANYBODY, "the entry that maps an address")                                  \
    X(set_timer_op, (u64 timeout), ANYBODY, "the vCPU's timer")                                                                      \
    X(xen_version, (u64 cmd, guest_ptr_t arg), ANYBODY, "version, features")                                                         \
    X(console_io, (u64 cmd, u64 count, guest_ptr_t buffer), ANYBODY, "the console: dom0's, and what others' kernels print")          \
    X(grant_table_op, (u64 cmd, guest_ptr_t list, u64 count), ANYBODY, "memory that domains share")                                  \
    X(vm_assist, (u64 command, u64 number), ANYBODY, "switches of the ABI")                                                          \
    X(update_va_mapping_otherdomain, (u64 va, u64 entry, u64 flags, u64 domid), ANYBODY,                                             \
      "the entry that maps an address, of another's frame")                                                                          \
    X(iret, (void), ANYBODY, "return from an exception")                                                                             \
    X(vcpu_op, (u64 cmd, u64 id, guest_ptr_t arg), ANYBODY, "vCPUs: start, stop, timers, areas")                                     \
    X(set_segment_base, (u64 which, u64 value), ANYBODY, "bases of FS and GS, the user's GS")                                        \
    X(mmuext_op, (guest_ptr_t ops, u64 count, guest_ptr_t done_at, u64 domid), ANYBODY, "pin, load and flush page tables")           \
    X(sched_op, (u64 cmd, guest_ptr_t arg), ANYBODY, "give up the CPU; the domain's end")                                            \
    X(callback_op, (u64 cmd, guest_ptr_t arg), ANYBODY, "handlers of events, failed returns, system calls, NMIs")                    \
    X(event_channel_op, (u64 cmd, guest_ptr_t arg), ANYBODY, "event channels")                                                       \
    X(physdev_op, (u64 cmd, guest_ptr_t arg), ANYBODY, "interrupts and ports of devices")                                            \
    X(sysctl, (guest_ptr_t arg), CONTROL, "the machine, as the toolstack sees it")                                                   \
    X(domctl, (guest_ptr_t arg), CONTROL, "one domain, as the toolstack sees it")                                                    \
    X(hypfs_op, (u64 cmd, guest_ptr_t path_at, u64 path_size, guest_ptr_t buffer, u64 size), CONTROL,                                \
      "the previous boot's record, as files")                                                                                        \
    X(mca, (guest_ptr_t arg), CONTROL, "machine checks")
