/* SPDX-License-Identifier: MIT */
/* Debug registers by hypercall and by MOV, breakpoints on I/O, single steps over what is emulated. */
#include "guest.h"

#define CR4_DE 8UL

static long set_dr(u64 n, u64 v) { return HYPERCALL2(__HYPERVISOR_set_debugreg, n, v); }
static long get_dr(u64 n) { return HYPERCALL1(__HYPERVISOR_get_debugreg, n); }

static void set_de(bool on)
{
    u64 cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" ::"r"(on ? cr4 | CR4_DE : cr4 & ~CR4_DE));
}

static bool mov_dr7_traps(u64 v) { return TRAPS(13, __asm__ volatile("mov %0, %%dr7" ::"r"(v))); }

static void dr7(bool de)
{
    static const struct {
        u64 written;
        long without_de, with_de; /* what it reads as, or the error that leaves the old value */
    } cases[] = {
        { 0, 0x400, 0x400 },
        { 0xffff0000, 0xffff0400, 0xffff0400 },
        { 0xdc00, 0x400, 0x400 },
        { 0x90401, 0x90401, 0x90401 },
        { 0x20000, 0x20400, 0x20400 },
        { 0x20001, -1, 0x20401 },
        { 0x20002, -1, 0x20402 },
        { 0x20004, -1, 0x20404 },
        { 0x20000080, -1, 0x20000480 },
        { 0x2000, -1, -1 },
        { 0x22001, -1, -1 },
        { 0x100000000, -22, -22 },
    };

    set_de(de);
    for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        long want = de ? cases[i].with_de : cases[i].without_de, now;

        CHECK_EQ(set_dr(7, 0x300), 0);
        CHECK_EQ(set_dr(7, cases[i].written), want < 0 ? want : 0);
        CHECK_EQ(get_dr(7), want < 0 ? 0x700 : want);
        CHECK_EQ(set_dr(7, 0x300), 0);
        CHECK_EQ(mov_dr7_traps(cases[i].written), want < 0);
        __asm__ volatile("mov %%dr7, %0" : "=r"(now));
        CHECK_EQ(now, want < 0 ? 0x700 : want);
    }
    CHECK_EQ(set_dr(7, 0), 0);
}

static void others(void)
{
    u64 v;

    CHECK_EQ(set_dr(6, 0x1f00f), 0);
    CHECK_EQ(get_dr(6), 0xffffeffful);
    CHECK_EQ(set_dr(6, ~0UL), -22);
    CHECK_EQ(set_dr(6, 1UL << 32), -22);
    CHECK_EQ(get_dr(6), 0xffffeffful);
    CHECK(TRAPS(13, __asm__ volatile("mov %0, %%dr6" ::"r"(1UL << 32))));
    for (u64 n = 8; n < 20; n++) {
        CHECK_EQ(set_dr(n, 0), -19);
        CHECK_EQ(get_dr(n), -19);
    }
    CHECK_EQ(get_dr(~0UL), -19);
    /* Aliases, until DE takes them away. */
    set_de(false);
    CHECK_EQ(set_dr(4, 0x4001), 0);
    CHECK_EQ(get_dr(6), 0xffff4ff1ul);
    CHECK_EQ(get_dr(4), 0xffff4ff1ul);
    CHECK_EQ(set_dr(5, 0x300), 0);
    CHECK_EQ(get_dr(5), 0x700);
    __asm__ volatile("mov %%db4, %0" : "=r"(v));
    CHECK_EQ(v, 0xffff4ff1ul);
    __asm__ volatile("mov %0, %%db5" ::"r"(0UL));
    CHECK_EQ(get_dr(7), 0x400);
    set_de(true);
    CHECK_EQ(set_dr(4, 0), -19);
    CHECK_EQ(get_dr(5), -19);
    CHECK(TRAPS(6, __asm__ volatile("mov %%db4, %0" : "=r"(v))));
    CHECK(TRAPS(6, __asm__ volatile("mov %0, %%db5" ::"r"(0x400UL))));
    CHECK_EQ(get_dr(6), 0xffff4ff1ul);
    /* A value outlives DE; the next enabled one needs it again. */
    CHECK_EQ(set_dr(7, 0x20001), 0);
    set_de(false);
    CHECK_EQ(get_dr(7), 0x20401);
    CHECK_EQ(set_dr(7, 0x20005), -1);
    CHECK_EQ(get_dr(7), 0x20401);
    CHECK_EQ(set_dr(7, 0), 0);
    /* Addresses: anywhere but in the hypervisor's range. */
    CHECK_EQ(set_dr(0, 0x7fffffffffff), 0);
    CHECK_EQ(set_dr(0, ~0UL), 0);
    CHECK_EQ(set_dr(0, 0xffff880000000000), 0);
    CHECK_EQ(set_dr(0, 0xffff87ffffffffff), -1);
    CHECK_EQ(set_dr(0, 0xffff800000000000), -1);
    CHECK_EQ(set_dr(0, 0x800000000000), -1);
    CHECK_EQ(get_dr(0), 0xffff880000000000);
}

static u64 debugs, debug_rip;

static void on_debug(struct frame *f)
{
    debugs++;
    debug_rip = f->rip;
    f->rflags = (f->rflags & ~0x100UL) | 0x10000; /* no step, and a breakpoint on the instruction is over */
}

/* Which of DR6's bits the instruction raised behind itself; ~0 if not there. */
#define RAISED(code, ...)                                                                                  \
    ({                                                                                                     \
        u64 before_ = debugs, behind_;                                                                     \
        CHECK_EQ(set_dr(6, 0), 0);                                                                         \
        __asm__ volatile(code "\n1: lea 1b(%%rip), %[behind]" : [behind] "=r"(behind_), ##__VA_ARGS__);    \
        debugs == before_ ? 0 : debugs == before_ + 1 && debug_rip == behind_ ? get_dr(6) & 0xf00f : ~0UL; \
    })

static u64 port_hits(u16 port)
{
    u32 a;

    return RAISED("inb %%dx, %%al", "=a"(a) : "d"(port));
}

extern const char watched[];

static void on_io(void)
{
    static const u8 lengths[4] = { 1, 2, 8, 4 };
    u8 buf[8];
    u32 a;

    set_de(true);
    for (u32 n = 0; n < 4; n++)
        for (u32 len = 0; len < 4; len++) {
            CHECK_EQ(set_dr(n, 0x80), 0);
            CHECK_EQ(set_dr(7, (2UL | len << 2) << (16 + 4 * n) | 1 << (2 * n + (len & 1))), 0);
            for (u16 p = 0x7e; p < 0x8a; p++)
                CHECK_EQ(port_hits(p), p >= 0x80 && p < 0x80 + lengths[len] ? 1 << n : 0);
        }
    CHECK_EQ(set_dr(7, 0x20001), 0);
    CHECK_EQ(set_dr(0, 0x83), 0);
    CHECK_EQ(RAISED("inl %%dx, %%eax", "=a"(a) : "d"((u16)0x80)), 1); /* its last byte */
    CHECK_EQ(RAISED("outw %%ax, %%dx", "=a"(a) : "d"((u16)0x82), "a"(0)), 1);
    CHECK_EQ(RAISED("inb $0x83, %%al", "=a"(a)), 1);
    CHECK_EQ(RAISED("outb %%al, $0x83", "=a"(a) : "a"(0)), 1);
    CHECK_EQ(RAISED("outb %%al, $0x84", "=a"(a) : "a"(0)), 0);
    CHECK_EQ(RAISED("insb", "=D"(a) : "D"(buf), "d"((u16)0x83) : "memory"), 1);
    CHECK_EQ(RAISED("outsb", "=S"(a) : "S"(buf), "d"((u16)0x83)), 1);
    /* Two at once; neither without its enable bit. */
    CHECK_EQ(set_dr(1, 0x83), 0);
    CHECK_EQ(set_dr(7, 0x220005), 0);
    CHECK_EQ(port_hits(0x83), 3);
    CHECK_EQ(set_dr(7, 0x220001), 0);
    CHECK_EQ(port_hits(0x83), 1);
    /* REP stops after each element. */
    u64 before = debugs;

    __asm__ volatile("rep insb" : "=D"(a) : "D"(buf), "c"(4), "d"(0x83) : "memory");
    CHECK_EQ(debugs, before + 4);
    /* One on the instruction itself is met once, however many elements there are. */
    CHECK_EQ(set_dr(0, (u64)watched), 0);
    CHECK_EQ(set_dr(7, 1), 0);
    before = debugs;
    __asm__ volatile("watched: rep insb" : "=D"(a) : "D"(buf), "c"(4), "d"(0x83) : "memory");
    CHECK_EQ(debugs, before + 1);
    CHECK_EQ(debug_rip, (u64)watched);
    /* What the hypervisor does with the port on its own account is not the guest's: the console's port. */
    CHECK_EQ(set_dr(0, 0x3f8), 0);
    CHECK_EQ(set_dr(7, 0xe0001), 0);
    before = debugs;
    print("written through a watched port\n");
    CHECK_EQ(debugs, before);
    /* Without DE the type means nothing. */
    set_de(false);
    CHECK_EQ(port_hits(0x83), 0);
    CHECK_EQ(set_dr(7, 0), 0);
}

#define STEP "pushf; orq $0x100, (%%rsp); popf\n"

static void steps(void)
{
    u64 a = 0, b;

    CHECK_EQ(RAISED(STEP "inb $0x80, %%al", "=a"(a)), 0x4000);
    CHECK_EQ(RAISED(STEP "mov %%cr0, %%rax", "=a"(a)), 0x4000);
    CHECK_EQ(RAISED(STEP ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2", "=a"(a), "=b"(b) : "a"(0) : "rcx", "rdx"), 0x4000);
    /* A store into a page table, by the assist. */
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    u64 *entry = pte_of(page_new(), 1);

    a = *entry;
    CHECK_EQ(RAISED(STEP "mov %%rax, (%[e])", "=a"(a) : "a"(a), [e] "r"(entry) : "memory"), 0x4000);
}

void test_main(void)
{
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    dr7(false);
    dr7(true);
    others();
    trap_handlers[1] = on_debug;
    on_io();
    steps();
}
