/* SPDX-License-Identifier: MIT */
/* Bits of registers, error codes and page-table entries, for C and for assembler. Names and numbers: Intel SDM. */
#pragma once

#ifdef __ASSEMBLER__
#define BITS_(x) x
#else
#define BITS_(x) (x##UL)
#endif

/* RFLAGS (vol. 1, 3.4.3) */
#define RFLAGS_CF BITS_(0x1)
#define RFLAGS_FIXED BITS_(0x2)
#define RFLAGS_ZF BITS_(0x40)
#define RFLAGS_TF BITS_(0x100)
#define RFLAGS_IF BITS_(0x200)
#define RFLAGS_IF_BIT 9
#define RFLAGS_DF BITS_(0x400)
#define RFLAGS_IOPL BITS_(0x3000)
#define RFLAGS_NT BITS_(0x4000)
#define RFLAGS_RF BITS_(0x10000)
#define RFLAGS_VM BITS_(0x20000)
#define RFLAGS_AC BITS_(0x40000)
#define RFLAGS_VIF BITS_(0x80000)
#define RFLAGS_VIP BITS_(0x100000)

/* A page fault's error code (vol. 3, 4.7) */
#define PFEC_PRESENT 1
#define PFEC_WRITE 2
#define PFEC_USER 4
#define PFEC_RESERVED 8 /* a reserved bit was set in an entry */
#define PFEC_FETCH 16

/* Debug registers (vol. 3, 18.2) */
#define DR6_WRITABLE BITS_(0xe00f) /* B0 to B3, BD, BS, BT */
#define DR6_BS BITS_(0x4000)
#define DR6_RESERVED_1 BITS_(0xffff0ff0) /* as after reset: nothing has hit */
#define DR7_ENABLES BITS_(0xff)
#define DR7_RESERVED_1 BITS_(0x400)
#define DR7_GD BITS_(0x2000)           /* accesses to debug registers trap */
#define DR7_WRITABLE BITS_(0xffff03ff) /* all but GD and what is reserved */

/* XCR0 (vol. 1, 13.3) */
#define XCR0_X87 BITS_(0x1)
#define XCR0_SSE BITS_(0x2)
#define XCR0_AVX BITS_(0x4)
#define XCR0_AVX512 BITS_(0xe0) /* opmask, ZMM_Hi256, Hi16_ZMM: together or not at all */

/* Segment descriptors (vol. 3, 3.4.5; of the system: 3.5), and a selector's table bit (3.4.2) */
#define DESC_ACCESSED BITS_(0x10000000000)
#define DESC_RW BITS_(0x20000000000) /* data: writable; code: readable */
#define DESC_EXPAND_DOWN BITS_(0x40000000000)
#define DESC_CODE BITS_(0x80000000000)
#define DESC_S BITS_(0x100000000000) /* code or data, not the system's */
#define DESC_DPL_SHIFT 45
#define DESC_DPL BITS_(0x600000000000)
#define DESC_PRESENT BITS_(0x800000000000)
#define DESC_L BITS_(0x20000000000000)
#define DESC_D BITS_(0x40000000000000)
#define DESC_G BITS_(0x80000000000000)
#define DESC_LDT BITS_(0x820000000000) /* present */
#define DESC_TSS BITS_(0x890000000000) /* present, 64-bit, not busy */
#define SEL_TI 4                       /* the LDT's */

/* Page-table entries (vol. 3, 4.5) */
#define PTE_PRESENT BITS_(0x001)
#define PTE_RW BITS_(0x002)
#define PTE_USER BITS_(0x004)
#define PTE_PWT BITS_(0x008)
#define PTE_PCD BITS_(0x010)
#define PTE_ACCESSED BITS_(0x020)
#define PTE_DIRTY BITS_(0x040)
#define PTE_PAT BITS_(0x080) /* in an L1 entry */
#define PTE_PSE BITS_(0x080) /* in an L2 or L3 entry */
#define PTE_GLOBAL BITS_(0x100)
#define PTE_AVAIL BITS_(0xe00)
#define PTE_PAT_LARGE BITS_(0x1000) /* PTE_PAT's meaning in an L2 or L3 entry */
#define PTE_NX BITS_(0x8000000000000000)
