/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/cmdline.h>

extern const struct option __options_start[], __options_end[];

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    return 0;
}

static void free_frames(void **state)
{
    (void)state;
    u64 before = page_free_count();

    /* Out of the middle of large blocks, one after the other; none comes back. */
    for (mfn_t m = 100; m < 200; m += 7) {
        assert_true(page_is_free(m));
        assert_int_equal(frame_owner(m), FRAME_FREE);
        assert_int_equal(page_retire(m), FRAME_FREE);
        assert_false(page_is_free(m));
        assert_int_equal(frame_owner(m), FRAME_RETIRED);
        assert_int_equal(page_retire(m), FRAME_RETIRED);
        before--;
        assert_int_equal(page_free_count(), before);
    }
    u64 n = 0;
    struct page_info *pg, *taken[FAKE_FRAMES];

    while ((pg = page_alloc(0, 0))) {
        mfn_t m = page_to_mfn(pg);

        assert_false(m >= 100 && m < 200 && (m - 100) % 7 == 0);
        taken[n++] = pg;
    }
    assert_int_equal(n, before);
    while (n)
        page_free(taken[--n], 0);
    assert_int_equal(page_free_count(), before);
}

static void used_frames(void **state)
{
    (void)state;
    struct page_info *block = page_alloc(4, 0);
    mfn_t first = page_to_mfn(block);
    u64 before = page_free_count();

    assert_int_equal(frame_owner(first + 3), FRAME_HYPERVISOR);
    assert_int_equal(page_retire(first + 3), FRAME_HYPERVISOR); /* stays what it is */
    struct domain *d = fake_domain(1, false);
    struct page_info *pg = fake_page(d);

    before = page_free_count();
    assert_int_equal(page_retire(page_to_mfn(pg)), FRAME_GUEST);
    assert_int_equal(frame_owner(page_to_mfn(pg)), FRAME_GUEST);
    pg->ref_info &= PGR_BROKEN;
    page_free(pg, 0); /* its owner lets go of it */
    assert_int_equal(page_free_count(), before);
    assert_int_equal(frame_owner(page_to_mfn(pg)), FRAME_RETIRED);
    /* A block with one of them: the others come back. */
    block[5].ref_info |= PGR_BROKEN;
    page_free(block, 4);
    assert_int_equal(page_free_count(), before + 15);
    assert_false(page_is_free(first + 5));
    assert_int_equal(frame_owner(1ULL << 30), FRAME_NONE);
}

static int badpage(const char *value)
{
    for (const struct option *o = __options_start; o < __options_end; o++)
        if (!strcmp(o->name, "badpage"))
            return o->parse(value, o->var);
    return 1;
}

static u64 reserved_from, reserved_to;
void boot_alloc_reserve(paddr_t start, paddr_t end)
{
    reserved_from = start;
    reserved_to = end;
}

static void option(void **state)
{
    (void)state;
    assert_int_equal(badpage("x"), -EINVAL);
    assert_int_equal(badpage("0x20-0x10"), -EINVAL);
    assert_int_equal(badpage("5-"), -EINVAL);
    assert_int_equal(badpage("5;6"), -EINVAL);
    assert_int_equal(badpage("0x10-0x12,700"), 0);
    bad_frames_reserve();
    assert_int_equal(reserved_from, 700 << PAGE_SHIFT);
    assert_int_equal(reserved_to, 701 << PAGE_SHIFT);
    assert_non_null(strstr(fake_log, "frames 0x10 to 0x12 are not used"));
    bad_frames_mark();
    assert_true(mfn_to_page(0x11)->ref_info & PGR_BROKEN);
    assert_false(mfn_to_page(0x13)->ref_info & PGR_BROKEN);
    /* More than there is room for. */
    static char many[400];

    for (size_t i = 0; i < 120; i += 2)
        memcpy(many + i, "1,", 2);
    assert_int_equal(badpage(many), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(free_frames, setup), cmocka_unit_test_setup(used_frames, setup),
                                        cmocka_unit_test_setup(option, setup) };

    return cmocka_run_group_tests_name("damaged frames", tests, NULL, NULL);
}
