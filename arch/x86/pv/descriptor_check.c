/* SPDX-License-Identifier: MIT */
/* Which descriptors a guest may have in its tables. Intel SDM vol. 3, 3.4.5; rules: ABI, segments. */
#include <hv/pv.h>

#define DESC_ACCESSED (1ULL << 40)
#define DESC_S (1ULL << 44)
#define DESC_DPL_SHIFT 45
#define DESC_DPL (3ULL << DESC_DPL_SHIFT)
#define DESC_PRESENT (1ULL << 47)
#define DESC_L (1ULL << 53)
#define DESC_D (1ULL << 54)
#define DESC_CODE (1ULL << 43)
#define TYPE_CALL_GATE 12

static unsigned type_of(u64 desc) { return (desc >> 40) & 15; }

/* May be changed in place; false: must not be loaded by anyone. */
bool descriptor_check(u64 *desc)
{
    u64 v = *desc;

    if (!(v & DESC_PRESENT))
        return true;
    if (v & DESC_S) {
        /* Code and data: ring 3 and nothing else; accessed already, so that the CPU never writes. */
        v |= DESC_DPL | DESC_ACCESSED;
        /* A conforming segment keeps the caller's ring: as good as any, with DPL 3. */
        if ((v & DESC_CODE) && (v & DESC_L) && (v & DESC_D))
            return false;
        *desc = v;
        return true;
    }
    if (type_of(v) == 0)
        return true;
    if (type_of(v) == TYPE_CALL_GATE) {
        u16 selector = (u16)(v >> 16);

        /* Kept for the guest's eyes with DPL 0: a use of it faults. Its target must be a guest selector. */
        if (((v >> 32) & 0xe0) || selector >= GDT_RESERVED_BASE)
            return false;
        v = (v & ~(3ULL << 16)) | (((v & DESC_DPL) >> DESC_DPL_SHIFT) << 16);
        *desc = v & ~DESC_DPL;
        return true;
    }
    return false;
}
