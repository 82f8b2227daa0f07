/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdlib.h>

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    return 0;
}

static void orders_and_widths(void **state)
{
    (void)state;
    u64 before = page_free_count();

    assert_int_equal(before, FAKE_FRAMES - 1);
    for (unsigned order = 0; order <= 10; order++) {
        struct page_info *pg = page_alloc(order, 0);

        assert_non_null(pg);
        assert_int_equal(page_to_mfn(pg) & ((1UL << order) - 1), 0);
        page_free(pg, order);
    }
    assert_int_equal(page_free_count(), before);
    /* Below 2^20 bytes: frames under 256. */
    struct page_info *low = page_alloc(0, 20);

    assert_true(page_to_mfn(low) < 256);
    page_free(low, 0);
    /* Without a limit, high memory goes first. */
    struct page_info *high = page_alloc(0, 0);

    assert_true(page_to_mfn(high) >= FAKE_FRAMES / 2);
    page_free(high, 0);
    assert_null(page_alloc(0, 12));
    assert_null(page_alloc(MAX_ORDER + 1, 0));
    assert_null(page_alloc(12, 0)); /* 4096 frames at once: frame 0 is not ours */
}

static void contiguous(void **state)
{
    (void)state;
    u64 before = page_free_count();

    for (u64 n = 1; n < 1200; n += 37) {
        struct page_info *pg = page_alloc_contiguous(n);

        assert_non_null(pg);
        assert_int_equal(page_free_count(), before - n);
        memset(page_to_virt(pg), 0x5a, n * PAGE_SIZE);
        page_free_range(page_to_mfn(pg), n);
        assert_int_equal(page_free_count(), before);
    }
    assert_null(page_alloc_contiguous(0));
    assert_null(page_alloc_contiguous(1ULL << 40));
}

/* Frames that nobody has had: of all their page_infos only the heads of blocks are written, and they merge with their neighbours. */
static void new_frames(void **state)
{
    (void)state;
    u64 before = page_free_count(), heads = 0;
    struct page_info *pg = page_alloc(9, 0);
    mfn_t first = page_to_mfn(pg);

    memset(pg, 0, sizeof(*pg) << 9);
    page_free_new(first + 3, 300); /* blocks of 1, 4, 8, ... */
    assert_int_equal(page_free_count(), before - 512 + 300);
    for (u32 i = 0; i < 512; i++) {
        heads += pg[i].ref_info != 0;
        assert_int_equal(page_is_free(first + i), i >= 3 && i < 303);
    }
    assert_in_range(heads, 2, 16);
    page_free_new(first, 3);
    page_free_new(first + 303, 209);
    assert_int_equal(page_free_count(), before);
    struct page_info *again = page_alloc(9, 0); /* in one piece again */

    assert_non_null(again);
    page_free(again, 9);
}

/* Random traffic: blocks never overlap, and everything merges back in the end. */
static void random_traffic(void **state)
{
    (void)state;
    static struct {
        struct page_info *pg;
        unsigned order;
    } held[256];
    static u8 owner[FAKE_FRAMES];
    u64 before = page_free_count();

    srandom(4);
    for (u32 i = 0; i < 100000; i++) {
        u32 k = (u32)random() % 256;

        if (held[k].pg) {
            mfn_t m = page_to_mfn(held[k].pg);

            memset(owner + m, 0, 1UL << held[k].order);
            page_free(held[k].pg, held[k].order);
            held[k].pg = NULL;
        } else {
            held[k].order = (u32)random() % 6;
            held[k].pg = page_alloc(held[k].order, 0);
            for (u64 j = 0; held[k].pg && j < 1UL << held[k].order; j++) {
                mfn_t m = page_to_mfn(held[k].pg) + j;

                assert_int_equal(owner[m], 0);
                owner[m] = 1;
            }
        }
    }
    for (u32 k = 0; k < 256; k++)
        if (held[k].pg)
            page_free(held[k].pg, held[k].order);
    assert_int_equal(page_free_count(), before);
    struct page_info *big = page_alloc(11, 0);

    assert_non_null(big); /* merged */
    page_free(big, 11);
}

static void exhaustion(void **state)
{
    (void)state;
    u64 before = page_free_count();
    static struct page_info *all[FAKE_FRAMES];
    u32 n = 0;

    while ((all[n] = page_alloc(0, 0)))
        n++;
    assert_int_equal(n, before);
    assert_int_equal(page_free_count(), 0);
    assert_null(hv_alloc(16));
    assert_null(hv_alloc(100000));
    while (n)
        page_free(all[--n], 0);
    assert_int_equal(page_free_count(), before);
}

static void heap(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 16, 17, 100, 500, 2000, 2048, 4096, 5000, 100000 };
    void *p[64];

    for (u32 round = 0; round < 200; round++) {
        for (u32 i = 0; i < 64; i++) {
            size_t n = sizes[(round + i) % ARRAY_SIZE(sizes)];

            p[i] = hv_alloc(n);
            assert_non_null(p[i]);
            assert_int_equal((u64)p[i] & 15, 0);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(((u8 *)p[i])[k], 0);
            memset(p[i], 0xee, n);
        }
        for (u32 i = 0; i < 64; i++)
            hv_free(p[(i * 7) % 64]);
    }
    hv_free(NULL);
    assert_null(hv_alloc(~(size_t)0));
}

/* Low memory is kept for those who need it (all of it is low here). */
static void low_memory_is_kept(void **state)
{
    (void)state;
    static struct page_info *all[FAKE_FRAMES];
    u64 before = page_free_count(), kept = 100;
    u32 n = 0;

    while ((all[n] = page_alloc_for(0, 0, kept, NULL)))
        n++;
    assert_int_equal(page_free_count(), kept);
    assert_null(page_alloc_for(2, 32, kept, NULL));
    assert_non_null(all[n] = page_alloc(0, 32));
    page_free(all[n], 0);
    page_free(all[--n], 0);
    assert_non_null(all[n] = page_alloc_for(0, 32, kept, NULL));
    n++;
    while (n)
        page_free(all[--n], 0);
    assert_int_equal(page_free_count(), before);
}

static u32 blocks_of(unsigned order)
{
    struct page_info *list[16];
    u32 n = 0;

    while (n < ARRAY_SIZE(list) && (list[n] = page_alloc(order, 0)))
        n++;
    for (u32 i = 0; i < n; i++)
        page_free(list[i], order);
    return n;
}

/* Single frames, in runs that go down and in any order, make whole blocks again. */
static void frames_of_a_list(void **state)
{
    (void)state;
    static struct page_info *list[2048];
    u32 blocks = blocks_of(9);
    struct page_info *const whole = page_alloc(10, 0);
    u64 before = page_free_count();

    for (u32 round = 0; round < 200; round++) {
        u32 n = 1 + (u32)rand() % ARRAY_SIZE(list), k = round % 3 ? n : (u32)rand() % n;

        for (u32 i = 0; i < n; i++)
            assert_non_null(list[i] = page_alloc(0, 0));
        for (u32 i = 0; round % 2 && i < n; i++) { /* some of it in another order */
            u32 j = (u32)rand() % n;
            struct page_info *pg = list[j];

            list[j] = list[i];
            list[i] = pg;
        }
        page_free_each(list, k);
        page_free_each(list + k, n - k);
        assert_int_equal(page_free_count(), before);
    }
    page_free(whole, 10);
    assert_int_equal(blocks_of(9), blocks);
}

/* What is claimed is kept for whoever has claimed it, however the requests of others come. */
static void claims(void **state)
{
    (void)state;
    static struct page_info *all[FAKE_FRAMES];
    u64 before = page_free_count(), mine = 0, theirs = 0;
    u32 n = 0, kept = 50; /* of low memory, for neither */

    assert_int_equal(page_claim(&mine, 1000, kept), 0);
    assert_int_equal(page_claim(&theirs, before - 1000 - kept + 1, kept), -ENOMEM);
    assert_int_equal(page_claim(&theirs, ~0ULL, kept), -ENOMEM);
    assert_int_equal(theirs, 0);
    assert_int_equal(page_claim(&theirs, before - 1000 - kept, kept), 0);
    assert_int_equal(page_claimed_count(), before - kept);
    assert_int_equal(page_claim(&mine, 1001, kept), -ENOMEM); /* a claim that is changed */
    assert_int_equal(page_claim(&mine, 999, kept), 0);
    assert_int_equal(page_claim(&mine, 1000, kept), 0);
    assert_int_equal(page_claim(&theirs, 0, kept), 0);
    assert_int_equal(page_claimed_count(), 1000);

    while ((all[n] = page_alloc(0, 0)))
        n++;
    assert_int_equal(n, before - 1000);
    assert_null(page_alloc_for(0, 0, 0, &theirs));
    assert_non_null(all[n] = page_alloc_for(3, 0, 0, &mine));
    assert_int_equal(mine, 992);
    page_free(all[n], 3); /* does not become a claim again */
    assert_int_equal(page_claimed_count(), 992);
    while ((all[n] = page_alloc(0, 0)))
        n++;
    assert_int_equal(page_free_count(), 992);
    while ((all[n] = page_alloc_for(0, 0, 0, &mine)))
        n++;
    assert_int_equal(mine, 0);
    assert_int_equal(page_claimed_count(), 0);
    assert_int_equal(n, before);
    while (n)
        page_free(all[--n], 0);
    assert_int_equal(page_claim(&mine, before, 0), 0);
    assert_int_equal(page_claim(&mine, 0, 0), 0);
}

/* ---- another CPU, which may remember frames from before it flushed ---- */

static u32 clock_now = 1, its_time, flushes, freed_at[FAKE_FRAMES];
static bool nested;
u32 tlb_clock(void) { return clock_now; }

/* Before the flush is done a third one takes a frame, perhaps of the block that has just been split. */
static void third_cpu(void)
{
    nested = true;
    struct page_info *pg = page_alloc(0, 0);

    if (pg) {
        assert_true(freed_at[page_to_mfn(pg)] < its_time);
        freed_at[page_to_mfn(pg)] = clock_now;
        page_free(pg, 0);
    }
    nested = false;
}

void tlb_flush_since(u32 stamp)
{
    if (its_time > stamp)
        return;
    if (!nested && random() % 2)
        third_cpu();
    its_time = ++clock_now;
    flushes++;
}

static void no_frame_leaves_unflushed(void **state)
{
    (void)state;
    struct {
        struct page_info *pg;
        u32 frames;
    } held[48] = { 0 };

    srandom(3);
    for (u32 i = 0; i < 30000; i++) {
        u32 k = (u32)random() % ARRAY_SIZE(held), order = (u32)random() % 5;

        if (held[k].pg) {
            for (u32 j = 0; j < held[k].frames; j++)
                freed_at[page_to_mfn(held[k].pg) + j] = clock_now;
            page_free_range(page_to_mfn(held[k].pg), held[k].frames);
            held[k].pg = NULL;
            continue;
        }
        switch ((u32)random() % 4) {
        case 0:
            held[k].frames = 1u << order;
            held[k].pg = page_alloc(order, random() % 2 ? 0 : 23);
            break;
        case 1:
            held[k].frames = 1 + (u32)random() % 20;
            held[k].pg = page_alloc_contiguous(held[k].frames);
            break;
        default: { /* the hypervisor's own */
            void *p = hv_alloc_page();

            held[k].frames = 1;
            held[k].pg = p ? mfn_to_page(virt_to_mfn(p)) : NULL;
        }
        }
        for (u32 j = 0; held[k].pg && j < held[k].frames; j++)
            assert_true(freed_at[page_to_mfn(held[k].pg) + j] < its_time);
        if (i % 1000 == 0) {
            mfn_t m = 1 + (u32)random() % (FAKE_FRAMES - 1);

            if (page_is_free(m) && page_take_free(m))
                page_free(mfn_to_page(m), 0);
        }
    }
    for (u32 k = 0; k < ARRAY_SIZE(held); k++)
        if (held[k].pg)
            page_free_range(page_to_mfn(held[k].pg), held[k].frames);
}

bool tlb_flushed_since(u32 stamp) { return its_time > stamp; }

static bool is_zero(const struct page_info *pg, u32 frames)
{
    const u64 *word = page_to_virt(pg);

    for (u64 i = 0; i < frames * PAGE_SIZE / sizeof(u64); i++)
        if (word[i])
            return false;
    return true;
}

/* What is said to be clean is zero, whatever another CPU still writes to frames that have been freed, until it flushes. */
static void idle_cpus_clear(void **state)
{
    (void)state;
    static struct {
        struct page_info *pg;
        u32 order;
    } held[64];
    u32 clean = 0, taken = 0;
    u64 before = page_free_count();

    srandom(5);
    nested = true; /* no third CPU */
    for (u32 i = 0; i < 60000; i++) {
        u32 k = (u32)random() % ARRAY_SIZE(held);
        mfn_t m = 1 + (u32)random() % (FAKE_FRAMES - 1);

        if (held[k].pg) {
            for (u32 j = 0; j < 1u << held[k].order; j++)
                freed_at[page_to_mfn(held[k].pg) + j] = clock_now;
            page_free(held[k].pg, held[k].order);
            held[k].pg = NULL;
        } else {
            held[k].order = (u32)random() % 6;
            if ((held[k].pg = page_alloc(held[k].order, random() % 2 ? 0 : 23))) {
                taken++;
                if (held[k].pg->ref_info & PGR_CLEAN) {
                    clean++;
                    assert_true(is_zero(held[k].pg, 1u << held[k].order));
                }
                memset(page_to_virt(held[k].pg), 0x5a, PAGE_SIZE << held[k].order);
            }
        }
        if (page_is_free(m) && freed_at[m] >= its_time)
            memset(mfn_to_virt(m), 0xee, 64);
        if (random() % 8 == 0)
            its_time = ++clock_now;
        for (u32 j = (u32)random() % 8; j; j--)
            page_scrub();
    }
    assert_true(clean > taken / 2 && clean < taken);
    for (u32 k = 0; k < ARRAY_SIZE(held); k++)
        if (held[k].pg)
            page_free(held[k].pg, held[k].order);
    assert_false(page_scrub()); /* the other CPU has not flushed */
    its_time = ++clock_now;
    while (page_scrub())
        ;
    assert_int_equal(page_free_count(), before);
    struct page_info *pg = page_alloc(10, 0); /* they have merged */

    assert_true(pg && pg->ref_info & PGR_CLEAN && is_zero(pg, 1024));
    page_free(pg, 10);
}

/* A balloon: many frames go, then many come. */
static void one_flush_for_many(void **state)
{
    (void)state;
    static struct page_info *pages[1024];

    for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
        assert_non_null(pages[i] = page_alloc(0, 0));
    flushes = 0;
    nested = true; /* no third CPU */
    for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
        page_free(pages[i], 0);
    assert_int_equal(flushes, 0);
    for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
        assert_non_null(pages[i] = page_alloc(0, 0));
    assert_int_equal(flushes, 1);
    for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
        page_free(pages[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orders_and_widths),  cmocka_unit_test(contiguous),
                                        cmocka_unit_test(new_frames),         cmocka_unit_test(random_traffic),
                                        cmocka_unit_test(exhaustion),         cmocka_unit_test(heap),
                                        cmocka_unit_test(low_memory_is_kept), cmocka_unit_test(claims),
                                        cmocka_unit_test(frames_of_a_list),   cmocka_unit_test(no_frame_leaves_unflushed),
                                        cmocka_unit_test(one_flush_for_many), cmocka_unit_test(idle_cpus_clear) };

    return cmocka_run_group_tests_name("page allocator", tests, setup, NULL);
}
