/* PVH start information (public/arch-x86/hvm/start_info.h of the Xen ABI). */
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/mm.h>
#include <hv/printk.h>

#define PVH_MAGIC 0x336ec578

struct pvh_start_info {
    u32 magic, version, flags, nr_modules;
    u64 modlist, cmdline, rsdp;
    u64 memmap; /* version 1 */
    u32 memmap_entries, reserved;
};
struct pvh_module {
    u64 paddr, size, cmdline, reserved;
};
struct pvh_memmap_entry {
    u64 addr, size;
    u32 type, reserved;
};

int pvh_parse(struct boot_info *bi, paddr_t at)
{
    const struct pvh_start_info *si = phys_to_virt(at);

    if (si->magic != PVH_MAGIC || si->version < 1 || !si->memmap) {
        printk(LOG_ERR "PVH start information: wrong magic, or a version without a memory map. Use QEMU 4.0 or newer.\n");
        return -EINVAL;
    }
    if (si->cmdline)
        strlcpy(bi->cmdline, phys_to_virt(si->cmdline), sizeof(bi->cmdline));
    strlcpy(bi->loader, "PVH", sizeof(bi->loader));
    bi->rsdp = si->rsdp;

    const struct pvh_memmap_entry *e = phys_to_virt(si->memmap);

    for (u32 i = 0; i < si->memmap_entries && i < BOOT_MAX_MEMORY_RANGES; i++, e++)
        boot_info_add_memory(bi, e->addr, e->addr + e->size, e->type >= 1 && e->type <= 5 ? e->type : E820_RESERVED);

    const struct pvh_module *m = phys_to_virt(si->modlist);

    for (u32 i = 0; i < si->nr_modules && i < BOOT_MAX_MODULES; i++, m++) {
        struct boot_module *b = &bi->modules[bi->nr_modules++];

        b->start = m->paddr;
        b->end = m->paddr + m->size;
        if (m->cmdline)
            strlcpy(b->cmdline, phys_to_virt(m->cmdline), sizeof(b->cmdline));
    }
    return 0;
}
