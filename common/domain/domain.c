/* Domains: creation, ownership of frames, the end of one. */
#include <hv/arch.h>
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/grant.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/smp.h>
#include <hv/softirq.h>
#include <hv/system_state.h>
#include <hv/trap_test.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_type.h>
#include <hv/x86/speculation.h>
#include <hv/x86/tlb.h>

static struct domain *domain_alloc(void)
{
    /* Frame-aligned: page_info.owner holds its frame number. */
    u64 pages = (sizeof(struct domain) + PAGE_SIZE - 1) >> PAGE_SHIFT;
    struct page_info *pg = page_alloc_contiguous(pages);

    return pg ? memset(page_to_virt(pg), 0, pages << PAGE_SHIFT) : NULL;
}

#define DOMAIN_TIMERS 1 /* cap */
#define VCPU_TIMERS 4   /* periodic, singleshot, poll, slice */

struct domain *domain_create(domid_t id, u32 max_vcpus, bool privileged)
{
    struct domain *d = domain_alloc();

    if (!d)
        return NULL;
    d->refs = 1;
    d->privileged = privileged;
    d->absent_checked = privileged ? spec.l1tf_dom0 : spec.l1tf;
    d->max_vcpus = max_vcpus;
    d->max_pages = ~0ULL;
    d->page_lock = (spinlock_t)SPINLOCK_INIT(LOCK_PAGE_LIST);
    d->event_lock = (spinlock_t)SPINLOCK_INIT(LOCK_EVENT);
    d->grant_lock = (spinlock_t)SPINLOCK_INIT(LOCK_GRANT);
    sched_domain_init(d);
    d->shared_info = hv_alloc_page();
    if (!d->shared_info || timers_reserve(DOMAIN_TIMERS) || arch_domain_create(d) || evtchn_init_domain(d) || grant_init_domain(d))
        return NULL; /* boot only: the builder reports, nothing is worth taking back */
    domain_share_page(d, mfn_to_page(virt_to_mfn(d->shared_info)));
    for (u32 i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
    wallclock_publish(d);
    return domain_table_add(d, id) ? NULL : d;
}

static void singleshot_fired(void *data)
{
    struct vcpu *v = data;

    evtchn_send_virq(v->domain, v, VIRQ_TIMER);
}

static void periodic_fired(void *data)
{
    struct vcpu *v = data;
    u64 now = system_time_ns(), period = READ_ONCE(v->period_ns);

    if (period == VCPU_NO_PERIOD)
        return; /* stopped meanwhile, on another CPU */
    evtchn_send_virq(v->domain, v, VIRQ_TIMER);
    /* A guest that was away gets one tick, not all it missed. */
    v->period_last += period * MAX(1ULL, (now - v->period_last) / period);
    timer_set(&v->periodic_timer, v->period_last + period);
}

static void poll_fired(void *data)
{
    vcpu_pause_flag_clear(data, PAUSE_POLL);
}

struct vcpu *vcpu_create(struct domain *d, u32 id)
{
    struct vcpu *v = hv_alloc(sizeof(*v));

    if (!v || timers_reserve(VCPU_TIMERS)) {
        hv_free(v);
        return NULL;
    }
    v->domain = d;
    v->id = id;
    v->pause_flags = PAUSE_DOWN;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = system_time_ns();
    v->info = id < XEN_LEGACY_MAX_VCPUS ? &d->shared_info->vcpu_info[id] : NULL;
    timer_init(&v->singleshot_timer, singleshot_fired, v);
    timer_init(&v->periodic_timer, periodic_fired, v);
    timer_init(&v->poll_timer, poll_fired, v);
    v->stack_block = stack_block_alloc();
    if (!v->stack_block || arch_vcpu_create(v)) {
        stack_block_free(v->stack_block);
        timers_release(VCPU_TIMERS);
        hv_free(v);
        return NULL;
    }
    sched_vcpu_init(v);
    v->tsc_offset = TIME_UNPUBLISHED;
    d->vcpu[id] = v;
    return v;
}

/* The ABI: a vCPU starts with a 10 ms tick, until it says otherwise. */
#define DEFAULT_PERIOD_NS 10000000

void vcpu_start(struct vcpu *v)
{
    if (!(v->pause_flags & PAUSE_DOWN))
        return;
    if (!v->period_ns)
        vcpu_set_period(v, DEFAULT_PERIOD_NS);
    vcpu_pause_flag_clear(v, PAUSE_DOWN);
}

void vcpu_set_period(struct vcpu *v, u64 period_ns)
{
    WRITE_ONCE(v->period_ns, period_ns);
    if (period_ns == VCPU_NO_PERIOD) {
        timer_stop(&v->periodic_timer);
        return;
    }
    v->period_last = system_time_ns();
    timer_set(&v->periodic_timer, v->period_last + period_ns);
}

int domain_assign_pages(struct domain *d, struct page_info *pg, u64 count)
{
    owner_t owner = owner_of(d);
    u32 stamp = tlb_clock();
    mfn_t mfn = page_to_mfn(pg), last = mfn + count - 1;

    spin_lock(&d->page_lock);
    if (d->tot_pages > d->max_pages || count > d->max_pages - d->tot_pages) {
        spin_unlock(&d->page_lock);
        return -E2BIG;
    }
    if (!d->tot_pages)
        domain_get(d); /* release() gives it back with the last frame */
    d->tot_pages += count;
    if (d->page_list)
        mfn_to_page(d->page_list)->prev = (u32)mfn;
    /* Each page_info is written once and as a whole: on large machines they are gigabytes. */
    for (u32 next = d->page_list; mfn <= last; next = (u32)mfn++, pg++) {
        pg->type_info = 0;
        pg->owner = owner;
        pg->tlb_stamp = stamp;
        pg->next = next;
        pg->prev = mfn < last ? (u32)mfn + 1 : 0;
        /* Last: from here on guests may take references. */
        __atomic_store_n(&pg->ref_info, PGR_ALLOCATED | 1, __ATOMIC_RELEASE);
    }
    d->page_list = (u32)last;
    spin_unlock(&d->page_lock);
    return 0;
}

void domain_share_page(struct domain *d, struct page_info *pg)
{
    pg->owner = owner_of(d);
    /* The hypervisor's own reference, never dropped while it uses the page; always writable. */
    pg->type_info = ((u64)PGT_WRITABLE << PGT_TYPE_SHIFT) | PGT_VALIDATED | 1;
    __atomic_store_n(&pg->ref_info, PGR_SPECIAL | 1, __ATOMIC_RELEASE);
}

static void stop_vcpus(struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_pause_flag_set(d->vcpu[i], PAUSE_SHUTDOWN);
}

static void hardware_domain_shutdown(u32 reason)
{
    static const char *const names[] = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft reset" };

    console_force_unlock(true); /* first: who is stopped may hold the lock, and not all may stop; synchronous from here on */
    smp_stop_others();
    system_phase_advance(PHASE_SHUTDOWN);
    console_flush_late();
    trap_test_phase("shutdown");
    if (reason == SHUTDOWN_poweroff || reason == SHUTDOWN_reboot)
        recorder_orderly_end();
    else
        recorder_guest_end(hardware_domain->crash_reason);
    coverage_dump();
    printk(LOG_INFO "dom0 has ended: %s\n", reason < ARRAY_SIZE(names) ? names[reason] : "unknown reason");
    if (reason == SHUTDOWN_poweroff)
        machine_power_off();
    if (opt_noreboot && reason != SHUTDOWN_reboot) {
        printk(LOG_INFO "Halted (noreboot).\n");
        machine_halt();
    }
    printk(LOG_INFO "Rebooting the machine.\n");
    machine_restart();
}

void domain_shutdown(struct domain *d, u32 reason)
{
    if (__atomic_exchange_n(&d->shutdown_claimed, true, __ATOMIC_SEQ_CST))
        return; /* of two vCPUs the first decides how */
    d->is_shut_down = true;
    d->shutdown_code = reason;
    stop_vcpus(d);
    if (d == hardware_domain)
        hardware_domain_shutdown(reason);
    evtchn_send_virq(hardware_domain, NULL, VIRQ_DOM_EXC);
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    char why[160];
    va_list ap;

    va_start(ap, fmt);
    hv_vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (__atomic_exchange_n(&d->crash_claimed, true, __ATOMIC_SEQ_CST))
        return;
    strlcpy(d->crash_reason, why, sizeof(d->crash_reason));
    d->is_shut_down = true;
    d->shutdown_code = SHUTDOWN_crash;
    __atomic_store_n(&d->crashed, true, __ATOMIC_RELEASE);
    printk(LOG_ERR "d%u: domain crashed: %s\n", d->id, why);
    stop_vcpus(d);
    /* The caller goes on with consistent state; the end comes when no lock is held. */
    softirq_raise(SOFTIRQ_DOMAIN_END);
}

static void end_crashed(void)
{
    struct domain *d;

    for_each_domain(d)
        if (d->crashed && !__atomic_exchange_n(&d->ended, true, __ATOMIC_SEQ_CST))
            domain_shutdown(d, SHUTDOWN_crash);
}

static void look_at_events(void)
{
}

void domains_init(void)
{
    softirq_register(SOFTIRQ_EVENT, look_at_events);
    softirq_register(SOFTIRQ_DOMAIN_END, end_crashed);
    arch_domains_init();
}
BOOT_STEP(domains_init, NEEDS(page_allocator), GIVES(domains), EVERYWHERE);

void vcpu_pause_flag_set(struct vcpu *v, u32 flag)
{
    u32 old = __atomic_fetch_or(&v->pause_flags, flag, __ATOMIC_SEQ_CST);

    if (flag & ~old & PAUSE_POLL)
        __atomic_fetch_add(&v->domain->polling, 1, __ATOMIC_SEQ_CST);
    if (vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_PAUSE);
}

void vcpu_pause_flag_clear(struct vcpu *v, u32 flag)
{
    u32 old = __atomic_fetch_and(&v->pause_flags, ~flag, __ATOMIC_SEQ_CST);

    if (flag & old & PAUSE_POLL)
        __atomic_fetch_sub(&v->domain->polling, 1, __ATOMIC_SEQ_CST);
    if (old & flag)
        vcpu_wake(v); /* looks at the others, which may not hold it yet */
}

int vcpu_pause(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_flags, PAUSE_ONE, __ATOMIC_SEQ_CST);
    if (vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_PAUSE);
    for (u32 turns = 0; !sched_is_outside(v);) {
        /* Two that wait for each other's exit would do so for ever. */
        if (READ_ONCE(current->pause_flags)) {
            vcpu_unpause(v);
            return -EBUSY;
        }
        preempt_wait(&turns);
    }
    return 0;
}

void vcpu_unpause(struct vcpu *v)
{
    __atomic_fetch_sub(&v->pause_flags, PAUSE_ONE, __ATOMIC_SEQ_CST);
    vcpu_wake(v);
}

void vcpu_unblock(struct vcpu *v)
{
    vcpu_pause_flag_clear(v, PAUSE_BLOCKED);
}

void vcpu_kick(struct vcpu *v)
{
    vcpu_unblock(v);
    if (v != current && vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_EVENT);
}

void vcpu_add_nmis(struct vcpu *v, u32 n)
{
    u32 old = READ_ONCE(v->nmi_pending), now;

    do
        now = vcpu_nmis_after(old, n, READ_ONCE(v->nmi_masked));
    while (!__atomic_compare_exchange_n(&v->nmi_pending, &old, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    vcpu_kick(v);
}

static const char *state_name(const struct vcpu *v)
{
    static const char *const names[] = { "running", "runnable", "blocked", "offline" };

    return names[v->runstate.state & 3];
}

static void print_domains(char key)
{
    struct domain *d;

    (void)key;
    for_each_domain(d) {
        printk("Domain %u: %lu pages, %u vCPUs, vm_assist %lx%s\n", d->id, d->tot_pages, d->max_vcpus, d->vm_assist,
               d->crashed ? ", crashed" : "");
        for (u32 j = 0; j < d->max_vcpus; j++) {
            struct vcpu *v = d->vcpu[j];

            if (v && v->initialised)
                printk("  v%u: %s, pause %x, kernel cr3 %lx, user cr3 %lx, upcall pending %u mask %u\n", v->id,
                       state_name(v), v->pause_flags, v->pv.kernel_l4, v->pv.user_l4, v->info->evtchn_upcall_pending,
                       v->info->evtchn_upcall_mask);
        }
    }
}
KEYHANDLER('q', print_domains, "domains and their vCPUs");
