/* SPDX-License-Identifier: MIT */
/* FPU, SSE, AVX and AVX-512 state. Areas have fpu_area_size() bytes, zeroed, any alignment. */
#pragma once

#include <hv/types.h>

#define FCW_INIT 0x37f    /* as FNINIT leaves it (SDM vol. 1, 8.1.5) */
#define MXCSR_INIT 0x1f80 /* as reset leaves it (SDM vol. 1, 10.2.3) */

#define FPU_XSAVE_LEAST 576u /* an XSAVE area's legacy region and its header (SDM vol. 1, 13.4) */

u64 fpu_area_size(void);        /* bytes */
void fpu_area_init(void *area); /* as after FNINIT and reset */
u32 fpu_mxcsr_mask(void);       /* asks this processor; its registers stay */
/* x87 and SSE state as FXSAVE has it, 512 bytes. What is set must be what FXRSTOR takes; other components are as after reset then. */
bool fpu_legacy_ok(const void *image);
/* The whole of it, cpu.xsave_size bytes in XSAVE's standard form; and whether XRSTOR takes an image that has no other components than these. */
void *fpu_image(void *area);
bool fpu_image_ok(const void *image, u64 components);
bool fpu_xcr0_ok(u64 xcr0); /* XSETBV takes it, and we know its components */
void fpu_set_legacy(void *area, const void *image);
void fpu_get_legacy(void *area, void *image);
/* Both leave CR0.TS clear. Saving leaves XCR0 at all that is known; restoring, at the value passed. */
void fpu_save(void *area);
void fpu_restore(void *area, u64 xcr0);
void fpu_load_xcr0(u64 xcr0); /* the running guest's */
