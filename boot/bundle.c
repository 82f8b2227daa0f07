/* Two modules in one: a cpio archive (newc) with the members "kernel" and "initrd". */
#include <hv/boot_info.h>
#include <hv/lib.h>

#define NEWC_HEADER 110

static bool hex_field(const char *p, u64 *v)
{
    *v = 0;
    for (int i = 0; i < 8; i++) {
        char c = p[i] | 32;
        u32 digit = p[i] >= '0' && p[i] <= '9' ? (u32)(p[i] - '0') : c >= 'a' && c <= 'f' ? (u32)(c - 'a') + 10 : 99;

        if (digit == 99)
            return false;
        *v = *v * 16 + digit;
    }
    return true;
}

void boot_bundle_split(struct boot_info *bi, void *(*map)(paddr_t))
{
    struct boot_module archive = bi->modules[0], *kernel = &bi->modules[0], *initrd = &bi->modules[1];
    u64 size = archive.end - archive.start, off = 0;
    bool have_kernel = false, have_initrd = false;

    if (bi->nr_modules != 1)
        return;
    while (off + NEWC_HEADER <= size) {
        const char *h = map(archive.start + off);
        u64 file_size, name_size;

        if (memcmp(h, "070701", 6) || !hex_field(h + 54, &file_size) || !hex_field(h + 94, &name_size))
            return;
        u64 data = ROUND_UP(off + NEWC_HEADER + name_size, 4), end = data + file_size;

        if (!name_size || end > size)
            return;
        const char *name = h + NEWC_HEADER;

        if (name_size == 7 && !memcmp(name, "kernel", 7)) {
            kernel->start = archive.start + data;
            kernel->end = archive.start + end;
            have_kernel = true;
        } else if (have_kernel && name_size == 7 && !memcmp(name, "initrd", 7)) {
            *initrd = (struct boot_module){ .start = archive.start + data, .end = archive.start + end };
            have_initrd = true;
        } else if (!have_kernel) {
            return; /* an ordinary initramfs */
        }
        if (have_initrd || (name_size == 11 && !memcmp(name, "TRAILER!!!", 11)))
            break;
        off = ROUND_UP(end, 4);
    }
    bi->nr_modules = 1 + have_initrd;
}
