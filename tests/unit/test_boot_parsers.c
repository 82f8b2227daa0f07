/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdio.h>
#include <stdlib.h>

#include <hv/boot_info.h>
#include <hv/cpio.h>
#include <hv/efi.h>

#define EFI_TEST_ABI __attribute__((ms_abi))

/* A Multiboot2 structure under construction; exactly sized heap copies let ASan watch its end. */
static u8 mbi[4096];
static u32 used;

static void begin(void)
{
    memset(mbi, 0, sizeof(mbi));
    used = 8;
}

static void tag(u32 type, const void *body, u32 size)
{
    u32 head[2] = { type, size + 8 };

    memcpy(mbi + used, head, 8);
    memcpy(mbi + used + 8, body, size);
    used = (used + 8 + size + 7) & ~7u;
}

static int parse(struct boot_info *bi)
{
    memcpy(mbi, &used, 4);
    u8 *exact = malloc(used);

    memcpy(exact, mbi, used);
    memset(bi, 0, sizeof(*bi));
    int rc = multiboot2_parse(bi, exact, used);

    free(exact);
    return rc;
}

static void add_mmap(void)
{
    struct {
        u32 entry_size, version;
        struct {
            u64 base, length;
            u32 type, zero;
        } e[3];
    } m = { 24, 0, { { 0, 0x9fc00, 1, 0 }, { 0x100000, 0x7f00000, 1, 0 }, { 0xfffc0000, 0x40000, 77, 0 } } };

    tag(6, &m, sizeof(m));
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    memset(&efi_boot_data, 0, sizeof(efi_boot_data));
    begin();
    return 0;
}

static void complete(void **state)
{
    (void)state;
    static struct boot_info bi;
    struct {
        u32 start, end;
        char line[24];
    } module = { 0x400000, 0x500000, "console=hvc0" };
    u8 rsdp[36] = "RSD PTR ";

    tag(1, "loglvl=all", 11);
    tag(2, "GRUB 2.06", 10);
    add_mmap();
    tag(3, &module, 8 + 13);
    tag(15, rsdp, 36);
    tag(0, "", 0);
    assert_int_equal(parse(&bi), 0);
    assert_string_equal(bi.cmdline, "loglvl=all");
    assert_string_equal(bi.loader, "GRUB 2.06");
    assert_int_equal(bi.nr_ranges, 3);
    assert_int_equal(bi.ranges[2].type, E820_RESERVED); /* unknown types are not RAM */
    assert_int_equal(bi.nr_modules, 1);
    assert_int_equal(bi.modules[0].end, 0x500000);
    assert_string_equal(bi.modules[0].cmdline, "console=hvc0");
    assert_int_not_equal(bi.rsdp, 0);
}

/* What can be drawn on, and what is said of the rest. */
static void framebuffers(void **state)
{
    (void)state;
    static struct boot_info bi;
    static const struct {
        u8 bpp, kind;
        u32 pitch;
        bool valid;
    } kinds[] = { { 32, 1, 4096, true }, { 15, 1, 2048, true }, { 15, 1, 2047, false }, { 8, 0, 1024, false },
                  { 8, 1, 1024, false }, { 16, 2, 160, true },  { 32, 1, 0, false },    { 32, 9, 4096, false } };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct {
            u64 base;
            u32 pitch, width, height;
            u8 bpp, kind, reserved[2], channels[6];
        } __packed fb = { 0xe0000000, kinds[i].pitch, 1024, 768, kinds[i].bpp, kinds[i].kind, { 0 }, { 10, 5, 5, 5, 0, 5 } };

        fake_reset();
        begin();
        add_mmap();
        tag(8, &fb, sizeof(fb));
        tag(0, "", 0);
        assert_int_equal(parse(&bi), 0);
        assert_int_equal(bi.fb.valid, kinds[i].valid);
        assert_int_equal(!!strstr(fake_log, "nothing is shown on it"), !kinds[i].valid);
    }
}

static void refused(void **state)
{
    (void)state;
    static struct boot_info bi;

    tag(0, "", 0);
    assert_int_not_equal(parse(&bi), 0); /* no memory map */
    begin();
    add_mmap();
    assert_int_not_equal(parse(&bi), 0); /* no end */
    begin();
    u32 module[2] = { 0x500000, 0x400000 };
    tag(3, module, 8);
    add_mmap();
    tag(0, "", 0);
    assert_int_not_equal(parse(&bi), 0);
    begin();
    u32 mmap[2] = { 0, 0 };
    tag(6, mmap, 8);
    tag(0, "", 0);
    assert_int_not_equal(parse(&bi), 0); /* entry size 0 */
    assert_int_not_equal(multiboot2_parse(&bi, mbi, 4), 0);
    u32 huge = 0xffffffff;
    memcpy(mbi, &huge, 4);
    assert_int_not_equal(multiboot2_parse(&bi, mbi, sizeof(mbi)), 0);
}

/* Every single-byte change and every truncation: accepted or refused, never out of bounds. */
static void mutations(void **state)
{
    (void)state;
    static struct boot_info bi;
    u8 fb[38] = { 0 };

    tag(1, "loglvl=all", 11);
    add_mmap();
    tag(8, fb, 30);
    u32 module[2] = { 1, 2 };
    tag(3, module, 8);
    tag(14, "RSD PTR 123456789012", 20);
    tag(12, "12345678", 8);
    tag(0, "", 0);
    u32 size = used;
    u8 good[4096];

    memcpy(mbi, &used, 4);
    memcpy(good, mbi, size);
    srandom(1);
    for (u32 i = 0; i < 60000; i++) {
        u32 n = i < size ? i : (u32)random() % (size + 1);
        u8 *exact = malloc(n ? n : 1);

        memcpy(exact, good, n);
        for (u32 k = 0; k < 3 && n > 8 && i >= size; k++)
            exact[(u32)random() % n] = (u8)random();
        if (n >= 4)
            memcpy(exact, &n, 4);
        memset(&bi, 0, sizeof(bi));
        (void)!multiboot2_parse(&bi, exact, n);
        assert_true(bi.nr_modules <= BOOT_MAX_MODULES && bi.nr_ranges <= BOOT_MAX_MEMORY_RANGES);
        boot_info_sort_memory(&bi);
        free(exact);
        fake_log[0] = 0;
    }
}

static void memory_map(void **state)
{
    (void)state;
    static struct boot_info bi;

    memset(&bi, 0, sizeof(bi));
    boot_info_add_memory(&bi, 0x100000, 0x8000000, E820_RAM);
    boot_info_add_memory(&bi, 0, 0xa0000, E820_RAM);
    boot_info_add_memory(&bi, 0x7000000, 0x7100000, E820_ACPI); /* inside RAM */
    boot_info_add_memory(&bi, 0x8000000, 0x9000000, E820_RAM);  /* continues */
    boot_info_add_memory(&bi, 0x9f000, 0xa8000, E820_RESERVED); /* overlaps the end */
    boot_info_sort_memory(&bi);
    assert_true(boot_info_has_ram(&bi, 0x9f000, 0x100001) && boot_info_has_ram(&bi, 0, 1));
    assert_false(boot_info_has_ram(&bi, 0x9f000, 0x100000) || boot_info_has_ram(&bi, 0x9000000, ~0UL));
    assert_int_equal(boot_info_memory_type(&bi, 0x9efff), E820_RAM);
    assert_int_equal(boot_info_memory_type(&bi, 0x9f000), E820_RESERVED);
    assert_int_equal(boot_info_memory_type(&bi, 0x7000000), E820_ACPI);
    assert_int_equal(boot_info_memory_type(&bi, 0x7100000), E820_RAM);
    assert_int_equal(boot_info_memory_type(&bi, 0x8800000), E820_RAM);
    assert_int_equal(boot_info_memory_type(&bi, 0x9000000), 0);
    for (u32 i = 1; i < bi.nr_ranges; i++)
        assert_true(bi.ranges[i - 1].end <= bi.ranges[i].start);
    assert_int_equal(bi.nr_ranges, 5);
}

static u8 archive[4096];
static void *map(paddr_t pa) { return archive + pa; }

static u32 member(u32 at, const char *name, const char *data)
{
    u32 n = (u32)strlen(name) + 1, len = (u32)strlen(data);

    at += (u32)sprintf((char *)archive + at, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, 0, 0, 0, 1, 0, len, 0, 0, 0,
                       0, n, 0);
    memcpy(archive + at, name, n);
    at = (at + n + 3) & ~3u;
    memcpy(archive + at, data, len);
    return (at + len + 3) & ~3u;
}

static void bundle(void **state)
{
    (void)state;
    static struct boot_info bi;
    u32 end;

    memset(archive, 0, sizeof(archive));
    end = member(0, "kernel", "KERNELDATA");
    end = member(end, "initrd", "INITRD");
    end = member(end, "TRAILER!!!", "");
    memset(&bi, 0, sizeof(bi));
    bi.nr_modules = 1;
    bi.modules[0].end = end;
    boot_bundle_split(&bi, map);
    assert_int_equal(bi.nr_modules, 2);
    assert_memory_equal(archive + bi.modules[0].start, "KERNELDATA", 10);
    assert_int_equal(bi.modules[0].end - bi.modules[0].start, 10);
    assert_memory_equal(archive + bi.modules[1].start, "INITRD", 6);
    /* An ordinary initramfs stays one module. */
    memset(archive, 0, sizeof(archive));
    end = member(0, "init", "#!/bin/sh");
    bi.nr_modules = 1;
    bi.modules[0] = (struct boot_module){ .end = end };
    boot_bundle_split(&bi, map);
    assert_int_equal(bi.nr_modules, 1);
    assert_int_equal(bi.modules[0].start, 0);
    /* Truncated and damaged archives. */
    for (u32 i = 0; i < 400; i++) {
        end = member(0, "kernel", "KERNELDATA");
        member(end, "initrd", "INITRD");
        archive[i] ^= (u8)(1 + i % 255);
        bi.nr_modules = 1;
        bi.modules[0] = (struct boot_module){ .end = 300 - i % 290 };
        boot_bundle_split(&bi, map);
        assert_true(bi.modules[0].end <= 4096 && bi.modules[0].start <= bi.modules[0].end);
    }
}

static void microcode(void **state)
{
    (void)state;
    u32 end;

    memset(archive, 0, sizeof(archive));
    end = member(0, ".", "");
    end = member(end, "kernel", "");
    end = member(end, "kernel/x86", "");
    end = member(end, "kernel/x86/microcode", "");
    end = member(end, "kernel/x86/microcode/GenuineIntel.bin", "MICROCODE");
    end = member(end, "TRAILER!!!", "");
    assert_true(cpio_is_microcode(archive, end));
    assert_true(cpio_is_microcode(archive, end + 512)); /* padded */
    u32 second = member(end + 64, "early_cpio", "1");

    second = member(second, "kernel/x86/microcode/AuthenticAMD.bin", "MICROCODE");
    second = member(second, "TRAILER!!!", "");
    assert_true(cpio_is_microcode(archive, second)); /* one vendor's behind the other's */
    second = member(second, "init", "#!/bin/sh");
    assert_false(cpio_is_microcode(archive, second));
    memset(archive + end, 0, sizeof(archive) - end);
    archive[end + 100] = 0x1f; /* an initrd behind it, as Debian makes them */
    assert_false(cpio_is_microcode(archive, end + 512));
    assert_false(cpio_is_microcode(archive, end - 120)); /* cut */
    memset(archive, 0, sizeof(archive));
    end = member(0, "./kernel/x86/microcode/AuthenticAMD.bin", "MICROCODE");
    end = member(end, "init", "#!/bin/sh");
    end = member(end, "TRAILER!!!", "");
    assert_false(cpio_is_microcode(archive, end));
    assert_false(cpio_is_microcode(archive, 0));
}

/* Places that the recorder or the page allocator want. */
static void free_places(void **state)
{
    (void)state;
    static struct boot_info bi;

    memset(&bi, 0, sizeof(bi));
    bi.image_phys = MiB(16);
    bi.info_start = MiB(20) + 100;
    bi.info_end = MiB(20) + 200;
    boot_info_add_memory(&bi, MiB(1), MiB(200), E820_RAM);
    boot_info_add_memory(&bi, MiB(64) + 0x4000, MiB(64) + 0x5000, E820_RESERVED); /* inside, neither end touches it */
    boot_info_sort_memory(&bi);
    assert_true(boot_info_add_module(&bi, MiB(30), MiB(30) + 5000, "", 1));
    assert_true(boot_info_add_module(&bi, MiB(30) + 4096, MiB(31), "", 1));
    assert_true(boot_info_place_is_free(&bi, MiB(96), MiB(96) + 0x10000, 2));
    assert_false(boot_info_place_is_free(&bi, MiB(64), MiB(64) + 0x10000, 2));
    assert_false(boot_info_place_is_free(&bi, MiB(200) - 4096, MiB(200) + 4096, 2));
    assert_false(boot_info_place_is_free(&bi, MiB(17), MiB(17) + 4096, 2));
    assert_false(boot_info_place_is_free(&bi, MiB(20), MiB(20) + 4096, 2));
    assert_true(boot_info_place_is_free(&bi, MiB(20) + 4096, MiB(20) + 8192, 2));
    /* The frame that both modules have is the first one's to free. */
    assert_true(boot_info_place_is_free(&bi, MiB(30) + 4096, MiB(30) + 8192, 0));
    assert_false(boot_info_place_is_free(&bi, MiB(30) + 4096, MiB(30) + 8192, 1));
    assert_false(boot_info_add_module(&bi, MiB(31), MiB(30), "", 1));
    for (u32 i = 0; i < 2 * BOOT_MAX_MODULES; i++)
        assert_true(boot_info_add_module(&bi, MiB(40 + i), MiB(41 + i), "", 1)); /* named, and left out */
    assert_int_equal(bi.nr_modules, BOOT_MAX_MODULES);
    assert_non_null(strstr(fake_log, "is not used"));
}

static void long_maps(void **state)
{
    (void)state;
    static struct boot_info bi;
    const u64 step = MiB(1);

    memset(&bi, 0, sizeof(bi));
    for (u64 i = 1000; i--;) /* unsorted */
        boot_info_add_memory(&bi, i * step, i * step + KiB(4 + i % 1000), i % 2 ? E820_RAM : E820_RESERVED);
    boot_info_sort_memory(&bi);
    assert_int_equal(bi.nr_ranges, 1000);
    assert_int_equal(bi.nr_dropped, 0);
    assert_int_equal(boot_info_memory_type(&bi, 999 * step), E820_RAM);
    /* Too many: what forbids the use of memory is kept at the cost of memory. */
    fake_reset();
    memset(&bi, 0, sizeof(bi));
    boot_info_add_memory(&bi, 0, 3000 * step, E820_RAM);
    for (u64 i = 1; i < BOOT_MAX_MEMORY_RANGES; i++)
        boot_info_add_memory(&bi, (3000 + i) * step, (3000 + i) * step + 4096, E820_RAM);
    boot_info_add_memory(&bi, 5 * step, 6 * step, E820_RESERVED);
    boot_info_add_memory(&bi, 9000 * step, 9001 * step, E820_RAM);
    boot_info_sort_memory(&bi);
    assert_int_equal(boot_info_memory_type(&bi, 5 * step), E820_RESERVED);
    assert_int_equal(boot_info_memory_type(&bi, 4 * step), E820_RAM);
    assert_int_equal(boot_info_memory_type(&bi, 9000 * step), 0);
    assert_non_null(strstr(fake_log, "are left out"));
    /* Sizes that wrap. */
    memset(&bi, 0, sizeof(bi));
    boot_info_add_e820(&bi, MiB(1), ~0UL, 2);
    boot_info_add_e820(&bi, ~0UL - 4095, 8192, 0);
    assert_int_equal(bi.ranges[0].end, ~0UL);
    assert_int_equal(bi.ranges[1].type, E820_RESERVED);
    /* RAM that no processor, or not this one, can reach. */
    fake_reset();
    memset(&bi, 0, sizeof(bi));
    boot_info_add_e820(&bi, MiB(1), ~0UL, 1);
    boot_info_add_e820(&bi, GiB(4), 1UL << 53, 1);
    boot_info_add_e820(&bi, 1UL << 41, MiB(1), 1);
    boot_info_add_memory(&bi, 1UL << 51, ~0UL, E820_RAM);
    assert_int_equal(bi.nr_ranges, 0);
    assert_non_null(strstr(fake_log, "RAM at 100000 to ffffffffffffffff cannot be: it is left out"));
    boot_info_add_e820(&bi, (1UL << 40) - MiB(1), MiB(2), 1);
    assert_int_equal(bi.ranges[0].end, 1UL << 40);
    assert_non_null(strstr(fake_log, "it is cut where the processor's addresses end"));
}

/* PVH's structures, in the first frames of memory. */
static void pvh(void **state)
{
    (void)state;
    static struct boot_info bi;
    struct {
        u32 magic, version, flags, nr_modules;
        u64 modlist, cmdline, rsdp, memmap;
        u32 entries, reserved;
    } * si;
    struct {
        u64 paddr, size, cmdline, reserved;
    } * modules;
    struct {
        u64 addr, size;
        u32 type, reserved;
    } * map;

    fake_memory_init();
    si = phys_to_virt(0x1000);
    modules = phys_to_virt(0x2000);
    map = phys_to_virt(0x4000);
    memset(&bi, 0, sizeof(bi));
    memset(si, 0, sizeof(*si));
    si->magic = 0x336ec578;
    si->version = 1;
    si->memmap = 0x4000;
    si->modlist = 0x2000;
    si->nr_modules = 2;
    si->entries = 1000;
    for (u32 i = 0; i < 1000; i++)
        map[i].addr = i * MiB(2), map[i].size = MiB(1), map[i].type = 1, map[i].reserved = 0;
    memset(modules, 0, 4096);
    modules[0].paddr = 0x140000000, modules[0].size = 5000;
    modules[1].paddr = 0x150000000, modules[1].size = 0;
    assert_int_equal(pvh_parse(&bi, 0x1000), 0);
    assert_int_equal(bi.nr_ranges, 1000);
    assert_int_equal(bi.modules[0].end, 0x140000000 + 5000);
    modules[1].size = ~0UL - 0x1000; /* ends before it starts */
    memset(&bi, 0, sizeof(bi));
    assert_int_not_equal(pvh_parse(&bi, 0x1000), 0);
    assert_non_null(strstr(fake_log, "ends before it starts"));
    modules[1].size = 1UL << 40;
    memset(&bi, 0, sizeof(bi));
    assert_int_not_equal(pvh_parse(&bi, 0x1000), 0);
    assert_non_null(strstr(fake_log, "lies beyond the processor's addresses"));
    modules[1].size = 1;
    si->nr_modules = 0xffffffff;
    memset(&bi, 0, sizeof(bi));
    assert_int_equal(pvh_parse(&bi, 0x1000), 0);
    assert_int_equal(bi.nr_modules, BOOT_MAX_MODULES);
}

static u64 EFI_TEST_ABI no_map(u64 *size, void *to, u64 *key, u64 *desc_size, u32 *version)
{
    (void)size, (void)to, (void)key, (void)desc_size, (void)version;
    return EFI_BUFFER_TOO_SMALL;
}

/* Before there is a console: tags that make no sense end in a status, not in a loop or a fault. */
static void efi_exit(void **state)
{
    (void)state;
    static u64 services[64], table[32];
    u64 table_at = (u64)table, handle = 7;
    u32 bad[2] = { 99, 0xfffffff9 };

    services[56 / 8] = (u64)no_map;
    table[96 / 8] = (u64)services;
    tag(12, &table_at, 8);
    tag(20, &handle, 8);
    u32 without_end = used;

    tag(0, "", 0);
    memcpy(mbi, &used, 4);
    efi_exit_boot_services((paddr_t)mbi);
    assert_int_equal(efi_boot_data.status, EFI_NOT_STARTED); /* nobody was called */
    used = without_end;
    tag(18, "", 0);
    tag(0, "", 0);
    memcpy(mbi, &used, 4);
    efi_exit_boot_services((paddr_t)mbi);
    assert_int_equal(efi_boot_data.status, EFI_BUFFER_TOO_SMALL);
    begin();
    tag(1, "loglvl=all", 11);
    memcpy(mbi + used, bad, 8);
    used += 64;
    memcpy(mbi, &used, 4);
    efi_exit_boot_services((paddr_t)mbi);
    assert_int_equal(efi_boot_data.status, EFI_NOT_FOUND);
    begin();
    tag(12, &table_at, 0);
    tag(20, &handle, 8);
    tag(0, "", 0);
    memcpy(mbi, &used, 4);
    efi_exit_boot_services((paddr_t)mbi);
    assert_int_equal(efi_boot_data.status, EFI_NOT_FOUND);
    memset(mbi, 0xff, 4);
    efi_exit_boot_services((paddr_t)mbi);
    assert_int_equal(efi_boot_data.status, EFI_NOT_FOUND);
}

static void efi_map(void **state)
{
    (void)state;
    static struct boot_info bi;
    struct {
        u32 type, pad;
        u64 start, virt, pages, attribute, extra;
    } e[7] = { { 7, 0, 0x100000, 0, 16, 0xf, 0 },      { 4, 0, 0x110000, 0, 16, 0xf, 0 }, { 9, 0, 0x120000, 0, 1, 0xf, 0 },
               { 6, 0, 0x121000, 0, 1, 0xf, 0 },       { 7, 0, 0x130000, 0, 1, 0x1, 0 },  { 7, 0, 0x140000, 0, 16, 0x4000f, 0 },
               { 11, 0, 0x160000, 0, 1UL << 60, 0, 0 } };

    memset(&bi, 0, sizeof(bi));
    efi_boot_data.map_size = sizeof(e);
    efi_boot_data.desc_size = sizeof(e[0]);
    memcpy(efi_boot_data.map, e, sizeof(e));
    efi_add_memory_map(&bi);
    assert_int_equal(bi.nr_ranges, 6);
    assert_int_equal(bi.ranges[4].type, E820_RESERVED); /* for one purpose */
    assert_true(bi.ranges[5].end > 1UL << 63);          /* as far as addresses go */
    assert_int_equal(bi.ranges[0].end, 0x120000);       /* boot services memory is free again */
    assert_int_equal(bi.ranges[1].type, E820_ACPI);
    assert_int_equal(bi.ranges[2].type, E820_RESERVED); /* runtime services */
    assert_int_equal(bi.ranges[3].type, E820_RESERVED); /* not write-back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(complete, setup),    cmocka_unit_test_setup(refused, setup),    cmocka_unit_test_setup(framebuffers, setup),
        cmocka_unit_test_setup(mutations, setup),   cmocka_unit_test_setup(memory_map, setup), cmocka_unit_test_setup(bundle, setup),
        cmocka_unit_test_setup(efi_map, setup),     cmocka_unit_test_setup(efi_exit, setup),   cmocka_unit_test_setup(microcode, setup),
        cmocka_unit_test_setup(free_places, setup), cmocka_unit_test_setup(long_maps, setup),  cmocka_unit_test_setup(pvh, setup),
    };

    return cmocka_run_group_tests_name("boot parsers", tests, NULL, NULL);
}
