/* SPDX-License-Identifier: MIT */
/* PCI configuration space of segment 0 through ports cf8h and cfch, and MSI capabilities. */
#pragma once

#include <hv/types.h>

/* bdf: bus << 8 | device << 3 | function. bytes: 1, 2 or 4, aligned. */
u32 pci_config_read(u16 bdf, u16 reg, unsigned bytes);
void pci_config_write(u16 bdf, u16 reg, unsigned bytes, u32 value);
/* Offset of a capability, 0: none. */
u8 pci_find_capability(u16 bdf, u8 id);

struct msi_target {
    u16 bdf;
    bool msix;
    u32 entry;
};
/* Writes address and data for the vector, and for MSI sets the enable bit. 0, -ENODEV, -EINVAL, -ENOMEM. */
int msi_program(const struct msi_target *t, u8 vector, u8 apic_id);
void msi_disable(const struct msi_target *t); /* an MSI-X entry is masked; nothing if the device has gone */
/* Whether registers are address or data of an MSI message: those are the hypervisor's. */
bool msi_message_at(u16 bdf, u16 reg, unsigned bytes);

/*
 * serial_card.c. Fills in a place: that of the card it names (on_card), else of the first serial card from the given
 * bus << 8 | device << 3 | function on; amt: Intel's management engine counts, too. false: none that the firmware placed.
 */
struct uart_place;
bool pci_find_serial(u32 from, bool amt, struct uart_place *place) __must_check;
/* Moves a card to the I/O port of its place; bridge: the one in front of it lets that through, NULL: none. */
void pci_place_serial(const struct uart_place *place, const u16 *bridge);
