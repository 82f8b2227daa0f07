/* SPDX-License-Identifier: MIT */
/* SGDT, SIDT, SLDT, STR and SMSW where UMIP makes them fault: harmless values, in the kernel and in user mode. */
#include "guest.h"

#define GDT_BASE 0xfffffffffffe0000UL
#define IDT_BASE 0xffffffffffff0000UL
#define CR0_LOW 0x33

struct area {
    u16 gdt_limit;
    u64 gdt_base;
    u8 pad0[6];
    u16 idt_limit;
    u64 idt_base;
    u8 pad1[6];
    u16 ldt, pad2[3], task, pad3[3], cr0, pad4[3];
} __attribute__((packed));
struct area area;

__asm__(
    ".globl all\nall: push %rbx; sgdt area(%rip); sidt area + 16(%rip); sldt area + 32(%rip); str area + 40(%rip); smsw area + 48(%rip)\n"
    "mov $-1, %rbx; sldt %bx; mov $-1, %r8; str %r8d; mov $-1, %r9; smsw %r9d; mov $-1, %r10; smsw %r10w\n"
    "int3; pop %rbx; ret");
extern const char all[];

static void check_area(void)
{
    CHECK_EQ(area.gdt_limit, 0);
    CHECK_EQ(area.gdt_base, GDT_BASE);
    CHECK_EQ(area.pad0[0], 0x77);
    CHECK_EQ(area.idt_limit, 0);
    CHECK_EQ(area.idt_base, IDT_BASE);
    CHECK_EQ(area.pad1[0], 0x77);
    CHECK_EQ(area.ldt, 0);
    CHECK_EQ(area.pad2[0], 0x7777);
    CHECK_EQ(area.task, 0);
    CHECK_EQ(area.cr0, CR0_LOW);
    CHECK_EQ(area.pad4[0], 0x7777);
    CHECK_EQ(last_trap.rbx, 0xffffffffffff0000UL);
    CHECK_EQ(last_trap.r8, 0);
    CHECK_EQ(last_trap.r9, CR0_LOW);
    CHECK_EQ(last_trap.r10, 0xffffffffffff0000UL | CR0_LOW);
}

/* The frame of a fault on an operand: where it was, and what it was about. */
static void check_fault(u64 error, u64 address)
{
    CHECK_EQ(last_trap.error, error);
    CHECK_EQ(shared_info->vcpu_info[0].arch.cr2, address);
}

static void faults(void)
{
    u8 *page = page_new();
    u64 sidt = user_text_page("\x0f\x01\x0c\x25\xf8\x0f\x40\x00\x0f\x05", 10); /* sidt 0x400ff8 */

    CHECK(TRAPS(14, __asm__ volatile("sgdt 0x1230")));
    check_fault(2, 0x1230);
    CHECK(TRAPS(14, __asm__ volatile("smsw (%0)" ::"r"(0x5000UL))));
    check_fault(2, 0x5000);
    CHECK_EQ(user_run(sidt, user_stack(), 0x200), 14);
    check_fault(6, 0x400ff8);
    CHECK_EQ(last_trap.rip, sidt);
    /* Its end lies in a page that is not there, and then in one that is read-only. */
    map_at(0x400000, page);
    CHECK_EQ(user_run(sidt, user_stack(), 0x200), 14);
    check_fault(6, 0x401000);
    map_at(0x401000, page_new());
    CHECK_EQ(user_run(sidt, user_stack(), 0x200), 257);
    CHECK_EQ(*(u64 *)(page + 0xff8) >> 16, IDT_BASE & 0xffffffffffff);
    CHECK(TRAPS(13, __asm__ volatile("sgdt (%0)" ::"r"(1UL << 63))));
    CHECK_EQ(last_trap.error, 0);
    CHECK(TRAPS(14, __asm__ volatile("sgdt (%0)" ::"r"(0xffff830000000000))));
}

/* 32-bit code: six bytes, addresses of 32 and 16 bits, and segments. */
static void of_32_bits(void)
{
    static const char code[] = "\x0f\x01\x05\x00\x10\x01\x00"             /* sgdt 0x11000 */
                               "\xbb\x00\x10\x01\x00\x0f\x01\x4b\x10"     /* mov $0x11000, %ebx; sidt 16(%ebx) */
                               "\x31\xc9\x0f\x01\x64\x4b\x20"             /* xor %ecx, %ecx; smsw 32(%ebx, %ecx, 2) */
                               "\xbe\x00\x80\x00\x00\x67\x0f\x01\x64\x08" /* mov $0x8000, %esi; smsw 8(%si) */
                               "\x83\xc8\xff\x0f\x01\xe0\xcd\x80";        /* or $-1, %eax; smsw %eax; int $0x80 */
    u8 *text = page_new(), *data = page_new(), *low = page_new();
    struct iret_context f = { .rip = 0x10000, .cs = 0xe023, .rflags = 0x202, .rsp = 0x12000, .ss = 0xe02b };
    static struct iret_context frame;

    memory_copy(text, code, sizeof(code));
    memory_set(data, 0x77, 64);
    map_at(0x10000, text);
    map_at(0x11000, data);
    map_at(0x8000, low);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(0xe02b));
    frame = f;
    CHECK_EQ(user_run_frame(&frame), 0x80);
    CHECK_EQ(last_trap.rax, CR0_LOW);
    CHECK_EQ(*(u16 *)data, 0);
    CHECK_EQ(*(u32 *)(data + 2), (u32)GDT_BASE);
    CHECK_EQ(data[6], 0x77);
    CHECK_EQ(*(u32 *)(data + 18), (u32)IDT_BASE);
    CHECK_EQ(*(u16 *)(data + 32), CR0_LOW);
    CHECK_EQ(*(u16 *)(low + 8), CR0_LOW);
}

void test_main(void)
{
    u32 a = 7, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 2 & 1))
        return; /* without UMIP the processor answers */
    user_mode_setup();
    memory_set(&area, 0x77, sizeof(area));
    expect_trap(3);
    ((void (*)(void))all)();
    check_area();
    memory_set(&area, 0x77, sizeof(area));
    CHECK_EQ(user_run((u64)all, user_stack(), 0x200), 3);
    check_area();
    faults();
    of_32_bits();
}
