/* SPDX-License-Identifier: MIT */
/* Two modules in one: a cpio archive (newc) with the members "kernel" and "initrd". */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/cpio.h>

void boot_bundle_split(struct boot_info *bi, void *(*map)(paddr_t))
{
    struct boot_module archive = bi->modules[0], *kernel = &bi->modules[0], *initrd = &bi->modules[1];
    u64 size = archive.end - archive.start, off = 0;
    bool have_kernel = false, have_initrd = false;
    struct cpio_member m;

    if (bi->nr_modules != 1)
        return;
    while (off <= size && cpio_member(map(archive.start + off), off, size, &m)) {
        if (cpio_named(&m, "kernel")) {
            kernel->start = archive.start + m.data;
            kernel->end = archive.start + m.end;
            have_kernel = true;
        } else if (have_kernel && cpio_named(&m, "initrd")) {
            *initrd = (struct boot_module){ .start = archive.start + m.data, .end = archive.start + m.end };
            have_initrd = true;
        } else if (!have_kernel) {
            return; /* an ordinary initramfs */
        }
        if (have_initrd || cpio_named(&m, "TRAILER!!!"))
            break;
        off = ROUND_UP(m.end, 4);
    }
    bi->nr_modules = 1 + have_initrd;
}
BOOT_STEP(boot_bundle_split, NEEDS(sound_information), GIVES(modules), EVERYWHERE);
