/* SPDX-License-Identifier: MIT */
/* PVH start information (public/arch-x86/hvm/start_info.h of the Xen ABI). */
#include <hv/boot_info.h>
#include <hv/mm.h>
#include <hv/printk.h>

#define PVH_MAGIC 0x336ec578
#define MAX_MAP_ENTRIES 65536u /* more is no count */
#define MAX_LINE 4096

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
        boot_info_copy_line(bi->cmdline, sizeof(bi->cmdline), phys_to_virt(si->cmdline), sizeof(bi->cmdline) + 1, "of the hypervisor");
    strlcpy(bi->loader, "direct kernel boot", sizeof(bi->loader));
    bi->rsdp = si->rsdp;

    const struct pvh_memmap_entry *e = phys_to_virt(si->memmap);
    for (u32 i = 0; i < MIN(si->memmap_entries, MAX_MAP_ENTRIES); i++, e++)
        boot_info_add_e820(bi, e->addr, e->size, e->type);

    const struct pvh_module *m = phys_to_virt(si->modlist);
    for (u32 i = 0; i < MIN(si->nr_modules, 2u * BOOT_MAX_MODULES); i++, m++)
        if (!boot_info_add_module(bi, m->paddr, m->paddr + m->size, m->cmdline ? phys_to_virt(m->cmdline) : "", m->cmdline ? MAX_LINE : 1))
            return -EINVAL;
    return 0;
}
