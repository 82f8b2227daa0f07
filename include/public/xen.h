/* SPDX-License-Identifier: MIT */
/*
 * The Xen PV ABI (4.17, x86-64): numbers and layouts that guests depend on. Facts only; names
 * are the ABI's, so that tests/build compares them with the distribution's headers.
 */
#pragma once

#include <stdint.h>

typedef uint16_t domid_t;

/*
 * An address in guest memory, in a structure. To the guest it is a pointer (XEN_GUEST_HANDLE) or a number (XEN_GUEST_HANDLE_64), and its
 * programs define both so; to who is no guest it is a type of its own, so that the compiler lets nobody reach through it.
 */
#ifndef XEN_GUEST_HANDLE
typedef struct {
    uint64_t va;
} guest_ptr_t;
#define XEN_GUEST_HANDLE(type) guest_ptr_t
#define XEN_GUEST_HANDLE_64(type) guest_ptr_t
#endif

#define __HYPERVISOR_set_trap_table 0
#define __HYPERVISOR_mmu_update 1
#define __HYPERVISOR_set_gdt 2
#define __HYPERVISOR_stack_switch 3
#define __HYPERVISOR_set_callbacks 4
#define __HYPERVISOR_fpu_taskswitch 5
#define __HYPERVISOR_platform_op 7
#define __HYPERVISOR_set_debugreg 8
#define __HYPERVISOR_get_debugreg 9
#define __HYPERVISOR_update_descriptor 10
#define __HYPERVISOR_memory_op 12
#define __HYPERVISOR_multicall 13
#define __HYPERVISOR_update_va_mapping 14
#define __HYPERVISOR_set_timer_op 15
#define __HYPERVISOR_xen_version 17
#define __HYPERVISOR_console_io 18
#define __HYPERVISOR_grant_table_op 20
#define __HYPERVISOR_vm_assist 21
#define __HYPERVISOR_update_va_mapping_otherdomain 22
#define __HYPERVISOR_iret 23
#define __HYPERVISOR_vcpu_op 24
#define __HYPERVISOR_set_segment_base 25
#define __HYPERVISOR_mmuext_op 26
#define __HYPERVISOR_sched_op 29
#define __HYPERVISOR_callback_op 30
#define __HYPERVISOR_event_channel_op 32
#define __HYPERVISOR_physdev_op 33
#define __HYPERVISOR_sysctl 35
#define __HYPERVISOR_domctl 36
#define __HYPERVISOR_kexec_op 37
#define __HYPERVISOR_hypfs_op 42
#define __HYPERVISOR_mca 48
#define __HYPERVISOR_arch_7 55

#define DOMID_FIRST_RESERVED 0x7ff0
#define DOMID_SELF 0x7ff0
#define DOMID_IO 0x7ff1
#define DOMID_XEN 0x7ff2
#define DOMID_INVALID 0x7ff4
#define DOMID_IDLE 0x7fff

#define VIRQ_TIMER 0
#define VIRQ_DEBUG 1
#define VIRQ_CONSOLE 2
#define VIRQ_DOM_EXC 3
#define VIRQ_XENOPROF 7
#define VIRQ_CON_RING 8
#define VIRQ_PCPU_STATE 9
#define VIRQ_XENPMU 13
#define VIRQ_MCA 16
#define NR_VIRQS 24

/* mmu_update: low bits of ptr */
#define MMU_NORMAL_PT_UPDATE 0
#define MMU_MACHPHYS_UPDATE 1
#define MMU_PT_UPDATE_PRESERVE_AD 2
#define MMU_PT_UPDATE_NO_TRANSLATE 3
#define MMU_UPDATE_PREEMPTED 0x80000000u

#define MMUEXT_PIN_L1_TABLE 0
#define MMUEXT_PIN_L4_TABLE 3
#define MMUEXT_UNPIN_TABLE 4
#define MMUEXT_NEW_BASEPTR 5
#define MMUEXT_TLB_FLUSH_LOCAL 6
#define MMUEXT_INVLPG_LOCAL 7
#define MMUEXT_TLB_FLUSH_MULTI 8
#define MMUEXT_INVLPG_MULTI 9
#define MMUEXT_TLB_FLUSH_ALL 10
#define MMUEXT_INVLPG_ALL 11
#define MMUEXT_FLUSH_CACHE 12
#define MMUEXT_SET_LDT 13
#define MMUEXT_NEW_USER_BASEPTR 15
#define MMUEXT_CLEAR_PAGE 16
#define MMUEXT_COPY_PAGE 17
#define MMUEXT_FLUSH_CACHE_GLOBAL 18

#define UVMF_FLUSHTYPE_MASK 3
#define UVMF_TLB_FLUSH 1
#define UVMF_INVLPG 2
#define UVMF_ALL 4 /* else the rest of the word points to a bitmap of vCPUs, or is 0: this one */

#define VMASST_CMD_enable 0
#define VMASST_CMD_disable 1
#define VMASST_TYPE_4gb_segments 0
#define VMASST_TYPE_4gb_segments_notify 1
#define VMASST_TYPE_writable_pagetables 2
#define VMASST_TYPE_pae_extended_cr3 3
#define VMASST_TYPE_architectural_iopl 4
#define VMASST_TYPE_runstate_update_flag 5
#define VMASST_TYPE_m2p_strict 32

#define CONSOLEIO_write 0
#define CONSOLEIO_read 1

struct mmu_update {
    uint64_t ptr, val;
};

/* A set of CPUs in a toolstack's operations. */
struct xenctl_bitmap {
    XEN_GUEST_HANDLE_64(uint8_t) bitmap;
    uint32_t nr_bits; /* that the bitmap has room for */
};

#define XEN_CPUID_NO_SUBLEAF 0xffffffffu
struct xen_cpuid_leaf {
    uint32_t leaf, subleaf, a, b, c, d;
};
struct xen_msr_entry {
    uint32_t idx, flags; /* flags: 0 */
    uint64_t val;
};

struct mmuext_op {
    unsigned int cmd;
    union {
        uint64_t mfn;
        unsigned long linear_addr;
    } arg1;
    union {
        unsigned int nr_ents;
        XEN_GUEST_HANDLE(void) vcpumask;
        uint64_t src_mfn;
    } arg2;
};

struct multicall_entry {
    unsigned long op, result, args[6];
};

struct vcpu_time_info {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags, pad1[2];
};

struct arch_vcpu_info {
    unsigned long cr2, pad;
};

struct vcpu_info {
    uint8_t evtchn_upcall_pending, evtchn_upcall_mask;
    unsigned long evtchn_pending_sel;
    struct arch_vcpu_info arch;
    struct vcpu_time_info time;
};

/* nmi_reason of arch_shared_info */
#define XEN_NMIREASON_io_error (1UL << 0)
#define XEN_NMIREASON_pci_serr (1UL << 1)
#define XEN_NMIREASON_unknown (1UL << 2)

struct arch_shared_info {
    unsigned long max_pfn;
    unsigned long pfn_to_mfn_frame_list_list;
    unsigned long nmi_reason;
    unsigned long p2m_cr3, p2m_vaddr, p2m_generation;
};

#define XEN_LEGACY_MAX_VCPUS 32

struct shared_info {
    struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
    unsigned long evtchn_pending[64], evtchn_mask[64];
    uint32_t wc_version, wc_sec, wc_nsec, wc_sec_hi;
    struct arch_shared_info arch;
};

struct start_info {
    char magic[32];
    unsigned long nr_pages, shared_info;
    uint32_t flags;
    unsigned long store_mfn;
    uint32_t store_evtchn;
    union {
        struct {
            unsigned long mfn;
            uint32_t evtchn;
        } domU;
        struct {
            uint32_t info_off, info_size;
        } dom0;
    } console;
    unsigned long pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
    int8_t cmd_line[1024];
    unsigned long first_p2m_pfn, nr_p2m_frames;
};
#define SIF_PRIVILEGED 1
#define SIF_INITDOMAIN 2
#define SIF_MOD_START_PFN 8

struct dom0_vga_console_info {
    uint8_t video_type;
    union {
        struct {
            uint16_t font_height, cursor_x, cursor_y, rows, columns;
        } text_mode_3;
        struct {
            uint16_t width, height, bytes_per_line, bits_per_pixel;
            uint32_t lfb_base, lfb_size;
            uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size, rsvd_pos, rsvd_size;
            uint32_t gbl_caps;
            uint16_t mode_attrs, pad;
            uint32_t ext_lfb_base;
        } vesa_lfb;
    } u;
};
#define XEN_VGATYPE_TEXT_MODE_3 3
#define XEN_VGATYPE_VESA_LFB 0x23
#define XEN_VGATYPE_EFI_LFB 0x70

#define TRAP_FLAG_DPL 3 /* from which rings INT n may come here */
#define TRAP_FLAG_MASK_EVENTS 4
struct trap_info {
    uint8_t vector, flags; /* TRAP_FLAG_* */
    uint16_t cs;
    unsigned long address;
};

struct iret_context {
    uint64_t rax, r11, rcx, flags, rip, cs, rflags, rsp, ss;
};
#define VGCF_in_syscall 0x100

struct guest_user_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint32_t error_code, entry_vector;
    uint64_t rip;
    uint16_t cs, pad0[1];
    uint8_t saved_upcall_mask, pad1[3];
    uint64_t rflags, rsp;
    uint16_t ss, pad2[3], es, pad3[3], ds, pad4[3], fs, pad5[3], gs, pad6[3];
};

struct vcpu_guest_context {
    struct {
        char x[512];
    } fpu_ctxt;
    unsigned long flags;
    struct guest_user_regs user_regs;
    struct trap_info trap_ctxt[256];
    unsigned long ldt_base, ldt_ents;
    unsigned long gdt_frames[16], gdt_ents;
    unsigned long kernel_ss, kernel_sp;
    unsigned long ctrlreg[8];
    unsigned long debugreg[8];
    unsigned long event_callback_eip, failsafe_callback_eip, syscall_callback_eip;
    unsigned long vm_assist;
    uint64_t fs_base, gs_base_kernel, gs_base_user;
};
#define VGCF_i387_valid 1
#define VGCF_in_kernel 4
#define VGCF_failsafe_disables_events 8
#define VGCF_syscall_disables_events 0x10
#define VGCF_online 0x20

/* callback_op */
#define CALLBACKOP_register 0
#define CALLBACKOP_unregister 1
#define CALLBACKTYPE_event 0
#define CALLBACKTYPE_failsafe 1
#define CALLBACKTYPE_syscall 2
#define CALLBACKTYPE_nmi 4
#define CALLBACKTYPE_sysenter 5
#define CALLBACKTYPE_syscall32 7
#define CALLBACKF_mask_events 1

struct callback_register {
    uint16_t type, flags;
    unsigned long address;
};
struct callback_unregister {
    uint16_t type, unused;
};

/* set_segment_base */
#define SEGBASE_FS 0
#define SEGBASE_GS_USER 1
#define SEGBASE_GS_KERNEL 2
#define SEGBASE_GS_USER_SEL 3

/* xen_version */
#define XENVER_version 0
#define XENVER_extraversion 1
#define XENVER_compile_info 2
#define XENVER_capabilities 3
#define XENVER_changeset 4
#define XENVER_platform_parameters 5
#define XENVER_get_features 6
#define XENVER_pagesize 7
#define XENVER_guest_handle 8
#define XENVER_commandline 9
#define XENVER_build_id 10
#define XENVER_extraversion2 11 /* these into a buffer behind its size, a u32 */
#define XENVER_capabilities2 12
#define XENVER_changeset2 13
#define XENVER_commandline2 14

struct xen_compile_info {
    char compiler[64], compile_by[16], compile_domain[32], compile_date[32];
};
struct xen_feature_info {
    unsigned int submap_idx;
    uint32_t submap;
};
#define XENFEAT_mmu_pt_update_preserve_ad 5
#define XENFEAT_highmem_assist 6
#define XENFEAT_gnttab_map_avail_bits 7
#define XENFEAT_pae_pgdir_above_4gb 4
#define XENFEAT_dom0 11
#define XENFEAT_direct_mapped 17

/* ELF notes, name "Xen" */
#define XEN_ELFNOTE_ENTRY 1
#define XEN_ELFNOTE_HYPERCALL_PAGE 2
#define XEN_ELFNOTE_VIRT_BASE 3
#define XEN_ELFNOTE_PADDR_OFFSET 4
#define XEN_ELFNOTE_XEN_VERSION 5
#define XEN_ELFNOTE_INIT_P2M 15
#define XEN_ELFNOTE_MOD_START_PFN 16
#define XEN_ELFNOTE_SUPPORTED_FEATURES 17
