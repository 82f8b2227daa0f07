/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on what reads the loader's, the firmware's and the user's data before a guest exists. The
 * first byte of the input chooses the parser. Under ASan and UBSan, on heap copies of exact size.
 */
#include "fakes.h"

#include <stdlib.h>

#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/cpio.h>
#include <hv/dom0.h>

enum compression compression_detect(const u8 *d, u64 size) { return size >= 4 && d[0] == 0x7f ? COMPRESSION_NONE : COMPRESSION_XZ; }

static u8 *data;
static u64 length;

static void *map(paddr_t pa) { return data + pa; }

static void multiboot2(void)
{
    static struct boot_info bi;

    memset(&bi, 0, sizeof(bi));
    (void)!multiboot2_parse(&bi, data, length);
}

static void bundle(void)
{
    static struct boot_info bi;

    bi.nr_modules = 1;
    bi.modules[0] = (struct boot_module){ .end = length };
    boot_bundle_split(&bi, map);
    for (u32 i = 0; i < bi.nr_modules; i++)
        if (bi.modules[i].start > bi.modules[i].end || bi.modules[i].end > length)
            abort();
}

static void elf(void)
{
    static struct elf_image e;
    const char *why = "";

    static const u64 sizes[] = { 0, 1, 0x4000, 1 << 27, 5ULL << 28 };
    struct dom0_layout l;

    if (elf_parse(data, length, &e, &why))
        return;
    for (u32 i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (!dom0_layout(&e, length << (8 * i), MIN(sizes[i], dom0_layout_max_pages(&e, length << (8 * i))), &l, &why) &&
            (!(l.v_start <= l.kernel_start && l.kernel_start <= e.entry && e.entry < l.kernel_end && l.kernel_end <= l.start_info &&
               l.start_info < l.tables && l.tables < l.stack && l.stack < l.v_end) ||
             !guest_owns_range(l.v_start, l.v_end - l.v_start) || !guest_owns_range(l.p2m, l.nr_p2m_pages << PAGE_SHIFT) ||
             (e.has_hypercall_page && e.hypercall_page - l.v_start > l.kernel_end - l.v_start - PAGE_SIZE)))
            abort();
}

static void microcode(void) { (void)!cpio_is_microcode(data, length); }

static void bzimage(void)
{
    struct payload p;
    const char *why = "";

    if (!bzimage_find_payload(data, length, &p, &why) && (p.data < data || p.data + p.size > data + length))
        abort();
}

static void madt(void)
{
    struct acpi_info a = { 0 };

    (void)!acpi_parse_madt(&a, data, length);
}

static void fadt(void)
{
    struct acpi_info a = { 0 };

    (void)!acpi_parse_fadt(&a, data, length);
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size);
int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
    static void (*const parsers[])(void) = { multiboot2, bundle, elf, bzimage, madt, fadt, microcode };

    if (size < 2)
        return 0;
    length = size - 1;
    data = malloc(length);
    memcpy(data, input + 1, length);
    parsers[input[0] % (sizeof(parsers) / sizeof(parsers[0]))]();
    free(data);
    return 0;
}
