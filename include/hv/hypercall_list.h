/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls: X(name, number of arguments, who may call, what it is for). The number is __HYPERVISOR_name, the handler do_name(). Prototypes, the table, the
 * fuzzer's numbers and docs/hypercalls.md (tools/gen_hypercalls.py) are made of this list.
 */
#ifndef HV_HYPERCALL_LIST_H
#define HV_HYPERCALL_LIST_H

#define HYPERCALL_LIST(X)                                                                              \
    X(set_trap_table, 1, ANYBODY, "the kernel's handlers of exceptions")                               \
    X(mmu_update, 4, ANYBODY, "entries of page tables, the M2P")                                       \
    X(set_gdt, 2, ANYBODY, "frames of the GDT")                                                        \
    X(stack_switch, 2, ANYBODY, "the kernel's stack")                                                  \
    X(set_callbacks, 3, ANYBODY, "handlers of events, failed returns, system calls (old form)")        \
    X(fpu_taskswitch, 1, ANYBODY, "CR0.TS")                                                            \
    X(platform_op, 1, CONTROL, "the machine: clock, CPUs, firmware, sleep states")                     \
    X(set_debugreg, 2, ANYBODY, "a debug register")                                                    \
    X(get_debugreg, 1, ANYBODY, "a debug register")                                                    \
    X(update_descriptor, 2, ANYBODY, "an entry of a GDT or LDT")                                       \
    X(memory_op, 2, ANYBODY, "what memory the domain has")                                             \
    X(multicall, 2, ANYBODY, "several hypercalls in one")                                              \
    X(update_va_mapping, 3, ANYBODY, "the entry that maps an address")                                 \
    X(set_timer_op, 1, ANYBODY, "the vCPU's timer")                                                    \
    X(xen_version, 2, ANYBODY, "version, features")                                                    \
    X(console_io, 3, ANYBODY, "the console (dom0's)")                                                  \
    X(grant_table_op, 3, ANYBODY, "memory that domains share")                                         \
    X(vm_assist, 2, ANYBODY, "switches of the ABI")                                                    \
    X(update_va_mapping_otherdomain, 4, ANYBODY, "the entry that maps an address, of another's frame") \
    X(iret, 0, ANYBODY, "return from an exception")                                                    \
    X(vcpu_op, 3, ANYBODY, "vCPUs: start, stop, timers, areas")                                        \
    X(set_segment_base, 2, ANYBODY, "bases of FS and GS, the user's GS")                               \
    X(mmuext_op, 4, ANYBODY, "pin, load and flush page tables")                                        \
    X(sched_op, 2, ANYBODY, "give up the CPU; the domain's end")                                       \
    X(callback_op, 2, ANYBODY, "handlers of events, failed returns, system calls, NMIs")               \
    X(event_channel_op, 2, ANYBODY, "event channels")                                                  \
    X(physdev_op, 2, ANYBODY, "interrupts and ports of devices")                                       \
    X(domctl, 1, CONTROL, "one domain, as the toolstack sees it")                                      \
    X(hypfs_op, 5, CONTROL, "the previous boot's record, as files")                                    \
    X(mca, 1, CONTROL, "machine checks")

#endif
