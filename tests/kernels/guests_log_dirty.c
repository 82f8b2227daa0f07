/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: a guest stores by every way that there is, while dom0 does as a migration: it remembers what each page held that was reported, and
 * whenever the guest stands still, all pages hold what it remembers. What the guest finds in its page tables is what it and the processor wrote.
 */
#include "domu.h"
#include "grants.h"
#include "smp.h"

enum { STOP, COUNT, SECOND, WAY }; /* words of the box */
#define FLAGS (PTE_P | PTE_W | PTE_U)
#define REF GRANT_FREE
#define PAGES 4

static struct domu g;
static u8 window[PAGE_SIZE] __attribute__((aligned(4096)));
static u64 remembered[DOMU_PFNS];
static u8 bitmap[DOMU_PFNS / 8];

/* ---- the guest's ways to store ---- */

static u8 *data[PAGES], *target, *spare, *prepared;
static u64 target_pte;
static volatile u64 seed = 1;

static u64 random(void) { return seed = seed * 6364136223846793005UL + 1442695040888963407UL; }
static volatile u64 *word_of(u8 *page) { return (volatile u64 *)(page + (random() >> 40) % 512 * 8); }

static void plain(void)
{
    u8 *to = data[random() >> 40 & 1];
    u64 n = 64;

    *word_of(to) += 1;
    smp_atomic_add(word_of(to), 3);
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(random()) : "memory");
}

static void by_copy(void)
{
    struct vcpu_runstate_info *r = (void *)data[2];

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, r), 0);
}

static void by_trap(void)
{
    u64 way = random() >> 40 & 1;

    if (way)
        CHECK(TRAPS(14, *(volatile u8 *)0x1000));
    else
        CHECK(TRAPS(6, __asm__ volatile("ud2")));
}

static void by_event(void)
{
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

extern char user_store[];
__asm__(".pushsection .text\nuser_store: mov %rsp, -8(%rsp)\n incq -16(%rsp)\n syscall\nuser_store_end:\n.popsection");
extern char user_store_end[];
static u64 user_code, user_sp;

static void by_user(void) { user_run(user_code, user_sp, 0x200); }

/* The bits of a processor: none before the access, A after a read, D after a store; and what the guest wrote, RW among it. */
static void bits(void)
{
    volatile u64 *e = pte_of(target, 1);
    u64 clean = (target_pte & PTE_ADDR) | FLAGS;

    CHECK_EQ(remap(target, clean), 0);
    CHECK_EQ(*e, clean);
    CHECK_EQ(*(volatile u64 *)target == 0x1234567, 0);
    CHECK_EQ(*e, clean | PTE_A);
    *(volatile u64 *)target = random();
    CHECK_EQ(*e, clean | PTE_A | PTE_D);
    CHECK_EQ(make_ro(target), 0);
    CHECK(!(*e & PTE_W));
    CHECK(TRAPS(14, *(volatile u64 *)target = 0));
    CHECK_EQ(last_trap.error & 3, 3);
    CHECK_EQ(remap(target, 0), 0);
    CHECK(TRAPS(14, *(volatile u64 *)target));
    CHECK_EQ(last_trap.error & 3, 0);
    CHECK_EQ(remap(target, target_pte), 0);
}

static void by_emulation(void)
{
    volatile u64 *e = pte_of(target, 1);

    *e = (target_pte & PTE_ADDR) | FLAGS;
    *(volatile u64 *)target = random();
    __asm__ volatile("lock andb $0xfd, %0" : "+m"(*(volatile u8 *)e));
    mmuext(MMUEXT_INVLPG_LOCAL, (u64)target, 0);
    CHECK(TRAPS(14, *(volatile u64 *)target = 0));
    *e = target_pte;
}

/* A page that is mapped nowhere writable: the hypervisor writes to it. */
static void by_hypervisor(void)
{
    u64 mfn = va_to_mfn(spare);
    struct mmuext_op copy = { .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = mfn, .arg2.src_mfn = va_to_mfn(data[0]) };

    CHECK_EQ(mmu_update_one((mfn << 12) + (random() >> 40) % 512 * 8, random()), 0);
    if (random() >> 40 & 1)
        CHECK_EQ(mmuext(MMUEXT_CLEAR_PAGE, mfn, 0), 0);
    else
        CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmuext_op, &copy, 1, 0, DOMID_SELF), 0);
}

/* A page becomes an L1 table, whose entry the hypervisor adjusts; it is used as one, and is a page again. */
static void by_table(void)
{
    volatile u64 *t = (void *)prepared, *up = pte_of(target, 2);
    u64 mfn = va_to_mfn(prepared), before = *up, at = pte_machine_address(target, 2);

    memory_copy(prepared, (void *)((u64)pte_of(target, 1) & -PAGE_SIZE), PAGE_SIZE);
    t[(u64)prepared >> 12 & 511] &= ~PTE_W;
    t[511] = va_to_mfn(data[0]) << 12 | PTE_P;
    CHECK_EQ(make_ro(prepared), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
    CHECK_EQ(t[511], va_to_mfn(data[0]) << 12 | PTE_P | PTE_U);
    CHECK_EQ(mmu_update_one((mfn << 12) + 8 * 511, 0), 0);
    CHECK_EQ(mmu_update_one(at, mfn << 12 | (before & 0xfff)), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    *(volatile u64 *)target = random();
    CHECK_EQ(mmu_update_one(at, before), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
    CHECK_EQ(make_rw(prepared), 0);
}

static void by_base(void)
{
    CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn((void *)start_info->pt_base), 0), 0);
    *word_of(data[1]) = random();
}

static void (*const ways[])(void) = { plain, by_copy, by_trap, by_event, by_user, bits, by_emulation, by_hypervisor, by_table, by_base };

static void second(u32 id)
{
    while (!((volatile struct domu_box *)&domu_box)->words[STOP]) {
        smp_atomic_add((u64 *)data[3] + (((volatile struct domu_box *)&domu_box)->words[SECOND]++ & 511), 1);
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    smp_stop(id);
}

static void stores(u64 vcpus)
{
    volatile u64 *w = domu_box.words;
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area register_area = { .addr.h = &area };

    for (u32 i = 0; i < PAGES; i++)
        data[i] = page_new();
    target = page_new();
    target_pte = *pte_of(target, 1) | PTE_A | PTE_D;
    prepared = page_new();
    spare = page_new();
    CHECK_EQ(make_ro(spare), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, &register_area), 0);
    user_mode_setup();
    user_code = user_text_page(user_store, (u64)(user_store_end - user_store));
    user_sp = user_stack();
    grant_set_up();
    grant_give(REF, 0, data[3], 0);
    if (vcpus > 1)
        smp_start(1, second);
    while (!w[STOP]) {
        w[WAY] = (random() >> 40) % (sizeof(ways) / sizeof(ways[0]));
        ways[w[WAY]]();
        w[COUNT]++;
    }
}

/* ---- dom0 ---- */

static long shadow_op(u32 op, u8 *to)
{
    domctl_op.u.shadow_op = (struct xen_domctl_shadow_op){ .op = op, .dirty_bitmap = (u64)to, .pages = DOMU_PFNS };
    return domctl(XEN_DOMCTL_shadow_op, g.id);
}

static u64 contents(u32 pfn)
{
    u64 hash = 0;

    CHECK_EQ(domu_map(window, &g, g.mfn[pfn], false), 0);
    for (u32 i = 0; i < 512; i++)
        hash = (hash ^ ((volatile u64 *)window)[i]) * 0x9e3779b97f4a7c15UL;
    return hash;
}

/* Frames of dom0's mapping of the box are not told. */
static bool looked_at(u32 pfn) { return g.mfn[pfn] && pfn != ((u64)&domu_box - VIRT_BASE) >> 12; }

static u32 remember(bool all)
{
    u32 n = 0;

    for (u32 pfn = 0; pfn < DOMU_PFNS; pfn++)
        if (looked_at(pfn) && (all || bitmap[pfn / 8] >> pfn % 8 & 1)) {
            remembered[pfn] = contents(pfn);
            n++;
        }
    return n;
}

static void compare(void)
{
    for (u32 pfn = 0; pfn < DOMU_PFNS; pfn++)
        if (looked_at(pfn) && contents(pfn) != remembered[pfn]) {
            print("pfn %x has changed, and was not reported\n", pfn);
            CHECK(false);
        }
}

/* The guest gets on. */
static void stores_again(u64 times)
{
    volatile u64 *w = (volatile u64 *)g.box->words;
    u64 count = w[COUNT] + times, end = smp_time(0) + 20000000000UL;

    while (w[COUNT] < count && !(domain_info(g.id) & XEN_DOMINF_shutdown) && smp_time(0) < end)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK(w[COUNT] >= count);
}

static void round(bool still)
{
    stores_again(3);
    if (still)
        CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, g.id), 0);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap), 0);
    CHECK_EQ(domctl_op.u.shadow_op.pages, DOMU_PFNS);
    u32 n = remember(false);
    if (!still)
        return;
    CHECK(n >= 2 && n < 128);
    compare();
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_PEEK, bitmap), 0);
    CHECK_EQ(domu_unpause(&g), 0);
}

static void migrated(u32 vcpus)
{
    u64 own = *pte_of(window, 1);
    u64 before = free_frames();

    domu_new(&g, vcpus, stores, vcpus);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_OFF, NULL), -22);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap), -22);
    CHECK_EQ(domu_unpause(&g), 0);
    stores_again(100);
    for (u32 times = 0; times < 2; times++) {
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), 0);
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), -22);
        remember(true);
        for (u32 i = 0; i < 20; i++)
            round(i & 1);
        stores_again(100);
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_OFF, NULL), 0);
        stores_again(100);
    }
    print("%u vCPUs: %lu stores, the last by way %lu\n", vcpus, (long)g.box->words[COUNT], (long)g.box->words[WAY]);
    g.box->words[STOP] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    domu_unmap(window, own);
    domu_destroy(&g);
    CHECK(free_frames() + 1 >= before); /* one page more for the hypervisor's small allocations, the first time */
}

/* Destroyed while its writes are logged: all memory comes back. */
static void ended(u32 vcpus)
{
    u64 own = *pte_of(window, 1), before = free_frames();

    domu_new(&g, vcpus, stores, vcpus);
    CHECK_EQ(domu_unpause(&g), 0);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), 0);
    stores_again(20);
    CHECK(free_frames() < before - 64);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, (u8 *)0x1000), -14);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_PEEK, bitmap), 0);
    CHECK(domctl_op.u.shadow_op.stats[1] >= g.nr_frames); /* nothing was told */
    domu_unmap(window, own);
    domu_destroy(&g);
    CHECK_EQ(free_frames(), before);
}

#define LOOP_PAGES 24

static void stores_to_pages(u64 arg)
{
    u8 *page[LOOP_PAGES];

    for (u32 i = 0; i < LOOP_PAGES; i++)
        page[i] = page_new();
    for (;; ((volatile u64 *)domu_box.words)[COUNT]++)
        for (u32 i = 0; i < LOOP_PAGES; i++)
            memory_set(page[i], (u8)arg, PAGE_SIZE);
}

/* How often the loop went round in so many rounds of a toolstack, of 10 ms each. */
static u64 loops(u32 rounds, bool logged)
{
    volatile u64 *w = (volatile u64 *)g.box->words;
    u64 before = w[COUNT];

    for (u32 i = 0; i < rounds; i++) {
        smp_sleep_until(0, smp_time(0) + 10000000);
        if (logged)
            CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap), 0);
    }
    return w[COUNT] - before;
}

/* What docs/performance.md says of a loop of stores, if -icount counts the time. */
static void slowed(void)
{
    u64 own = *pte_of(window, 1);

    domu_new(&g, 1, stores_to_pages, 0);
    CHECK_EQ(domu_unpause(&g), 0);
    loops(5, false);
    u64 free = loops(20, false);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL), 0);
    u64 logged = loops(20, true);
    print("a loop of stores to %u pages, in 200 ms: %lu times, %lu while logged, with 20 rounds\n", LOOP_PAGES, (long)free, (long)logged);
    CHECK(logged > 0);
    domu_unmap(window, own);
    domu_destroy(&g);
}

void test_main(void)
{
    migrated(1);
    migrated(2);
    ended(2);
    slowed();
}
