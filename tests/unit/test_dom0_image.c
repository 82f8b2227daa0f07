/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <elf.h>
#include <stdlib.h>

#include <hv/dom0.h>

static u8 file[2048];
static u64 file_size;

enum compression compression_detect(const u8 *d, u64 size) { return size < 4 || d[0] != 0xfd ? COMPRESSION_NONE : COMPRESSION_XZ; }

static u64 note(u64 at, u32 type, const void *desc, u32 size)
{
    Elf64_Nhdr n = { 4, size, type };

    memcpy(file + at, &n, sizeof(n));
    memcpy(file + at + 12, "Xen", 4);
    memcpy(file + at + 16, desc, size);
    return at + 16 + ((size + 3) & ~3u);
}

static void make_elf(void)
{
    Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
                     .e_type = ET_EXEC,
                     .e_machine = EM_X86_64,
                     .e_phoff = 64,
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = 3 };
    u64 base = 0xffffffff80000000, entry = 0xffffffff81000000, zero = 0, p2m = 0x8000000000, one = 1;
    u32 features = 0x8801;
    u64 end;

    memset(file, 0, sizeof(file));
    end = note(512, XEN_ELFNOTE_ENTRY, &entry, 8);
    end = note(end, XEN_ELFNOTE_VIRT_BASE, &base, 8);
    end = note(end, XEN_ELFNOTE_PADDR_OFFSET, &zero, 8);
    end = note(end, XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8);
    end = note(end, XEN_ELFNOTE_INIT_P2M, &p2m, 8);
    end = note(end, XEN_ELFNOTE_MOD_START_PFN, &one, 8);
    end = note(end, XEN_ELFNOTE_SUPPORTED_FEATURES, &features, 4);
    Elf64_Phdr p[3] = {
        { .p_type = PT_LOAD, .p_offset = 1024, .p_filesz = 100, .p_memsz = 8192, .p_paddr = 0x1000000 },
        { .p_type = PT_LOAD, .p_offset = 1200, .p_filesz = 10, .p_memsz = 10, .p_paddr = 0x1100000, .p_vaddr = 0 },
        { .p_type = PT_NOTE, .p_offset = 512, .p_filesz = end - 512 },
    };

    memcpy(file, &h, sizeof(h));
    memcpy(file + 64, p, sizeof(p));
    file_size = sizeof(file);
}

/* Where the contents of a note lie. */
static u8 *note_desc(u32 type)
{
    u32 head[4] = { 4, 0, type, 0x6e6558 };

    for (u64 at = 512; at < 1024; at += 4) {
        memcpy(&head[1], file + at + 4, 4);
        if (!memcmp(file + at, head, 16))
            return file + at + 16;
    }
    return NULL;
}

static void good(void **state)
{
    (void)state;
    struct elf_image e;
    const char *why = "";

    make_elf();
    assert_int_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_int_equal(e.entry, 0xffffffff81000000);
    assert_int_equal(e.virt_base, 0xffffffff80000000);
    assert_int_equal(e.init_p2m, 0x8000000000);
    assert_true(e.mod_start_pfn);
    assert_false(e.not_dom0 || e.has_hypercall_page);
    assert_int_equal(e.nr_segments, 2);
    assert_int_equal(e.paddr_start, 0x1000000);
    assert_int_equal(e.paddr_end, 0x110000a);
}

static void refused(void **state)
{
    (void)state;
    struct elf_image e;
    const char *why = NULL;

    assert_int_not_equal(elf_parse((const u8 *)"hello", 5, &e, &why), 0);
    assert_non_null(strstr(why, "no Linux kernel"));
    make_elf();
    memcpy(file + 512 + 12, "XEN", 3); /* not "Xen": without the note the entry is the header's */
    ((Elf64_Ehdr *)file)->e_entry = 0xffffffff81000042;
    assert_int_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_int_equal(e.entry, 0xffffffff81000042);
    for (u64 at = 512; at + 4 <= 1024; at += 4)
        if (!memcmp(file + at, "Xen", 4))
            file[at] = 'Y';
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "no Xen PV support"));
    make_elf();
    memcpy(note_desc(XEN_ELFNOTE_XEN_VERSION), "xen-2.0", 7);
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "do not say xen-3.0"));
    make_elf();
    *(u32 *)note_desc(XEN_ELFNOTE_SUPPORTED_FEATURES) = 1;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "CONFIG_XEN_DOM0"));
    make_elf();
    file[4] = ELFCLASS32;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "64-bit"));
    make_elf();
    assert_int_equal(elf_parse(file, 100, &e, &why), -EIO); /* cut among its headers */
    assert_non_null(strstr(why, "damaged"));
    make_elf();
    ((Elf64_Phdr *)(file + 64))->p_offset = 1 << 30;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "damaged"));
    make_elf();
    ((Elf64_Phdr *)(file + 64))->p_memsz = 1;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    make_elf();
    ((Elf64_Phdr *)(file + 64))->p_paddr = ~0UL - 5;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
}

/* One address of a good kernel replaced: all in notes, at the ends of u64 and around what they may name. */
static void addresses(void **state)
{
    (void)state;
    static const struct {
        u32 type; /* of the note; 0: the hypercall page */
        u64 value;
        bool good;
    } cases[] = {
        { XEN_ELFNOTE_ENTRY, 0xffffffff80ffffff, false },
        { XEN_ELFNOTE_ENTRY, 0xffffffff81100009, true },
        { XEN_ELFNOTE_ENTRY, 0xffffffff8110000a, false },
        { XEN_ELFNOTE_ENTRY, 0, false },
        { XEN_ELFNOTE_ENTRY, ~0UL, false },
        { XEN_ELFNOTE_VIRT_BASE, 0xffffffff80001000, false },
        { XEN_ELFNOTE_VIRT_BASE, 0xffffffffffc00000, false },
        { XEN_ELFNOTE_VIRT_BASE, 0xffff830000000000, false },
        { XEN_ELFNOTE_VIRT_BASE, 0x00007fffffc00000, false },
        { XEN_ELFNOTE_VIRT_BASE, 0x0000800000000000, false },
        { XEN_ELFNOTE_PADDR_OFFSET, 0x1000001, false },
        { XEN_ELFNOTE_PADDR_OFFSET, ~0UL, false },
        { XEN_ELFNOTE_PADDR_OFFSET, 1UL << 63, false },
        { 0, 0xfffffffffffff000, false },
        { 0, 0xffffffff81000000, true },
        { 0, 0xffffffff80fff000, true },
        { 0, 0xffffffff81000001, false },
        { 0, 0xffffffff810ff000, true },
        { 0, 0xffffffff81100000, false },
        { 0, 0, false },
        { 0, 0xffffffff7ffff000, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct elf_image e;
        const char *why = "";

        make_elf();
        if (!cases[i].type)
            ((Elf64_Nhdr *)(note_desc(XEN_ELFNOTE_MOD_START_PFN) - 16))->n_type = XEN_ELFNOTE_HYPERCALL_PAGE;
        memcpy(note_desc(cases[i].type ? cases[i].type : XEN_ELFNOTE_HYPERCALL_PAGE), &cases[i].value, 8);
        int rc = elf_parse(file, file_size, &e, &why);

        if (!rc != cases[i].good)
            fail_msg("case %zu: %d %s", i, rc, why);
        assert_true(!rc || strstr(why, "addresses make no sense"));
    }
}

static const struct elf_image linux_image = { .paddr_start = 0x1000000,
                                              .paddr_end = 0x4a00000,
                                              .virt_base = 0xffffffff80000000,
                                              .mod_start_pfn = true,
                                              .has_init_p2m = true,
                                              .init_p2m = 0x8000000000 };

static void layout(void **state)
{
    (void)state;
    struct elf_image e = linux_image;
    struct dom0_layout l;
    const char *why = "";

    assert_int_equal(dom0_layout(&e, 5000, MiB(512) >> PAGE_SHIFT, &l, &why), 0);
    assert_int_equal(l.kernel_start, 0xffffffff81000000);
    assert_int_equal(l.start_info, 0xffffffff84a00000);
    assert_int_equal(l.tables, 0xffffffff84a01000);
    assert_int_equal(l.stack, 0xffffffff84a2a000);
    assert_int_equal(l.v_end, 0xffffffff84c00000);
    assert_int_equal(l.initrd_pfn, 0x4c00);
    assert_int_equal(l.p2m_pfn, 0x4c02);
    assert_int_equal(l.nr_p2m_pages, 256);
    assert_int_equal(l.nr_p2m_tables, 3);
    assert_int_equal(l.nr_used, 0x4c02 + 259);
    /* Without the notes all of it is in the mapping. */
    e.virt_base = 0;
    e.has_init_p2m = e.mod_start_pfn = false;
    assert_int_equal(dom0_layout(&e, 5000, MiB(512) >> PAGE_SHIFT, &l, &why), 0);
    assert_int_equal(l.initrd_pfn, 0x4a00);
    assert_int_equal(l.p2m_pfn, 0x4a02);
    assert_int_equal(l.p2m, 0x4a02000);
    assert_int_equal(l.start_info, 0x4b02000);
    assert_int_equal(l.nr_p2m_tables, 0);
    assert_int_equal(l.nr_used, l.v_end >> PAGE_SHIFT);
    assert_true(l.v_end - l.stack >= KiB(512) + PAGE_SIZE);
    /* At the top of the addresses there is room for so many pages, and a machine may have more. */
    e.virt_base = linux_image.virt_base;
    u64 max = dom0_layout_max_pages(&e, 5000);

    assert_true(max > 100 << 20 && max < 128 << 20);
    assert_int_equal(dom0_layout(&e, 5000, max, &l, &why), 0);
    assert_int_not_equal(dom0_layout(&e, 5000, 2 * max + (16 << 20), &l, &why), 0);
    assert_non_null(strstr(why, "addresses make no sense"));
    /* With a place of its own any size will do. */
    assert_int_equal(dom0_layout(&linux_image, 5000, 5ULL << 28, &l, &why), 0);
    assert_int_equal(dom0_layout_max_pages(&linux_image, 0), ~0UL);
}

/* The p2m list where it cannot be, for 512 MiB (1 MiB of p2m). */
static void p2m_places(void **state)
{
    (void)state;
    static const u64 bad[] = { 1,
                               0x8000000800,
                               0xfffffffffff00000,
                               0xfffffffffffff000,
                               0x00007fffffff0000,
                               0x0000800000000000,
                               0xffff7fffffff0000,
                               0xffff800000000000,
                               0xffff87ffffff0000,
                               0xffffffff80000000,
                               0xffffffff7ff01000,
                               0xffffffff84bff000 };
    static const u64 good[] = { 0, 0x00007fffffefffff & ~4095UL, 0xffff880000000000, 0xffffffff7ff00000, 0xffffffff84c00000 };
    struct elf_image e = linux_image;
    struct dom0_layout l;
    const char *why;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e.init_p2m = bad[i];
        why = "";
        if (!dom0_layout(&e, 5000, MiB(512) >> PAGE_SHIFT, &l, &why))
            fail_msg("%lx was taken", bad[i]);
        assert_non_null(strstr(why, "addresses make no sense"));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        e.init_p2m = good[i];
        if (dom0_layout(&e, 5000, MiB(512) >> PAGE_SHIFT, &l, &why))
            fail_msg("%lx was refused", good[i]);
    }
}

static void mutations(void **state)
{
    (void)state;
    srandom(3);
    for (u32 i = 0; i < 60000; i++) {
        struct elf_image e;
        const char *why;

        make_elf();
        u64 n = i % 4 ? file_size : (u64)random() % file_size;
        u8 *exact = malloc(n ? n : 1);

        for (u32 k = 0; k < 4; k++)
            file[(u32)random() % 800] = (u8)random();
        memcpy(exact, file, n);
        if (!elf_parse(exact, n, &e, &why))
            for (u32 s = 0; s < e.nr_segments; s++)
                assert_true(e.segments[s].offset + e.segments[s].file_size <= n);
        struct payload p;

        if (!bzimage_find_payload(exact, n, &p, &why))
            assert_true(p.data >= exact && p.data + p.size <= exact + n);
        free(exact);
    }
}

static void bzimage(void **state)
{
    (void)state;
    struct payload p;
    const char *why = "";
    u32 offset = 0x40, length = 64, unpacked = 12345678;

    memset(file, 0, sizeof(file));
    file[0x1f1] = 1;
    memcpy(file + 0x202, "HdrS", 4);
    file[0x206] = 0x0f;
    file[0x207] = 0x02;
    memcpy(file + 0x248, &offset, 4);
    memcpy(file + 0x24c, &length, 4);
    memcpy(file + 1024 + 0x40 + 60, &unpacked, 4);
    file[1024 + 0x40] = 0xfd;
    assert_int_equal(bzimage_find_payload(file, 2048, &p, &why), 0);
    assert_ptr_equal(p.data, file + 1024 + 0x40);
    assert_int_equal(p.size, 60);
    assert_int_equal(p.unpacked_size, unpacked);
    /* Compressed as a whole, truncated, too old. */
    assert_int_not_equal(bzimage_find_payload(file + 1024 + 0x40, 1024 - 0x40, &p, &why), 0);
    assert_non_null(strstr(why, "compressed as a whole"));
    assert_int_not_equal(bzimage_find_payload(file, 1024 + 0x40 + 63, &p, &why), 0);
    assert_non_null(strstr(why, "truncated"));
    file[0x206] = 7;
    assert_int_not_equal(bzimage_find_payload(file, 2048, &p, &why), 0);
    assert_non_null(strstr(why, "older"));
    file[0x206] = 0x0f;
    offset = 0xffffffff;
    memcpy(file + 0x248, &offset, 4);
    assert_int_not_equal(bzimage_find_payload(file, 2048, &p, &why), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(good),   cmocka_unit_test(refused),    cmocka_unit_test(addresses),
                                        cmocka_unit_test(layout), cmocka_unit_test(p2m_places), cmocka_unit_test(mutations),
                                        cmocka_unit_test(bzimage) };

    return cmocka_run_group_tests_name("dom0 image", tests, NULL, NULL);
}
