#include "fakes.h"

#include <hv/pv.h>
#include <hv/x86/insn.h>

static bool decode(const char *bytes, u8 n, struct insn *in)
{
    *in = (struct insn){ .available = n };
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
        { "\x48\x89\x07", 3, 8 },                             /* mov %rax, (%rdi) */
        { "\x48\x87\x44\x24\x08", 5, 8 },                     /* xchg %rax, 8(%rsp) */
        { "\xf0\x80\x23\xfd", 4, 1 },                         /* lock andb $0xfd, (%rbx) */
        { "\x48\xc7\x04\x25\x10\x20\x30\x40\x01\x00\x00\x00", 12, 8 },
        { "\xf0\x48\x0f\xb1\x0d\x00\x00\x00\x00", 9, 8 },     /* lock cmpxchg %rcx, 0(%rip) */
        { "\xf0\x48\x0f\xba\x32\x01", 6, 8 },                 /* lock btr $1, (%rdx) */
        { "\xe4\x80", 2, 1 }, { "\xef", 1, 4 }, { "\x66\xef", 2, 2 }, { "\x0f\x22\xd8", 3, 8 }, { "\x0f\x30", 2, 4 },
        { "\x66\xc7\x00\x34\x12", 5, 2 }, { "\xcd\x80", 2, 1 }, { "\x66\x2e\xf3\x48\xcd\x80", 6, 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct insn in;

        assert_true(decode(cases[i].bytes, cases[i].len, &in));
        assert_int_equal(in.len, cases[i].len);
        assert_int_equal(in.size, cases[i].size);
        assert_false(decode(cases[i].bytes, cases[i].len - 1, &in)); /* truncated */
    }
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(lengths), cmocka_unit_test(unknown), cmocka_unit_test(registers),
                                        cmocka_unit_test(descriptors) };

    return cmocka_run_group_tests_name("instructions and descriptors", tests, NULL, NULL);
}
