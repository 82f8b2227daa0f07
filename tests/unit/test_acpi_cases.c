/* SPDX-License-Identifier: MIT */
/* The cases of tests/acpi/cases.py: tables in memory, read by the code that reads the machine's. */
#include "fakes.h"

#include <stdio.h>

#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/printk.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>

#include "../../arch/x86/irq/io_apic.c"

struct chunk {
    u64 at;
    u32 length;
    const u8 *data;
};
struct acpi_case {
    const char *name;
    u64 rsdp;
    const struct chunk *chunks;
    u32 nr_chunks;
    const char *expected;
    const char *const *says;
};
#include "acpi_cases.h"

#define MEMORY (FAKE_FRAMES * PAGE_SIZE)

int direct_map_add(paddr_t pa, u64 size) { return pa + size > MEMORY ? -EINVAL : 0; }

/* I/O APICs of 24 pins, but for two places: nothing, and something that reads as 0. */
void *hv_ioremap(paddr_t pa, u64 size)
{
    static u32 pages[256][1024];
    static u32 next;
    u32 *page = pages[next++ % 256];

    (void)size;
    page[4] = pa == 0xfed80000 ? ~0u : pa == 0xfed90000 ? 0 : 0x00170020;
    return page;
}

static void machine_of(const struct acpi_case *c)
{
    static const struct memory_range ranges[] = {
        { 0, 0xa0000, E820_RAM },
        { 0xf0000, 0x100000, E820_RESERVED },
        { 0x100000, 0x140000, E820_ACPI },
        { 0x140000, MEMORY, E820_RAM },
    };

    memset(phys_to_virt(0), 0, MEMORY);
    for (u32 i = 0; i < c->nr_chunks; i++)
        memcpy(phys_to_virt(c->chunks[i].at), c->chunks[i].data, c->chunks[i].length);
    memcpy(boot_info.ranges, ranges, sizeof(ranges));
    boot_info.nr_ranges = ARRAY_SIZE(ranges);
    acpi = (struct acpi_info){ .local_apic = 0xfee00000 };
    nr_io_apics = 0;
}

/* As cases.py writes it. */
static void describe(char *out, size_t size)
{
    FILE *f = fmemopen(out, size, "w");

    fprintf(f, "cpus");
    for (u32 i = 0; i < acpi.nr_cpus; i++)
        fprintf(f, acpi.cpus[i].enabled ? " %u" : " (%u)", acpi.cpus[i].apic_id);
    fprintf(f, "%s; io_apics", acpi.nr_cpus ? "" : " ");
    for (u32 i = 0; i < nr_io_apics; i++)
        fprintf(f, " %lx@%u+%u", io_apics[i].base, io_apics[i].gsi_base, io_apics[i].pins);
    fprintf(f, "%s; overrides", nr_io_apics ? "" : " ");
    for (u32 i = 0; i < acpi.nr_overrides; i++)
        fprintf(f, " %u>%u%s%s", acpi.overrides[i].isa_irq, acpi.overrides[i].gsi, acpi.overrides[i].level ? "L" : "",
                acpi.overrides[i].active_low ? "A" : "");
    fprintf(f, "%s; local_apic %lx; pm %x %x %x; reset ", acpi.nr_overrides ? "" : " ", acpi.local_apic, acpi.pm1a_control,
            acpi.pm1b_control, acpi.pm_timer);
    if (acpi.have_reset)
        fprintf(f, "%u:%lx=%x", acpi.reset_register.space, acpi.reset_register.address, acpi.reset_value);
    else
        fprintf(f, "none");
    fprintf(f, "; x2apic %s; nmis", acpi.no_x2apic ? "off" : "free");
    bool some = false;

    for (u32 id = 0; id < 2; id++)
        for (u8 lint = 0; lint < 2; lint++) {
            bool level, active_low;

            if (!acpi_nmi_at(id, lint, &level, &active_low))
                continue;
            some = true;
            fprintf(f, " %u:%u%s%s", id, lint, level ? "L" : "", active_low ? "A" : "");
        }
    if (!some)
        fprintf(f, " none");
    fclose(f);
}

static u32 count(const char *text, const char *part)
{
    u32 n = 0;

    for (const char *p = text; (p = strstr(p, part)); p++)
        n++;
    return n;
}

static void run(void **state)
{
    const struct acpi_case *c = *state;
    char is[8192] = "";
    u32 warnings = 0;

    fake_reset();
    machine_of(c);
    acpi_init(c->rsdp);
    io_apic_init();
    describe(is, sizeof(is));
    assert_string_equal(is, c->expected);
    for (; c->says[warnings]; warnings++)
        if (!strstr(fake_log, c->says[warnings]))
            fail_msg("'%s' was not said, but:\n%s", c->says[warnings], fake_log);
    if (count(fake_log, LOG_WARN) != warnings)
        fail_msg("%u warnings are due, not:\n%s", warnings, fake_log);
}

int main(void)
{
    static struct CMUnitTest tests[ARRAY_SIZE(cases)];

    fake_memory_init();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        tests[i] = (struct CMUnitTest){ cases[i].name, run, NULL, NULL, (void *)&cases[i] };
    return cmocka_run_group_tests_name("acpi_cases", tests, NULL, NULL);
}
