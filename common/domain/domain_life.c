/* SPDX-License-Identifier: MIT */
/*
 * A domain's life: the only writer of its state and of its pauses, and its end.
 *
 *   DOMAIN_CREATED -> DOMAIN_RUNNING -> DOMAIN_CRASHED -> DOMAIN_SHUT_DOWN -> DOMAIN_DYING -> DOMAIN_DEAD
 *
 * A domain is created paused, and moves to the right only, but for one that has shut down and is resumed; any state may be left out. Of two
 * that move it to the same state the first one does what belongs to that. Pauses are counted beside it: in the domain, and in each of its vCPUs.
 *
 * Lock: domain.life_lock (a leaf), for the state, the pauses and which vCPUs there are.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/grant.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <hv/x86/tlb.h>

/* life_lock held. False: it is there already, or past it. */
static bool domain_state_advance(struct domain *d, enum domain_state to)
{
    if (d->state >= to)
        return false;
    __atomic_store_n(&d->state, to, __ATOMIC_SEQ_CST);
    return true;
}

static bool advance_alone(struct domain *d, enum domain_state to)
{
    spin_lock_scope(&d->life_lock);
    return domain_state_advance(d, to);
}

bool domain_add_vcpu(struct vcpu *v)
{
    struct domain *d = v->domain;

    spin_lock_scope(&d->life_lock);
    if (d->state != DOMAIN_CREATED)
        return false;
    v->pause_flags += d->pauses * PAUSE_ONE;
    __atomic_store_n(&d->vcpu[v->id], v, __ATOMIC_RELEASE);
    return true;
}

/* ---- pauses ---- */

/*
 *   CPU A (vcpu_pause()):                    adds to v's pause_flags; looks where v is; waits until it is outside (pause_wait())
 *   CPU B (schedule(), schedule_tail()):     state = SCHED_RUNNING; reads pause_flags before it enters the guest
 *
 * A sees v running and interrupts B (SOFTIRQ_PAUSE, held until the exit), or B sees the pause. Otherwise B would run the guest, and A would wait for
 * the end of its slice. A reads v's state under the lock of its queue, which B holds until v's registers are saved.
 */
static void pause_begin(struct vcpu *v)
{
    __atomic_fetch_add(&v->pause_flags, PAUSE_ONE, __ATOMIC_SEQ_CST);
    if (vcpu_is_running(v))
        softirq_raise_on(READ_ONCE(v->cpu), SOFTIRQ_PAUSE);
}

int domain_wait_point(u32 *turns)
{
    if (*turns >= TURNS_AT_LEAST && domain_work_point())
        return -ERESTART;
    preempt_wait(turns);
    return 0;
}

/*
 * Waits until v is outside. How long that takes is up to its guest, and two vCPUs that wait for each other's exit would wait for ever: so the
 * caller gives up where it is to be paused itself, or its own events wait.
 */
static int pause_wait(struct vcpu *v)
{
    int rc = 0;

    for (u32 turns = 0; !rc && !sched_is_outside(v);)
        rc = domain_wait_point(&turns);
    return rc;
}

int vcpu_pause(struct vcpu *v)
{
    pause_begin(v);
    int rc = pause_wait(v);
    if (rc)
        vcpu_unpause(v);
    return rc;
}

void vcpu_unpause(struct vcpu *v)
{
    __atomic_fetch_sub(&v->pause_flags, PAUSE_ONE, __ATOMIC_SEQ_CST);
    vcpu_wake(v);
}

int domain_pause(struct domain *d)
{
    int rc = d == current->domain ? -EINVAL : 0;

    if (rc)
        return rc;
    spin_lock(&d->life_lock);
    d->pauses++;
    for_each_vcpu(d, v)
        pause_begin(v);
    spin_unlock(&d->life_lock);
    for_each_vcpu(d, v)
        if (!rc)
            rc = pause_wait(v);
    if (rc)
        domain_unpause(d);
    return rc;
}

void domain_unpause(struct domain *d)
{
    spin_lock(&d->life_lock);
    if (!--d->pauses)
        domain_state_advance(d, DOMAIN_RUNNING);
    for_each_vcpu(d, v)
        __atomic_fetch_sub(&v->pause_flags, PAUSE_ONE, __ATOMIC_SEQ_CST);
    spin_unlock(&d->life_lock);
    for_each_vcpu(d, v)
        vcpu_wake(v);
}

/* ---- the guest shuts down or crashes; its domain stays ---- */

static void stop_vcpus(struct domain *d)
{
    for_each_vcpu(d, v)
        vcpu_pause_flag_set(v, PAUSE_SHUTDOWN);
}

static void hardware_domain_shutdown(u32 reason)
{
    static const char *const names[] = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft reset" };
    const char *why = reason < ARRAY_SIZE(names) ? names[reason] : "unknown reason";

    console_force_unlock(true); /* first: a CPU that is stopped may hold the console lock; output is synchronous from here on */
    smp_stop_others();
    system_phase_advance(PHASE_SHUTDOWN);
    console_flush_late();
    trap_test_phase("shutdown");
    if (reason == SHUTDOWN_poweroff || reason == SHUTDOWN_reboot)
        recorder_orderly_end();
    else
        recorder_guest_end(hardware_domain->crash_reason[0] ? hardware_domain->crash_reason : why);
    coverage_dump();
    printk(LOG_INFO "dom0 has ended: %s\n", why);
    if (reason == SHUTDOWN_poweroff)
        machine_power_off();
    if (opt_noreboot && reason != SHUTDOWN_reboot) {
        printk(LOG_INFO "Halted (noreboot).\n");
        machine_halt();
    }
    printk(LOG_INFO "Rebooting the machine.\n");
    machine_restart();
}

/* life_lock held, with which its state has become DOMAIN_SHUT_DOWN: domain_resume() undoes all of it or none. */
static void note_end(struct domain *d, u32 reason)
{
    d->shutdown_code = reason;
    stop_vcpus(d);
}

static void tell_end(struct domain *d)
{
    if (d == hardware_domain)
        hardware_domain_shutdown(d->shutdown_code);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
}

void domain_latch_shutdown_code(struct domain *d, u32 code)
{
    spin_lock_scope(&d->life_lock);
    if (d->shutdown_code == SHUTDOWN_NONE)
        d->shutdown_code = code;
}

void domain_shutdown(struct domain *d, u32 reason)
{
    spin_lock(&d->life_lock);
    bool first = d->state < DOMAIN_CRASHED && domain_state_advance(d, DOMAIN_SHUT_DOWN); /* a crash before it decides */
    if (first)
        note_end(d, d->shutdown_code != SHUTDOWN_NONE ? d->shutdown_code : reason);
    spin_unlock(&d->life_lock);
    if (first)
        tell_end(d);
}

int domain_resume(struct domain *d)
{
    int rc = domain_pause(d);

    if (rc)
        return rc;
    spin_lock(&d->life_lock);
    if (d->state == DOMAIN_SHUT_DOWN) {
        __atomic_store_n(&d->state, DOMAIN_RUNNING, __ATOMIC_SEQ_CST);
        d->shutdown_code = SHUTDOWN_NONE;
        for_each_vcpu(d, v)
            __atomic_fetch_and(&v->pause_flags, ~PAUSE_SHUTDOWN, __ATOMIC_SEQ_CST); /* domain_unpause() wakes it */
    }
    spin_unlock(&d->life_lock);
    domain_unpause(d);
    return 0;
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    char why[sizeof(d->crash_reason)];
    va_list ap;

    va_start(ap, fmt);
    hv_vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    spin_lock(&d->life_lock);
    bool first = domain_state_advance(d, DOMAIN_CRASHED);
    if (first) {
        strlcpy(d->crash_reason, why, sizeof(d->crash_reason));
        stop_vcpus(d); /* with the lock, as note_end() */
    }
    spin_unlock(&d->life_lock);
    if (!first)
        return;
    printk(LOG_ERR "d%u: domain crashed: %s\n", d->id, why);
    /* The caller goes on with consistent state; the end comes when no lock is held. */
    softirq_raise(SOFTIRQ_DOMAIN_END);
}

/* ---- the domain is taken apart ---- */

int domain_work_point(void)
{
    const struct vcpu *v = current;

    assert_may_preempt();
    if (READ_ONCE(v->pause_flags) || vcpu_has_pending(v))
        return -ERESTART;
    preempt_point();
    return 0;
}

/* From here on no vCPU of the domain runs again, no CPU has its page tables loaded, and none of its timers fires. */
static int kill_stop(struct domain *d)
{
    stop_vcpus(d); /* they leave the hypervisor and stay outside, also where the wait for that is given up */
    if (domain_pause(d))
        return -ERESTART;
    for_each_vcpu(d, v)
        vcpu_stop_for_good(v);
    timer_kill(&d->sched.cap_timer);
    domain_watchdog_kill(d);
    arch_domain_unload(d);
    return 0;
}

/* Each frame with these bits in its type_info. */
static int each_frame(struct domain *d, u64 mask, u64 type, void (*act)(struct page_info *pg))
{
    struct page_info *pg;

    /* The frame done last is held: its place in the list is where to go on, and its successor is found from there. */
    for (u32 n = 1; (pg = page_list_next(d, d->kill_frame, mask, type)); n++) {
        if (d->kill_frame)
            page_put(d->kill_frame);
        d->kill_frame = pg;
        if ((READ_ONCE(pg->type_info) & mask) == type) /* another one is a place to go on from */
            act(pg);
        if ((mask || n % 64 == 0) && domain_work_point()) /* a table is much work */
            return -ERESTART;
    }
    if (d->kill_frame)
        page_put(d->kill_frame);
    d->kill_frame = NULL;
    return 0;
}

/*
 * A pin, or a vCPU's base, may hold tables of all the domain's memory, with 512 entries for each frame, and gives them back at one go: the entries
 * go before, the lowest tables' first, so that each table lets go of empty ones alone.
 */
static int kill_entries(struct domain *d)
{
    for (; PGT_L1 + d->kill_index <= PGT_L3; d->kill_index++)
        if (each_frame(d, PGT_USE_MASK, PGT_IN_USE(PGT_L1 + d->kill_index), page_empty_table))
            return -ERESTART;
    return 0;
}

static int kill_pins(struct domain *d)
{
    spin_lock(&d->page_lock);
    ASSERT(!page_claim(&d->claim, 0, 0)); /* claim_pages() makes no new one */
    spin_unlock(&d->page_lock);
    return each_frame(d, PGT_PINNED, PGT_PINNED, page_disown);
}

/* Most frames have no other use by now. One that another domain has mapped stays until that one unmaps it. */
static int kill_frames(struct domain *d)
{
    while (!d->kill_frame && page_free_unused(d))
        if (domain_work_point())
            return -ERESTART;
    return each_frame(d, 0, 0, page_disown);
}

static int kill_shared_pages(struct domain *d)
{
    grant_destroy(d);
    page_put_and_type(mfn_to_page(virt_to_mfn(d->shared_info)));
    return 0;
}

static int kill_vcpus(struct domain *d)
{
    pirqs_release(d); /* its ports are closed */
    arch_domain_relinquish(d);
    return 0;
}

int domain_kill(struct domain *d)
{
    /* In this order: vCPUs stop; ports close; page tables are emptied; vCPUs let go of them; then the frames go, those of page tables among them, and
     * then what those had mapped of others. */
    static int (*const steps[])(struct domain * d) = { kill_stop, evtchn_destroy, kill_entries,           kill_vcpus,
                                                       kill_pins, kill_frames,    grant_release_mappings, kill_shared_pages };

    if (d == hardware_domain || d == current->domain)
        return -EINVAL;
    advance_alone(d, DOMAIN_DYING);
    for (; d->kill_step < ARRAY_SIZE(steps); d->kill_step++, d->kill_index = 0) {
        int rc = steps[d->kill_step](d);

        if (rc)
            return rc;
    }
    if (advance_alone(d, DOMAIN_DEAD)) {
        evtchn_send_global_virq(VIRQ_DOM_EXC);
        domain_put(d); /* the reference that it was created with */
    }
    return 0;
}

static bool crash_to_deal_with(struct domain *d)
{
    spin_lock_scope(&d->life_lock);
    bool first = d->state == DOMAIN_CRASHED && domain_state_advance(d, DOMAIN_SHUT_DOWN);
    if (first)
        note_end(d, SHUTDOWN_crash);
    return first;
}

/* SOFTIRQ_DOMAIN_END: what domain_crash() and domain_put() have left, with no lock held. */
static void domains_end(void)
{
    for_each_domain(d)
        if (crash_to_deal_with(d))
            tell_end(d);
    for (struct domain *d; (d = domain_table_take_unheld());) {
        /*
         * CPU A reads percpu.curr_vcpu of another CPU, a vCPU of d, and looks at its domain (cpus_of). CPU B has cleared that pointer
         * (arch_domain_relinquish) and frees the vCPU. A does so with interrupts off and serves no flush in between: when all CPUs have
         * served the one below, nobody has such a pointer any more.
         */
        tlb_flush_global_all_cpus();
        domain_free(d);
    }
}

void domain_life_init(void) { softirq_register(SOFTIRQ_DOMAIN_END, domains_end); }
