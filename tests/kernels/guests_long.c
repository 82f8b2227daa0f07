/* SPDX-License-Identifier: MIT */
/*
 * Calls that a guest makes to last for minutes: lists of two thousand million operations, for which three tables and one page are enough. Whoever
 * pauses or destroys it does not wait for their end. Calls that are left in the middle, for a pause or an event, do all that they say.
 */
#include "domu.h"
#include "grants.h"
#include "smp.h"

enum { STARTED, ENDED }; /* words of the box */
#define LISTS (1UL << 39)
#define LISTS_END (1UL << 40)
#define SOME 70000u
#define SOON 30000000000UL /* ns: what was waited for takes thousands of seconds */

static struct domu g;
static u64 *data;

static u64 *table_of(const void *page, u64 flags)
{
    u64 *table = page_new();

    for (u32 i = 0; i < 512; i++)
        table[i] = va_to_mfn(page) << 12 | flags;
    return table;
}

/* All addresses from LISTS to LISTS_END show one page, every word of which is `word`, or every second one `other`. */
static void make_lists(u64 word, u64 other)
{
    void *page;

    data = page_new();
    for (u32 i = 0; i < 512; i++)
        data[i] = i % 2 ? other : word;
    page = table_of(data, WRITABLE & ~PTE_NX);
    for (u32 level = 2; level < 4; level++) {
        void *below = page;

        page = table_of(below, WRITABLE & ~PTE_NX);
        CHECK_EQ(make_ro(below), 0);
    }
    CHECK_EQ(make_ro(page), 0);
    CHECK_EQ(mmu_update_one(va_to_mfn((void *)start_info->pt_base) << 12 | 8, va_to_mfn(page) << 12 | (WRITABLE & ~PTE_NX)), 0);
}

static u64 own_frame(void) { return va_to_mfn(domu_box.text) << 12; }

static long many_updates(void)
{
    make_lists(own_frame() | MMU_MACHPHYS_UPDATE, 1);
    return HYPERCALL4(__HYPERVISOR_mmu_update, LISTS, 0x7fffffff, 0, DOMID_SELF);
}

static long many_flushes(void)
{
    make_lists(MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_TLB_FLUSH_LOCAL);
    return HYPERCALL4(__HYPERVISOR_mmuext_op, LISTS, 0x7fffffff, 0, DOMID_SELF);
}

static long many_calls(void)
{
    make_lists(0, 0);
    for (u32 i = 0; i < 512; i += 8)
        data[i] = __HYPERVISOR_xen_version;
    return HYPERCALL2(__HYPERVISOR_multicall, LISTS, 0xffffffff);
}

static long many_calls_of_many(void)
{
    make_lists(own_frame() | MMU_MACHPHYS_UPDATE, 1);
    static struct multicall_entry m[2];

    m[0] = m[1] = (struct multicall_entry){ .op = __HYPERVISOR_mmu_update, .args = { LISTS, 0x7fffffff, 0, DOMID_SELF } };
    return HYPERCALL2(__HYPERVISOR_multicall, m, 2);
}

static long much_to_say(void)
{
    make_lists(0, 0);
    return HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_write, 0xffffffff, LISTS);
}

static long many_unmaps(void)
{
    make_lists(~0UL, ~0UL);
    return HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, LISTS, 0x7fffffff);
}

static long many_sizes(void)
{
    make_lists(0, 0);
    return HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, LISTS, 0x7fffffff);
}

static long (*const calls[])(void) = { many_updates, many_flushes, many_calls, many_calls_of_many, much_to_say, many_unmaps, many_sizes };

static void calls_for_long(u64 which)
{
    domu_box.words[STARTED] = 1;
    long rc = calls[which]();

    domu_box.words[ENDED] = 1;
    print("long call %u ended: 0x%lx\n", (u32)which, rc);
}

static void wait_for_start(void)
{
    for (u64 end = smp_time(0) + 60000000000UL; !g.box->words[STARTED] && smp_time(0) < end;)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK_EQ(g.box->words[STARTED], 1);
    smp_sleep_until(0, smp_time(0) + 5000000);
}

static void nobody_waits(u64 which)
{
    domu_new(&g, 1, calls_for_long, which);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_start();
    for (u32 i = 0; i < 3; i++) {
        u64 start = smp_time(0);

        CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, g.id), 0);
        CHECK(smp_time(0) - start < SOON);
        CHECK_EQ(domu_unpause(&g), 0);
        smp_sleep_until(0, smp_time(0) + 2000000);
    }
    CHECK_EQ(g.box->words[ENDED], 0);
    CHECK_EQ(domu_wait(&g, 0), DOMU_RUNS);
    u64 start = smp_time(0);

    domu_destroy(&g);
    CHECK(smp_time(0) - start < SOON);
}

/* ---- left in the middle ---- */

static void nothing(void) {}

/* The list's end is the end of what is mapped. */
static long updates_to_the_end(bool in_batch, u32 *done)
{
    struct multicall_entry m = { .op = __HYPERVISOR_mmu_update, .args = { LISTS_END - SOME * 16, SOME + 5, (u64)done, DOMID_SELF } };

    if (!in_batch)
        return HYPERCALL4(m.op, m.args[0], m.args[1], m.args[2], m.args[3]);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, &m, 1), 0);
    return (long)m.result;
}

static void calls_in_parts(u64 in_batch)
{
    static struct multicall_entry batch[64];

    make_lists(own_frame() | MMU_MACHPHYS_UPDATE, 1);
    domu_box.words[STARTED] = 1;
    ticks_begin(nothing);
    for (u32 n = 0; n < 100 && (n < 4 || tick_count < 20); n++) {
        u32 done = 0;

        CHECK_EQ(updates_to_the_end(in_batch, &done), -14);
        CHECK_EQ(done, SOME);
        CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, LISTS, SOME, &done, DOMID_SELF), 0);
        CHECK_EQ(done, SOME);
        for (u32 i = 0; i < 64; i++)
            batch[i] = (struct multicall_entry){ .op = __HYPERVISOR_mmu_update, .args = { LISTS, 256, 0, DOMID_SELF }, .result = 77 };
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, batch, 64), 0);
        for (u32 i = 0; i < 64; i++)
            CHECK_EQ(batch[i].result, 0);
    }
    CHECK(tick_count >= 20);
    ticks_end();
    domu_box.words[ENDED] = 1;
}

static void parts(u64 in_batch)
{
    domu_new(&g, 1, calls_in_parts, in_batch);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_start();
    while (domu_wait(&g, 0) == DOMU_RUNS) {
        CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, g.id), 0);
        CHECK_EQ(domu_unpause(&g), 0);
        smp_sleep_until(0, smp_time(0) + 300000);
    }
    CHECK_EQ(domu_wait(&g, 0), SHUTDOWN_poweroff);
    CHECK_EQ(g.box->words[ENDED], 1);
    domu_destroy(&g);
}

/* ---- tables of all its memory, behind one pin or one base ---- */

#define TABLES 4096

enum { PINNED, UNPINNED, EMPTY, TOP_FIRST, FORMS };
#define NEWER 256 /* frames that the walk over those of a dying domain passes at once */

/* As many tables as that, from LISTS on: L1 tables full of one page, or empty L2 tables. TOP_FIRST: the L3 table is met before those below it. */
static void all_tables(u64 form)
{
    static u64 block[TABLES / 512];
    u8 *top = page_new(), *table = page_new();

    data = page_new();
    if (form != EMPTY)
        table = (u8 *)table_of(data, READ_ONLY & ~PTE_NX);
    CHECK_EQ(reserve(XENMEM_increase_reservation, DOMID_SELF, block, TABLES / 512, 9), TABLES / 512);
    for (u32 i = 0; i < TABLES / 512; i++) {
        u64 *above = page_new();

        for (u32 n = 0; n < 512; n++) {
            CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, block[i] + n, va_to_mfn(table)), 0);
            above[n] = (block[i] + n) << 12 | (WRITABLE & ~PTE_NX);
        }
        CHECK_EQ(make_ro(above), 0);
        ((u64 *)top)[i] = va_to_mfn(above) << 12 | (WRITABLE & ~PTE_NX);
    }
    u64 l4 = va_to_mfn((void *)start_info->pt_base), l3 = va_to_mfn(top);
    static u64 late[1 + NEWER];

    if (form == TOP_FIRST) {
        CHECK_EQ(reserve(XENMEM_increase_reservation, DOMID_SELF, late, 1 + NEWER, 0), 1 + NEWER);
        CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, late[0], l3), 0);
        l3 = late[0];
    } else if (form != EMPTY)
        CHECK_EQ(make_ro(top), 0);
    for (u32 i = 0; i < (form == EMPTY ? TABLES / 512 : 1); i++)
        CHECK_EQ(mmu_update_one(l4 << 12 | (8 + i * 8), form == EMPTY ? ((u64 *)top)[i] : l3 << 12 | (WRITABLE & ~PTE_NX)), 0);
    if (form != PINNED)
        CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, l4, 0), 0);
    domu_box.words[STARTED] = 1;
    for (;;)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static u64 last_tick, longest;
static void look_at_gap(void)
{
    u64 now = smp_time(0);

    longest = now - last_tick > longest ? now - last_tick : longest;
    last_tick = now;
}

/* Whoever destroys it gets its events meanwhile: true, if none had to wait for half of the time. */
static bool ends_in_parts(u64 form)
{
    domu_create(&g, 1);
    domain_set_max(g.id, DOMU_PFNS + TABLES + 1 + NEWER);
    domu_load(&g, all_tables, form);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for_start();
    CHECK_EQ(domain_info(g.id) & XEN_DOMINF_shutdown, 0);
    ticks_begin(look_at_gap);
    u64 start = last_tick = smp_time(0);

    longest = 0;
    domu_destroy(&g);
    look_at_gap();
    u64 took = last_tick - start;

    ticks_end();
    print("destroyed in %u us, an event waited for %u us\n", (u32)(took / 1000), (u32)(longest / 1000));
    return longest < took / 2;
}

void test_main(void)
{
    for (u64 which = 0; which < sizeof(calls) / sizeof(calls[0]); which++)
        nobody_waits(which);
    parts(false);
    parts(true);
    for (u64 form = 0; form < FORMS; form++) {
        u32 tries = 0;

        while (tries < 5 && !ends_in_parts(form)) /* the emulator itself may have waited */
            tries++;
        CHECK(tries < 5);
    }
}
