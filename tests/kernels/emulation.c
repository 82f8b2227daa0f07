/* SPDX-License-Identifier: MIT */
/* Privileged instructions of the guest kernel: what is emulated, what is refused. */
#include "guest.h"

static u64 read_msr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static void write_msr(u32 msr, u64 v) { __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }
static void cpuid_forced(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile(".byte 0x0f,0x0b,0x78,0x65,0x6e,0x0f,0xa2" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

static void msrs(void)
{
    CHECK_EQ(read_msr(0x277), 0x0000050100070406);
    write_msr(0xc0000102, 0x123456);
    CHECK_EQ(read_msr(0xc0000102), 0x123456);
    write_msr(0xc0000100, 0xffffffff80000000);
    CHECK_EQ(read_msr(0xc0000100), 0xffffffff80000000);
    CHECK(TRAPS(13, write_msr(0xc0000100, 0x8000000000000000)));
    CHECK(TRAPS(13, write_msr(0xc0000101, 0x0000900000000000)));
    /* The hypervisor's own entry points and modes are out of reach. */
    static const u32 ours[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174, 0x175, 0x176, 0x1d9, 0x6e0, 0x80b, 0x12345 };

    for (u32 i = 0; i < sizeof(ours) / 4; i++)
        CHECK(TRAPS(13, write_msr(ours[i], 0)));
    CHECK(TRAPS(13, read_msr(0x12345)));
    CHECK(TRAPS(13, write_msr(0xc0000080, 0)));
    CHECK(TRAPS(13, write_msr(0x1b, 0)));
    CHECK_EQ(read_msr(0x179) & 0xff, 2);
    /* Nothing behind them: zeroes, and writes that vanish or are refused. */
    static const struct {
        u32 msr;
        bool writable;
    } empty[] = { { 0, false },    { 1, false },    { 0xce, false },  { 0x140, true }, { 0x17b, true },
                  { 0x280, true }, { 0x29f, true }, { 0x345, false }, { 0x408, true }, { 0x47f, true } };

    for (u32 i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        CHECK_EQ(read_msr(empty[i].msr), 0);
        CHECK_EQ(TRAPS(13, write_msr(empty[i].msr, 0)), !empty[i].writable);
        CHECK_EQ(read_msr(empty[i].msr), 0);
    }
    CHECK_EQ(read_msr(0x1a0) & 0x40080, 0); /* no performance monitoring, no MONITOR */
    CHECK(TRAPS(13, read_msr(0x2a0)));
    CHECK(TRAPS(13, read_msr(0x480)));
}

static u64 read_cr(int n)
{
    u64 v = 0;

    switch (n) {
    case 0: __asm__ volatile("mov %%cr0, %0" : "=r"(v)); break;
    case 2: __asm__ volatile("mov %%cr2, %0" : "=r"(v)); break;
    case 3: __asm__ volatile("mov %%cr3, %0" : "=r"(v)); break;
    case 4: __asm__ volatile("mov %%cr4, %0" : "=r"(v)); break;
    }
    return v;
}

static void control_registers(void)
{
    CHECK_EQ(read_cr(3) >> 12, va_to_mfn((void *)start_info->pt_base));
    CHECK_EQ(read_cr(0) & 0x80010001, 0x80010001);
    u64 cr4 = read_cr(4);

    CHECK_EQ(cr4, 0x660);
    /* OSXSAVE is the kernel's to set, where there is XSAVE; off or on it stays as it is. */
    u32 r[4];

    cpuid_forced(1, 0, r);
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x40000));
    CHECK_EQ(read_cr(4), r[2] >> 26 & 1 ? cr4 | 0x40000 : cr4);
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
    CHECK_EQ(read_cr(4), cr4);
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 4)); /* TSD: RDTSC is emulated then */
    CHECK(rdtsc() > 0);
    cpuid_forced(0x80000001, 0, r);
    if (r[3] >> 27 & 1) { /* RDTSCP, and what WRMSR put there for it */
        u32 lo, hi, aux;
        u64 before = rdtsc();

        write_msr(0xc0000103, 0x1234);
        __asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux) : "c"(0));
        CHECK_EQ(aux, 0x1234);
        CHECK(((u64)hi << 32 | lo) > before);
    }
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
    /* SMEP, SMAP, PGE are not the guest's: ignored. */
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x300080));
    CHECK_EQ(read_cr(4) & 0x300080, 0);
    CHECK(TRAPS(13, __asm__ volatile("mov %0, %%cr3" ::"r"(0x200000UL))));
    CHECK(TRAPS(13, __asm__ volatile("mov %0, %%cr8" ::"r"(0UL))));
    __asm__ volatile("mov %0, %%cr0" ::"r"(read_cr(0) | 8)); /* TS */
    CHECK(read_cr(0) & 8);
    __asm__ volatile("clts");
    CHECK_EQ(read_cr(0) & 8, 0);
    CHECK(TRAPS(13, __asm__ volatile("lgdt (%0)" ::"r"(start_info))));
    CHECK(TRAPS(13, __asm__ volatile("lidt (%0)" ::"r"(start_info))));
    CHECK(TRAPS(13, __asm__ volatile("ltr %%ax" ::"a"(0))));
    CHECK(TRAPS(13, __asm__ volatile("invlpg (%0)" ::"r"(start_info))));
    __asm__ volatile("wbinvd");
}

static void ports(void)
{
    struct physdev_set_iopl iopl = { 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    CHECK(TRAPS(13, inb(0x80)));
    CHECK(TRAPS(13, __asm__ volatile("cli")));
    iopl.iopl = 4;
    CHECK(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl) < 0);
    iopl.iopl = 1;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    __asm__ volatile("cli; sti");
    /* The hypervisor's devices read as ones: PICs, UART, PIT channel 0. */
    CHECK_EQ(inb(0x21), 0xff);
    CHECK_EQ(inb(0xa1), 0xff);
    CHECK_EQ(inb(0x3f8), 0xff);
    CHECK_EQ(inb(0x40), 0xff);
    outb(0x21, 0); /* unmasking the PIC would be noticed */
    outb(0x43, 0x36);
    /* As parts of a wider access too; the rest of it takes place. */
    static const u16 wide[] = { 0x1f, 0x3e, 0x9f, 0x3f6 };

    for (u32 i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        u32 v;

        __asm__ volatile("outl %%eax, %%dx" ::"a"(0), "d"(wide[i]));
        __asm__ volatile("inl %%dx, %%eax" : "=a"(v) : "d"(wide[i]));
        CHECK_EQ(v >> 16 & 0xff, 0xff); /* its third byte is hidden in all but the first, whose is, too */
    }
    __asm__ volatile("outw %%ax, %%dx" ::"a"(0x3600), "d"(0x42)); /* channel 0's mode in the upper byte */
    /* PCI: the address latch, and the host bridge behind it. */
    u32 id;

    __asm__ volatile("outl %%eax, %%dx" ::"a"(0x80000000), "d"(0xcf8));
    __asm__ volatile("inl %%dx, %%eax" : "=a"(id) : "d"(0xcf8));
    CHECK_EQ(id, 0x80000000);
    __asm__ volatile("inl %%dx, %%eax" : "=a"(id) : "d"(0xcfc));
    CHECK_EQ(id & 0xffff, 0x8086);
    /* String I/O. */
    u8 buf[4] = { 0 };

    __asm__ volatile("rep insb" ::"D"(buf), "c"(4), "d"(0x21) : "memory");
    CHECK_EQ(buf[0] & buf[1] & buf[2] & buf[3], 0xff);
    /* To where the guest may not write: a fault of the guest's. */
    CHECK(TRAPS(14, __asm__ volatile("insb" ::"D"(0xffff830000000000), "d"(0x21) : "memory")));
}

static void cpuid(void)
{
    u32 r[4], native[4];

    cpuid_forced(0x40000000, 0, r);
    CHECK_EQ(r[1], 0x566e6558); /* "XenV" */
    CHECK(r[0] >= 0x40000002);
    cpuid_forced(0x40000001, 0, r);
    CHECK_EQ(r[0], 0x00040011);
    cpuid_forced(1, 0, r);
    CHECK(r[2] >> 31);           /* a hypervisor is present */
    CHECK_EQ(r[2] >> 5 & 1, 0);  /* VMX */
    CHECK_EQ(r[3] >> 3 & 1, 0);  /* PSE: no large pages */
    CHECK_EQ(r[3] >> 13 & 1, 0); /* PGE */
    cpuid_forced(7, 0, r);
    CHECK_EQ(r[1] >> 7 & 1, 0);  /* SMEP */
    CHECK_EQ(r[1] >> 20 & 1, 0); /* SMAP */
    CHECK_EQ(r[2] >> 3 & 1, 0);  /* PKU */
    CHECK_EQ(r[2] >> 2 & 1, 0);  /* UMIP */
    /* AMD repeats leaf 1, and says that LFENCE serialises where it could be made to: not on Bochs, which sets no hypervisor bit. */
    cpuid_forced(0, 0, r);
    if (r[2] == 0x444d4163) {
        cpuid_forced(1, 0, native);
        cpuid_forced(0x80000001, 0, r);
        CHECK_EQ((r[3] ^ native[3]) & 0x0183f3ff, 0);
        cpuid_forced(0x80000000, 0, r);
        bool serialises = r[0] == 0x80000021;

        __asm__ volatile("cpuid" : "=a"(native[0]), "=b"(native[1]), "=c"(native[2]), "=d"(native[3]) : "a"(1));
        CHECK(serialises || !(native[2] >> 31));
        cpuid_forced(0x80000021, 0, r);
        CHECK_EQ(r[0], serialises ? 4 : 0);
        cpuid_forced(0x80000020, 0, r);
        CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    }
    __asm__ volatile("cpuid" : "=a"(native[0]), "=b"(native[1]), "=c"(native[2]), "=d"(native[3]) : "a"(0));
    cpuid_forced(0, 0, r);
    CHECK_EQ(r[1], native[1]);
}

static void debug_registers(void)
{
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 0, (u64)start_info), 0);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_get_debugreg, 0), (u64)start_info);
    CHECK(HYPERCALL2(__HYPERVISOR_set_debugreg, 0, 0xffff82d040004000) < 0); /* XSA-444 */
    CHECK(HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 0x20001) < 0);            /* I/O breakpoint */
    CHECK(HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 1UL << 32) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_set_debugreg, 99, 0) < 0);
    /* A write breakpoint on our own memory fires, once. */
    volatile u64 *target = page_new();
    u32 before = trap_count[1];

    expect_trap(1);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 0, (u64)target), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 0x90401), 0); /* L0; R/W0 = write, LEN0 = 8 */
    *target = 1;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 0x400), 0);
    CHECK_EQ(trap_count[1], before + 1);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_get_debugreg, 6) & 1, 1);
}

void test_main(void)
{
    msrs();
    control_registers();
    ports();
    cpuid();
    debug_registers();
}
