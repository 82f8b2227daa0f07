/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/pv.h>
#include <hv/x86/insn.h>

static bool decode(const char *bytes, u8 n, struct insn *in)
{
    *in = (struct insn){ .available = n, .code = 8 };
    memcpy(in->bytes, bytes, n);
    return insn_decode_bytes(in);
}

static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        u8 len, size;
    } cases[] = {
        { "\x48\x89\x07", 3, 8 },         /* mov %rax, (%rdi) */
        { "\x48\x87\x44\x24\x08", 5, 8 }, /* xchg %rax, 8(%rsp) */
        { "\xf0\x80\x23\xfd", 4, 1 },     /* lock andb $0xfd, (%rbx) */
        { "\x48\xc7\x04\x25\x10\x20\x30\x40\x01\x00\x00\x00", 12, 8 },
        { "\xf0\x48\x0f\xb1\x0d\x00\x00\x00\x00", 9, 8 }, /* lock cmpxchg %rcx, 0(%rip) */
        { "\xf0\x48\x0f\xba\x32\x01", 6, 8 },             /* lock btr $1, (%rdx) */
        { "\xe4\x80", 2, 1 },
        { "\xef", 1, 4 },
        { "\x66\xef", 2, 2 },
        { "\x0f\x22\xd8", 3, 8 },
        { "\x0f\x30", 2, 4 },
        { "\x0f\x20\x05", 3, 8 }, /* mov %cr0, %rbp: mod is not looked at */
        { "\x48\x66\xef", 3, 2 },
        { "\x40\x48\x89\x07", 4, 8 }, /* only a REX right before the opcode counts */
        { "\x66\xc7\x00\x34\x12", 5, 2 },
        { "\xcd\x80", 2, 1 },
        { "\x66\x2e\xf3\x48\xcd\x80", 6, 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct insn in;

        assert_true(decode(cases[i].bytes, cases[i].len, &in));
        assert_int_equal(in.len, cases[i].len);
        assert_int_equal(in.size, cases[i].size);
        assert_false(decode(cases[i].bytes, cases[i].len - 1, &in)); /* truncated */
    }
}

/* Where memory operands lie, in code of each width. */
static void addresses(void **state)
{
    (void)state;
    struct cpu_user_regs regs = {
        .rip = 0x1000, .rbx = 0x120000, .rbp = 0x30000, .rsp = 0x4000, .rsi = 0x50, .rdi = 0xfffffffffffffff0, .r12 = 7, .r13 = 9
    };
    static const struct {
        u8 code;
        const char *bytes;
        u8 len;
        u64 address;
        enum segment segment;
    } cases[] = {
        { 8, "\x0f\x01\x03", 3, 0x120000, SEG_DS },
        { 8, "\x0f\x01\x43\xff", 4, 0x11ffff, SEG_DS },
        { 8, "\x0f\x01\x05\x10\x00\x00\x00", 7, 0x1017, SEG_DS }, /* from the next instruction */
        { 8, "\x0f\x01\x04\x25\x00\x00\x00\x80", 8, 0xffffffff80000000, SEG_DS },
        { 8, "\x65\x0f\x01\x04\x24", 5, 0x4000, SEG_GS },
        { 8, "\x65\x36\x0f\x01\x03", 5, 0x120000, SEG_GS }, /* SS is no segment there */
        { 8, "\x36\x0f\x01\x03", 4, 0x120000, SEG_DS },
        { 8, "\x0f\x01\x44\xb3\x04", 5, 0x120144, SEG_DS }, /* 4(%rbx, %rsi, 4) */
        { 8, "\x43\x0f\x01\x44\x25\x00", 6, 16, SEG_DS },   /* 0(%r13, %r12): base 13 is not 5, index 12 not 4 */
        { 8, "\x0f\x01\x45\x08", 4, 0x30008, SEG_SS },
        { 8, "\x67\x0f\x01\x07", 4, 0xfffffff0, SEG_DS },
        { 4, "\x0f\x01\x05\x10\x00\x00\x00", 7, 0x10, SEG_DS },
        { 4, "\x0f\x01\x47\x20", 4, 0x10, SEG_DS }, /* wraps at 4 GiB */
        { 4, "\x67\x0f\x01\x02", 4, 0x50, SEG_SS }, /* (%bp, %si) */
        { 2, "\x0f\x01\x06\x34\x12", 5, 0x1234, SEG_DS },
        { 2, "\x2e\x0f\x01\x84\xfe\xff", 6, 0x4e, SEG_CS }, /* %cs:-2(%si) */
        { 2, "\x67\x0f\x01\x03", 4, 0x120000, SEG_DS },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct insn in = { .available = cases[i].len, .code = cases[i].code };
        enum segment segment;

        memcpy(in.bytes, cases[i].bytes, cases[i].len);
        assert_true(insn_decode_bytes(&in));
        assert_int_equal(in.len, cases[i].len);
        assert_int_equal(insn_address(&in, &regs, &segment), cases[i].address);
        assert_int_equal(segment, cases[i].segment);
    }
    /* No REX there, and other widths of operands. */
    struct insn in = { .available = 3, .code = 4, .bytes = { 0x48, 0x89, 0x07 } };

    assert_false(insn_decode_bytes(&in));
    in = (struct insn){ .available = 3, .code = 2, .bytes = { 0x0f, 0x01, 0xe0 } };
    assert_true(insn_decode_bytes(&in));
    assert_int_equal(in.size, 2);
}

static void unknown(void **state)
{
    (void)state;
    struct insn in;

    assert_false(decode("\x0f\x11\x07", 3, &in)); /* movups */
    assert_false(decode("\xc5\xf8\x77", 3, &in)); /* vzeroupper */
    assert_false(decode("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15, &in));
}

static void registers(void **state)
{
    (void)state;
    struct cpu_user_regs regs = { .rax = 0x1122334455667788, .r9 = 5 };
    struct insn in;
    u64 v;

    assert_true(decode("\x4d\x89\x08", 3, &in)); /* mov %r9, (%r8) */
    assert_int_equal(insn_reg(&in), 9);
    assert_true(insn_read_reg(&regs, &in, insn_reg(&in), &v));
    assert_int_equal(v, 5);
    in.size = 1;
    in.rex = 0;
    assert_false(insn_read_reg(&regs, &in, 4, &v)); /* AH */
    insn_write_reg(&regs, &in, 0, 0xff);
    assert_int_equal(regs.rax, 0x11223344556677ff);
    in.size = 4;
    insn_write_reg(&regs, &in, 0, 0x1);
    assert_int_equal(regs.rax, 1);
}

static void descriptors(void **state)
{
    (void)state;
    u64 v = 0x00af9a000000ffff; /* 64-bit code, DPL 0 */

    assert_true(descriptor_check(&v));
    assert_int_equal(v >> 45 & 3, 3);
    assert_true(v >> 40 & 1); /* accessed: the processor never writes */
    for (u32 type = 1; type < 16; type++) {
        v = (u64)type << 40 | 1ULL << 47 | 8 << 16;
        assert_int_equal(descriptor_check(&v), type == 12); /* call gates only, defused */
        if (type == 12) {
            assert_int_equal(v >> 45 & 3, 0);
            assert_int_equal(v & (0xffffULL << 16), 8 << 16);
        }
        v = (u64)type << 40;
        assert_true(descriptor_check(&v)); /* not present: data */
    }
    v = 12ULL << 40 | 1ULL << 47 | 0xe008ULL << 16;
    assert_false(descriptor_check(&v));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(lengths), cmocka_unit_test(addresses), cmocka_unit_test(unknown),
                                        cmocka_unit_test(registers), cmocka_unit_test(descriptors) };

    return cmocka_run_group_tests_name("instructions and descriptors", tests, NULL, NULL);
}
