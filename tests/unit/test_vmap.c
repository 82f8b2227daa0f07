/* SPDX-License-Identifier: MIT */
/* Addresses that come back: never two owners, never again before all CPUs have flushed, none lost. */
#include "fakes.h"

#include <stdlib.h>

#include <hv/x86/page_table.h>
#include <hv/x86/tlb.h>

#define UNIT STACK_BLOCK_SIZE
#define SOME 200000

static u32 generation = 1; /* of global flushes */
static u8 owner[2048];     /* of the first units */
static u32 given_back_in[2048];
static bool refuse;

void tlb_flush_global_all_cpus(void) { generation++; }
int hv_map(u64 va, paddr_t pa, u64 size, u64 flags)
{
    (void)va;
    (void)pa;
    (void)size;
    (void)flags;
    return refuse ? -ENOMEM : 0;
}
void hv_unmap(u64 va, u64 size)
{
    (void)va;
    (void)size;
}

static u64 take(u64 size, u8 who)
{
    u64 va = vmap_reserve(size);

    assert_int_not_equal(va, 0);
    assert_int_equal(va % UNIT, 0);
    for (u64 u = (va - VMAP_VIRT_START) / UNIT; u < (va - VMAP_VIRT_START + size + UNIT - 1) / UNIT; u++) {
        assert_true(u < 2048); /* low ones first: few tables */
        assert_int_equal(owner[u], 0);
        assert_true(given_back_in[u] < generation);
        owner[u] = who;
    }
    return va;
}

static void give_back(u64 va, u64 size, u8 who)
{
    for (u64 u = (va - VMAP_VIRT_START) / UNIT; u < (va - VMAP_VIRT_START + size + UNIT - 1) / UNIT; u++) {
        assert_int_equal(owner[u], who);
        owner[u] = 0;
        given_back_in[u] = generation;
    }
    vmap_give_back(va, size);
}

static void random_owners(void **state)
{
    (void)state;
    struct {
        u64 va, size;
    } held[100] = { { 0 } };

    srandom(7);
    for (u32 i = 0; i < SOME; i++) {
        u32 k = (u32)random() % ARRAY_SIZE(held);

        if (held[k].va) {
            give_back(held[k].va, held[k].size, (u8)(k + 1));
            held[k].va = 0;
        } else {
            held[k].size = random() % 4 ? UNIT : PAGE_SIZE * (1 + (u32)random() % 60);
            held[k].va = take(held[k].size, (u8)(k + 1));
        }
    }
    for (u32 k = 0; k < ARRAY_SIZE(held); k++)
        if (held[k].va)
            give_back(held[k].va, held[k].size, (u8)(k + 1));
    assert_true(generation < SOME / 60); /* a flush serves many */
}

static void to_the_end(void **state)
{
    (void)state;
    u64 all = vmap_reserve(GiB(2));

    assert_int_not_equal(all, 0);
    assert_int_equal(vmap_reserve(PAGE_SIZE), 0);
    assert_null(hv_ioremap(0xfee00000, 16));
    vmap_give_back(all, GiB(2));
    assert_int_equal(vmap_reserve(GiB(2) + 1), 0);
    assert_int_equal(vmap_reserve(~0ULL - PAGE_SIZE), 0);
    /* A mapping that cannot be had gives its addresses back. */
    refuse = true;
    for (u32 i = 0; i < SOME; i++)
        assert_null(hv_ioremap(0xfee00ff8, 16));
    refuse = false;
    for (u32 i = 0; i < SOME; i++) {
        char *p = hv_ioremap(0xfee00ff8, 16); /* over the end of a page */

        assert_int_equal((u64)p % PAGE_SIZE, 0xff8);
        hv_iounmap(p, 16);
    }
    assert_int_not_equal(vmap_reserve(GiB(2)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_owners), cmocka_unit_test(to_the_end) };

    return cmocka_run_group_tests_name("vmap", tests, NULL, NULL);
}
