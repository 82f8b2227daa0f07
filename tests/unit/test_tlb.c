/* SPDX-License-Identifier: MIT */
/* The real tlb.c on four CPUs whose TLBs are known: who is asked, and that nothing stale is left, at every value of the clock. */
#include "fakes.h"

#include <stdlib.h>

#include <hv/trap_test.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/tlb.h>
#include <hv/x86/vectors.h>

#define CPUS 4
#define FRAMES 8
#define EPOCH (1u << 30)

static struct percpu cpus[CPUS];
static bool interrupted[CPUS], deaf[CPUS]; /* deaf: in the hypervisor, until somebody waits for it */
static bool remembers[CPUS][FRAMES];       /* what each CPU's TLB may hold */
static u32 asked, step;

bool trap_test_allocation_fails(void) { return false; }
u32 trap_test_tlb_tick(void) { return step; }
void local_apic_send(u32 apic_id, u32 vector)
{
    assert_int_equal(vector, VECTOR_FLUSH);
    interrupted[apic_id] = true;
    asked++;
}
u64 fake_read_cr3(void) { return 0; }
void fake_write_cr3(u64 v)
{
    (void)v;
    memset(remembers[fake_cpu->id], 0, sizeof(remembers[0]));
}
void fake_write_cr4(u64 v) { fake_write_cr3(v); }
void fake_invlpg(u64 va) { remembers[fake_cpu->id][va / PAGE_SIZE % FRAMES] = false; }

static void interrupts_of(u32 id)
{
    struct percpu *me = fake_cpu;

    fake_cpu = &cpus[id];
    if (interrupted[id] && cpuset_test(cpus_online, fake_cpu->id)) {
        interrupted[id] = false;
        tlb_serve();
    }
    fake_cpu = me;
}

void fake_cpu_relax(void)
{
    for (u32 i = 0; i < CPUS; i++)
        interrupts_of(i);
}

static void start_at(u32 clock)
{
    memset(remembers, 0, sizeof(remembers));
    memset(deaf, 0, sizeof(deaf));
    memset(interrupted, 0, sizeof(interrupted));
    cpus_online = cpuset_below(CPUS);
    tlb_flush_clock = clock;
    step = 1;
    for (u32 i = 0; i < CPUS; i++) {
        cpus[i] = (struct percpu){ .id = i, .apic_id = i, .loaded_dom = (void *)1, .tlb_flush_time = clock };
        cpu_table[i] = &cpus[i];
    }
    fake_cpu = &cpus[0];
    asked = 0;
}

static void flush_on(u32 id)
{
    fake_cpu = &cpus[id];
    tlb_flush_local();
    for (u32 i = 0; i < CPUS; i++)
        if (!deaf[i])
            interrupts_of(i);
}

/* On CPU 0: the frame gets a new use. */
static void reuse(u32 frame, u32 stamp)
{
    fake_cpu = &cpus[0];
    tlb_flush_since(stamp);
    for (u32 i = 0; i < CPUS; i++)
        assert_false(remembers[i][frame]);
}

static const u32 starts[] = { 1, EPOCH - 2, 2 * EPOCH - 2, 3 * EPOCH - 2, 0u - 2, 0u - EPOCH, 0x12345678 };

static void only_who_may_remember_is_asked(void **state)
{
    (void)state;
    for (u32 k = 0; k < ARRAY_SIZE(starts); k++) {
        start_at(starts[k] - 10);
        for (u32 i = 0; i < CPUS; i++)
            remembers[i][3] = true;
        u32 stamp = tlb_clock();

        flush_on(1);
        cpus[2].loaded_dom = NULL; /* sleeps: loads CR3 before it runs a guest */
        remembers[2][3] = false;
        asked = 0;
        reuse(3, stamp);
        assert_int_equal(asked, 1); /* CPU 3 */
        reuse(4, stamp);
        assert_int_equal(asked, 1); /* one flush serves all that went before it */
        remembers[3][5] = true;
        cpuset_clear(&cpus_online, 3); /* is parked */
        remembers[3][5] = false;
        reuse(5, tlb_clock());
        assert_int_equal(cpus[1].flush_done, cpus[1].flush_asked);
    }
}

/* CPU 1 runs its guest and loads no CR3 while the clock goes round. */
static void one_that_never_flushes(void **state)
{
    (void)state;
    for (u32 k = 0; k < ARRAY_SIZE(starts); k++) {
        for (u32 listens = 0; listens < 2; listens++) {
            start_at(starts[k]);
            step = 1u << 20;
            deaf[1] = !listens;
            for (u32 i = 0; i < 5000; i++) {
                u32 stamp = tlb_clock();

                remembers[1][i % FRAMES] = true;
                flush_on(0);
                flush_on(2);
                flush_on(3);
                assert_true(tlb_clock() - cpus[1].tlb_flush_time < 2 * EPOCH);
                if (i > 2000 && i % 100 == 0)
                    reuse(i % FRAMES, stamp);
            }
            assert_true(asked > 0);
        }
    }
}

/* The clock stands still for a CPU that does not answer; nobody's flush is lost by that. */
static void the_clock_waits(void **state)
{
    (void)state;
    start_at(EPOCH - 1);
    step = EPOCH / 4;
    deaf[1] = true;
    for (u32 i = 0; i < 50; i++)
        flush_on(0);
    assert_true(tlb_clock() < 2 * EPOCH);
    assert_int_equal(asked, 3); /* once each */
    remembers[2][6] = true;
    u32 stamp = tlb_clock();

    flush_on(2);
    assert_int_equal(tlb_clock(), stamp);
    remembers[3][6] = true;
    reuse(6, stamp);
    deaf[1] = false;
    flush_on(0);
    flush_on(0);
    assert_true(tlb_clock() >= 2 * EPOCH);
}

static void random_machine(void **state)
{
    (void)state;
    srandom(11);
    for (u32 round = 0; round < 60; round++) {
        u32 stamps[FRAMES] = { 0 };
        bool mapped[FRAMES] = { false };

        start_at(starts[round % ARRAY_SIZE(starts)]);
        for (u32 i = 0; i < 3000; i++) {
            u32 c = (u32)random() % CPUS, f = (u32)random() % FRAMES;

            fake_cpu = &cpus[c];
            step = (u32)random() % 4 ? 1 : (u32)random() % EPOCH;
            deaf[(u32)random() % CPUS] = random() % 2;
            switch ((u32)random() % 8) {
            case 0: flush_on(c); break;
            case 1: /* as SYSCALL's fast path and a switch of address spaces do it */ tlb_load_cr3(0); break;
            case 2:
                if (!mapped[f])
                    break;
                mapped[f] = false;
                stamps[f] = tlb_clock();
                break;
            case 3: /* parks and returns */
                if (c && cpus[c].loaded_dom) {
                    cpus[c].loaded_dom = NULL;
                    fake_write_cr3(0);
                    cpuset_clear(&cpus_online, c);
                } else if (c) {
                    cpuset_set(&cpus_online, c);
                    tlb_flush_global();
                    cpus[c].loaded_dom = (void *)1;
                }
                break;
            default:
                if (mapped[f]) {
                    remembers[c][f] = cpus[c].loaded_dom;
                    break;
                }
                reuse(f, stamps[f]);
                mapped[f] = true;
            }
        }
    }
}

/* Two that ask each other at once, one of them while it waits for a lock (spin_lock serves, test_smp.c). */
static void mutual(void **state)
{
    (void)state;
    start_at(1);
    remembers[1][2] = remembers[0][2] = true;
    u32 stamp = tlb_clock();

    interrupted[0] = true; /* CPU 1 has asked for an address, and waits */
    cpus[0].flush_address = 2 * PAGE_SIZE;
    cpus[0].flush_asked++;
    reuse(2, stamp);
    assert_int_equal(cpus[0].flush_done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(only_who_may_remember_is_asked), cmocka_unit_test(one_that_never_flushes),
                                        cmocka_unit_test(the_clock_waits), cmocka_unit_test(random_machine), cmocka_unit_test(mutual) };

    return cmocka_run_group_tests_name("TLB", tests, NULL, NULL);
}
