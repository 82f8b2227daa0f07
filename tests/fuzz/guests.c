/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests (hostile.h) beside an innocent one, under a dom0 that does what toolstacks and backends do. The hostile ones attack all that they can
 * name, and end in every way at any moment; others come. The innocent one looks at its memory, its page tables, its clock and its events all the
 * time, and dom0 looks whether it goes on and what others see of its memory. In the end all is as it was.
 *
 * Command line: seed=N ops=N, hexadecimal. What a guest does follows from the seed and its number alone, also when it dies depends on time.
 */
#define WORKERS 2
#define FRAMES 18
#define WINDOWS 6
#include "hostile.h"
#include "grants.h"
#include "domu.h"

#define HOSTILE 3
#define OPS_PER_LIFE 8192 /* of each vCPU, at most */
#define PATTERNS 12
#define WARM 12                   /* lives before memory is counted: the small heap grows for good */
#define HEAP_PAGES 12             /* and may grow by as many later: pages of a few sizes */
#define PATIENCE 30000000000UL    /* ns without a round of the innocent guest's */
#define DOM0_REF (GRANT_FREE + 0) /* the innocent guest's grants: to dom0, and from here on read-only to each hostile guest */

enum { OPS, SUCCEEDED = OPS + WORKERS, TRAPPED, ALLOWED, MAPPED };               /* words of a hostile guest's box */
enum { ROUNDS, BAD, PORT, ANSWERS, STOP, GRANTEES, READY = GRANTEES + HOSTILE }; /* of the innocent one's */

static struct guest {
    struct domu g;
    u32 life, pauses;
    u64 until;
} hostile[HOSTILE];
static struct domu innocent;
static u8 patterns[PATTERNS][PAGE_SIZE] __attribute__((aligned(4096))); /* the innocent guest's; the last one is granted */
static u8 *look, *shown;
static u64 look_pte, lives, total, total_succeeded, total_trapped, total_mapped, last_rounds, last_seen, pings;
static u32 to_innocent;
static struct worker chance; /* dom0's own */

static void __attribute__((noreturn)) stop_here(void)
{
    CHECK(!"stopped here");
    finish();
}

static u64 pattern(u32 page, u32 i) { return (page * 512UL + i + 1) * 0x9e3779b97f4a7c15UL ^ 0xa5a5; }
static long event_op(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg); }
static bool take_event(u32 port)
{
    return __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1UL << port % 64), __ATOMIC_SEQ_CST) >> port % 64 & 1;
}

/* ---- the innocent guest ---- */

static void wrong_if(bool wrong, u32 what, u64 a, u64 b)
{
    if (!wrong)
        return;
    ((volatile u64 *)domu_box.words)[BAD] = what;
    print("innocent: %u is wrong, 0x%lx and 0x%lx\n", what, a, b);
    stop_here();
}

static u64 tables_sum(void)
{
    const u64 *table = (void *)start_info->pt_base;
    u64 sum = 0;

    for (u64 first = start_info->pt_base - (start_info->nr_pt_frames - 1) * PAGE_SIZE, i = 0; i < start_info->nr_pt_frames * 512; i++) {
        table = (void *)first;
        sum = sum * 31 + (table[i] & ~(PTE_A | PTE_D));
    }
    return sum;
}

static void check_patterns(void)
{
    for (u32 p = 0; p < PATTERNS; p++)
        for (u32 i = 0; i < 512; i++) {
            u64 is = ((volatile u64 *)patterns[p])[i];

            wrong_if(is != pattern(p, i), 1, p * 512 + i, is);
        }
}

static void give_anew(volatile u64 *grantees, u64 *given)
{
    for (u32 i = 0; i < HOSTILE; i++)
        if (grantees[i] != given[i] && (!given[i] || grant_take_back(DOM0_REF + 1 + i))) {
            given[i] = grantees[i];
            grant_give(DOM0_REF + 1 + i, (domid_t)given[i], patterns[PATTERNS - 1], GTF_readonly);
        }
}

static void lives_on(u64 arg)
{
    volatile u64 *w = domu_box.words;
    struct evtchn_alloc_unbound port = { .dom = DOMID_SELF, .remote_dom = 0 };
    u64 last = smp_time(0), given[HOSTILE] = { 0 };

    (void)arg;
    for (u32 p = 0; p < PATTERNS; p++)
        for (u32 i = 0; i < 512; i++)
            ((u64 *)patterns[p])[i] = pattern(p, i);
    grant_set_up();
    grant_give(DOM0_REF, 0, patterns[PATTERNS - 1], 0);
    CHECK_EQ(event_op(EVTCHNOP_alloc_unbound, &port), 0);
    u64 sum = tables_sum(), shared = va_to_mfn(shared_info);

    w[PORT] = port.port;
    w[READY] = 1;
    while (!w[STOP]) {
        check_patterns();
        wrong_if(tables_sum() != sum, 2, tables_sum(), sum);
        wrong_if(va_to_mfn(shared_info) != shared, 3, va_to_mfn(shared_info), shared);
        u64 now_is = smp_time(0);

        wrong_if(now_is < last, 4, now_is, last);
        last = now_is;
        if (take_event(port.port)) {
            w[ANSWERS]++; /* first: dom0 asks again at once */
            wrong_if(event_op(EVTCHNOP_send, &(struct evtchn_send){ port.port }), 5, 0, 0);
        }
        give_anew(w + GRANTEES, given);
        smp_sleep_until(0, now_is + 200000);
        w[ROUNDS]++;
    }
}

/* ---- a hostile one ---- */

static void goes_wild(u32 id)
{
    struct worker *w = &workers[id];
    volatile u64 *words = domu_box.words;

    hostile_begin(id);
    for (u64 i = 0; i < OPS_PER_LIFE; i++) {
        operation(w);
        words[OPS + id] = i + 1;
        if (i & 31)
            continue;
        replenish(w);
        words[SUCCEEDED] = succeeded;
        words[TRAPPED] = trapped;
        words[ALLOWED] = allowed;
        words[MAPPED] = grants_mapped;
    }
    struct sched_shutdown s = { (u32)below(w, 7) };

    if (id || one_in(w, 2))
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &s);
    for (;;)
        operation(w); /* until somebody ends it */
}

static void hostile_main(u64 arg)
{
    (void)arg;
    hostile_setup();
    for (u32 i = 1; i < WORKERS; i++)
        smp_start(i, goes_wild);
    goes_wild(0);
}

/* ---- dom0 ---- */

static u64 free_pages(void)
{
    static struct xen_sysctl op;

    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &op), 0);
    return op.u.physinfo.free_pages;
}

static void keys(const char *list, u32 n)
{
    static struct xen_sysctl op;

    op.cmd = XEN_SYSCTL_debug_keys;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op.u.debug_keys.keys = (u64)list;
    op.u.debug_keys.nr_keys = n;
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &op), 0);
}

static void failed(const char *what)
{
    print("fuzz: FAIL: %s; seed 0x%lx, 0x%lx operations\n", what, seed, total);
    for (u32 i = 0; i < HOSTILE; i++)
        if (hostile[i].g.box)
            print("fuzz: d%u is life %u, at operations 0x%lx and 0x%lx; it says: %s\n", hostile[i].g.id, hostile[i].life,
                  hostile[i].g.box->words[OPS], hostile[i].g.box->words[OPS + 1], (const char *)hostile[i].g.box->text);
    print("fuzz: the innocent guest: %s\n", (const char *)innocent.box->text);
    keys("qmge", 4);
    stop_here();
}

static void begin_life(u32 n)
{
    struct guest *h = &hostile[n];

    *h = (struct guest){ .life = (u32)lives++, .until = now() + 500000 + below(&chance, 1UL << (20 + below(&chance, 10))) };
    domu_create(&h->g, WORKERS);
    /* What it finds when it starts. */
    u64 own_seed = seed;

    self_id = h->g.id;
    seed = (seed << 20) + h->life;
    others[0] = 0;
    others[1] = innocent.id;
    for (u32 i = 0; i < HOSTILE; i++)
        others[2 + i] = i == n ? innocent.id : hostile[i].g.id;
    others[5] = (domid_t)(self_id + 1);
    domu_load(&h->g, hostile_main, 0);
    seed = own_seed;
    domu_make_context(&h->g);
    CHECK_EQ(domu_set_context(&h->g, 0), 0);
    innocent.box->words[GRANTEES + n] = h->g.id;
    for (u32 ref = 0; ref < 4; ref++)
        grant_give(GRANT_FREE + n * 4 + ref, h->g.id, shown, ref % 2 ? GTF_readonly : 0);
    CHECK_EQ(domu_unpause(&h->g), 0);
}

static u64 at_most(u64 x, u64 most) { return x < most ? x : most; } /* of the guest's word */

static void end_life(u32 n)
{
    struct guest *h = &hostile[n];

    if (h->g.box->words[ALLOWED])
        failed("a guest was allowed what it may not");
    for (u32 i = 0; i < WORKERS; i++)
        total += at_most(h->g.box->words[OPS + i], OPS_PER_LIFE);
    total_succeeded += at_most(h->g.box->words[SUCCEEDED], WORKERS * OPS_PER_LIFE);
    total_trapped += at_most(h->g.box->words[TRAPPED], 8 * OPS_PER_LIFE);
    total_mapped += at_most(h->g.box->words[MAPPED], 4 * OPS_PER_LIFE);
    h->g.box->text_used = 0; /* what it says of itself is noise */
    domu_destroy(&h->g);
    for (u32 ref = 0; ref < 4; ref++)
        if (!grant_take_back(GRANT_FREE + n * 4 + ref))
            failed("a grant of dom0's stays in use by a domain that is gone");
}

/* What toolstacks and backends do with a guest; most of it may fail, since the guest may have ended. */
static void dom0_does(struct guest *h)
{
    struct worker *w = &chance;
    u64 mfn = h->g.mfn[0x100 + below(w, 400)];

    switch (below(w, 13)) {
    case 0:
        if (!h->pauses && !domctl(XEN_DOMCTL_pausedomain, h->g.id))
            h->pauses++;
        break;
    case 1:
        domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ (u32)below(w, 3), (u64)&domu_context };
        domctl(XEN_DOMCTL_getvcpucontext, h->g.id);
        break;
    case 2:
        if (!domu_map(look, &h->g, mfn ? mfn : 1, one_in(w, 2)))
            smp_sleep_until(0, now() + below(w, 100000));
        domu_unmap(look, look_pte);
        break;
    case 3: {
        struct gnttab_map_grant_ref m =
            grant_map((u64)look, GNTMAP_host_map | (one_in(w, 2) ? GNTMAP_readonly : 0), (u32)below(w, REFS), h->g.id);

        if (!m.status)
            CHECK_EQ(grant_unmap((u64)look, 0, m.handle), GNTST_okay);
        domu_unmap(look, look_pte);
        break;
    }
    case 4:
        grant_copy(
            (struct gnttab_copy){ GRANT_BY_REF((u32)below(w, REFS), h->g.id, 0), GRANT_BY_FRAME(shown, 0), 4096, GNTCOPY_source_gref, 0 });
        break;
    case 5: {
        struct evtchn_bind_interdomain b = { .remote_dom = h->g.id, .remote_port = (u32)below(w, 12) };

        if (event_op(EVTCHNOP_bind_interdomain, &b))
            break;
        event_op(EVTCHNOP_send, &(struct evtchn_send){ b.local_port });
        CHECK_EQ(event_op(EVTCHNOP_close, &(struct evtchn_close){ b.local_port }), 0);
        break;
    }
    case 6: mmuext_of(h->g.id, one_in(w, 2) ? MMUEXT_PIN_L1_TABLE : MMUEXT_UNPIN_TABLE, mfn ? mfn : 1); break;
    case 7:
        domctl_op.u.max_mem.max_memkb = 4 * (one_in(w, 4) ? below(w, DOMU_PFNS) : DOMU_PFNS);
        domctl(XEN_DOMCTL_max_mem, h->g.id);
        break;
    case 8: event_op(EVTCHNOP_reset, &(struct evtchn_reset){ h->g.id }); break;
    case 9: domctl(XEN_DOMCTL_resumedomain, h->g.id); break;
    case 10:
        domctl_op.u.sendtrigger = (struct xen_domctl_sendtrigger){ XEN_DOMCTL_SENDTRIGGER_NMI, (u32)below(w, 3) };
        domctl(XEN_DOMCTL_sendtrigger, h->g.id);
        break;
    case 11: {
        static const u32 ops[] = { XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_OP_PEEK,
                                   XEN_DOMCTL_SHADOW_OP_OFF };
        static u8 bitmap[DOMU_PFNS / 8];

        domctl_op.u.shadow_op = (struct xen_domctl_shadow_op){ .op = ops[below(w, 4)], .dirty_bitmap = (u64)bitmap, .pages = DOMU_PFNS };
        domctl(XEN_DOMCTL_shadow_op, h->g.id);
        break;
    }
    default: {
        u64 extents[8] = { 0 };

        reserve(XENMEM_populate_physmap, h->g.id, extents, 1 + below(w, 8), 0);
    }
    }
    if (h->pauses && one_in(w, 3)) {
        domctl(XEN_DOMCTL_unpausedomain, h->g.id);
        h->pauses = 0;
    }
}

/* Its memory from outside, and its progress. */
static void look_at_innocent(void)
{
    u32 p = (u32)below(&chance, PATTERNS);
    volatile u64 *words = innocent.box->words;

    CHECK_EQ(domu_map(look, &innocent, innocent.mfn[((u64)patterns[p] - VIRT_BASE) >> 12], false), 0);
    for (u32 i = 0; i < 512; i++)
        if (((volatile u64 *)look)[i] != pattern(p, i))
            failed("the innocent guest's memory has changed");
    domu_unmap(look, look_pte);
    if (words[BAD] || domain_info(innocent.id) & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
        failed("the innocent guest finds something wrong");
    if (words[ROUNDS] != last_rounds) {
        last_rounds = words[ROUNDS];
        last_seen = now();
    } else if (now() - last_seen > PATIENCE)
        failed("the innocent guest stands still");
    if (take_event(to_innocent) || !pings) {
        CHECK_EQ(event_op(EVTCHNOP_send, &(struct evtchn_send){ to_innocent }), 0);
        pings++;
    }
}

static void innocent_begins(void)
{
    domu_new(&innocent, 1, lives_on, 0);
    CHECK_EQ(domu_unpause(&innocent), 0);
    while (!innocent.box->words[READY])
        smp_sleep_until(0, now() + 1000000);
    struct evtchn_bind_interdomain b = { .remote_dom = innocent.id, .remote_port = (u32)innocent.box->words[PORT] };

    CHECK_EQ(event_op(EVTCHNOP_bind_interdomain, &b), 0);
    to_innocent = b.local_port;
    take_event(to_innocent);
    for (u32 i = 0; i < FRAMES; i++)
        theirs[i] = innocent.mfn[0x100 + below(&chance, innocent.nr_frames)];
    theirs[0] = innocent.mfn[innocent.l4_pfn];
    theirs[1] = innocent.mfn[innocent.l4_pfn - 3];
    last_seen = now();
    pings = last_rounds = 0;
}

static void innocent_ends(void)
{
    CHECK(innocent.box->words[ANSWERS] + 1 >= pings);
    innocent.box->words[STOP] = 1;
    CHECK_EQ(domu_wait(&innocent, 60000), SHUTDOWN_poweroff);
    CHECK_EQ(event_op(EVTCHNOP_close, &(struct evtchn_close){ to_innocent }), 0);
    domu_destroy(&innocent);
    if (!domctl(XEN_DOMCTL_getdomaininfo, 1))
        failed("a domain is left");
}

/* Until so many operations are done, and so many guests have lived. */
static void run(u64 operations, u64 until_life)
{
    u64 next_say = 0;

    innocent_begins();
    for (u32 n = 0; n < HOSTILE; n++)
        begin_life(n);
    while (total < operations || lives < until_life) {
        u32 n = (u32)below(&chance, HOSTILE);
        struct guest *h = &hostile[n];
        bool ended = domain_info(h->g.id) & XEN_DOMINF_shutdown;

        if (ended ? one_in(&chance, 3) : now() >= h->until) {
            end_life(n);
            begin_life(n);
        } else
            dom0_does(h);
        look_at_innocent();
        smp_sleep_until(0, now() + below(&chance, 500000));
        if (total >= next_say) {
            next_say = total + 0x4000;
            print("fuzz: 0x%lx operations of %u lives, innocent rounds 0x%lx\n", total, (u32)lives, last_rounds);
        }
    }
    for (u32 n = 0; n < HOSTILE; n++)
        end_life(n);
    innocent_ends();
}

void test_main(void)
{
    seed = argument("seed=", seed);
    nr_ops = argument("ops=", nr_ops);
    clock = shared_info->vcpu_info[0].time;
    chance.state = seed * 0x9e3779b97f4a7c15UL;
    grant_set_up();
    look = page_new();
    look_pte = *pte_of(look, 1);
    shown = page_new();
    run(0, WARM);
    u64 before = free_pages(), start = now(), total_before = total;

    run(total + nr_ops, 0);
    u64 after = free_pages(), ms = (now() - start) / 1000000;

    if (after + HEAP_PAGES < before || after > before)
        failed("memory is lost");
    print("fuzz: done 0x%lx operations in %u ms, %u lives, 0x%lx succeeded, 0x%lx trapped, 0x%lx grants mapped, pages free 0x%lx, before "
          "0x%lx\n",
          total - total_before, (u32)ms, (u32)lives, total_succeeded, total_trapped, total_mapped, after, before);
    keys("qmge", 4);
}
