/* SPDX-License-Identifier: MIT */
/* Configuration mechanism 1. Lock: config_lock (a leaf): the address port is shared. */
#include <hv/pci.h>
#include <hv/spinlock.h>
#include <hv/x86/processor.h>

static spinlock_t config_lock = SPINLOCK_INIT(LOCK_LEAF);

static void pci_config_select(u16 bdf, u16 reg) { outl(0xcf8, 0x80000000u | ((u32)bdf << 8) | (reg & 0xfc)); }

u32 pci_config_read(u16 bdf, u16 reg, unsigned bytes)
{
    u16 port = (u16)(0xcfc + (reg & 3));

    spin_lock_scope(&config_lock);
    pci_config_select(bdf, reg);
    return port_in(port, bytes);
}

void pci_config_write(u16 bdf, u16 reg, unsigned bytes, u32 value)
{
    u16 port = (u16)(0xcfc + (reg & 3));

    spin_lock_scope(&config_lock);
    pci_config_select(bdf, reg);
    port_out(port, bytes, value);
}

u8 pci_find_capability(u16 bdf, u8 id)
{
    if (!(pci_config_read(bdf, 6, 2) & 0x10))
        return 0;
    u8 at = (u8)pci_config_read(bdf, 0x34, 1) & 0xfc;

    /* At most 48 capabilities fit; a longer chain is a loop. */
    for (int i = 0; at >= 0x40 && i < 48; i++) {
        if (pci_config_read(bdf, at, 1) == id)
            return at;
        at = (u8)pci_config_read(bdf, at + 1u, 1) & 0xfc;
    }
    return 0;
}
