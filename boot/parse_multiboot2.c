/* SPDX-License-Identifier: MIT */
/* Multiboot2 information (specification 2.0, 3.6), every length checked before use. */
#include <hv/efi.h>
#include <hv/printk.h>

enum {
    TAG_END = 0,
    TAG_CMDLINE = 1,
    TAG_LOADER = 2,
    TAG_MODULE = 3,
    TAG_MMAP = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_EFI64 = 12,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
    TAG_EFI_MMAP = 17,
};

struct tag {
    u32 type, size;
};

static int refuse(const char *why)
{
    printk(LOG_ERR "Multiboot2 information: %s\n", why);
    return -EINVAL;
}

static int parse_mmap(struct boot_info *bi, const struct tag *t)
{
    const u8 *p = (const u8 *)t;
    if (t->size < 16)
        return refuse("memory map tag too short");
    u32 entry_size = read_u32(p + 8);
    if (entry_size < 24 || entry_size > 1024)
        return refuse("memory map entry size is absurd");
    for (u32 off = 16; off + entry_size <= t->size; off += entry_size)
        boot_info_add_e820(bi, read_number(p + off, 8), read_number(p + off + 8, 8), read_u32(p + off + 16));
    return 0;
}

static int parse_module(struct boot_info *bi, const struct tag *t)
{
    u32 range[2];

    if (t->size < 16)
        return refuse("module tag too short");
    memcpy(range, t + 1, sizeof(range));
    return boot_info_add_module(bi, range[0], range[1], (const char *)t + 16, t->size - 16) ? 0 : -EINVAL;
}

static void parse_framebuffer(struct boot_info *bi, const struct tag *t)
{
    const u8 *p = (const u8 *)t;
    struct boot_framebuffer *fb = &bi->fb;

    if (t->size < 32)
        return;
    memcpy(&fb->base, p + 8, 8);
    memcpy(&fb->pitch, p + 16, 4);
    memcpy(&fb->width, p + 20, 4);
    memcpy(&fb->height, p + 24, 4);
    fb->bpp = p[28];
    fb->text = p[29] == 2;
    if (p[29] == 1 && t->size >= 38) {
        fb->red_pos = p[32];
        fb->red_size = p[33];
        fb->green_pos = p[34];
        fb->green_size = p[35];
        fb->blue_pos = p[36];
        fb->blue_size = p[37];
    }
    fb->valid = fb->text || (p[29] == 1 && (fb->bpp == 32 || fb->bpp == 24 || fb->bpp == 16 || fb->bpp == 15) && fb->width && fb->height &&
                             fb->width <= FRAMEBUFFER_MAX_SIDE && fb->height <= FRAMEBUFFER_MAX_SIDE &&
                             (u64)fb->pitch >= (u64)fb->width * ((fb->bpp + 7u) / 8));
    if (!fb->valid)
        printk(LOG_WARN
               "Framebuffer: %ux%u, %u bits, %u bytes a line, kind %u: nothing is shown on it. Choose another mode (gfxpayload=)\n",
               fb->width, fb->height, fb->bpp, fb->pitch, p[29]);
}

int multiboot2_parse(struct boot_info *bi, const void *mbi, size_t max_size)
{
    bool have_mmap = false;
    paddr_t rsdp_old = 0;

    if (max_size < 16)
        return refuse("structure too short");
    u32 total = read_u32(mbi);
    if (total < 16 || total > max_size)
        return refuse("total size is absurd");
    for (u32 off = 8; off + sizeof(struct tag) <= total;) {
        const struct tag *t = (const void *)((const u8 *)mbi + off);
        int rc = 0;

        if (t->size < sizeof(*t) || t->size > total - off)
            return refuse("a tag reaches past the end");
        switch (t->type) {
        case TAG_END:
            if (!bi->rsdp)
                bi->rsdp = rsdp_old;
            return have_mmap || efi_boot_data.map_size ? 0 : refuse("no memory map");
        case TAG_CMDLINE: boot_info_copy_line(bi->cmdline, sizeof(bi->cmdline), t + 1, t->size - 8, "of the hypervisor"); break;
        case TAG_LOADER: copy_bounded(bi->loader, sizeof(bi->loader), t + 1, t->size - 8); break;
        case TAG_MODULE: rc = parse_module(bi, t); break;
        case TAG_MMAP:
            /* Under EFI the final map is the one that ExitBootServices() accepted. */
            if (!efi_boot_data.map_size)
                rc = parse_mmap(bi, t);
            have_mmap = true;
            break;
        case TAG_FRAMEBUFFER: parse_framebuffer(bi, t); break;
        case TAG_EFI64:
            if (t->size >= 16)
                memcpy(&bi->efi_system_table, t + 1, 8);
            break;
        case TAG_ACPI_OLD:
        case TAG_ACPI_NEW:
            /* The copy inside the information structure: its address is as good as the original's. */
            if (t->size >= 8 + 20)
                *(t->type == TAG_ACPI_NEW ? &bi->rsdp : &rsdp_old) = off + 8;
            break;
        }
        if (rc)
            return rc;
        off = ROUND_UP(off + t->size, 8u);
    }
    return refuse("no end tag");
}
