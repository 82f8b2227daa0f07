/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's part of every address space: L4 slots 256 to 271 (the hole that the
 * PV ABI reserves). Included by C, assembler and the linker script.
 *
 *   256  ffff800000000000  M2P table, read-only and visible to guests (ABI)
 *   257  ffff808000000000  vmap: stacks with guard pages, device registers
 *   258  ffff810000000000  per-domain: the GDT and LDT windows of the running domain's vCPUs
 *   259  ffff818000000000  M2P table, writable alias
 *   260  ffff820000000000  frame table (struct page_info per machine frame)
 *   261  ffff82d040000000  the hypervisor image
 *   262  ffff830000000000  direct map of all RAM, to the end of slot 271
 */
#pragma once

#ifdef __ASSEMBLER__
#define _VA(x) x
#else
#define _VA(x) (x##UL)
#endif

#define HV_SLOT_FIRST 256
#define HV_SLOT_LAST 271
/* Boot only, in a slot of the guests' (scratch.c). */
#define SCRATCH_VIRT_START _VA(0x8000000000)
#define SCRATCH_VIRT_END _VA(0x10000000000)
#define HV_VIRT_START _VA(0xffff800000000000)
#define HV_VIRT_END _VA(0xffff880000000000)
#define RO_M2P_VIRT_START _VA(0xffff800000000000)
#define RO_M2P_VIRT_END _VA(0xffff804000000000)
#define VMAP_VIRT_START _VA(0xffff808000000000)
#define VMAP_VIRT_END _VA(0xffff80c000000000)
#define VMAP_CPUS_VIRT_START _VA(0xffff80bfc0000000) /* its last GiB: CPUs' areas and IST stacks */
#define PERDOMAIN_VIRT_START _VA(0xffff810000000000)
#define PERDOMAIN_SLOT 258
#define RW_M2P_VIRT_START _VA(0xffff818000000000)
#define FRAMETABLE_VIRT_START _VA(0xffff820000000000)
#define IMAGE_VIRT_START _VA(0xffff82d040000000)
#define DIRECTMAP_VIRT_START _VA(0xffff830000000000)
#define DIRECTMAP_VIRT_END _VA(0xffff880000000000)

/* The whole image (text, data, bss, boot code) fits one L1 table. */
#define IMAGE_PHYS_LINK 0x200000
#define IMAGE_MAX_SIZE 0x200000

/* Exception stubs: 256 of 16 bytes at a fixed place, so that the IDT can be built by the assembler. */
#define STUBS_VIRT (IMAGE_VIRT_START + 0x4000)
#define STUB_SIZE 16

/* The same for the 32-bit boot stub, where it is linked. */
#define STUBS32_PHYS (IMAGE_PHYS_LINK + 0x400)
#define STUB32_SIZE 8

/*
 * Stack blocks, one per vCPU and one per (CPU, IST vector). First page: the SYSCALL
 * entry trampoline (vCPU blocks only); second: a guard, not mapped or the shadow stack; top: struct stack_top.
 */
#define STACK_BLOCK_SHIFT 15
#define STACK_BLOCK_SIZE (1 << STACK_BLOCK_SHIFT)

/* Per-domain area: 128 KiB for each vCPU, 16 pages of GDT and 16 of LDT. */
#define GDT_LDT_VCPU_SHIFT 17
#define GDT_LDT_PAGES 32

/* Selectors (ABI: everything at and above 0xe000 is the hypervisor's). */
#define GDT_RESERVED_BASE 0xe000
#define SEL_HV_CS64 0xe008
#define SEL_HV_DS 0xe010
#define SEL_BOOT_CS32 0xe018
#define SEL_GUEST_CS32 0xe023
#define SEL_GUEST_DS 0xe02b
#define SEL_GUEST_CS64 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050
#define GDT_LIMIT 0xefff

/* Control-register bits the entry code sets. */
#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_TS 0x8
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000
#define CR0_PG 0x80000000
#define CR0_BOOT (CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR4_PAE 0x20
#define CR4_LA57 0x1000
#define CR4_PCIDE 0x20000
#define CR4_BOOT (CR4_PAE | 0x40 | 0x80 | 0x200 | 0x400) /* PAE MCE PGE OSFXSR OSXMMEXCPT */
#define MSR_EFER 0xc0000080
#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800
#define EFER_BOOT (EFER_SCE | EFER_LME | EFER_NXE)

/* How the machine was entered; first argument of boot_main(). */
#define BOOT_PROTO_MULTIBOOT2 1
#define BOOT_PROTO_MULTIBOOT2_EFI 2
#define BOOT_PROTO_PVH 3
