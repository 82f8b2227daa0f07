#include "fakes.h"

#include <hv/irq.h>

static struct percpu cpus[4];

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(spread_until_full), cmocka_unit_test(each_cpu_has_its_own),
                                        cmocka_unit_test(moves_keep_the_vector), cmocka_unit_test(what_was_freed_rests), cmocka_unit_test(ids_that_fit) };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
