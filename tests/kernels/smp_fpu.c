/* SPDX-License-Identifier: MIT */
/*
 * Vector registers belong to one vCPU, whatever that has enabled in XCR0: two vCPUs take turns on one CPU, and neither sees
 * the other's registers nor loses its own.
 */
#include "smp.h"

#define MXCSR_DEFAULT 0x1f80u

/* 32 registers of 64 bytes, eight mask registers. */
struct vectors {
    u64 reg[32][8], k[8];
};
static struct vectors expected[2], now;
static u32 expected_mxcsr[2] = { MXCSR_DEFAULT, MXCSR_DEFAULT };
static volatile u32 turn, done;

#define EACH_16(insn) ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n" insn "\n.endr\n"
#define EACH_32(insn) ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n" insn "\n.endr\n"
#define MOVE(name, instructions) \
    static void name(struct vectors *v) { __asm__ volatile(instructions ::"r"(v), "r"(v->k) : "memory"); }
MOVE(sse_load, EACH_16("movups 64*\\n(%0), %%xmm\\n"))
MOVE(sse_store, EACH_16("movups %%xmm\\n, 64*\\n(%0)"))
MOVE(avx_load, EACH_16("vmovups 64*\\n(%0), %%ymm\\n"))
MOVE(avx_store, EACH_16("vmovups %%ymm\\n, 64*\\n(%0)"))
MOVE(avx512_load, EACH_32("vmovups 64*\\n(%0), %%zmm\\n") ".irp n,0,1,2,3,4,5,6,7\nkmovw 8*\\n(%1), %%k\\n\n.endr")
MOVE(avx512_store, EACH_32("vmovups %%zmm\\n, 64*\\n(%0)") ".irp n,0,1,2,3,4,5,6,7\nkmovw %%k\\n, 8*\\n(%1)\n.endr")

static const struct kind {
    const char *name;
    u64 xcr0;
    u32 regs, words;
    void (*load)(struct vectors *v), (*store)(struct vectors *v);
} kinds[] = {
    { "SSE", 1, 16, 2, sse_load, sse_store },
    { "AVX", 0x7, 16, 4, avx_load, avx_store },
    { "AVX-512", 0xe7, 32, 8, avx512_load, avx512_store },
};

/* What XCR0 can have; 0: there is no XSAVE. */
static u64 available(void)
{
    u32 a, b, c, d;

    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(1), "2"(0));
    if (!(c >> 26 & 1))
        return 0;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0xd), "2"(0));
    return a;
}

static void set_xcr0(u64 val) { __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)val), "d"((u32)(val >> 32))); }

/* Until it is our turn again; before the first, the other one starts there. */
static void pass(u32 me)
{
    turn = !me;
    while (turn != me)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void fill(u32 me, const struct kind *k, u64 seed, u32 mxcsr)
{
    for (u32 i = 0; i < k->regs; i++)
        for (u32 w = 0; w < k->words; w++)
            expected[me].reg[i][w] = seed + i * 256 + w;
    for (u32 i = 0; k->regs == 32 && i < 8; i++)
        expected[me].k[i] = (u16)(seed + i);
    k->load(&expected[me]);
    expected_mxcsr[me] = mxcsr;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
}

static void verify(u32 me, const struct kind *k, const char *when)
{
    u32 mxcsr, wrong = 0;

    k->store(&now);
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    CHECK_EQ(mxcsr, expected_mxcsr[me]);
    for (u32 i = 0; i < k->regs; i++)
        for (u32 w = 0; w < k->words; w++)
            if (now.reg[i][w] != expected[me].reg[i][w] && !wrong++)
                print("vCPU 0x%x, %s, %s: word 0x%x of register 0x%x is 0x%lx\n", me, k->name, when, w, i, now.reg[i][w]);
    for (u32 i = 0; k->regs == 32 && i < 8; i++)
        wrong += now.k[i] != expected[me].k[i];
    CHECK_EQ(wrong, 0);
}

/* Registers of k, of which XCR0 knows in one vCPU, then in both. */
static void rounds(u32 me, const struct kind *k)
{
    const struct kind *sse = &kinds[0];

    if (me == 0) {
        set_xcr0(k->xcr0);
        verify(me, k, "before their first use");
        fill(me, k, 0x1111000011110000, 0x3f80);
        pass(me);
        verify(me, k, "beside SSE without XSETBV");
        set_xcr0(1);
        pass(me);
        set_xcr0(k->xcr0);
        verify(me, k, "after XCR0 without them");
    } else {
        verify(me, sse, "beside larger ones");
        fill(me, sse, 0x2222000022220000, 0x5f80);
        pass(me);
        verify(me, sse, "beside larger ones that are turned off");
        fill(me, sse, 0x3333000033330000, 0x7f80);
        pass(me);
        set_xcr0(k->xcr0);
        verify(me, k, "after XSETBV");
        fill(me, k, 0x4444000044440000, 0x9f80);
    }
    pass(me);
    verify(me, k, "with XSETBV in both");
    pass(me);
    if (me == 1)
        set_xcr0(1);
}

static void run(u32 me)
{
    u64 can = available();

    verify(me, &kinds[0], "as they came");
    fill(me, &kinds[0], me ? 0x5555000055550000 : 0x6666000066660000, me ? 0xdf80 : 0xbf80);
    pass(me);
    verify(me, &kinds[0], "without XSETBV");
    for (u32 i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((can & kinds[i].xcr0) == kinds[i].xcr0) {
            rounds(me, &kinds[i]);
            if (me == 0)
                print("registers of %s were tried\n", kinds[i].name);
        }
}

static void second(u32 id)
{
    run(id);
    done = 1;
    turn = 0;
    smp_stop(id);
}

void test_main(void)
{
    smp_start(1, second);
    run(0);
    turn = 1;
    while (!done)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}
