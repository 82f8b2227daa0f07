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

/* In an area, legacy region (SDM vol. 1, 13.4.1). */
#define FCW_OFFSET 0
#define FSW_OFFSET 2
#define FSW_ES 0x80
#define MXCSR_OFFSET 24
#define MXCSR_MASK_OFFSET 28
#define X87_REGISTERS 32
#define XMM_REGISTERS 160
#define XMM_END 416
#define LEGACY_SIZE \
    512 /* then the XSAVE header: XSTATE_BV, the components that are not as after reset, and words that are 0 (SDM vol. 1, 13.4.2) */

u64 fpu_area_size(void) { return MAX(cpu.xsave_size, (u32)LEGACY_SIZE) + 64; }

static void *aligned(void *area) { return (void *)ROUND_UP((u64)area, 64UL); }

static void put_u16(void *image, unsigned at, u16 v) { memcpy((char *)image + at, &v, sizeof(v)); }

void fpu_area_init(void *area)
{
    area = aligned(area);
    memset(area, 0, fpu_area_size() - 64);
    put_u16(area, FCW_OFFSET, FCW_INIT);
    put_u16(area, MXCSR_OFFSET, MXCSR_INIT);
}

/* 0 says what the first processors with SSE had (SDM vol. 1, 11.6.6). */
u32 fpu_mxcsr_mask(void)
{
    u8 image[LEGACY_SIZE] __aligned_to(16);

    __asm__ volatile("clts; fxsave64 %0" : "=m"(image));
    return read_u32((const char *)image + MXCSR_MASK_OFFSET) ?: 0xffbf;
}

bool fpu_legacy_ok(const void *image) { return !(read_u32((const char *)image + MXCSR_OFFSET) & ~cpu.mxcsr_mask); }

void *fpu_image(void *area) { return aligned(area); }

/* Behind the legacy region: XSTATE_BV, XCOMP_BV, which is for the compacted form, and reserved words. */
bool fpu_image_ok(const void *image, u64 components)
{
    u64 header[8], rest = 0;

    memcpy(header, (const char *)image + LEGACY_SIZE, sizeof(header));
    for (unsigned i = 1; i < ARRAY_SIZE(header); i++)
        rest |= header[i];
    return !(header[0] & ~components) && !rest && fpu_legacy_ok(image);
}

/* Intel SDM vol. 1, 13.3: x87 always, AVX needs SSE, the AVX-512 three together and with AVX. */
bool fpu_xcr0_ok(u64 val)
{
    return cpu.xsave && (val & XCR0_X87) && !(val & ~cpu.xcr0_mask) && (!(val & XCR0_AVX) || (val & XCR0_SSE)) &&
           (!(val & XCR0_AVX512) || ((val & XCR0_AVX512) == XCR0_AVX512 && (val & XCR0_AVX)));
}

void fpu_set_legacy(void *area, const void *image)
{
    const u64 present = XCR0_X87 | XCR0_SSE;
    char *p = aligned(area);

    memset(p, 0, fpu_area_size() - 64);
    memcpy(p, image, LEGACY_SIZE);
    if (cpu.xsave)
        memcpy(p + LEGACY_SIZE, &present, sizeof(present));
}

void fpu_get_legacy(void *area, void *image)
{
    const char *p = aligned(area);
    char *out = image;

    memcpy(out, p, LEGACY_SIZE);
    if (!cpu.xsave)
        return;
    /* XSAVEOPT leaves in memory what it was of components that have their reset value now. MXCSR is always there. */
    u32 present = read_u32(p + LEGACY_SIZE);
    if (!(present & XCR0_X87)) {
        memset(out, 0, MXCSR_OFFSET);
        memset(out + X87_REGISTERS, 0, XMM_REGISTERS - X87_REGISTERS);
        put_u16(out, FCW_OFFSET, FCW_INIT);
    }
    if (!(present & XCR0_SSE))
        memset(out + XMM_REGISTERS, 0, XMM_END - XMM_REGISTERS);
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
