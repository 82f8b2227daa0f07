/* SPDX-License-Identifier: MIT */
/*
 * A domain is taken apart by one vCPU of dom0 while others, at each point where they may, pin its tables, change their entries, map its
 * frames and take them away. The real domain_kill(), page_type.c, pt_validate.c and pt_update.c: each vCPU is a thread, of which one runs.
 */
#include "fakes.h"

#include <pthread.h>

#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>

#define ACTORS 3 /* the first one destroys */
#define FRAMES 48
#define PER_LEVEL 8
#define TABLES (4 * PER_LEVEL) /* of the frames */
#define ROUNDS 150
#define FLAGS (PTE_PRESENT | PTE_RW | PTE_USER)
#define RO (PTE_PRESENT | PTE_USER)

static struct domain *dom0, *d;
static struct page_info *frame[FRAMES];
static mfn_t base;
static bool gone;
static u64 calls, changed, typed;

static u64 seed = 88172645463325252ULL;
static u32 below(u32 n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (u32)(seed >> 20) % n;
}

/* ---- who runs ---- */
static pthread_mutex_t baton = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static u32 runs;
static bool ended[ACTORS];
static struct vcpu vcpus[ACTORS];
static _Thread_local u32 me;

static void wait_for_turn(void)
{
    while (runs != me)
        pthread_cond_wait(&passed, &baton);
    boot_percpu.curr = &vcpus[me];
}

static void pass(void)
{
    u32 to = below(ACTORS);

    while (ended[to])
        to = (to + 1) % ACTORS;
    runs = to;
    pthread_cond_broadcast(&passed);
}

static void others_run(void)
{
    pass();
    wait_for_turn();
}

void preempt_point(void)
{
    if (!gone && !below(3))
        others_run();
}
void preempt_wait(u32 *turns)
{
    ++*turns;
    others_run();
}

/* ---- neighbours ---- */
int segdesc_page_validate(__unused struct page_info *pg) { return 0; }
bool sched_is_outside(__unused struct vcpu *v) { return true; }
bool vcpu_has_pending(__unused const struct vcpu *v) { return !below(3); }
void vcpu_wake(__unused struct vcpu *v) {}
void vcpu_pause_flag_set(struct vcpu *v, u32 flag) { v->pause_flags |= flag; }
void vcpu_stop_for_good(__unused struct vcpu *v) {}
void timer_kill(__unused struct timer *t) {}
void domain_watchdog_kill(__unused struct domain *dom) {}
void arch_domain_unload(__unused const struct domain *dom) {}
int evtchn_destroy(__unused struct domain *dom) { return 0; }
void evtchn_send_global_virq(__unused u32 virq) {}
int grant_release_mappings(__unused struct domain *dom) { return 0; }
void grant_destroy(__unused struct domain *dom) {}
void arch_domain_relinquish(__unused struct domain *dom)
{
    if (base)
        page_put_and_type(mfn_to_page(base));
    base = 0;
}

/* ---- a domain with tables of all levels ---- */
static struct page_info *of_level(u32 level) { return frame[(level - 1) * PER_LEVEL + below(PER_LEVEL)]; }

/* wrong: one in so many is none that the table may have. */
static u64 some_entry(u32 level, u32 wrong)
{
    bool bad = !below(wrong);

    if (!below(4))
        return 0;
    if (level > 1)
        return make_pte(page_to_mfn(of_level(bad ? level : level - 1)), FLAGS);
    return below(2) ? make_pte(page_to_mfn(frame[below(FRAMES)]), RO) :
                      make_pte(page_to_mfn(frame[bad ? below(FRAMES) : TABLES + below(FRAMES - TABLES)]), FLAGS);
}

static u32 some_slot(void) { return below(2) ? below(8) : below(HV_SLOT_FIRST); }

static void domain_build(void)
{
    d = fake_domain(1, false);
    domain_get(d); /* ours */
    d->state = DOMAIN_RUNNING;
    struct page_info *shared = mfn_to_page(virt_to_mfn(d->shared_info));
    domain_get(d);
    shared->owner = owner_of(d);
    shared->type_info = PGT_IN_USE(PGT_WRITABLE) | 1;
    shared->ref_info = PGR_SPECIAL | 1;
    for (u32 i = 0; i < FRAMES; i++)
        frame[i] = fake_page(d);
    for (u32 level = 1; level <= 4; level++)
        for (u32 n = 0; n < PER_LEVEL * 12; n++)
            ((pte_t *)page_to_virt(of_level(level)))[some_slot()] = some_entry(level, ~0u);
    /* Its vCPU's, and one that is pinned. */
    base = page_to_mfn(of_level(4));
    assert_int_equal(page_get_and_type(base, d, PGT_L4), 0);
    assert_int_equal(page_pin(d, page_to_mfn(of_level(4)), PGT_L4), 0);
}

static void hold_for_a_while(struct page_info *pg)
{
    bool write = below(2);

    if (write ? page_get_and_type(page_to_mfn(pg), d, PGT_WRITABLE) : !page_get(pg, d))
        return;
    for (u32 n = below(40); n; n--)
        others_run();
    if (write)
        page_put_and_type(pg);
    else
        page_put(pg);
}

static void take_away(struct page_info *pg)
{
    if (!page_get(pg, d))
        return;
    if (__atomic_fetch_and(&pg->ref_info, ~PGR_ALLOCATED, __ATOMIC_ACQ_REL) & PGR_ALLOCATED)
        page_put(pg);
    page_put(pg);
}

static void change_entry(void)
{
    u32 level = 1 + below(4);
    struct mmu_update u = { (page_to_mfn(of_level(level)) << PAGE_SHIFT) + some_slot() * 8 + (below(4) ? 0 : MMU_PT_UPDATE_PRESERVE_AD),
                            some_entry(level, 16) };

    changed += !do_mmu_update(guest_ptr((u64)&u), 1, GUEST_NULL, (d->id + 1UL) << 16 | d->id);
}

static void attack(void)
{
    u32 level = 1 + below(4);

    switch (below(12)) {
    case 0 ... 2: (void)!page_pin(d, page_to_mfn(of_level(level)), PGT_L1 + level - 1); break;
    case 3: (void)!page_unpin(d, page_to_mfn(of_level(level))); break;
    case 4: hold_for_a_while(frame[below(FRAMES)]); break;
    case 5:
        if (!below(20))
            take_away(frame[below(FRAMES)]);
        break;
    default: change_entry();
    }
}

static void *acts(void *number)
{
    me = (u32)(u64)number;
    pthread_mutex_lock(&baton);
    wait_for_turn();
    for (u32 n = me ? ~0u : below(300); n && !gone; n--)
        attack();
    if (!me) {
        for (u32 i = 0; i < TABLES; i++)
            typed += !!(frame[i]->type_info & PGT_COUNT_MASK);
        for (calls++; domain_kill(d) == -ERESTART; calls++)
            if (below(2))
                others_run();
        gone = true;
    }
    ended[me] = true;
    if (!ended[0] || !ended[1] || !ended[2])
        pass();
    pthread_mutex_unlock(&baton);
    return NULL;
}

static void taken_apart(void **state)
{
    u64 before = 0;

    (void)state;
    fake_reset();
    fake_memory_init();
    dom0 = fake_domain(0, true);
    hardware_domain = dom0;
    for (u32 i = 0; i < ACTORS; i++)
        vcpus[i].domain = dom0;
    for (u32 round = 0; round < ROUNDS; round++) {
        pthread_t thread[ACTORS];

        before = page_free_count();
        gone = true;
        domain_build();
        gone = false;
        memset(ended, 0, sizeof(ended));
        runs = ACTORS; /* nobody */
        for (u64 i = 0; i < ACTORS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, acts, (void *)i), 0);
        pthread_mutex_lock(&baton);
        runs = 0;
        pthread_cond_broadcast(&passed);
        pthread_mutex_unlock(&baton);
        for (u32 i = 0; i < ACTORS; i++)
            pthread_join(thread[i], NULL);
        assert_int_equal(d->state, DOMAIN_DEAD);
        assert_int_equal(d->tot_pages, 0);
        assert_int_equal(d->page_list, 0);
        assert_int_equal(d->refs, 1);
        hv_free_page(d->shared_info);
        hv_free_page(d->pv.perdomain_l3);
        u64 left = before - page_free_count();
        assert_int_equal(left, (sizeof(struct domain) + PAGE_SIZE - 1) / PAGE_SIZE);
    }
    print_message("%lu tables, %lu calls, %lu entries changed\n", typed, calls, changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(taken_apart) };

    return cmocka_run_group_tests_name("teardown", tests, NULL, NULL);
}
