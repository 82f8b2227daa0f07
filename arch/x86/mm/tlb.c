/* SPDX-License-Identifier: MIT */
/*
 * TLB flushing, here and on other CPUs.
 *
 * A frame may get another type or another owner only after every CPU has flushed since the old one
 * went (XSA-241). A clock ticks at each flush. A frame is stamped with it when its type goes and
 * when it is freed; a CPU's time is what the clock said before its last flush. A CPU whose time is
 * later than the stamp need not be asked. So a freed frame costs no interrupt: page_alloc() flushes
 * for it when it is given out again, and that flush serves for all frames freed before it.
 *
 * Only CPUs with a guest's address space loaded (percpu.loaded_dom) are asked: the others load CR3
 * before they use one: cpus_with_guests().
 *
 * Requests are counted, and their target follows the count: tlb_serve(). A CPU that waits serves the
 * requests of others meanwhile, in the loop here and in spin_lock(): so two CPUs that wait for each
 * other both get on, whatever locks they hold.
 *
 * The clock has 32 bits and wraps; times are compared by their difference, which tells the truth
 * while no CPU's time is more than 2^31 ticks old. Otherwise: CPU A runs its guest and does not load
 * CR3 for 2^31 ticks, CPU B takes a frame that A has written to for a page table, A's old time looks
 * later than the stamp, A is not asked, and its guest writes page tables. So the clock runs in epochs
 * of 2^30 ticks:
 *
 *   - whose tick begins an epoch asks every other CPU to flush, and does not wait for it;
 *   - the clock does not go from epoch E to E + 1 before every CPU's time lies in E: it stands still.
 *     A flush without a tick is still a flush; its CPU may only be asked once more than needed.
 *
 * In epoch E + 1 all times therefore lie in E or E + 1: less than 2^31 ticks ago. A stamp may be of any
 * age: one so old that its difference has wrapped looks too new, which costs a flush. A CPU that
 * tells its time late has an older one until then, which holds the clock as well. Idle CPUs are asked
 * like others (once in 2^30 ticks). Parked ones and those that start are not counted: they flush
 * between coming online and loading a guest's tables, and times of CPUs without a guest's tables are not compared.
 */
#include <hv/trap_test.h>
#include <hv/x86/apic.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/tlb.h>
#include <hv/x86/vectors.h>

#define FLUSH_GUEST 1u  /* all translations but global ones */
#define FLUSH_GLOBAL 2u /* these too */
#define EPOCH (1u << 30)

u32 tlb_flush_clock __aligned_to(64) = 1;

u32 tlb_clock(void) { return __atomic_load_n(&tlb_flush_clock, __ATOMIC_ACQUIRE); }

/*
 *   CPU A (here):    reads the clock; flushes; tells the time that it read (tlb_flush_time)
 *   CPU B:           takes an entry away; stamps its frame with the clock; asks the CPUs whose time is not later than the stamp
 *
 * If A told its time before it had flushed, or read the clock after the flush (and had walked the old entry once more in between), B could
 * find A's time later than the stamp although A still has the translation: A would not be asked.
 */
static void flushed_at(u32 time) { __atomic_store_n(&this_cpu()->tlb_flush_time, time, __ATOMIC_RELEASE); }

void tlb_load_cr3(u64 cr3)
{
    u32 now = tlb_clock();

    write_cr3(cr3);
    flushed_at(now);
}

/* Asks c for a flush (what: FLUSH_*, or 0: of one address); returns the number of the request. tlb_serve() has the protocol. */
static u64 tlb_ask_cpu(struct percpu *c, u32 what, u64 address)
{
    u64 none = 0;

    /* One address can wait at a time: a second, different one turns the request into a whole flush. */
    if (!what && !__atomic_compare_exchange_n(&c->flush_address, &none, address, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        none != address)
        what = FLUSH_GUEST;
    if (what)
        __atomic_fetch_or(&c->flush_what, what, __ATOMIC_SEQ_CST);
    u64 number = __atomic_add_fetch(&c->flush_asked, 1, __ATOMIC_SEQ_CST);
    local_apic_send(c->apic_id, VECTOR_FLUSH);
    return number;
}

static void tlb_ask_others(void)
{
    for_each_cpu(c, cpuset_without(cpuset_read(&cpus_online), this_cpu()->id))
        tlb_ask_cpu(c, FLUSH_GUEST, 0);
}

static bool same_epoch(u32 a, u32 b) { return (a ^ b) < EPOCH; }

static bool all_flushed_in_epoch_of(u32 now)
{
    for_each_cpu(c, cpuset_read(&cpus_online))
        if (!same_epoch(READ_ONCE(c->tlb_flush_time), now))
            return false;
    return true;
}

/* The clock moves for a flush that the caller does next; returns the time to tell for it. */
static u32 tlb_clock_tick(void)
{
    u32 now = tlb_clock(), next;

    do {
        next = now + trap_test_tlb_tick();
        if (unlikely(!same_epoch(now, next)) && !all_flushed_in_epoch_of(now))
            return now;
    } while (!__atomic_compare_exchange_n(&tlb_flush_clock, &now, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (unlikely(!same_epoch(now, next)))
        tlb_ask_others();
    return next;
}

void tlb_flush_local(void)
{
    u32 now = tlb_clock_tick();

    write_cr3(read_cr3());
    flushed_at(now);
}

void tlb_flush_global(void)
{
    u64 cr4 = read_cr4();
    u32 now = tlb_clock_tick();

    if (cr4 & CR4_PGE) {
        write_cr4(cr4 & ~CR4_PGE);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3()); /* nothing is global (xpti.c) */
    }
    flushed_at(now);
}

/*
 *   CPU A (tlb_ask_cpu()):    has changed page tables; says what to flush (flush_what, flush_address); adds 1 to flush_asked
 *   CPU B (here):     reads flush_asked; takes what to flush; flushes; flush_done = the count that it has read
 *
 * If B read the count last, it could call a request done that it has not taken: A would go on, and free a frame that B still has a translation
 * of. A request that B takes before it is counted is only flushed early: its tables were changed before that.
 */
void tlb_serve(void)
{
    struct percpu *c = this_cpu();
    u64 asked = __atomic_load_n(&c->flush_asked, __ATOMIC_SEQ_CST);

    if (asked == c->flush_done)
        return;
    u32 what = __atomic_exchange_n(&c->flush_what, 0, __ATOMIC_SEQ_CST);
    u64 address = __atomic_exchange_n(&c->flush_address, 0, __ATOMIC_SEQ_CST);
    if (what & FLUSH_GLOBAL)
        tlb_flush_global();
    else if (what & FLUSH_GUEST)
        tlb_flush_local();
    else if (address)
        invlpg(address);
    __atomic_store_n(&c->flush_done, asked, __ATOMIC_RELEASE);
}

static bool tlb_request_served(const struct percpu *c, u64 number)
{
    /* A CPU that has stopped for good or is parked is not waited for: it flushes when it comes back. */
    return __atomic_load_n(&c->flush_done, __ATOMIC_ACQUIRE) >= number || !cpu_is_online(c);
}

/* Asks the other CPUs of the set, and returns when all of them have flushed. */
static void tlb_flush_others(cpuset_t set, u32 what, u64 address)
{
    u64 number[MAX_CPUS];

    set = cpuset_and(set, cpuset_without(cpuset_read(&cpus_online), this_cpu()->id));
    for_each_cpu(c, set)
        number[c->id] = tlb_ask_cpu(c, what, address);
    for_each_cpu(c, set)
        while (!tlb_request_served(c, number[c->id])) {
            tlb_serve();
            cpu_relax();
        }
}

void tlb_flush_global_all_cpus(void)
{
    tlb_flush_global();
    tlb_flush_others(cpuset_all(), FLUSH_GLOBAL, 0);
}

/*
 *   CPU A (here):                        has changed page tables; reads percpu.loaded_dom
 *   CPU B (pv_enter_address_space()):    loaded_dom = the domain; loads CR3
 *
 * If A does not see B, all that B walks it walks after the change. If B loaded CR3 first, it could walk an old entry between A's two steps,
 * and A would not ask it to flush.
 */
static cpuset_t cpus_with_guests(void)
{
    cpuset_t set = CPUSET_NONE;

    smp_mb();
    for_each_cpu(c, cpuset_read(&cpus_online))
        if (READ_ONCE(c->loaded_dom))
            cpuset_set(&set, c->id);
    return set;
}

void tlb_flush_cpus(cpuset_t set, u64 address)
{
    set = cpuset_and(set, cpus_with_guests());
    if (cpuset_test(set, this_cpu()->id)) {
        if (address)
            invlpg(address);
        else
            tlb_flush_local();
    }
    tlb_flush_others(set, address ? 0 : FLUSH_GUEST, address);
}

static bool flushed_since(const struct percpu *c, u32 stamp) { return (s32)(READ_ONCE(c->tlb_flush_time) - stamp) > 0; }

static cpuset_t cpus_not_flushed_since(u32 stamp)
{
    cpuset_t set = cpus_with_guests();

    for_each_cpu(c, set)
        if (flushed_since(c, stamp))
            cpuset_clear(&set, c->id);
    return set;
}

void tlb_flush_since(u32 stamp) { tlb_flush_cpus(cpus_not_flushed_since(stamp), 0); }

bool tlb_flushed_since(u32 stamp) { return cpuset_empty(cpus_not_flushed_since(stamp)); }
