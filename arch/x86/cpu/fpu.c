/* SPDX-License-Identifier: MIT */
/*
 * FPU state of vCPUs: saved and restored whole at each vCPU switch (no lazy switching: XSA-267).
 *
 * Whole means under all of XCR0 that this processor and we know, not under the guest's value: registers exist and keep what is in them
 * whatever XCR0 says, SSE's need no bit there at all, and the guest may set the bits again.
 */
#include <hv/lib.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/layout.h>
#include <hv/x86/processor.h>

/* In an area, legacy region (SDM vol. 1, 13.4.1). */
#define FCW_OFFSET 0
#define FSW_OFFSET 2
#define FSW_ES 0x80
#define MXCSR_OFFSET 24

u64 fpu_area_size(void) { return MAX(cpu.xsave_size, 512u) + 64; }

static void *aligned(void *area) { return (void *)ROUND_UP((u64)area, 64UL); }

void fpu_area_init(void *area)
{
    u16 fcw = FCW_INIT;
    u32 mxcsr = MXCSR_INIT;

    area = aligned(area);
    memcpy((char *)area + FCW_OFFSET, &fcw, sizeof(fcw));
    memcpy((char *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

void fpu_load_xcr0(u64 xcr0)
{
    struct percpu *c = this_cpu();

    if (cpu.xsave && c->xcr0 != xcr0) {
        c->xcr0 = xcr0;
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32)));
    }
}

void fpu_save(void *area)
{
    void *p = aligned(area);

    __asm__ volatile("clts");
    fpu_load_xcr0(cpu.xcr0_mask);
    if (cpu.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else if (cpu.xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(p) : "memory");
}

/*
 * AMD's processors save and restore the x87 instruction and data pointers only beside a pending exception, unless they say otherwise:
 * those of the last vCPU would show. A load of our own replaces them (APM vol. 2, 11.4.4; XSA-52).
 */
static void forget_x87_pointers(const void *p)
{
    static const u32 zero;

    if (cpu.x87_pointers_stay && !(*(const u16 *)((const char *)p + FSW_OFFSET) & FSW_ES))
        __asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(zero));
}

void fpu_restore(void *area, u64 xcr0)
{
    void *p = aligned(area);

    __asm__ volatile("clts");
    fpu_load_xcr0(cpu.xcr0_mask);
    forget_x87_pointers(p);
    if (cpu.xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(p) : "memory");
    fpu_load_xcr0(xcr0);
}
