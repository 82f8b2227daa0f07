/* SPDX-License-Identifier: MIT */
/* Which descriptors a guest may have in its tables. Intel SDM vol. 3, 3.4.5; rules: ABI, segments. */
#include <hv/pv.h>

#define TYPE_CALL_GATE 12

static unsigned type_of(u64 desc) { return (desc >> 40) & 15; }

/* SDM vol. 3: 3.4.5 for code and data, 3.5 for the system's descriptors, 5.8.3 for call gates. */
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
