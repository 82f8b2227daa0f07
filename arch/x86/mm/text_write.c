/* SPDX-License-Identifier: MIT */
/* The hypervisor's code is read-only wherever it is mapped: boot patches it through a short-lived alias. */
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/x86/page_table.h>

void text_write(u64 at, const u8 *bytes, size_t n)
{
    static u64 window;
    paddr_t pa = image_to_phys((void *)at);

    if (!window)
        window = vmap_reserve(2 * PAGE_SIZE);
    if (!window || hv_map(window, pa & PAGE_MASK, 2 * PAGE_SIZE, HV_RW))
        panic(PANIC_BOOT_MEMORY, "no memory to patch the hypervisor's code");
    memcpy((u8 *)(window + (pa & (PAGE_SIZE - 1))), bytes, n);
    hv_unmap(window, 2 * PAGE_SIZE); /* serialises, too */
}
