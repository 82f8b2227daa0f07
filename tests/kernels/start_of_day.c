/* SPDX-License-Identifier: MIT */
/* What dom0 finds when it starts: start_info, the p2m list, the initial mapping, the initrd. */
#include "guest.h"

#define M2P ((const u64 *)0xffff800000000000UL)

extern char _end_of_kernel[];

static const u64 *p2m;

static bool mapped(u64 va)
{
    const u64 *t = (const u64 *)start_info->pt_base;

    for (int level = 4; level; level--) {
        u64 e = t[(va >> (12 + 9 * (level - 1))) & 511];

        if (!(e & PTE_P))
            return false;
        t = (const u64 *)(VIRT_BASE + (M2P[(e & PTE_ADDR) >> 12] << 12)); /* all tables are in the mapping */
    }
    return true;
}

static u64 pfn_of(u64 va) { return (va - VIRT_BASE) >> 12; }

/* What is not in the mapping. */
static const void *window(u64 pfn)
{
    static char page[4096] __attribute__((aligned(4096)));

    CHECK_EQ(remap(page, p2m[pfn] << 12 | PTE_P | PTE_U | PTE_A), 0);
    return page;
}

static void initial_mapping(u64 stack)
{
    u64 end = VIRT_BASE, tables = start_info->pt_base, tables_end = tables + (start_info->nr_pt_frames << 12);

    while (mapped(end))
        end += 4096;
    CHECK(end % (4 << 20) == 0 && end - stack >= 512 << 10);
    CHECK((u64)start_info + 4096 == tables && tables_end + 4096 == stack);
    for (u64 va = VIRT_BASE; va < end; va += 4096) {
        u64 e = *pte_of((void *)va, 1), mfn = (e & PTE_ADDR) >> 12;
        bool table = va >= tables && va < tables_end;

        if (va == (u64)shared_info) /* mapped there by main.c */
            continue;
        if (p2m[pfn_of(va)] != mfn || M2P[mfn] != pfn_of(va) || !(e & PTE_W) != table) {
            print("page 0x%lx: entry 0x%lx, p2m 0x%lx\n", va, e, p2m[pfn_of(va)]);
            CHECK(false);
            return;
        }
    }
}

static void p2m_list(void)
{
    u64 wrong = 0;

    for (u64 pfn = 0; pfn < start_info->nr_pages; pfn++)
        wrong += M2P[p2m[pfn]] != pfn;
    CHECK_EQ(wrong, 0);
    CHECK_EQ((u64)p2m % 4096, 0);
#ifdef INIT_P2M
    CHECK_EQ((u64)p2m, INIT_P2M);
    CHECK(start_info->first_p2m_pfn && start_info->nr_p2m_frames > (start_info->nr_pages + 511) / 512);
    const u64 *same = window(start_info->first_p2m_pfn);

    for (u32 i = 0; i < 512; i++)
        CHECK_EQ(same[i], p2m[i]);
#else
    CHECK((u64)p2m >= (u64)_end_of_kernel && (u64)(p2m + start_info->nr_pages) <= (u64)start_info);
    CHECK_EQ(start_info->first_p2m_pfn, 0);
    CHECK_EQ(start_info->nr_p2m_frames, 0);
    CHECK(*pte_of(p2m, 1) & PTE_W);
    volatile u64 *last = (volatile u64 *)&p2m[start_info->nr_pages - 1];

    *last = *last;
#endif
}

#ifdef BARE /* no note MOD_START_PFN */
#define INITRD_PFN pfn_of(start_info->mod_start)
#else
#define INITRD_PFN start_info->mod_start
#endif

/* The initrd, if there is one, is the text "initrd" over and over. */
static void initrd(void)
{
    bool by_pfn = start_info->flags & SIF_MOD_START_PFN;

    if (!start_info->mod_len)
        return;
#ifdef BARE
    CHECK(!by_pfn && start_info->mod_start >= (u64)_end_of_kernel && start_info->mod_start + start_info->mod_len <= (u64)p2m);
#else
    CHECK(by_pfn && !mapped(VIRT_BASE + (start_info->mod_start << 12)));
#endif
    for (u64 i = 0; i < start_info->mod_len; i++) {
        static const char *p;

        if (!(i & 4095))
            p = window(INITRD_PFN + (i >> 12));
        if (p[i & 4095] != "initrd"[i % 6]) {
            print("initrd: byte 0x%lx is wrong\n", i);
            CHECK(false);
            return;
        }
    }
    print("the initrd has 0x%lx bytes\n", start_info->mod_len);
}

void test_main(void)
{
    p2m = (const u64 *)start_info->mfn_list;
    print("0x%lx pages, p2m at 0x%lx\n", start_info->nr_pages, start_info->mfn_list);
    CHECK(start_info->flags & SIF_INITDOMAIN);
    initial_mapping(start_info->pt_base + (start_info->nr_pt_frames << 12) + 4096);
    p2m_list();
    initrd();
}
