/* SPDX-License-Identifier: MIT */
/*
 * Buddy allocator over the frame table. Free blocks hang in lists by zone and order; the zone
 * of a frame is the number of bits of its frame number, so "below 2^n bytes" is a range of zones.
 *
 * Frames are stamped with the TLB clock when they are freed; page_alloc() flushes the CPUs that may
 * still have translations from before. The head of a free block has the stamp of the frame that came last.
 *
 * Idle CPUs clear what was freed (page_scrub()). A free block is clean, all of it and as its head says, or it is not; blocks merge with
 * their like, and clean ones go first.
 *
 * Lock: heap_lock. Invariant: the head of a free block has PGR_FREE and its order in type_info;
 * all other frames of the block have ref_info 0.
 */
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/spinlock.h>
#include <hv/trap_test.h>
#include <hv/x86/page_table.h>
#include <hv/x86/tlb.h>

#define ZONES 41
#define LOW_ZONES 20 /* below 4 GiB */

static spinlock_t heap_lock = SPINLOCK_INIT(LOCK_PAGE_HEAP);
static struct free_lists {
    u32 first[MAX_ORDER + 1]; /* frame; 0: empty (frame 0 is never free) */
    u64 orders;               /* bit n: first[n] is not 0 */
} dirty_lists[ZONES], clean_lists[ZONES];
static u64 free_pages, low_free_pages; /* of these, in LOW_ZONES */
static u64 claimed_pages;              /* all claims together */
static u64 scrub_due;                  /* frames that idle CPUs are to clear: as many as were freed and not taken since */

static unsigned zone_of(mfn_t mfn) { return bit_last(mfn); }

static void count_free(mfn_t mfn, s64 frames)
{
    free_pages += (u64)frames;
    if (zone_of(mfn) < LOW_ZONES)
        low_free_pages += (u64)frames;
}

static struct free_lists *lists_of(mfn_t mfn, u64 clean) { return (clean ? clean_lists : dirty_lists) + zone_of(mfn); }

/* clean: PGR_CLEAN, or 0. */
static void list_push(mfn_t mfn, unsigned order, u32 stamp, u64 clean)
{
    struct free_lists *lists = lists_of(mfn, clean);
    struct page_info *pg = mfn_to_page(mfn);
    u32 head = lists->first[order];

    pg->ref_info = PGR_FREE | clean;
    pg->type_info = order;
    pg->owner = 0;
    pg->tlb_stamp = stamp;
    pg->prev = 0;
    pg->next = head;
    if (head)
        mfn_to_page(head)->prev = (u32)mfn;
    lists->first[order] = (u32)mfn;
    lists->orders |= 1ULL << order;
}

static void list_remove(mfn_t mfn, unsigned order)
{
    struct page_info *pg = mfn_to_page(mfn);
    struct free_lists *lists = lists_of(mfn, pg->ref_info & PGR_CLEAN);

    if (pg->prev)
        mfn_to_page(pg->prev)->next = pg->next;
    else
        lists->first[order] = pg->next;
    if (pg->next)
        mfn_to_page(pg->next)->prev = pg->prev;
    if (!lists->first[order])
        lists->orders &= ~(1ULL << order);
    pg->ref_info = 0;
    pg->type_info = 0;
    pg->next = pg->prev = 0;
}

static struct page_info *take_block(const struct free_lists *lists, unsigned order)
{
    u64 fits = lists->orders >> order;

    if (!fits)
        return NULL;
    unsigned o = order + bit_first(fits);
    mfn_t mfn = lists->first[o];
    u32 stamp = mfn_to_page(mfn)->tlb_stamp;
    u64 clean = mfn_to_page(mfn)->ref_info & PGR_CLEAN;
    list_remove(mfn, o);
    /* Give back lower halves: what is left for others is contiguous. */
    while (o > order) {
        o--;
        list_push(mfn, o, stamp, clean);
        mfn += 1ULL << o;
    }
    mfn_to_page(mfn)->tlb_stamp = stamp;
    mfn_to_page(mfn)->ref_info = clean;
    if (!clean)
        scrub_due -= MIN(scrub_due, 1ULL << order);
    return mfn_to_page(mfn);
}

struct page_info *page_alloc(unsigned order, unsigned address_bits) { return page_alloc_for(order, address_bits, 0, NULL); }

struct page_info *page_alloc_for(unsigned order, unsigned address_bits, u64 low_kept, u64 *claim)
{
    unsigned top = zone_of(max_mfn);
    struct page_info *pg = NULL;

    if (order > MAX_ORDER || trap_test_allocation_fails())
        return NULL;
    if (address_bits && address_bits < PAGE_SHIFT + ZONES) {
        /* Frames below 2^(bits - 12): zones 0 to bits - 13. */
        if (address_bits <= PAGE_SHIFT)
            return NULL;
        top = MIN(top, address_bits - PAGE_SHIFT - 1);
    }
    spin_lock(&heap_lock);
    u64 own = claim ? MIN(*claim, 1ULL << order) : 0;
    if (free_pages + own < claimed_pages + (1ULL << order))
        top = ~0u; /* no zone: the rest is claimed by others */
    for (unsigned zone = top + 1; zone-- && !pg;) {
        if (zone < LOW_ZONES && low_kept && low_free_pages < low_kept + (1ULL << order))
            break;
        pg = take_block(clean_lists + zone, order);
        if (!pg)
            pg = take_block(dirty_lists + zone, order);
    }
    if (pg)
        count_free(page_to_mfn(pg), -(1LL << order));
    if (pg && own) {
        *claim -= own;
        claimed_pages -= own;
    }
    spin_unlock(&heap_lock);
    if (pg)
        tlb_flush_since(pg->tlb_stamp);
    return pg;
}

static void merge_block(mfn_t mfn, unsigned order, u32 stamp, u64 clean)
{
    while (order < MAX_ORDER) {
        mfn_t buddy = mfn ^ (1ULL << order);

        if (!buddy || !mfn_valid(buddy) || zone_of(buddy) != zone_of(mfn))
            break;
        struct page_info *b = mfn_to_page(buddy);
        if (b->ref_info != (PGR_FREE | clean) || b->type_info != order)
            break;
        list_remove(buddy, order);
        mfn &= ~(1ULL << order);
        order++;
    }
    list_push(mfn, order, stamp, clean);
}

static void free_block(mfn_t mfn, unsigned order)
{
    count_free(mfn, 1LL << order);
    merge_block(mfn, order, tlb_clock(), 0);
}

/* The frame is as old as it was: all CPUs have flushed since, and since the clean ones that it merges with. It counts as free all the time. */
static bool scrub_in(const struct free_lists *lists)
{
    u32 stamp = mfn_to_page(lists->first[bit_first(lists->orders)])->tlb_stamp;

    if (!tlb_flushed_since(stamp))
        return false;
    struct page_info *pg = take_block(lists, 0);

    memset(page_to_virt(pg), 0, PAGE_SIZE);
    merge_block(page_to_mfn(pg), 0, stamp, PGR_CLEAN);
    return true;
}

/*
 *   CPU A (here):        clears a frame that was freed
 *   CPU B:               runs the guest that had it, and has not flushed since: it may still write to it
 *
 * What B writes after A has cleared would be seen by the frame's next owner. So a block waits until all CPUs have flushed since it was freed,
 * which each does before long; to ask them would cost guests an interrupt for every frame that they free.
 */
bool page_scrub(void)
{
    static bool busy; /* by one CPU at a time, or those that allocate would wait for all that are idle */
    bool done = false;

    if (!READ_ONCE(scrub_due) || __atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
        return false;
    spin_lock(&heap_lock);
    for (unsigned zone = zone_of(max_mfn) + 1; zone-- && !done;)
        done = dirty_lists[zone].orders && scrub_in(dirty_lists + zone);
    spin_unlock(&heap_lock);
    __atomic_store_n(&busy, false, __ATOMIC_RELEASE);
    return done;
}

/* heap_lock held. */
static void free_frames(struct page_info *pg, unsigned order)
{
    mfn_t mfn = page_to_mfn(pg);
    bool broken = false;

    /* Callers hold the last reference; a free frame here is a double free of ours, not a guest's. */
    ASSERT(!(pg->ref_info & PGR_FREE) && mfn);

    for (u64 i = 0; i < 1ULL << order; i++) {
        broken |= pg[i].ref_info & PGR_BROKEN;
        pg[i].ref_info &= PGR_BROKEN;
        pg[i].type_info = 0;
        pg[i].owner = 0;
    }
    scrub_due += 1ULL << order;
    if (likely(!broken))
        free_block(mfn, order);
    else
        for (u64 i = 0; i < 1ULL << order; i++)
            if (!pg[i].ref_info)
                free_block(mfn + i, 0);
}

void page_free(struct page_info *pg, unsigned order)
{
    spin_lock_scope(&heap_lock);
    free_frames(pg, order);
}

/* The free block that holds the frame: its order, or -1. */
static int free_order(mfn_t mfn)
{
    for (int order = 0; order <= MAX_ORDER; order++) {
        mfn_t head = mfn & ~((1ULL << order) - 1);

        if (head && mfn_valid(head) && (READ_ONCE(mfn_to_page(head)->ref_info) & PGR_FREE) &&
            READ_ONCE(mfn_to_page(head)->type_info) >= (u32)order)
            return (int)READ_ONCE(mfn_to_page(head)->type_info);
    }
    return -1;
}

bool page_is_free(mfn_t mfn) { return free_order(mfn) >= 0; }

bool page_take_free(mfn_t mfn)
{
    spin_lock_scope(&heap_lock);
    int found = free_order(mfn);
    if (found < 0)
        return false;
    unsigned order = (unsigned)found;
    mfn_t head = mfn & ~((1ULL << order) - 1);
    u32 stamp = mfn_to_page(head)->tlb_stamp;
    u64 clean = mfn_to_page(head)->ref_info & PGR_CLEAN;
    list_remove(head, order);
    /* Halves without the frame go back, until it is alone. */
    while (order--) {
        mfn_t upper = head + (1ULL << order);

        list_push(mfn >= upper ? head : upper, order, stamp, clean);
        head = mfn >= upper ? upper : head;
    }
    count_free(mfn, -1);
    return true;
}

/* The largest block that starts at the frame, which is not frame 0, and has at most `count`. */
static unsigned block_order(mfn_t mfn, u64 count)
{
    unsigned order = MIN(bit_first(mfn), bit_last(count));

    return MIN(order, (unsigned)MAX_ORDER);
}

/* heap_lock held. Frees the largest block at the start of a range without frame 0; how many frames that is. */
static u64 free_first(mfn_t mfn, u64 count)
{
    unsigned order = block_order(mfn, count);

    free_frames(mfn_to_page(mfn), order);
    return 1ULL << order;
}

void page_free_range(mfn_t mfn, u64 count)
{
    u64 done = !mfn; /* frame 0 stays */

    while (done < count) {
        spin_lock_scope(&heap_lock);
        done += free_first(mfn + done, count - done);
    }
}

void page_free_each(struct page_info *const *frames, u32 count)
{
    spin_lock_scope(&heap_lock);
    while (count) {
        u32 run = 1;

        while (run < count && frames[run] == frames[0] - run)
            run++;
        for (u64 done = 0; done < run;)
            done += free_first(page_to_mfn(frames[run - 1]) + done, run - done);
        frames += run;
        count -= run;
    }
}

void page_free_new(mfn_t mfn, u64 count)
{
    ASSERT(mfn || !count);
    spin_lock_scope(&heap_lock);
    while (count) {
        unsigned order = block_order(mfn, count);

        free_block(mfn, order);
        mfn += 1ULL << order;
        count -= 1ULL << order;
    }
}

struct page_info *page_alloc_contiguous(u64 count)
{
    if (!count || count > 1ULL << MAX_ORDER)
        return NULL;
    unsigned order = count == 1 ? 0 : bit_last(count - 1) + 1;
    struct page_info *pg = page_alloc(order, 0);
    if (pg)
        page_free_range(page_to_mfn(pg) + count, (1ULL << order) - count);
    return pg;
}

u64 page_free_count(void) { return READ_ONCE(free_pages); }

int page_claim(u64 *claim, u64 frames, u64 low_kept)
{
    spin_lock_scope(&heap_lock);
    u64 others = claimed_pages - *claim + MIN(low_kept, low_free_pages);
    if (frames && (others > free_pages || frames > free_pages - others))
        return -ENOMEM;
    claimed_pages += frames - *claim;
    *claim = frames;
    return 0;
}

u64 page_claimed_count(void) { return READ_ONCE(claimed_pages); }
