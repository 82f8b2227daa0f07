#include "fakes.h"

#include <elf.h>
#include <stdlib.h>

#include <hv/dom0.h>

static u8 file[2048];
static u64 file_size;

enum compression compression_detect(const u8 *d, u64 size)
{
    return size >= 4 && !memcmp(d, ELFMAG, 4) ? COMPRESSION_NONE : COMPRESSION_XZ;
}

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
    Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB }, .e_type = ET_EXEC, .e_machine = EM_X86_64,
                     .e_phoff = 64, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3 };
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
    const char *why;
    u32 no_dom0 = 1;

    why = NULL;
    assert_int_not_equal(elf_parse((const u8 *)"hello", 5, &e, &why), 0);
    assert_non_null(strstr(why, "no Linux kernel"));
    make_elf();
    file[512 + 12] = 'Y'; /* the first note is not "Xen" any more: no entry */
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "no Xen PV support"));
    make_elf();
    note(512, XEN_ELFNOTE_SUPPORTED_FEATURES, &no_dom0, 4);
    file[16 + 512] = 1;
    make_elf();
    file[4] = ELFCLASS32;
    assert_int_not_equal(elf_parse(file, file_size, &e, &why), 0);
    assert_non_null(strstr(why, "64-bit"));
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
    assert_int_equal(bzimage_find_payload(file, 2048, &p, &why), 0);
    assert_ptr_equal(p.data, file + 1024 + 0x40);
    assert_int_equal(p.size, 60);
    assert_int_equal(p.unpacked_size, unpacked);
    /* Truncated, too old. */
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(refused), cmocka_unit_test(mutations),
                                        cmocka_unit_test(bzimage) };

    return cmocka_run_group_tests_name("dom0 image", tests, NULL, NULL);
}
