#include "fakes.h"

#include <stdio.h>
#include <stdlib.h>

#include <hv/boot_info.h>
#include <hv/efi.h>
#include <hv/efi_boot.h>

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

    at += (u32)sprintf((char *)archive + at, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, 0, 0, 0, 1, 0,
                       len, 0, 0, 0, 0, n, 0);
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

static void efi_map(void **state)
{
    (void)state;
    static struct boot_info bi;
    struct {
        u32 type, pad;
        u64 start, virt, pages, attribute, extra;
    } e[5] = { { 7, 0, 0x100000, 0, 16, 0xf, 0 },   { 4, 0, 0x110000, 0, 16, 0xf, 0 }, { 9, 0, 0x120000, 0, 1, 0xf, 0 },
               { 6, 0, 0x121000, 0, 1, 0xf, 0 },    { 7, 0, 0x130000, 0, 1, 0x1, 0 } };

    memset(&bi, 0, sizeof(bi));
    efi_boot_data.map_size = sizeof(e);
    efi_boot_data.desc_size = sizeof(e[0]);
    memcpy(efi_boot_data.map, e, sizeof(e));
    efi_add_memory_map(&bi);
    assert_int_equal(bi.nr_ranges, 4);
    assert_int_equal(bi.ranges[0].end, 0x120000); /* boot services memory is free again */
    assert_int_equal(bi.ranges[1].type, E820_ACPI);
    assert_int_equal(bi.ranges[2].type, E820_RESERVED); /* runtime services */
    assert_int_equal(bi.ranges[3].type, E820_RESERVED); /* not write-back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(complete, setup), cmocka_unit_test_setup(refused, setup),
        cmocka_unit_test_setup(mutations, setup), cmocka_unit_test_setup(memory_map, setup),
        cmocka_unit_test_setup(bundle, setup), cmocka_unit_test_setup(efi_map, setup),
    };

    return cmocka_run_group_tests_name("boot parsers", tests, NULL, NULL);
}
