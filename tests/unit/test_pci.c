/* SPDX-License-Identifier: MIT */
/* Configuration space, MSI messages and serial cards, on a bus of a few devices. */
#include "fakes.h"

#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/pci.h>
#include <hv/serial.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>

static struct device {
    u16 bdf;
    u8 space[256];
} bus[3];
static u32 address, config_writes;

static u8 *selected(u16 port)
{
    for (size_t i = 0; i < ARRAY_SIZE(bus); i++)
        if (bus[i].bdf && address >> 8 == (0x800000u | bus[i].bdf))
            return &bus[i].space[(address & 0xfc) + (port & 3)];
    return NULL;
}
void fake_outl(u16 port, u32 v)
{
    assert_int_equal(port, 0xcf8);
    address = v;
}
u32 fake_port_in(u16 port, unsigned bytes)
{
    const u8 *at = selected(port);
    u32 v = ~0u;

    assert_true(port >= 0xcfc && port + bytes <= 0xd00);
    memcpy(&v, at ? at : (u8 *)&v, bytes);
    return bytes == 4 ? v : v & ((1u << 8 * bytes) - 1);
}
void fake_port_out(u16 port, unsigned bytes, u32 v)
{
    u8 *at = selected(port);

    assert_true(at && port >= 0xcfc && port + bytes <= 0xd00);
    config_writes++;
    memcpy(at, &v, bytes);
}

static u32 mapped[4], no_room;
static paddr_t mapped_at;
void *hv_ioremap(paddr_t pa, u64 size)
{
    assert_true(size == sizeof(mapped));
    mapped_at = pa;
    return no_room ? NULL : mapped;
}
void hv_iounmap(volatile void *p, u64 size) { assert_true(p == mapped && size == sizeof(mapped)); }

static void set(u32 device, u8 reg, unsigned bytes, u32 v) { memcpy(&bus[device].space[reg], &v, bytes); }
static u32 get(u32 device, u8 reg, unsigned bytes)
{
    u32 v = 0;

    memcpy(&v, &bus[device].space[reg], bytes);
    return v;
}

static int power_on(void **state)
{
    (void)state;
    memset(bus, 0, sizeof(bus));
    memset(mapped, 0, sizeof(mapped));
    bus[0].bdf = 0x18;
    cpu.phys_bits = 40;
    acpi.local_apic = 0xd0000000;
    boot_info = (struct boot_info){ 0 };
    boot_info_add_e820(&boot_info, MiB(1), MiB(1024), E820_RAM);
    no_room = config_writes = 0;
    mapped_at = 0;
    return 0;
}

static void capability(u8 at, u8 id, u8 next)
{
    set(0, 6, 2, 0x10);
    set(0, at, 1, id);
    set(0, at + 1, 1, next);
}

static void capabilities(void **state)
{
    (void)state;
    assert_int_equal(pci_config_read(0x18, 0, 4), 0);
    assert_int_equal(pci_config_read(0x99, 2, 2), 0xffff);
    pci_config_write(0x18, 0x3e, 2, 0x1234);
    assert_int_equal(get(0, 0x3c, 4), 0x12340000);

    set(0, 0x34, 1, 0x43); /* the two lowest bits mean nothing */
    capability(0x40, 1, 0x51);
    capability(0x50, 5, 0);
    assert_int_equal(pci_find_capability(0x18, 5), 0x50);
    assert_int_equal(pci_find_capability(0x18, 1), 0x40);
    assert_int_equal(pci_find_capability(0x18, 9), 0);
    capability(0x50, 5, 0x40); /* a loop has an end */
    assert_int_equal(pci_find_capability(0x18, 9), 0);
    set(0, 6, 2, 0);
    assert_int_equal(pci_find_capability(0x18, 5), 0);
    capability(0x40, 1, 0x3c); /* in the header there is none */
    set(0, 0x3c, 1, 5);
    assert_int_equal(pci_find_capability(0x18, 5), 0);
}

static void msi(void **state)
{
    (void)state;
    const struct msi_target t = { .bdf = 0x18 };

    assert_int_equal(msi_program(&t, 0x41, 3), -ENODEV);
    msi_disable(&t);
    assert_false(msi_message_at(0x18, 0x54, 4));
    assert_int_equal(config_writes, 0);
    for (u32 wide = 0; wide < 2; wide++) {
        u8 data = wide ? 0x5c : 0x58;

        set(0, 0x34, 1, 0x50);
        capability(0x50, 5, 0);
        set(0, 0x52, 2, wide ? 0xf0 : 0x70); /* eight messages */
        set(0, 0x58, 4, 0xffffffff);
        assert_int_equal(msi_program(&t, 0x41, 3), 0);
        assert_int_equal(get(0, 0x54, 4), 0xfee03000);
        assert_int_equal(get(0, data, 2), 0x41);
        assert_int_equal(get(0, 0x58, 4), wide ? 0 : 0xffff0041);
        assert_int_equal(get(0, 0x52, 2), wide ? 0x81 : 1); /* on, with one message */
        for (u16 reg = 0; reg < 0x100; reg++)
            assert_int_equal(msi_message_at(0x18, reg, 1), reg >= 0x54 && reg < data + 2);
        assert_true(msi_message_at(0x18, 0x52, 4) && !msi_message_at(0x18, 0x50, 4));
        msi_disable(&t);
        assert_int_equal(get(0, 0x52, 2), wide ? 0x80 : 0);
    }
}

/* Where a table may lie that its device's guest has placed: never on what is not the device's. */
static void msix(void **state)
{
    (void)state;
    const struct {
        u32 bar, high, table, entry;
        int rc;
        paddr_t at;
    } rows[] = {
        { 0xe0000000, 0, 0x2000, 0, 0, 0xe0002000 },  { 0xe0000000, 0, 0x2000, 3, 0, 0xe0002030 },
        { 0xe0000000, 0, 0x2000, 4, -EINVAL, 0 },     /* four entries */
        { 0xe0000000, 0, 0x2006, 0, -EINVAL, 0 },     /* no such BAR */
        { 0xe001, 0, 0x2000, 0, -EINVAL, 0 },         /* I/O ports */
        { 0xe0000004, 2, 0x2000, 1, 0, 0x2e0002010 }, /* 64 bits */
        { 0xe000000c, 0x100, 0, 0, -EINVAL, 0 },      /* more than the processor has */
        { 0x00200000, 0, 0, 0, -EINVAL, 0 },          /* RAM */
        { 0x000a0000, 0, 0, 0, -EINVAL, 0 },          /* below 1 MiB */
        { 0xfee00000, 0, 0, 0, -EINVAL, 0 },          /* messages */
        { 0xfeeff000, 0, 0, 0, -EINVAL, 0 },          { 0xfef00000, 0, 0, 0, 0, 0xfef00000 },
        { 0xd0000000, 0, 0, 0, -EINVAL, 0 },                                                   /* the local APIC */
        { 0xfec00000, 0, 0, 0, -EINVAL, 0 },                                                   /* an I/O APIC */
        { 0xe0000000, 0, 0xff0, 0, 0, 0xe0000ff0 },   { 0xe0000000, 0, 0xff8, 0, -EINVAL, 0 }, /* across a page's end */
    };

    set(0, 0x34, 1, 0x60);
    capability(0x60, 0x11, 0);
    set(0, 0x62, 2, 0x8003);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct msi_target t = { .bdf = 0x18, .msix = true, .entry = rows[i].entry };

        set(0, 0x10, 4, rows[i].bar);
        set(0, 0x14, 4, rows[i].high);
        set(0, 0x64, 4, rows[i].table);
        mapped_at = 0;
        memset(mapped, 0xff, sizeof(mapped));
        assert_int_equal(msi_program(&t, 0x42, 7), rows[i].rc);
        assert_true(mapped_at == rows[i].at);
        if (!rows[i].rc)
            assert_memory_equal(mapped, ((u32[]){ 0xfee07000, 0, 0x42, 0 }), sizeof(mapped));
        msi_disable(&t);
        assert_int_equal(mapped[3], rows[i].rc ? 0xffffffff : 1);
    }
    set(0, 0x24, 4, 0xe0000004); /* the last BAR has no upper half */
    set(0, 0x64, 4, 0x2005);
    const struct msi_target t = { .bdf = 0x18, .msix = true };

    assert_int_equal(msi_program(&t, 0x42, 7), -EINVAL);
    set(0, 0x24, 4, 0xe0000000);
    assert_int_equal(msi_program(&t, 0x42, 7), 0);
    no_room = 1;
    assert_int_equal(msi_program(&t, 0x42, 7), -ENOMEM);
    assert_false(msi_message_at(0x18, 0x64, 4));
}

static void card(u32 device, u16 bdf, u16 vendor, u16 class, u8 header)
{
    bus[device].bdf = bdf;
    set(device, 0, 2, vendor);
    set(device, 0xa, 2, class);
    set(device, 0xe, 1, header);
}

static void serial_cards(void **state)
{
    (void)state;
    struct uart_place place = { 0 };

    card(0, 0x18, 0x1234, 0x0200, 0x80);
    card(1, 0x1a, 0x8086, 0x0700, 0); /* Intel's management engine has one */
    card(2, 0x120, 0x1234, 0x0700, 0);
    set(1, 0x10, 4, 0xc001);
    assert_false(pci_find_serial(0, false, &place)); /* the firmware has placed no BAR of the other */
    assert_int_equal(config_writes, 0);
    assert_true(pci_find_serial(0, true, &place));
    assert_true(place.bdf == 0x1a && place.base == 0xc000 && place.on_card);
    assert_int_equal(get(1, 4, 2), 1);

    set(2, 4, 2, 0x100);
    set(2, 0x10, 4, 0xcf9); /* no place for a UART */
    set(2, 0x14, 4, 0xd0000004);
    set(2, 0x18, 4, 1);
    place = (struct uart_place){ 0 };
    assert_true(pci_find_serial(0, false, &place));
    assert_true(place.bdf == 0x120 && place.base == 0x1d0000000 && uart_in_memory(&place));
    assert_int_equal(get(2, 4, 2), 0x102);
    place = (struct uart_place){ 0 };
    assert_false(pci_find_serial(0x121, false, &place));

    /* A function is looked for where the first one says that there are more. */
    set(0, 0xe, 1, 0);
    set(2, 0x14, 4, 0);
    assert_false(pci_find_serial(0, true, &place));
    /* The card that was named is taken, whatever it says that it is. */
    place = (struct uart_place){ .on_card = true, .bdf = 0x18 };
    assert_false(pci_find_serial(0, false, &place));
    set(0, 0x24, 4, 0xc101);
    assert_true(pci_find_serial(0, false, &place) && place.base == 0xc100);

    set(0, 0x24, 4, 0xd0000004); /* behind the last BAR is something else */
    set(0, 0x28, 4, 0x1234);
    assert_true(pci_find_serial(0, false, &place) && place.base == 0xd0000000);

    place.base = 0xc2f8;
    pci_place_serial(&place, NULL);
    assert_int_equal(get(0, 0x10, 4), 0xc2f9);
    assert_int_equal(get(0, 4, 2), 3);
    pci_place_serial(&place, &(u16){ 0x120 });
    assert_int_equal(get(2, 0x1c, 2), 0xc0c0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(capabilities, power_on),
        cmocka_unit_test_setup(msi, power_on),
        cmocka_unit_test_setup(msix, power_on),
        cmocka_unit_test_setup(serial_cards, power_on),
    };

    return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
