/* SPDX-License-Identifier: MIT */
/* The serial card that the hypervisor writes to, at 00:09.0: its configuration cannot be changed, its ports cannot be reached. */
#include "pci.h"

#define CARD (9u << 3)

void test_main(void)
{
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);

    u32 command = pci_read(CARD, 4), bar = pci_read(CARD, 0x10);

    CHECK_EQ(pci_read(CARD, 0), 0x00021b36);
    CHECK(bar & 1);
    pci_write(CARD, 4, 0);
    pci_write(CARD, 0x10, ~0u);
    CHECK_EQ(pci_read(CARD, 4), command);
    CHECK_EQ(pci_read(CARD, 0x10), bar);
    CHECK_EQ(inb((u16)((bar & ~3u) + 5)), 0xff);
    outb((u16)((bar & ~3u) + 3), 0x80);
}
