/* SPDX-License-Identifier: MIT */
/*
 * The direct map of machine memory. In early boot it is promised but empty: the page-fault
 * handler maps what is touched (direct_map_fault). direct_map_init() then builds it from the
 * memory map, without the hypervisor's own code and constants being writable through it.
 */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/system_state.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/tlb.h>

extern char __text_start[], __rodata_end[], __init_text_start[], __init_text_end[], __ro_after_init_start[], __ro_after_init_end[];

bool direct_map_fault(u64 va)
{
    if (booted_past(PHASE_BOOT) || va < DIRECTMAP_VIRT_START || va >= DIRECTMAP_VIRT_END || (va - DIRECTMAP_VIRT_START) >> cpu.phys_bits)
        return false;
    u64 block = ROUND_DOWN(va, MiB(2));
    return hv_map(block, block - DIRECTMAP_VIRT_START, MiB(2), HV_RW | PTE_EARLY) == 0;
}

static void map_range(paddr_t start, paddr_t end, u64 flags)
{
    /* Boot: an allocation failure has already ended in boot_alloc()'s own message. */
    if (start < end && hv_map(DIRECTMAP_VIRT_START + start, start, end - start, flags))
        panic(PANIC_BOOT_MEMORY, "no memory for the direct map");
}

void direct_map_init(void)
{
    const struct boot_info *bi = &boot_info;
    paddr_t text = image_to_phys(__text_start), rodata_end = image_to_phys(__rodata_end);

    /* One L3 table per 512 GiB of machine memory: guests' L4 tables copy these entries, so none may appear later. */
    for (u64 off = 0; off < DIRECTMAP_VIRT_END - DIRECTMAP_VIRT_START; off += GiB(512)) {
        pte_t *e = &hv_l4[PT_INDEX(DIRECTMAP_VIRT_START + off, 4)];

        if (!*e)
            *e = boot_alloc(PAGE_SIZE, PAGE_SIZE) | PTE_PRESENT | PTE_RW | PTE_ACCESSED;
    }

    map_range(0, MiB(1), HV_RW);
    for (u32 i = 0; i < bi->nr_ranges; i++) {
        const struct memory_range *r = &bi->ranges[i];

        if (r->type == E820_RAM || r->type == E820_ACPI || r->type == E820_NVS)
            map_range(MAX(ROUND_DOWN(r->start, PAGE_SIZE), MiB(1)), ROUND_UP(r->end, PAGE_SIZE), HV_RW);
    }
    map_range(text, rodata_end, HV_RO);
    tlb_flush_global_all_cpus();
}
BOOT_STEP(direct_map_init, NEEDS(frame_table, boot_allocator), GIVES(direct_map), EVERYWHERE);

/*
 * Early mappings are of 2 MiB. What is neither RAM nor named by direct_map_add() does not stay in them: guests may
 * map such memory uncached, and the processor reads ahead through what the hypervisor maps.
 */
static void drop_early_mappings(void)
{
    for (u64 va = DIRECTMAP_VIRT_START; va < DIRECTMAP_VIRT_END; va += GiB(512))
        hv_drop_early(PT_INDEX(va, 4));
}

void image_release_init(void)
{
    paddr_t start = image_to_phys(__init_text_start);
    u64 size = (u64)(__init_text_end - __init_text_start);

    paddr_t fixed = image_to_phys(__ro_after_init_start);
    u64 fixed_size = (u64)(__ro_after_init_end - __ro_after_init_start);

    map_range(fixed, fixed + fixed_size, HV_RO);
    if (hv_map((u64)__ro_after_init_start, fixed, fixed_size, HV_RO))
        panic(PANIC_BOOT_MEMORY, "no memory for the image's page tables");
    map_range(start, start + size, HV_RW);
    hv_unmap((u64)__init_text_start, size);
    drop_early_mappings(); /* the boot modules are done with */
    tlb_flush_global_all_cpus();
    page_free_range(start >> PAGE_SHIFT, size >> PAGE_SHIFT);
    printk(LOG_INFO "Released %lu KiB of code that only boot needs\n", size >> 10);
}
BOOT_STEP(image_release_init, NEEDS(dom0, direct_map), GIVES(released_image), EVERYWHERE);

int direct_map_add(paddr_t pa, u64 size)
{
    paddr_t start = ROUND_DOWN(pa, PAGE_SIZE), end = ROUND_UP(pa + size, PAGE_SIZE);

    if (end > DIRECTMAP_VIRT_END - DIRECTMAP_VIRT_START || end < start)
        return -EINVAL;
    int rc = 0;
    for (; start < end && !rc; start += PAGE_SIZE) {
        pte_t e = hv_lookup(DIRECTMAP_VIRT_START + start);

        if (!e || (e & PTE_EARLY))
            rc = hv_map(DIRECTMAP_VIRT_START + start, start, PAGE_SIZE, HV_RW);
    }
    return rc;
}
