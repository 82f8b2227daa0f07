/* SPDX-License-Identifier: MIT */
/*
 * No vCPU waits behind another one while a CPU sleeps that may run it. Three CPUs: vCPU 0 keeps CPU 0 busy, as who goes idle would look for
 * work by itself.
 */
#include "smp.h"

#define ROUNDS 8
#define WINDOW_NS 60000000UL /* several slices: of two vCPUs on one CPU each waits in it */
#define WINDOWS 100

static volatile u32 hogging; /* bits of vCPUs that compute; the others sleep */
static volatile u32 asleep;

static void hog_or_sleep(u32 id)
{
    for (;;) {
        while (hogging >> id & 1)
            __asm__ volatile("pause");
        struct sched_poll p = { .timeout = smp_time(id) + 1000000 };

        __atomic_fetch_or(&asleep, 1u << id, __ATOMIC_SEQ_CST);
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
        __atomic_fetch_and(&asleep, ~(1u << id), __ATOMIC_SEQ_CST);
    }
}

static void spin(u64 ns)
{
    for (u64 end = smp_time(0) + ns; smp_time(0) < end;)
        __asm__ volatile("pause");
}

static u64 waited_ns(u32 id)
{
    struct vcpu_runstate_info r;

    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, id, &r), 0);
    return r.time[RUNSTATE_runnable];
}

/* From some moment on neither waits for a CPU. */
static bool both_run(u32 a, u32 b)
{
    for (u32 n = 0; n < WINDOWS; n++) {
        u64 before = waited_ns(a) + waited_ns(b);

        spin(WINDOW_NS);
        if (waited_ns(a) + waited_ns(b) == before)
            return true;
    }
    return false;
}

/* Also while it computes or waits there: it moves. */
static void put_on(u32 id, u64 cpus)
{
    CHECK_EQ(smp_pin(id, cpus), 0);
    spin(2000000);
}

static void computes(u32 id, bool yes)
{
    if (yes)
        __atomic_fetch_or(&hogging, 1u << id, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&hogging, ~(1u << id), __ATOMIC_SEQ_CST);
    while (!yes && !(asleep >> id & 1))
        __asm__ volatile("pause");
}

/* Two share CPU 1, then one of them may leave: it waits at that moment, or is preempted soon. */
static bool one_may_leave(u32 round)
{
    put_on(1, 2);
    put_on(2, 2);
    computes(1, true);
    computes(2, true);
    spin(1000000UL * (1 + round));
    put_on(2, 6);
    return both_run(1, 2);
}

/* One that may run on CPU 1 alone wakes up there and preempts another, which may run on CPU 2, too. */
static bool preempted(u32 round)
{
    (void)round;
    put_on(1, 2);
    put_on(2, 2);
    computes(2, true);
    put_on(2, 6);
    spin(5000000);
    computes(1, true);
    return both_run(1, 2);
}

/* A CPU whose only vCPU is sent elsewhere is known as idle: who wakes up next is put on it, not behind the other. */
static bool sent_away(u32 round)
{
    (void)round;
    put_on(1, 4);
    put_on(1, 6);
    put_on(2, 2);
    computes(2, true);
    spin(5000000);
    put_on(2, 4);
    spin(5000000);
    computes(1, true);
    return both_run(1, 2);
}

static void all_rounds(const char *name, bool (*scene)(u32 round))
{
    u32 good = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        good += scene(i);
        computes(1, false);
        computes(2, false);
        if (good != i + 1)
            break;
    }
    print("%s: 0x%x rounds\n", name, good);
    CHECK_EQ(good, ROUNDS);
}

void test_main(void)
{
    CHECK_EQ(smp_pin(0, 1), 0);
    smp_start(1, hog_or_sleep);
    smp_start(2, hog_or_sleep);
    all_rounds("one may leave", one_may_leave);
    all_rounds("preempted", preempted);
    all_rounds("sent away", sent_away);
}
