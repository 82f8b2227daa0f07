/* SPDX-License-Identifier: MIT */
/* The machine-to-physical table: written through slot 259, read by guests through slot 256. */
#include <hv/boot_step.h>
#include <hv/panic.h>
#include <hv/x86/page_table.h>

#define M2P_CHUNK_FRAMES (M2P_CHUNK_SIZE / sizeof(u64)) /* 1 GiB of machine memory */

void m2p_init(void)
{
    for (mfn_t first = 0; first <= max_mfn; first += M2P_CHUNK_FRAMES) {
        bool used = false;

        for (mfn_t m = first; m < first + M2P_CHUNK_FRAMES && !used; m += FRAMES_PER_CHUNK)
            used = mfn_valid(m);
        if (!used)
            continue;
        paddr_t pa = boot_alloc_filled(M2P_CHUNK_SIZE, M2P_CHUNK_SIZE, 0xff); /* INVALID_M2P */
        u64 off = first * sizeof(u64);

        /* Boot: failure ends in boot_alloc()'s own message. */
        if (hv_map(RW_M2P_VIRT_START + off, pa, M2P_CHUNK_SIZE, HV_RW) ||
            hv_map(RO_M2P_VIRT_START + off, pa, M2P_CHUNK_SIZE, HV_RO | PTE_USER))
            panic(PANIC_BOOT_MEMORY, "no memory for the M2P table");
    }
}
BOOT_STEP(m2p_init, NEEDS(frame_table), GIVES(m2p), EVERYWHERE);

bool m2p_chunk(u32 n, mfn_t *first)
{
    *first = pte_mfn(hv_lookup(RO_M2P_VIRT_START + n * M2P_CHUNK_SIZE));
    return n <= max_mfn / M2P_CHUNK_FRAMES;
}
