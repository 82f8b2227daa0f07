/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/cmdline.h>

static bool flag;
static u32 number;
static struct text {
    char text[256];
    u32 set;
} text;

/* Writes before it looks: what it leaves behind when it refuses is not to be seen. */
static int parse_text(const char *value, void *var)
{
    struct text *t = var;

    strlcpy(t->text, value, sizeof(t->text));
    t->set++;
    return strstr(value, "bad") ? -EINVAL : 0;
}
OPTION("flag", option_bool, flag, "", "");
OPTION("number", option_u32, number, "", "");
OPTION("text", parse_text, text, "", "");

static int reset(void **state)
{
    (void)state;
    fake_reset();
    flag = false;
    number = 0;
    memset(&text, 0, sizeof(text));
    return 0;
}

static void values(void **state)
{
    (void)state;
    cmdline_parse("  flag\tnumber=0x10 ");
    assert_true(flag);
    assert_int_equal(number, 16);
    assert_string_equal(fake_log, "");
    cmdline_parse("no-flag");
    assert_false(flag);
    cmdline_parse("flag=on");
    assert_true(flag);
    cmdline_parse("flag=off");
    assert_false(flag);
}

static void misspelt_is_named(void **state)
{
    (void)state;
    cmdline_parse("flga number=3");
    assert_non_null(strstr(fake_log, "'flga'"));
    assert_int_equal(number, 3); /* the rest goes on */
}

static void bad_values_are_named(void **state)
{
    (void)state;
    cmdline_parse("number=12x flag=perhaps number= number=99999999999");
    assert_int_equal(number, 0);
    assert_non_null(strstr(fake_log, "'12x'"));
    assert_non_null(strstr(fake_log, "'perhaps'"));
    assert_non_null(strstr(fake_log, "'99999999999'"));
}

static void a_refused_value_changes_nothing(void **state)
{
    (void)state;
    cmdline_parse("text=good text=bad1 text=bad2");
    assert_string_equal(text.text, "good");
    assert_int_equal(text.set, 1);
    assert_non_null(strstr(fake_log, "'bad1' makes no sense"));
    assert_non_null(strstr(fake_log, "'bad2' makes no sense"));
    cmdline_parse("number=4 number=18446744073709551617 number=4294967296 number=0x");
    assert_int_equal(number, 4);
}

static void expect_text(const char *line, const char *value)
{
    fake_reset();
    memset(&text, 0, sizeof(text));
    flag = false;
    cmdline_parse(line);
    assert_string_equal(text.text, value);
    assert_true(flag); /* the word behind it */
    assert_string_equal(fake_log, "");
}

static void quotes(void **state)
{
    (void)state;
    expect_text("text=\"a b\" flag", "a b");
    expect_text("text='a b' flag", "a b");
    expect_text("\"text=a b\" flag", "a b");
    expect_text("\"text=a\tb\"\tflag", "a\tb");
    expect_text("text=\"it's\" flag", "it's");
    expect_text("text='say \"a\"' flag", "say \"a\"");
    /* As GRUB passes on what had quotes of its own. */
    expect_text("text=\\\"a b\\\" flag", "a b");
    expect_text("\\'text=a\\' \\'flag\\'", "a");
    expect_text("text=a\\\\b flag", "a\\b");
    expect_text("text=a\\b flag", "a\\b");
    /* Nothing closes it: it takes nothing with it. */
    expect_text("text=5\" flag", "5\"");
    expect_text("text=it's flag", "it's");
    expect_text("text=\"\" flag", "");
    expect_text("\"\" text=x flag", "x");
}

static void dom0_part(void **state)
{
    static const char *const lines[] = { "number=1 -- number=2 unknown", "number=1\t--\tnumber=2 unknown", "number=1 --  number=2 unknown",
                                         "number=1 text=\" -- \" -- number=2 unknown", "text='a -- b' number=1 -- number=2 unknown" };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        number = 0;
        assert_string_equal(cmdline_dom0_part(lines[i]), "number=2 unknown");
        cmdline_parse(lines[i]);
        assert_int_equal(number, 1);
        assert_string_equal(fake_log, "");
    }
    assert_string_equal(cmdline_dom0_part("-- y \"z  a\""), "y \"z  a\"");
    assert_string_equal(cmdline_dom0_part("a --b c"), "");
    assert_string_equal(cmdline_dom0_part("text=\" -- a\""), "");
    assert_string_equal(cmdline_dom0_part("number=1 --"), "");
    cmdline_parse("-- number=2");
    assert_int_equal(number, 1);
}

static void long_words(void **state)
{
    (void)state;
    static char line[4096];
    char value[256];

    memset(value, 'v', sizeof(value) - 1);
    value[255] = 0;
    hv_snprintf(line, sizeof(line), "text=%s flag", value);
    expect_text(line, value);

    memset(line, 'a', sizeof(line));
    memcpy(line, "number=", 7);
    memcpy(line + sizeof(line) - 6, " flag", 6);
    flag = false;
    cmdline_parse(line);
    assert_true(flag);
    assert_non_null(strstr(fake_log, "has no effect"));
    assert_int_equal(number, 0);
    line[2000] = '=';
    line[1000] = '"';
    cmdline_parse(line);
    cmdline_parse("\"");
    cmdline_parse("'");
    cmdline_parse("\\");
    cmdline_parse("=");
    cmdline_parse("");
}

static void list_words(void **state)
{
    (void)state;
    const char *list = "one,,three,longer", *at = list;
    char word[6];

    assert_true(list_next(&at, word, sizeof(word)));
    assert_string_equal(word, "one");
    assert_true(list_next(&at, word, sizeof(word)));
    assert_string_equal(word, "");
    assert_true(list_next(&at, word, sizeof(word)));
    assert_string_equal(word, "three");
    assert_false(list_next(&at, word, sizeof(word)));
    assert_string_equal(at, "longer");
    at = "";
    assert_false(list_next(&at, word, sizeof(word)));
}

static void options_of_xen(void **state)
{
    (void)state;
    cmdline_parse("placeholder");
    assert_string_equal(fake_log, "");
    cmdline_parse("iommu=no no-hap no-real-mode ivrs_ioapic[4]=00:14.0 iomm");
    assert_non_null(strstr(fake_log, "'iommu' is not offered: the IOMMU is not used"));
    assert_non_null(strstr(fake_log, "'no-hap' is not offered"));
    assert_non_null(strstr(fake_log, "'no-real-mode' is not offered: the firmware's settings stay"));
    assert_non_null(strstr(fake_log, "'ivrs_ioapic[4]' is not offered"));
    assert_non_null(strstr(fake_log, "'iomm' is not known"));
    assert_null(option_absence(""));
    assert_null(option_absence("["));
    assert_null(option_absence("hap hap_1gb"));
    assert_non_null(option_absence("hap_2mb"));
    assert_non_null(option_absence("xen-llc-colors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values, reset),
        cmocka_unit_test_setup(misspelt_is_named, reset),
        cmocka_unit_test_setup(bad_values_are_named, reset),
        cmocka_unit_test_setup(dom0_part, reset),
        cmocka_unit_test_setup(long_words, reset),
        cmocka_unit_test_setup(a_refused_value_changes_nothing, reset),
        cmocka_unit_test_setup(quotes, reset),
        cmocka_unit_test_setup(list_words, reset),
        cmocka_unit_test_setup(options_of_xen, reset),
    };

    return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
