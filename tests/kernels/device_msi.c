/* SPDX-License-Identifier: MIT */
/* Interrupt messages: a guest says which device and which entry, the hypervisor where the message goes, and only into registers of devices. */
#include "pci.h"

#define CAP_MSI 0x05
#define XHCI (5u << 3) /* MSI-X, its table at 3000h in BAR 0, of 64 bits */
#define AHCI (0x1fu << 3 | 2)

static u64 map(u32 devfn, bool msix)
{
    struct physdev_map_pirq m = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = -1, .pirq = -1, .devfn = (int)devfn, .table_base = msix
    };
    long rc = HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &m);
    struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = m.pirq };

    if (!rc)
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, &u), 0);
    return (u64)rc;
}

static void places(void)
{
    static const struct {
        u32 low, high;
    } wrong[] = {
        { 0, 0x00ffffff }, { 0, 0x80000000 }, { 0xfffff000, 0xffffffff }, /* wider than addresses are */
        { 0, 0 },          { 0x00100000, 0 }, { 0x08000000, 0 },          /* RAM, and below the first MiB */
        { 0xfee00000, 0 }, { 0xfee40000, 0 },                             /* messages, the local APIC */
    };
    u32 low = pci_read(XHCI, 0x10), high = pci_read(XHCI, 0x14), ram[4];
    u8 *page = page_new();

    CHECK_EQ(pci_read(XHCI, 0), 0x000d1b36);
    CHECK_EQ(map(XHCI, true), 0);
    for (u32 i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pci_write(XHCI, 0x10, wrong[i].low);
        pci_write(XHCI, 0x14, wrong[i].high);
        CHECK_EQ(map(XHCI, true), -22);
    }
    /* A page of ours: nothing is written to it. */
    u64 at = va_to_mfn(page) << 12;

    pci_write(XHCI, 0x10, (u32)(at & ~0x3fffUL));
    pci_write(XHCI, 0x14, (u32)(at >> 32));
    CHECK_EQ(map(XHCI, true), -22);
    memory_copy(ram, page, sizeof(ram));
    CHECK_EQ(ram[0] | ram[1] | ram[2] | ram[3], 0);
    pci_write(XHCI, 0x10, low);
    pci_write(XHCI, 0x14, high);
    CHECK_EQ(map(XHCI, true), 0);
}

static void messages(void)
{
    u32 cap = pci_read(AHCI, 0x34) & 0xfc;

    while (cap && (pci_read(AHCI, cap) & 0xff) != CAP_MSI)
        cap = pci_read(AHCI, cap) >> 8 & 0xfc;
    CHECK(cap != 0);
    bool wide = pci_read(AHCI, cap) >> 16 & 0x80;
    u32 data = cap + (wide ? 12 : 8);

    CHECK_EQ(map(AHCI, false), 0);
    u32 was_address = pci_read(AHCI, cap + 4), was_data = pci_read(AHCI, data);

    pci_write(AHCI, cap + 4, 0xfee0100c);
    pci_write(AHCI, data, 0x0500); /* INIT */
    CHECK_EQ(pci_read(AHCI, cap + 4), was_address);
    CHECK_EQ(pci_read(AHCI, data), was_data);
    outl(0xcf8, 0x80000000u | AHCI << 8 | data);
    outb(0xcfd, 0x04); /* NMI, by its byte alone */
    CHECK_EQ(pci_read(AHCI, data), was_data);
    CHECK_EQ(was_data & 0x700, 0);
    /* Its other registers are dom0's. */
    u32 line = pci_read(AHCI, 0x3c);

    pci_write(AHCI, 0x3c, line ^ 0x5);
    CHECK_EQ(pci_read(AHCI, 0x3c), line ^ 0x5);
    pci_write(AHCI, 0x3c, line);
}

void test_main(void)
{
    struct physdev_set_iopl i = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &i), 0);
    places();
    messages();
}
