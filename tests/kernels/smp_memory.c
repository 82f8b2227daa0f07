/* SPDX-License-Identifier: MIT */
/*
 * Several vCPUs on the same frames: pins, mappings and table updates race, and afterwards every frame
 * can be everything again. A mapping that was flushed everywhere is seen by nobody any more.
 */
#include "smp.h"

#define WORKERS 4
#define FRAMES 6
#define ROUNDS 4000

static void *frames[FRAMES];
static u8 *windows[WORKERS];
static volatile u64 finished, wrong, pins, refused, maps;

static u32 random(u64 *state)
{
    *state = *state * 6364136223846793005UL + 1442695040888963407UL;
    return (u32)(*state >> 33);
}

static long pin(u32 cmd, u64 mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };

    return HYPERCALL4(__HYPERVISOR_mmuext_op, &op, 1, 0, DOMID_SELF);
}

static long map(void *va, u64 pte, u64 flags) { return HYPERCALL3(__HYPERVISOR_update_va_mapping, va, pte, flags); }

static u64 mfns[FRAMES];

static void race(u32 id)
{
    u64 state = id * 7919 + 1;
    u8 *window = windows[id];

    for (u32 i = 0; i < ROUNDS; i++) {
        u64 mfn = mfns[random(&state) % FRAMES];
        long rc = 0;

        switch (random(&state) % 4) {
        case 0: /* pinned by us: nobody else's unpin may be in between, so any outcome but a crash is right */
            rc = pin(MMUEXT_PIN_L1_TABLE, mfn);
            smp_atomic_add(rc ? &refused : &pins, 1);
            break;
        case 1: rc = pin(MMUEXT_UNPIN_TABLE, mfn); break;
        case 2:
            rc = map(window, mfn << 12 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX, 2 /* UVMF_INVLPG */);
            if (!rc) {
                smp_atomic_add(&maps, 1);
                *(volatile u64 *)(window + 8 * id) = 0; /* ours while it is mapped: never a table's entry meanwhile */
            }
            break;
        case 3: rc = map(window, 0, 2); break;
        }
        if (rc && rc != -22)
            smp_atomic_add(&wrong, 1);
    }
    map(window, 0, 2);
    smp_atomic_add(&finished, 1);
    if (id)
        smp_stop(id);
}

/* ---- shootdown ---- */

static u8 *shown;
static volatile u64 generation, acknowledged, stale;

static void reader(u32 id)
{
    u64 seen = 0;

    while (seen < 2000) {
        u64 g = __atomic_load_n(&generation, __ATOMIC_SEQ_CST);
        u64 value = *(volatile u64 *)shown;

        /* Later generations may show already, earlier ones not any more. */
        if (value < g)
            smp_atomic_add(&stale, 1);
        if (g != seen) {
            seen = g;
            __atomic_store_n(&acknowledged, g, __ATOMIC_SEQ_CST);
        }
    }
    smp_stop(id);
}

static void shootdown(void)
{
    u64 *pages[2] = { page_new(), page_new() };

    shown = page_new();
    *pages[0] = 0;
    CHECK_EQ(map(shown, va_to_mfn(pages[0]) << 12 | PTE_P | PTE_NX | PTE_A, 2), 0);
    smp_start(WORKERS, reader);
    for (u64 g = 1; g <= 2000; g++) {
        u64 *next = pages[g & 1];

        *next = g;
        /* By address and as a whole, from both calls in turn. */
        CHECK_EQ(map(shown, va_to_mfn(next) << 12 | PTE_P | PTE_NX | PTE_A, g & 2 ? 4 | 2 : 4 | 1), 0);
        __atomic_store_n(&generation, g, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&acknowledged, __ATOMIC_SEQ_CST) != g)
            __asm__ volatile("pause");
    }
    CHECK_EQ(stale, 0);
}

void test_main(void)
{
    for (u32 i = 0; i < FRAMES; i++) {
        frames[i] = page_new();
        mfns[i] = va_to_mfn(frames[i]);
        CHECK_EQ(map(frames[i], mfns[i] << 12 | PTE_P | PTE_A | PTE_NX, 2), 0); /* read-only: may become tables */
    }
    for (u32 i = 0; i < WORKERS; i++)
        windows[i] = page_new();
    for (u32 i = 1; i < WORKERS; i++)
        smp_start(i, race);
    race(0);
    while (finished < WORKERS)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    CHECK_EQ(wrong, 0);
    CHECK(pins > 100);
    CHECK(maps > 100);
    print("pins 0x%lx, refused 0x%lx, mappings 0x%lx\n", pins, refused, maps);
    for (u32 i = 0; i < FRAMES; i++) {
        pin(MMUEXT_UNPIN_TABLE, mfns[i]);
        CHECK_EQ(map(frames[i], mfns[i] << 12 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX, 2), 0);
        CHECK_EQ(pin(MMUEXT_PIN_L1_TABLE, mfns[i]), -22);
        CHECK_EQ(map(frames[i], mfns[i] << 12 | PTE_P | PTE_A | PTE_NX, 2), 0);
        CHECK_EQ(pin(MMUEXT_PIN_L1_TABLE, mfns[i]), 0);
        CHECK_EQ(pin(MMUEXT_UNPIN_TABLE, mfns[i]), 0);
    }
    shootdown();
}
