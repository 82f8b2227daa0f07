/* SPDX-License-Identifier: MIT */
/* A hostile dom0 (hostile.h). Command line: seed=N ops=N, hexadecimal; end=1: it ends the machine. */
#define WORKERS 4
#define FRAMES 64
#define WINDOWS 16
#include "hostile.h"

static void work(u32 id)
{
    struct worker *w = &workers[id];

    hostile_begin(id);
    for (u64 i = 0; i < nr_ops / WORKERS; i++) {
        operation(w);
        if (!(i & 63))
            replenish(w);
        if (!(i & 1023)) {
            smp_atomic_add(&done, 1024);
            if (!id && !(i & 0x7ff))
                print("fuzz: 0x%lx operations\n", done);
        }
    }
    smp_atomic_add(&finished, 1);
    while (id) {
        struct sched_poll p = { .timeout = now() + 1000000000 };

        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
    }
}

void test_main(void)
{
    seed = argument("seed=", seed);
    nr_ops = argument("ops=", nr_ops);
    for (u64 va = 0xffffffff80100000; va < start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE; va += PAGE_SIZE) {
        u64 m = va_to_mfn((void *)va);

        home_first = m < home_first ? m : home_first;
        home_last = m > home_last ? m : home_last;
    }
    print("fuzz: seed 0x%lx, home 0x%lx to 0x%lx\n", seed, home_first, home_last);
    hostile_setup();
    for (u32 i = 1; i < WORKERS; i++)
        smp_start(i, work);
    work(0);
    while (finished < WORKERS) {
        struct sched_poll p = { .timeout = now() + 10000000 };

        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
    }
    print("fuzz: done 0x%lx operations, 0x%lx succeeded, 0x%lx trapped, 0x%lx grants mapped\n", nr_ops, succeeded, trapped, grants_mapped);
    if (argument("end=", 0))
        finish();
    for (;;) {
        struct sched_poll p = { .timeout = now() + 1000000000 };

        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
    }
}
