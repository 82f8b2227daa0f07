#include "fakes.h"

#include <hv/acpi.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/irq.h>
#include <hv/pci.h>
#include <public/physdev.h>

static struct percpu cpus[4];

/* ---- devices ---- */
static u32 routes_left = ~0u; /* how many more I/O APIC entries can be written */
static bool masked[MAX_GSIS];

void pic_init(void) {}
void io_apic_init(void) {}
u32 io_apic_gsi_count(void) { return 24; }
int io_apic_route(u32 gsi, const struct gsi_route *r)
{
    if (!routes_left)
        return -ENODEV;
    routes_left--;
    masked[gsi] = r->masked;
    return 0;
}
void io_apic_mask(u32 gsi, bool mask) { masked[gsi] = mask; }
int msi_program(const struct msi_target *t, u8 vector, u8 apic_id) { (void)t; (void)vector; (void)apic_id; return 0; }
void msi_disable(const struct msi_target *t) { (void)t; }
void local_apic_eoi(void) {}
void serial_irq(void) {}
static u32 delivered_to;
void evtchn_send_pirq(struct domain *d, u32 port) { (void)d; delivered_to = port; }

/* The first of `n` CPUs asks; ids as given. */
static void machine(u32 n, const u32 *ids)
{
    cpus_online = 0;
    for (u32 i = 0; i < n; i++) {
        struct percpu *c = i ? &cpus[i] : &boot_percpu;

        c->id = i;
        c->apic_id = ids ? ids[i] : i;
        cpu_table[i] = c;
        vectors_forget(c);
        vectors_open(c);
        cpus_online |= cpu_bit(c);
    }
}

static void spread_until_full(void **state)
{
    (void)state;
    struct irq_place at;
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
    struct irq_place at;
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
    struct irq_place old, at, more;

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
    struct irq_place a, b;

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
    struct irq_place at;
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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(spread_until_full), cmocka_unit_test(each_cpu_has_its_own),
                                        cmocka_unit_test(moves_keep_the_vector), cmocka_unit_test(what_was_freed_rests), cmocka_unit_test(ids_that_fit),
                                        cmocka_unit_test(binding_is_whole_or_not_at_all) };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
