/* SPDX-License-Identifier: MIT */
/* Shared by the boot stubs. The load address is in %ebp; addresses of symbols are offsets from it. */
#pragma once

#include <hv/x86/bits.h>
#include <hv/x86/layout.h>
#include "asm_offsets.h"

/* Offset in the image of a symbol of the boot section, and of one linked high. */
#define BOFF(sym) ((sym)-IMAGE_PHYS_LINK)
#define OFF(sym) ((sym)-IMAGE_VIRT_START)
/* Low half of the virtual address of a symbol linked high. */
#define VLOW(sym) ((sym)-0xffff82d000000000)
#define VHIGH 0xffff82d0

/* First of all in a 32-bit entry; see early_idt32.S. */
#define LOAD_LINKED_TABLES   \
    lgdt linked_gdt_pointer; \
    lidt linked_idt_pointer

#define PTE_NX_HIGH (PTE_NX >> 32) /* in an entry's upper half */

#define L4_IDX(va) (((va) >> 39) & 511)
#define L3_IDX(va) (((va) >> 30) & 511)
#define L2_IDX(va) (((va) >> 21) & 511)
