/* SPDX-License-Identifier: MIT */
/*
 * An LDT's pages are mapped when they are first needed, and dropped with each new LDT: whoever reads a descriptor in one, the
 * hypervisor on behalf of the guest included, finds it there.
 */
#include "smp.h"

#define SELECTOR(page, index) ((page) << 12 | (index) << 3 | 7)
#define CODE64 0x00affb000000ffffUL
#define DATA 0x00cff3000000ffffUL
#define PAGES 6

static u8 table[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static volatile bool stop, ran;

/* No page of it is mapped afterwards. */
static void set_ldt(void) { CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)table, PAGES * 512), 0); }

static void other(u32 id)
{
    while (!stop) {
        ran = true;
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    smp_stop(id);
}

static void let_other_run(void)
{
    ran = false;
    while (!ran)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static void iret_to(u64 cs, u64 ss)
{
    static const u8 code[] = { 0x0f, 0x05, 0xeb, 0xfe }; /* syscall; jmp . */
    static u64 text, sp;
    u32 before = failsafes;

    if (!text) {
        text = user_text_page(code, sizeof(code));
        sp = user_stack();
        remap((void *)text, *pte_of((void *)text, 1) & ~PTE_NX);
    }
    struct iret_context f = { .rip = text, .cs = cs, .rflags = 2, .rsp = sp, .ss = ss };
    u32 calls = syscalls;

    user_run_frame(&f);
    CHECK_EQ(failsafes, before);
    CHECK_EQ(syscalls, calls + 1);
}

#define GET(reg)                                           \
    ({                                                     \
        u64 s_;                                            \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(s_)); \
        (u16) s_;                                          \
    })
#define SET(reg, s) __asm__ volatile("mov %0, %%" #reg ::"r"((u64)(s)))

static void switches(void)
{
    u64 base = 0x123456789000;

    set_ldt();
    SET(ds, SELECTOR(2, 1));
    SET(es, SELECTOR(3, 1));
    SET(fs, SELECTOR(4, 1));
    SET(gs, SELECTOR(5, 1));
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_FS, base), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_GS_KERNEL, base + 8), 0);
    set_ldt();
    let_other_run();
    u16 got[4] = { GET(ds), GET(es), GET(fs), GET(gs) };
    u64 bases[2];

    __asm__ volatile("rdmsr" : "=a"(bases[0]), "=d"(bases[1]) : "c"(0xc0000100)); /* emulated: FS base */
    SET(ds, 0);
    SET(es, 0);
    SET(fs, 0);
    SET(gs, 0);
    CHECK_EQ(got[0], SELECTOR(2, 1));
    CHECK_EQ(got[1], SELECTOR(3, 1));
    CHECK_EQ(got[2], SELECTOR(4, 1));
    CHECK_EQ(got[3], SELECTOR(5, 1));
    CHECK_EQ(bases[0] | bases[1] << 32, base);
}

void test_main(void)
{
    for (u32 p = 0; p < PAGES; p++) {
        ((u64 *)table[p])[0] = CODE64;
        ((u64 *)table[p])[1] = DATA;
        CHECK_EQ(make_ro(table[p]), 0);
    }
    user_mode_setup();
    set_ldt();
    iret_to(SELECTOR(0, 0), FLAT_SS | 3);
    set_ldt();
    iret_to(FLAT_CS64, SELECTOR(1, 1));
    set_ldt();
    iret_to(SELECTOR(0, 0), SELECTOR(1, 1));
    set_ldt();
    iret_to(SELECTOR(5, 0), SELECTOR(5, 1));

    set_ldt();
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, SELECTOR(4, 1)), 0);
    CHECK_EQ(GET(gs), SELECTOR(4, 1));
    /* Beyond its end there is nothing to be mapped. */
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, SELECTOR(PAGES, 1)), 0);
    CHECK_EQ(GET(gs), 0);

    smp_start(1, other);
    for (u32 i = 0; i < 20; i++)
        switches();
    stop = true;
}
