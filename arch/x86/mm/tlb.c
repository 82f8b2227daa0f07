/*
 * TLB flushing, here and on other CPUs.
 *
 * A frame may change its type only after every CPU has flushed since the old type went (XSA-241).
 * A clock ticks at each flush; frames are stamped with it when their type goes, CPUs note it when
 * they load CR3: who loaded CR3 at a later tick than the stamp's need not be asked.
 *
 * Only CPUs with a guest's address space loaded (percpu.loaded) are asked: the others load CR3
 * before they use one. The order that this relies on: a CPU says what it loads before it does, and
 * who flushes has changed the tables before it looks.
 *
 * Asking is a count that the target follows. Whoever waits holds no lock and serves requests of
 * others meanwhile, so two that wait for each other both get on.
 */
#include <hv/irq.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/x86/page_table.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

#define FLUSH_GUEST 1u  /* all translations but global ones */
#define FLUSH_GLOBAL 2u /* these too */

u32 tlb_flush_clock __aligned_to(64) = 1;

u32 tlb_clock(void)
{
    return __atomic_load_n(&tlb_flush_clock, __ATOMIC_ACQUIRE);
}

void tlb_note_cr3_load(void)
{
    this_cpu()->tlb_flush_time = tlb_clock();
}

static void tick(void)
{
    this_cpu()->tlb_flush_time = __atomic_add_fetch(&tlb_flush_clock, 1, __ATOMIC_SEQ_CST);
}

void tlb_flush_local(void)
{
    tick();
    write_cr3(read_cr3());
}

void tlb_flush_global(void)
{
    u64 cr4 = read_cr4();

    tick();
    if (!(cr4 & CR4_PGE)) {
        write_cr3(read_cr3()); /* nothing is global (isolation.c) */
        return;
    }
    write_cr4(cr4 & ~CR4_PGE);
    write_cr4(cr4);
}

void tlb_serve(void)
{
    struct percpu *c = this_cpu();
    u32 asked = __atomic_load_n(&c->flush_asked, __ATOMIC_SEQ_CST);

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

/* The number whose completion means that the request has been served. */
static u32 ask(struct percpu *c, u32 what, u64 address)
{
    u64 none = 0;

    /* One address at a time; a second one makes it a whole flush. */
    if (!what && !__atomic_compare_exchange_n(&c->flush_address, &none, address, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        none != address)
        what = FLUSH_GUEST;
    if (what)
        __atomic_fetch_or(&c->flush_what, what, __ATOMIC_SEQ_CST);
    u32 number = __atomic_add_fetch(&c->flush_asked, 1, __ATOMIC_SEQ_CST);

    local_apic_send(c->apic_id, VECTOR_FLUSH);
    return number;
}

static bool served(const struct percpu *c, u32 number)
{
    /* One that stopped for good or is parked is no longer waited for: it flushes when it returns. */
    return (s32)(__atomic_load_n(&c->flush_done, __ATOMIC_ACQUIRE) - number) >= 0 || !cpu_is_online(c);
}

/* On the other CPUs of the set; returns when they have done it. */
static void flush_others(u64 set, u32 what, u64 address)
{
    u32 number[MAX_CPUS];
    struct percpu *c;

    set &= READ_ONCE(cpus_online) & ~cpu_bit(this_cpu());
    if (!set)
        return;
    ASSERT(this_cpu()->locks_held == 0);
    for_each_cpu(c, set)
        number[c->id] = ask(c, what, address);
    for_each_cpu(c, set)
        while (!served(c, number[c->id])) {
            tlb_serve();
            cpu_relax();
        }
}

void tlb_flush_global_all_cpus(void)
{
    tlb_flush_global();
    flush_others(~0ULL, FLUSH_GLOBAL, 0);
}

static u64 cpus_with_guests(void)
{
    struct percpu *c;
    u64 set = 0;

    smp_mb();
    for_each_cpu(c, READ_ONCE(cpus_online))
        if (READ_ONCE(c->loaded))
            set |= cpu_bit(c);
    return set;
}

void tlb_flush_all_cpus(void)
{
    tlb_flush_local();
    flush_others(cpus_with_guests(), FLUSH_GUEST, 0);
}

void tlb_flush_cpus(u64 set, u64 address)
{
    set &= cpus_with_guests();
    if (set & cpu_bit(this_cpu())) {
        if (address)
            invlpg(address);
        else
            tlb_flush_local();
    }
    flush_others(set, address ? 0 : FLUSH_GUEST, address);
}

static bool flushed_since(const struct percpu *c, u32 stamp)
{
    return (s32)(READ_ONCE(c->tlb_flush_time) - stamp) > 0;
}

void tlb_flush_for_page(const struct page_info *pg)
{
    u32 stamp = READ_ONCE(pg->tlb_stamp);
    u64 set = cpus_with_guests();
    struct percpu *c;

    for_each_cpu(c, set)
        if (flushed_since(c, stamp))
            set &= ~cpu_bit(c);
    tlb_flush_cpus(set, 0);
}
