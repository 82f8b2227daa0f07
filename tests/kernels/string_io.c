/* SPDX-License-Identifier: MIT */
/* INS and OUTS: every way in which memory can fail, widths of addresses, segments, REP; no byte of a device gets lost. */
#include "guest.h"

#define ABSENT 0x600000UL /* nothing is mapped in its page before keyboard_keeps() is through */
#define PCI_ADDRESS 0xcf8
#define FS_BASE 0xc0000100

static u8 *page, *read_only;

static u64 shown_cr2(void) { return shared_info->vcpu_info[0].arch.cr2; }

static void set_iopl(u32 level)
{
    struct physdev_set_iopl iopl = { level };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
}

static u32 pci_address(void)
{
    u32 v;

    __asm__ volatile("inl %%dx, %%eax" : "=a"(v) : "d"(PCI_ADDRESS));
    return v;
}

/* The keyboard controller holds its command byte ready until it is read. */
static bool byte_waits(void) { return inb(0x64) & 1; }

static void wait_for_byte(void)
{
    while (byte_waits())
        inb(0x60);
    outb(0x64, 0x20);
    while (!byte_waits())
        ;
}

static void check_fault(u64 error, u64 address)
{
    CHECK_EQ(last_trap.error, error);
    CHECK_EQ(shown_cr2(), address);
    CHECK(byte_waits());
}

static void keyboard_keeps(void)
{
    static const u8 ins[] = { 0x6c, 0x0f, 0x05 };
    u64 user = user_text_page(ins, sizeof(ins)), flat = 0x5ff000;
    u8 before[2];

    wait_for_byte();
    CHECK(TRAPS(14, __asm__ volatile("insb" ::"D"(ABSENT), "d"(0x60) : "memory")));
    check_fault(2, ABSENT);
    CHECK_EQ(last_trap.rdi, ABSENT);
    CHECK(TRAPS(14, __asm__ volatile("insb" ::"D"(read_only + 5), "d"(0x60) : "memory")));
    check_fault(3, (u64)read_only + 5);
    CHECK(TRAPS(14, __asm__ volatile("insb" ::"D"(0xffff830000000000), "d"(0x60) : "memory")));
    check_fault(2, 0xffff830000000000);
    CHECK(TRAPS(13, __asm__ volatile("insb" ::"D"(1UL << 63), "d"(0x60) : "memory")));
    CHECK_EQ(last_trap.error, 0);
    CHECK(byte_waits());
    /* The second half of the operand is not present: nothing is written of the first. */
    map_at(flat, page);
    memory_copy(before, page + 0xffe, 2);
    CHECK(TRAPS(14, __asm__ volatile("insl" ::"D"(flat + 0xffe), "d"(0x60) : "memory")));
    check_fault(2, ABSENT);
    CHECK_EQ(page[0xffe], before[0]);
    CHECK_EQ(page[0xfff], before[1]);
    /* User mode, by its IOPL. */
    set_iopl(3);
    CHECK_EQ(user_run(user, user_stack(), 0x200), 14); /* RDI and RDX are 0: a port that is not asked */
    CHECK_EQ(last_trap.error, 6);
    CHECK_EQ(shown_cr2(), 0);
    CHECK_EQ(last_trap.rip, user);
    set_iopl(1);
    __asm__ volatile("insb" ::"D"(page), "d"(0x60) : "memory");
    CHECK(!byte_waits());
}

static void outs(void)
{
    static const u32 value = 0x80001234;
    u64 rsi;

    __asm__ volatile("outsl" : "=S"(rsi) : "S"(&value), "d"(PCI_ADDRESS));
    CHECK_EQ(pci_address(), value);
    CHECK_EQ(rsi, (u64)(&value + 1));
    CHECK(TRAPS(14, __asm__ volatile("outsl" ::"S"(ABSENT), "d"(PCI_ADDRESS))));
    CHECK_EQ(last_trap.error, 0);
    CHECK_EQ(shown_cr2(), ABSENT);
    CHECK(TRAPS(14, __asm__ volatile("outsl" ::"S"(ABSENT - 2), "d"(PCI_ADDRESS))));
    CHECK_EQ(shown_cr2(), ABSENT);
    CHECK(TRAPS(14, __asm__ volatile("outsl" ::"S"(0xffff830000000000), "d"(PCI_ADDRESS))));
    CHECK_EQ(last_trap.error, 0);
    CHECK(TRAPS(13, __asm__ volatile("outsl" ::"S"(1UL << 63), "d"(PCI_ADDRESS))));
    CHECK_EQ(pci_address(), value);
    /* FS has its base, DS has none. */
    *(u32 *)(page + 8) = 0x80004321;
    __asm__ volatile("wrmsr" ::"c"(FS_BASE), "a"((u32)(u64)page), "d"((u32)((u64)page >> 32)));
    __asm__ volatile("fs outsl" ::"S"(8), "d"(PCI_ADDRESS));
    CHECK_EQ(pci_address(), 0x80004321);
    __asm__ volatile("ds outsl" ::"S"(&value), "d"(PCI_ADDRESS));
    CHECK_EQ(pci_address(), value);
    __asm__ volatile("wrmsr" ::"c"(FS_BASE), "a"(0), "d"(0));
}

static void map_not_present(struct frame *f)
{
    CHECK_EQ(f->rdi, ABSENT);
    CHECK_EQ(f->rcx, 4);
    map_at(ABSENT, page_new());
}

/* All bytes read are ones: of a port that is hidden. */
#define REP_INSB(prefix, at, n, di, cx) \
    __asm__ volatile(prefix "rep insb\n cld" : "=D"(di), "=c"(cx) : "D"(at), "c"(n), "d"(0x21) : "memory")

static bool are(const u8 *p, u32 n, u8 v)
{
    for (u32 i = 0; i < n; i++)
        if (p[i] != v)
            return false;
    return true;
}

static void rep(void)
{
    u64 di, cx;

    memory_set(page, 0, PAGE_SIZE);
    REP_INSB("", ABSENT, 0UL, di, cx); /* a count of 0 touches nothing */
    CHECK(di == ABSENT && cx == 0);
    trap_handlers[14] = map_not_present; /* and goes on where it was */
    REP_INSB("", ABSENT - 4, 8UL, di, cx);
    trap_handlers[14] = NULL;
    CHECK(di == ABSENT + 4 && cx == 0);
    CHECK(are(page + 0xffc, 4, 0xff) && are((u8 *)ABSENT, 4, 0xff) && are((u8 *)ABSENT + 4, 4, 0));
    REP_INSB("std\n", page + 19, 3UL, di, cx);
    CHECK(di == (u64)page + 16 && cx == 0);
    CHECK(are(page + 17, 3, 0xff) && !page[16] && !page[20]);
    /* Addresses of 32 bits: what is above them does not count, and is cleared. */
    map_at(0xfffff000, page);
    map_at(0, page);
    memory_set(page, 0, PAGE_SIZE);
    REP_INSB("addr32 ", 0x5fffffffeUL, 0x700000004UL, di, cx);
    CHECK(di == 2 && cx == 0);
    CHECK(are(page + 0xffe, 2, 0xff) && are(page, 2, 0xff) && !page[2] && !page[0xffd]);
    REP_INSB("addr32 ", 0x500000000UL, 0x700000000UL, di, cx);
    CHECK_EQ((u32)di, 0);
    REP_INSB("std\n addr32 ", 0UL, 1UL, di, cx);
    CHECK_EQ(di, 0xffffffff);
}

/* Upcalls come between elements, and all of them are done in the end. */
static void with_upcalls(void)
{
    struct evtchn_bind_virq b = { VIRQ_TIMER, 0, 0 };
    const struct vcpu_time_info *t = &shared_info->vcpu_info[0].time;
    u64 di, cx, n = 0;

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &b), 0);
    shared_info->evtchn_mask[b.port / 64] &= ~(1UL << (b.port % 64));
    upcalls = 0;
    events_unmask();
    for (u32 tries = 0; !upcalls && tries < 1000; tries++) {
        CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_timer_op, t->system_time + 1), 0);
        REP_INSB("", page, PAGE_SIZE, di, cx);
        n += di - (u64)page + cx;
    }
    events_mask();
    CHECK(upcalls && n % PAGE_SIZE == 0 && n);
    CHECK(are(page, PAGE_SIZE, 0xff));
}

/* 32-bit code with ES and DS of the GDT: base 400000h, 16 bytes; the same read-only; from 16 bytes on, downward. */
#define CODE_32 0x10000
#define END_32 "\xcd\x80" /* int $0x80 */
static const u64 segments[3] = { 0x0040f3000000000f | 0x400000UL << 16, 0x0040f1000000000f | 0x400000UL << 16,
                                 0x0040f7000000000f | 0x400000UL << 16 };

static u64 run_32(const char *code, u32 n)
{
    static struct iret_context f, frame = { .rip = CODE_32, .cs = 0xe023, .rflags = 0x202, .rsp = 0x12000, .ss = 0xe02b };
    static u8 *text;

    if (!text) {
        text = page_new();
        map_at(CODE_32, text);
    }
    memory_copy(text, code, n);
    f = frame;
    return user_run_frame(&f);
}

/* mov $selector, %eax; mov %eax, %es; mov $index, %edi; mov $count, %ecx; mov $0x21, %edx; rep insb; int $0x80 */
static u64 ins_32(u8 selector, u8 index, u8 count)
{
    char code[] = "\xb8\x00\x00\x00\x00\x8e\xc0\xbf\x00\x00\x00\x00\xb9\x00\x00\x00\x00\xba\x21\x00\x00\x00\xf3\x6c" END_32;

    code[1] = (char)selector;
    code[8] = (char)index;
    code[13] = (char)count;
    return run_32(code, sizeof(code));
}

static void of_32_bits(void)
{
    u64 *gdt = page_new(), frame = va_to_mfn(gdt);
    u8 *data = page_new();

    memory_copy(gdt + 5, segments, sizeof(segments));
    CHECK_EQ(make_ro(gdt), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &frame, 512), 0);
    map_at(0x400000, data);
    set_iopl(3);
    CHECK_EQ(ins_32(0x2b, 0, 16), 0x80);
    CHECK(are(data, 16, 0xff) && !data[16]);
    CHECK_EQ(ins_32(0x2b, 14, 3), 13); /* beyond the limit, when two are done */
    CHECK_EQ(last_trap.error, 0);
    CHECK(last_trap.rdi == 16 && last_trap.rcx == 1 && last_trap.rip == CODE_32 + 22);
    CHECK_EQ(ins_32(0x33, 0, 1), 13);
    CHECK_EQ(ins_32(0x3b, 15, 1), 13);
    CHECK_EQ(ins_32(0x3b, 16, 2), 0x80);
    CHECK(are(data + 16, 2, 0xff) && !data[18]);
    /* mov $0x33, %eax; mov %eax, %ds; mov $0x10000, %esi; mov $0xcf8, %edx; addr16 outsl: the upper half of ESI stays */
    *(u32 *)data = 0x80005678;
    CHECK_EQ(run_32("\xb8\x33\x00\x00\x00\x8e\xd8\xbe\x00\x00\x01\x00\xba\xf8\x0c\x00\x00\x67\x6f" END_32, 22), 0x80);
    CHECK_EQ(pci_address(), 0x80005678);
    CHECK_EQ(last_trap.rsi, 0x10004);
    set_iopl(1);
}

/* IN's second byte lies in a page that has gone, but the processor may remember it for the guest. The hypervisor may not. */
static u8 *second;

static void map_second(struct frame *f)
{
    CHECK_EQ(f->error, 0x10);
    CHECK_EQ(f->rip, 0x800fff);
    CHECK_EQ(shown_cr2(), 0x801000);
    map_at(0x801000, second);
}

static void fetch(void)
{
    u8 *code = page_new();

    second = page_new();
    map_at(0x800000, code);
    map_at(0x801000, second);
    code[0xfff] = 0xb0; /* mov $0x21, %al; ret */
    second[0] = 0x21;
    second[1] = 0xc3;
    ((void (*)(void))0x800fff)();
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_update_va_mapping, 0x801000, 0, 0), 0);
    code[0xfff] = 0xe4;
    trap_handlers[14] = map_second;
    trap_count[14] = 0;
    ((void (*)(void))0x800fff)();
    CHECK_EQ(trap_count[14], 1);
    trap_handlers[14] = NULL;
}

void test_main(void)
{
    page = page_new();
    read_only = page_new();
    CHECK_EQ(make_ro(read_only), 0);
    user_mode_setup();
    set_iopl(1);
    keyboard_keeps();
    outs();
    rep();
    with_upcalls();
    of_32_bits();
    fetch();
}
