/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/pci.h>
#include <hv/pirq.h>
#include <hv/x86/apic.h>
#include <hv/x86/percpu.h>
#include <hv/x86/vectors.h>
#include <public/physdev.h>

static struct percpu cpus[4];

/* ---- devices ---- */
static u32 routes_left = ~0u; /* how many more I/O APIC entries can be written */
static bool masked[MAX_GSIS];
static struct irq_vector routed[MAX_GSIS];

void fake_outb(u16 port, u8 v)
{
    (void)port;
    (void)v;
}
void io_apic_init(void) {}
u32 io_apic_gsi_count(void) { return 24; }
int io_apic_route(u32 gsi, const struct gsi_route *r)
{
    if (!routes_left)
        return -ENODEV;
    routes_left--;
    masked[gsi] = r->masked;
    routed[gsi] = (struct irq_vector){ r->apic_id, r->vector };
    return 0;
}
void io_apic_mask(u32 gsi, bool mask) { masked[gsi] = mask; }
int msi_program(const struct msi_target *t, u8 vector, u8 apic_id)
{
    (void)t;
    (void)vector;
    (void)apic_id;
    return 0;
}
void msi_disable(const struct msi_target *t) { (void)t; }
void local_apic_eoi(void) {}
void serial_irq(void) {}
static u32 taken_since, most_taken; /* locks between two points where others may run */
void spin_lock(spinlock_t *lock)
{
    (void)lock;
    taken_since++;
    most_taken = MAX(most_taken, taken_since);
}
void spin_unlock(spinlock_t *lock) { (void)lock; }
void preempt_point(void) { taken_since = 0; }
static u32 delivered_to;
static const struct domain *delivered_in;
void evtchn_send_pirq(struct domain *d, u32 port)
{
    delivered_in = d;
    delivered_to = port;
}

/* The first of `n` CPUs asks; ids as given. */
static void machine(u32 n, const u32 *ids)
{
    cpus_online = CPUSET_NONE;
    for (u32 i = 0; i < n; i++) {
        struct percpu *c = i ? &cpus[i] : &boot_percpu;

        c->id = i;
        c->apic_id = ids ? ids[i] : i;
        cpu_table[i] = c;
        vectors_forget(c);
        vectors_open(c);
        cpuset_set(&cpus_online, c->id);
    }
}

static void spread_until_full(void **state)
{
    (void)state;
    struct irq_vector at;
    u32 on[4] = { 0 }, n = 0;

    machine(4, NULL);
    for (; !vector_alloc(n, 0, &at); n++) {
        assert_true(at.vector >= VECTOR_FIRST_DYNAMIC && at.vector <= VECTOR_LAST_DYNAMIC && at.vector != VECTOR_GUEST_INT80);
        on[at.cpu]++;
        assert_true(on[at.cpu] <= n / 4 + 1);
    }
    assert_int_equal(n, 4 * (VECTOR_LAST_DYNAMIC - VECTOR_FIRST_DYNAMIC));
    vector_free(at);
    assert_int_equal(vector_alloc(n, 0, &at), 0);
    assert_int_equal(vector_alloc(n + 1, 0, &at), -ENOSPC);
}

static void each_cpu_has_its_own(void **state)
{
    (void)state;
    struct irq_vector at;
    u32 pirq;

    machine(2, NULL);
    assert_int_equal(vector_alloc(7, 0, &at), 0);
    assert_int_equal(at.cpu, 0);
    assert_true(vector_pirq(at.vector, &pirq));
    assert_int_equal(pirq, 7);
    assert_int_equal(vector_alloc(4095, at.vector, &at), 0);
    assert_int_equal(at.cpu, 1);
    assert_true(vector_pirq(at.vector, &pirq));
    assert_int_equal(pirq, 7);
    assert_false(vector_pirq(VECTOR_FIRST_DYNAMIC, &pirq));
}

/* A plain MSI can be moved only along one vector; it goes elsewhere only where that is taken on all CPUs. */
static void moves_keep_the_vector(void **state)
{
    (void)state;
    struct irq_vector old, at, more;

    machine(3, NULL);
    assert_int_equal(vector_alloc(1, 0, &old), 0);
    vectors_close(cpu_table[old.cpu]);
    assert_int_equal(vector_alloc(1, old.vector, &at), 0);
    assert_int_not_equal(at.cpu, old.cpu);
    assert_int_equal(at.vector, old.vector);
    assert_int_equal(vector_alloc(2, old.vector, &more), 0);
    assert_int_equal(more.vector, old.vector);
    assert_int_equal(vector_alloc(3, old.vector, &more), 0);
    assert_int_not_equal(more.vector, old.vector);
    assert_int_not_equal(more.cpu, old.cpu);
}

static void what_was_freed_rests(void **state)
{
    (void)state;
    struct irq_vector a, b;

    machine(1, NULL);
    for (u32 i = 0; i < 150; i++) {
        assert_int_equal(vector_alloc(i, 0, &a), 0);
        vector_free(a);
        assert_int_equal(vector_alloc(i, 0, &b), 0);
        assert_int_not_equal(a.vector, b.vector);
        vector_free(b);
    }
}

static void ids_that_fit(void **state)
{
    (void)state;
    struct irq_vector at;
    static const u32 some[] = { 256, 255, 254, 0x10001 }, none[] = { 255, 256 };

    machine(4, some);
    for (u32 i = 0; i < 10; i++) {
        assert_int_equal(vector_alloc(i, 0, &at), 0);
        assert_int_equal(at.cpu, 2);
    }
    machine(2, none);
    assert_int_equal(vector_alloc(0, 0, &at), -ENOSPC);
    assert_int_equal(vector_alloc(0, 0x31, &at), -ENOSPC);
}

/* A PIRQ that could not be bound belongs to no port, and can be bound later. */
static void binding_is_whole_or_not_at_all(void **state)
{
    (void)state;
    machine(1, NULL);
    fake_memory_init();
    struct domain *d = fake_domain(0, true);

    d->refs = 1;
    irq_init();
    assert_int_equal(pirq_map_gsi(d, 20), 20);
    routes_left = 0;
    assert_int_equal(pirq_bind(d, 20, 5), -ENODEV);
    routes_left = ~0u;
    assert_true(masked[20]);
    assert_int_equal(pirq_bind(d, 20, 6), 0);
    assert_false(masked[20]);
    assert_int_equal(pirq_bind(d, 20, 7), -EEXIST);
    pirq_unbind(d, 20);
    assert_true(masked[20]);

    /* One that cannot be prepared keeps no vector, nor what was asked of it. */
    routes_left = 0;
    assert_int_equal(pirq_bind(d, 21, 5), -ENODEV);
    assert_int_equal(pirq_setup_gsi(20, false, false), -ENODEV);
    assert_int_equal(pirq_status(d, 20), XENIRQSTAT_needs_eoi);
    routes_left = ~0u;
    assert_int_equal(pirq_bind(d, 21, 5), 0);
}

/* A PIRQ is its owner's, who got it by right; its events are nobody else's. Who has one is held. */
static void each_has_an_owner(void **state)
{
    (void)state;
    machine(1, NULL);
    fake_memory_init();
    struct domain *dom0 = fake_domain(0, true), *driver = fake_domain(1, false), *other = fake_domain(2, false);

    dom0->refs = driver->refs = other->refs = 1;
    irq_init();
    assert_int_equal(pirq_map_gsi(driver, 22), -EPERM);
    assert_int_equal(pirq_bind(driver, 22, 5), -EPERM);
    assert_int_equal(pirq_eoi(driver, 22), -EPERM);
    assert_int_equal(pirq_unmap(driver, 5000), -EPERM);
    assert_int_equal(pirq_map_msi(driver, 8, 0, false), -EPERM);
    assert_int_equal(pirq_status(driver, 22), 0);
    driver->io.pirqs[0] = other->io.pirqs[0] = 1 << 22;

    assert_int_equal(pirq_map_gsi(driver, 22), 22);
    assert_int_equal(driver->refs, 2);
    assert_int_equal(pirq_map_gsi(other, 22), -EBUSY);
    assert_int_equal(pirq_map_gsi(dom0, 22), -EBUSY);
    assert_int_equal(pirq_bind(other, 22, 7), -EBUSY);
    assert_int_equal(pirq_unmap(other, 22), -EINVAL);
    assert_int_equal(pirq_bind(driver, 22, 5), 0);
    assert_false(masked[22]);
    irq_dispatch(routed[22].vector);
    assert_ptr_equal(delivered_in, driver);
    assert_int_equal(delivered_to, 5);
    assert_true(masked[22]);
    assert_int_equal(pirq_eoi(other, 22), 0); /* changes nothing */
    pirq_unbind(other, 22);
    assert_true(masked[22]);
    driver->io.pirqs[0] = 0; /* what it has it may end */
    assert_int_equal(pirq_eoi(driver, 22), 0);
    assert_false(masked[22]);
    assert_int_equal(pirq_unmap(driver, 22), -EBUSY);
    pirq_unbind(driver, 22);
    assert_int_equal(driver->refs, 2);
    assert_int_equal(pirq_unmap(driver, 22), 0);
    assert_int_equal(driver->refs, 1);
    assert_int_equal(pirq_unmap(driver, 22), -EPERM);
    driver->io.pirqs[0] = 1 << 22;
    assert_int_equal(other->refs, 1);

    /* It is free for the next one; bound without being mapped it is had as well. */
    assert_int_equal(pirq_bind(other, 22, 9), 0);
    assert_int_equal(other->refs, 2);
    assert_int_equal(pirq_bind(driver, 22, 9), -EEXIST);
    delivered_in = NULL;
    irq_dispatch(routed[22].vector);
    assert_ptr_equal(delivered_in, other);
    pirq_unbind(other, 22);
    assert_int_equal(other->refs, 1);
    delivered_in = NULL;
    irq_dispatch(routed[22].vector); /* what was on its way */
    assert_null(delivered_in);

    int n = pirq_map_msi(dom0, 8, 0, false);

    assert_true(n >= 24);
    assert_int_equal(dom0->refs, 2);
    assert_int_equal(pirq_unmap(driver, (u32)n), -EPERM);
    assert_int_equal(pirq_unmap(dom0, (u32)n), 0);
    assert_int_equal(dom0->refs, 1);
    /* The end of a domain. */
    assert_int_equal(pirq_map_gsi(driver, 22), 22);
    driver->io.pirqs[0] = 0;
    pirqs_release(driver);
    assert_int_equal(driver->refs, 1);
    assert_int_equal(pirq_map_gsi(dom0, 22), 22);
    pirqs_release(dom0);
}

/* ---- a CPU goes offline ---- */

#define GSIS 20

static struct irq_vector taken[1024];

/* Gives away all vectors but `left` of CPU 0; the number that were free. */
static u32 take_all_but(u32 left)
{
    u32 n = 0;

    while (!vector_alloc(4000, 0, &taken[n]))
        n++;
    for (u32 i = 0; i < n && left; i++)
        if (taken[i].cpu == 0) {
            vector_free(taken[i]);
            taken[i].vector = 0;
            left--;
        }
    assert_int_equal(left, 0);
    return n;
}

static void give_back(u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (taken[i].vector)
            vector_free(taken[i]);
}

static void arrives(struct irq_vector at, u32 gsi)
{
    fake_cpu = cpu_table[at.cpu];
    delivered_to = 0;
    irq_dispatch(at.vector);
    fake_cpu = &boot_percpu;
    assert_int_equal(delivered_to, 100 + gsi);
}

/* Room on CPU 0, or a device, fails at the n-th interrupt of CPU 1. */
static void leave_with_failure(u32 n, bool device)
{
    struct irq_vector before[GSIS];
    u32 moved = 0, free, rest;

    assert_int_equal(irq_leave_cpu(&boot_percpu), 0); /* all to CPU 1 */
    irq_return_to_cpu(&boot_percpu);
    memcpy(before, routed, sizeof(before));
    free = take_all_but(0);
    give_back(free);

    rest = device ? 0 : take_all_but(n);
    routes_left = device ? n : ~0u;
    assert_int_equal(irq_leave_cpu(&cpus[1]), n == GSIS ? 0 : device ? -ENODEV : -ENOSPC);
    routes_left = ~0u;
    give_back(rest);
    irq_return_to_cpu(&cpus[1]);
    for (u32 gsi = 0; gsi < GSIS; gsi++) {
        moved += routed[gsi].cpu == 0;
        arrives(before[gsi], gsi); /* sent before it moved */
        arrives(routed[gsi], gsi);
    }
    assert_int_equal(moved, n);
    rest = take_all_but(0);
    give_back(rest);
    assert_int_equal(rest, free);
}

static void leaving_fails_at_each_step(void **state)
{
    (void)state;
    machine(2, NULL);
    fake_memory_init();
    struct domain *d = fake_domain(0, true);

    d->refs = 1;
    irq_init();
    for (u32 gsi = 0; gsi < GSIS; gsi++)
        assert_int_equal(pirq_bind(d, gsi, 100 + gsi), 0);
    preempt_point();
    most_taken = 0;
    assert_int_equal(irq_leave_cpu(&cpus[1]), 0);
    assert_true(most_taken <= 2);
    irq_return_to_cpu(&cpus[1]);
    for (u32 n = 0; n <= GSIS; n++) {
        leave_with_failure(n, false);
        leave_with_failure(n, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(spread_until_full),     cmocka_unit_test(each_cpu_has_its_own),
                                        cmocka_unit_test(moves_keep_the_vector), cmocka_unit_test(what_was_freed_rests),
                                        cmocka_unit_test(ids_that_fit),          cmocka_unit_test(leaving_fails_at_each_step),
                                        cmocka_unit_test(each_has_an_owner),     cmocka_unit_test(binding_is_whole_or_not_at_all) };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
