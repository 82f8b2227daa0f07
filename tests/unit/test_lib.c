/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdio.h>

static void same_as_libc(void **state)
{
    (void)state;
    char a[128], b[128];

#define SAME(...)                                                     \
    do {                                                              \
        int n_ = snprintf(a, sizeof(a), __VA_ARGS__);                 \
        assert_int_equal(hv_snprintf(b, sizeof(b), __VA_ARGS__), n_); \
        assert_string_equal(a, b);                                    \
    } while (0)
    SAME("plain");
    SAME("%d %i %u", -5, 7, 4000000000u);
    SAME("%ld %lu %lld", -5L, ~0UL, -9223372036854775807LL - 1);
    SAME("[%5d] [%-5d] [%05d] [%+d]", 42, 42, 42, 42);
    SAME("[%8x] [%08X] [%#x] [%#lx]", 0xabcu, 0xabcu, 0xabcu, 0xdeadbeefUL);
    SAME("[%.5u] [%8.5u]", 7u, 7u);
    SAME("[%s] [%10s] [%-10s] [%.3s]", "abc", "abc", "abc", "abcdef");
    SAME("[%*d] [%-*d] [%.*s]", 6, 3, 6, 3, 2, "xyz");
    SAME("%c%c %%", 'o', 'k');
    SAME("%hhu %hu %zu", 300, 70000, (size_t)5);
    assert_int_equal(hv_snprintf(b, sizeof(b), "%p", (void *)0x1234), 16);
    assert_string_equal(b, "0000000000001234");
    assert_int_equal(hv_snprintf(b, sizeof(b), "%s", (char *)NULL), 6);
}

static void bounded(void **state)
{
    (void)state;
    char b[8] = "xxxxxxx";

    assert_int_equal(hv_snprintf(b, 4, "abcdefgh"), 8);
    assert_string_equal(b, "abc");
    assert_int_equal(b[4], 'x');
    assert_int_equal(hv_snprintf(b, 0, "abc"), 3);
    assert_int_equal(b[0], 'a');
    assert_int_equal(hv_snprintf(b, sizeof(b), "100%"), 3);
    assert_string_equal(b, "100");
    assert_int_equal(strlcpy(b, "123456789", sizeof(b)), 8);
    assert_string_equal(b, "1234567");
}

static void numbers(void **state)
{
    (void)state;
    const char *end;

    assert_int_equal(parse_u64("123abc", &end), 123);
    assert_string_equal(end, "abc");
    assert_int_equal(parse_u64("0x1Fg", &end), 0x1f);
    assert_string_equal(end, "g");
    assert_int_equal(parse_u64("", &end), 0);
    assert_int_equal(parse_size("512M", &end), 512UL << 20);
    assert_int_equal(*end, 0);
    assert_int_equal(parse_size("2g,", &end), 2UL << 30);
    assert_string_equal(end, ",");
    assert_int_equal(parse_size("4", NULL), 4096);
    assert_int_equal(parse_size("4b", NULL), 4);
}

static void whole_words(void **state)
{
    (void)state;
    char room[9];

    assert_true(copy_words(room, sizeof(room), "one two", 99));
    assert_string_equal(room, "one two");
    assert_true(copy_words(room, sizeof(room), "one four", 99));
    assert_true(copy_words(room, sizeof(room), "one seven", 7));
    assert_string_equal(room, "one sev");
    assert_false(copy_words(room, sizeof(room), "one seven", 99));
    assert_string_equal(room, "one ");
    assert_false(copy_words(room, sizeof(room), "one four five", 99));
    assert_string_equal(room, "one four");
    assert_false(copy_words(room, sizeof(room), "seventeen", 99));
    assert_string_equal(room, "");
}

static void not_read(const char *text, u64 (*parse)(const char *, const char **))
{
    const char *end;

    assert_int_equal(parse(text, &end), 0);
    assert_ptr_equal(end, text);
}

static void no_numbers(void **state)
{
    (void)state;
    const char *end;

    assert_true(parse_u64("18446744073709551615", &end) == ~0UL && !*end);
    not_read("18446744073709551616", parse_u64);
    not_read("18446744073709551617", parse_u64); /* 1, if it wrapped */
    not_read("0x10000000000000000", parse_u64);
    not_read("0x", parse_u64);
    not_read("0xg", parse_u64);
    not_read("x", parse_u64);
    not_read("m", parse_size);
    not_read("99999999999T", parse_size);
    not_read("16777216T", parse_size);
    assert_true(parse_size("16777215T", &end) == 0xffffffUL << 40 && !*end);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_as_libc), cmocka_unit_test(bounded), cmocka_unit_test(numbers),
                                        cmocka_unit_test(no_numbers), cmocka_unit_test(whole_words) };

    return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
