#include "fakes.h"

#include <hv/cmdline.h>

static bool flag;
static u32 number;
OPTION("flag", option_bool, flag);
OPTION("number", option_u32, number);

static int reset(void **state)
{
    (void)state;
    fake_reset();
    flag = false;
    number = 0;
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

static void dom0_part(void **state)
{
    (void)state;
    assert_string_equal(cmdline_dom0_part("a b -- console=hvc0 x"), "console=hvc0 x");
    assert_string_equal(cmdline_dom0_part("-- y"), "y");
    assert_string_equal(cmdline_dom0_part("a --b c"), "");
    cmdline_parse("number=1 -- number=2 unknown");
    assert_int_equal(number, 1);
    assert_string_equal(fake_log, "");
}

static void long_words(void **state)
{
    (void)state;
    char line[4096];

    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = 0;
    cmdline_parse(line);
    line[2000] = '=';
    line[1000] = '"';
    cmdline_parse(line);
    cmdline_parse("\"");
    cmdline_parse("=");
    cmdline_parse("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values, reset), cmocka_unit_test_setup(misspelt_is_named, reset),
        cmocka_unit_test_setup(bad_values_are_named, reset), cmocka_unit_test_setup(dom0_part, reset),
        cmocka_unit_test_setup(long_words, reset),
    };

    return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
