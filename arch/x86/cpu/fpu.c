/* FPU state of vCPUs: saved and restored whole at each vCPU switch (no lazy switching: XSA-267). */
#include <hv/lib.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/layout.h>
#include <hv/x86/processor.h>

#define FCW_OFFSET 0
#define MXCSR_OFFSET 24
#define XSTATE_BV_OFFSET 512 /* Intel SDM vol. 1, 13.4.2 */

u64 fpu_area_size(void)
{
    return MAX(cpu.xsave_size, 512u) + 64;
}

static void *aligned(void *area)
{
    return (void *)ROUND_UP((u64)area, 64UL);
}

void fpu_area_init(void *area)
{
    u16 fcw = 0x37f;
    u32 mxcsr = 0x1f80;

    area = aligned(area);
    memcpy((char *)area + FCW_OFFSET, &fcw, sizeof(fcw));
    memcpy((char *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

void fpu_save(void *area, u64 xcr0)
{
    void *p = aligned(area);

    __asm__ volatile("clts");
    if (cpu.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else if (cpu.xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(p) : "memory");
    /* Bits of components that the guest has disabled since stay as they were: XRSTOR would fault on them. */
    if (cpu.xsave)
        *(u64 *)((char *)p + XSTATE_BV_OFFSET) &= xcr0;
}

void fpu_restore(void *area)
{
    void *p = aligned(area);

    __asm__ volatile("clts");
    if (cpu.xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(p) : "memory");
}
