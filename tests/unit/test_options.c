/* SPDX-License-Identifier: MIT */
/* Every option of the hypervisor, as its file declares it: what its parser takes, and that a refused value changes nothing. */
#include "fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/dom0.h>
#include <hv/mm.h>
#include <hv/printk.h>

/* Instead of printk.c's, which is here for its options. */
void vprintk(const char *fmt, va_list ap)
{
    size_t n = strlen(fake_log);

    vsnprintf(fake_log + n, sizeof(fake_log) - n, fmt, ap);
}

void printk(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintk(fmt, ap);
    va_end(ap);
}

extern const struct option __options_start[], __options_end[];

/* Values that are taken, to put junk behind; each option has a row. */
static const struct {
    const char *name, *good[10];
} values[] = {
    { "badpage", { "1", "0x1f-0x20", "1,2,3-4" } },
    { "cet", { "shstk", "no-ibt,shstk=yes", "no" } },
    { "com1", { "115200", "9600,8n1", "115200,8n1,0x3f8,4", "auto", "115200,8n1,pci,0,00:09.0", "9600,7e2,0xfe000000,0,reg-shift=2" } },
    { "com2", { "115200", "9600,8n1,acpi", "auto" } },
    { "console", { "com1", "vga,com1", "com2", "none" } },
    { "console_timestamps", { "", "no", "none", "date", "datems", "boot", "raw" } },
    { "dom0_max_vcpus", { "4", "1-16", "4-", "-8" } },
    { "dom0_mem", { "512M", "-128M", "100M,max:200M", "min:64M,100M", "50%", "1G+25%", "max:75%" } },
    { "dom0_vcpus_pin", { "", "off" } },
    { "efi", { "rs", "no-rs", "rs=no" } },
    { "guest_loglvl", { "none", "error/all" } },
    { "loglvl", { "all", "info/debug" } },
    { "maxcpus", { "1", "0x10" } },
    { "nmi", { "fatal", "dom0" } },
    { "noreboot", { "", "true" } },
    { "nosmp", { "" } },
    { "panic", { "0", "30" } },
    { "pv-l1tf", { "default", "yes" } },
    { "recorder", { "off" } },
    { "smap", { "no", "force" } },
    { "smep", { "no" } },
    { "spec-ctrl", { "no", "ibrs,no-rsb", "bti-thunk=lfence" } },
    { "sync_console", { "" } },
    { "watchdog", { "", "force", "off" } },
    { "watchdog_timeout", { "10" } },
    { "xen-version", { "4.17", "4.20" } },
    { "xpti", { "no" } },
};
static const char *const junk[] = {
    "junk", ",junk", ",", "x", "-", "99999999999999999999999", "%", "=", "/junk", ":", ",8x1", ",,,,,,,,,,,"
};

static u8 *snapshot(size_t *size)
{
    u8 *all = NULL;

    *size = 0;
    for (const struct option *o = __options_start; o < __options_end; o++) {
        all = realloc(all, *size + o->size);
        memcpy(all + *size, o->var, o->size);
        *size += o->size;
    }
    return all;
}

static u32 refused;

static void try(const char *name, const char *value)
{
    char line[300];
    size_t size;
    u8 *before = snapshot(&size);

    fake_log[0] = 0;
    snprintf(line, sizeof(line), "%s=%s", name, value);
    cmdline_parse(line);
    u8 *after = snapshot(&size);

    if (strstr(fake_log, "makes no sense")) {
        refused++;
        if (memcmp(before, after, size))
            fail_msg("%s was refused and changed something", line);
    }
    free(before);
    free(after);
}

static void refused_values_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        for (const char *const *good = values[i].good; good < values[i].good + 10 && *good; good++) {
            try(values[i].name, *good);
            if (fake_log[0])
                fail_msg("%s=%s: %s", values[i].name, *good, fake_log);
            for (size_t j = 0; j < ARRAY_SIZE(junk); j++) {
                char bad[200];

                snprintf(bad, sizeof(bad), "%s%s", *good, junk[j]);
                try(values[i].name, bad);
                try(values[i].name, junk[j]);
            }
        }
    assert_true(refused > 500);
}

static void parsers_write_their_copy_alone(void **state)
{
    (void)state;
    for (const struct option *o = __options_start; o < __options_end; o++)
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
            for (const char *const *good = values[i].good; !strcmp(values[i].name, o->name) && good < values[i].good + 10 && *good;
                 good++) {
                size_t size;
                u8 *before = snapshot(&size), *copy = malloc(o->size); /* exact: ASan sees what is written behind it */

                memcpy(copy, o->var, o->size);
                assert_int_equal(o->parse(*good, copy), 0);
                u8 *after = snapshot(&size);

                if (memcmp(before, after, size))
                    fail_msg("the parser of %s writes elsewhere", o->name);
                free(before);
                free(after);
                free(copy);
            }
}

static void every_option_is_tried(void **state)
{
    (void)state;
    for (const struct option *o = __options_start; o < __options_end; o++) {
        bool here = false;

        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
            here |= !strcmp(o->name, values[i].name);
        if (!here)
            fail_msg("values[] has no row for %s", o->name);
        assert_null(option_absence(o->name));
    }
    assert_int_equal(__options_end - __options_start, ARRAY_SIZE(values));
}

static void words_of_xen(void **state)
{
    (void)state;
    fake_log[0] = 0;
    cmdline_parse("console=com1H,vga");
    assert_non_null(strstr(fake_log, "console=com1H: the whole line is used"));
    assert_true(console_wants(SINK_COM1) && console_wants(SINK_VGA) && !console_wants(SINK_COM2));
    cmdline_parse("console=com2L");
    assert_true(console_wants(SINK_COM2) && !console_wants(SINK_COM1));
    fake_log[0] = 0;
    cmdline_parse("console=com1X maxcpus=0");
    assert_non_null(strstr(fake_log, "there is no 'com1X' here"));
    assert_non_null(strstr(fake_log, "'maxcpus': value '0' makes no sense"));
}

/* ---- dom0_mem= and dom0_max_vcpus= ---- */

static u64 pages(const char *mem, u64 available, u64 *max)
{
    char line[100];

    snprintf(line, sizeof(line), "dom0_mem=-0,min:0,max:0 dom0_mem=%s", mem);
    fake_log[0] = 0;
    cmdline_parse(line);
    return dom0_choose_pages(available, max);
}

static void sizes_of_dom0(void **state)
{
    (void)state;
    const u64 mb = 256, all = 1024 * mb;
    u64 max;

    assert_int_equal(pages("512M", all, &max), 512 * mb);
    assert_true(max == NO_PAGE_LIMIT);
    assert_int_equal(pages("-100M", all, &max), 924 * mb);
    assert_int_equal(pages("50%", all, &max), 512 * mb);
    assert_int_equal(pages("100M+25%", all, &max), 356 * mb);
    assert_int_equal(pages("-10%", all, &max), all - all / 10);
    assert_int_equal(pages("300M,max:400M", all, &max), 300 * mb);
    assert_int_equal(max, 400 * mb);
    assert_int_equal(pages("max:50%", all, &max), 512 * mb);
    assert_int_equal(max, 512 * mb);
    assert_int_equal(pages("64M,min:128M", all, &max), 128 * mb);
    assert_int_equal(pages("900M,max:100M", all, &max), 100 * mb);
    assert_int_equal(pages("8G", all, &max), 1020 * mb);
    assert_non_null(strstr(fake_log, "8192 MiB asked for"));
    assert_int_equal(pages("100%", all, &max), 1020 * mb);
    assert_int_equal(pages("-1M", all, &max), 1020 * mb);
    assert_int_equal(pages("100%", 32 * mb, &max), 30 * mb);
    assert_int_equal(pages("min:1G,max:1M", all, &max), mb);
    assert_non_null(strstr(fake_log, "min: is 1024 MiB, more than max:, which is 1 MiB and counts"));
    assert_int_equal(pages("101%", all, &max), 960 * mb); /* refused: the default */
    assert_int_equal(pages("100M,junk", all, &max), 960 * mb);
    assert_int_equal(pages("99999999999T", all, &max), 960 * mb);
}

static u32 vcpus(const char *value, u32 cpus)
{
    char line[100];

    snprintf(line, sizeof(line), "dom0_max_vcpus=1- dom0_max_vcpus=%s", value);
    fake_log[0] = 0;
    cmdline_parse(line);
    return dom0_choose_vcpus(cpus);
}

static void vcpus_of_dom0(void **state)
{
    (void)state;
    assert_int_equal(vcpus("3", 8), 3);
    assert_int_equal(vcpus("3", 1), 3);
    assert_int_equal(vcpus("1-16", 2), 2);
    assert_int_equal(vcpus("4-8", 2), 4);
    assert_int_equal(vcpus("4-8", 6), 6);
    assert_int_equal(vcpus("4-8", 10), 8);
    assert_int_equal(vcpus("-8", 10), 8);
    assert_int_equal(vcpus("4-", 2), 4);
    assert_int_equal(vcpus("1-", 64), 32);
    assert_non_null(strstr(fake_log, "32 vCPUs, not 64"));
    assert_int_equal(vcpus("0", 5), 5); /* refused */
    assert_int_equal(vcpus("8-4", 5), 5);
    assert_int_equal(vcpus("-", 5), 5);
    assert_int_equal(vcpus("4294967296", 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_tried),         cmocka_unit_test(words_of_xen),  cmocka_unit_test(parsers_write_their_copy_alone),
        cmocka_unit_test(refused_values_change_nothing), cmocka_unit_test(sizes_of_dom0), cmocka_unit_test(vcpus_of_dom0),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
