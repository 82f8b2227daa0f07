/* SPDX-License-Identifier: MIT */
/* Pauses of a domain: who waits for a guest's vCPU does not wait longer than its own guest can bear. And a crash that another CPU deals with. */
#include "fakes.h"

#include <hv/softirq.h>
#include "../../common/control/control.h"

static struct domain *dom0, *d;

/* ---- neighbours ---- */
static u32 waits, inside_for; /* turns that the caller has waited; and those that the guest's vCPU stays inside */
static bool events, another_cpu;
static void (*domains_end)(void);

void preempt_wait(u32 *turns)
{
    ++*turns;
    waits++;
}
bool sched_is_outside(struct vcpu *v)
{
    assert_ptr_equal(v, d->vcpu[0]);
    return waits >= inside_for;
}
bool vcpu_has_pending(const struct vcpu *v)
{
    assert_ptr_equal(v, dom0->vcpu[0]);
    return events;
}
void vcpu_wake(struct vcpu *v) { (void)v; }
void vcpu_pause_flag_set(struct vcpu *v, u32 flag) { v->pause_flags |= flag; }
void evtchn_send_global_virq(u32 virq) { (void)virq; }
void softirq_register(enum softirq nr, void (*fn)(void))
{
    if (nr == SOFTIRQ_DOMAIN_END)
        domains_end = fn;
}
/* Printing takes long: meanwhile another CPU deals with the crash, and its toolstack lets the guest go on. */
void vprintk(const char *fmt, va_list ap)
{
    (void)fmt;
    (void)ap;
    if (!another_cpu)
        return;
    another_cpu = false;
    domains_end();
    assert_int_equal(d->state, DOMAIN_SHUT_DOWN);
    assert_int_equal(domain_resume(d), 0);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory_init();
    d = fake_domain(1, false);
    dom0 = fake_domain(0, true);
    hardware_domain = dom0;
    d->pauses = waits = inside_for = 0;
    d->vcpu[0]->pause_flags = 0;
    events = false;
    return 0;
}

static void pauses_are_counted(void **state)
{
    (void)state;
    for (u32 i = 1; i <= 3; i++) {
        assert_int_equal(domain_pause(d), 0);
        assert_int_equal(d->pauses, i);
        assert_int_equal(d->vcpu[0]->pause_flags, i * PAUSE_ONE);
    }
    for (u32 i = 3; i--;) {
        domain_unpause(d);
        assert_int_equal(d->vcpu[0]->pause_flags, i * PAUSE_ONE);
    }
    assert_int_equal(domain_pause(dom0), -EINVAL);
}

/* Without events of its own the caller waits as long as it takes. */
static void a_long_operation(void **state)
{
    (void)state;
    inside_for = 100000;
    assert_int_equal(domain_pause(d), 0);
    assert_int_equal(waits, inside_for);
}

/* A guest that stays in the hypervisor does not keep its toolstack there, too. */
static void events_of_the_caller(void **state)
{
    (void)state;
    events = true;
    inside_for = ~0u;
    assert_int_equal(domain_pause(d), -ERESTART);
    assert_true(waits < 10000);
    assert_int_equal(d->pauses, 0);
    assert_int_equal(d->vcpu[0]->pause_flags, 0);
    assert_int_equal(vcpu_pause(d->vcpu[0]), -ERESTART);
    assert_int_equal(d->vcpu[0]->pause_flags, 0);
    assert_int_equal(domain_resume(d), -ERESTART);
    assert_int_equal(domain_kill(d), -ERESTART);
    assert_int_equal(d->state, DOMAIN_DYING);
    assert_int_equal(d->vcpu[0]->pause_flags, PAUSE_SHUTDOWN);
}

/* Nor does one that sends events without end, and is outside as soon as a CPU has been interrupted. */
static void events_without_end(void **state)
{
    (void)state;
    events = true;
    inside_for = 200;
    assert_int_equal(domain_pause(d), 0);
    assert_int_equal(d->vcpu[0]->pause_flags, PAUSE_ONE);
}

/* Two that wait for each other. */
static void the_caller_is_paused(void **state)
{
    (void)state;
    inside_for = ~0u;
    current->pause_flags = PAUSE_ONE;
    assert_int_equal(domain_pause(d), -ERESTART);
    assert_int_equal(d->pauses, 0);
}

/* As when dom0 writes an entry that nobody may have into a guest's table, and resumes it. */
static void resumed_while_it_is_told(void **state)
{
    (void)state;
    domain_life_init();
    d->state = DOMAIN_RUNNING;
    another_cpu = true;
    domain_crash(d, "what it was");
    assert_false(another_cpu);
    assert_int_equal(d->state, DOMAIN_RUNNING);
    assert_int_equal(d->vcpu[0]->pause_flags, 0);
}

/* References of the caller's own domain are counted like others': they would come round in the end. */
static void asked_about(void **state)
{
    const struct domain *all[] = { dom0, d };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(all); i++)
        for (u32 way = 0; way < 2; way++) {
            struct xen_domctl op = { .domain = all[i]->id };
            u32 refs = all[i]->refs;

            assert_int_equal(way ? domctl_info(&op.u.getdomaininfo) : domctl_info_exact(&op.u.getdomaininfo, (struct domain *)all[i]), 0);
            assert_int_equal(op.u.getdomaininfo.domain, all[i]->id);
            assert_int_equal(all[i]->refs, refs);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pauses_are_counted, setup),   cmocka_unit_test_setup(a_long_operation, setup),
        cmocka_unit_test_setup(events_of_the_caller, setup), cmocka_unit_test_setup(events_without_end, setup),
        cmocka_unit_test_setup(the_caller_is_paused, setup), cmocka_unit_test_setup(resumed_while_it_is_told, setup),
        cmocka_unit_test_setup(asked_about, setup),
    };

    return cmocka_run_group_tests_name("domain life", tests, NULL, NULL);
}
