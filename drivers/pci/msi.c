/* SPDX-License-Identifier: MIT */
/* MSI and MSI-X messages. PCI 3.0, 6.8; message format: Intel SDM vol. 3, 11.11. */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/pci.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>

#define CAP_MSI 0x05
#define CAP_MSIX 0x11

#define MSIX_ENTRY_BYTES 16

/* The address is what the guest that drives the device has made of its BAR: only registers of devices are written. */
static bool is_device_memory(paddr_t at)
{
    if (at >> cpu.phys_bits || at % PAGE_SIZE > PAGE_SIZE - MSIX_ENTRY_BYTES)
        return false;
    if (at < MiB(1) || boot_info_memory_type(&boot_info, at) == E820_RAM)
        return false;
    return (at < MSI_WINDOW_START || at >= MSI_WINDOW_END) && (at & PAGE_MASK) != acpi.local_apic && !io_apic_owns_frame(at >> PAGE_SHIFT);
}

static int msix_entry_write(const struct msi_target *t, u8 cap, u32 addr, u32 data, u32 control)
{
    u32 table = pci_config_read(t->bdf, cap + 4u, 4), bir = table & 7;
    u64 base;

    if (t->entry > (pci_config_read(t->bdf, cap + 2u, 2) & 0x7ff) || bir > 5)
        return -EINVAL;
    base = pci_config_read(t->bdf, (u16)(0x10 + 4 * bir), 4);
    if ((base & 1) || ((base & 6) == 4 && bir == 5))
        return -EINVAL; /* I/O ports, or the upper half of no BAR */
    if ((base & 6) == 4)
        base |= (u64)pci_config_read(t->bdf, (u16)(0x14 + 4 * bir), 4) << 32;
    base = (base & ~15ULL) + (table & ~7u) + (u64)MSIX_ENTRY_BYTES * t->entry;
    if (!is_device_memory(base))
        return -EINVAL;

    volatile u32 *e = hv_ioremap(base, MSIX_ENTRY_BYTES);
    if (!e)
        return -ENOMEM;
    e[3] = 1;
    e[0] = addr;
    e[1] = 0;
    e[2] = data;
    e[3] = control;
    hv_iounmap(e, 16);
    return 0;
}

int msi_program(const struct msi_target *t, u8 vector, u8 apic_id)
{
    u8 cap = pci_find_capability(t->bdf, t->msix ? CAP_MSIX : CAP_MSI);
    u32 addr = (u32)MSI_WINDOW_START | ((u32)apic_id << 12), data = vector;

    if (!cap)
        return -ENODEV;
    if (t->msix)
        return msix_entry_write(t, cap, addr, data, 0);

    u16 control = (u16)pci_config_read(t->bdf, cap + 2u, 2);
    bool wide = control & 0x80;
    pci_config_write(t->bdf, cap + 4u, 4, addr);
    if (wide)
        pci_config_write(t->bdf, cap + 8u, 4, 0);
    pci_config_write(t->bdf, (u16)(cap + (wide ? 12u : 8u)), 2, data);
    /* One message; the guest cannot reach the enable bit's other conditions, so it is set here. */
    pci_config_write(t->bdf, cap + 2u, 2, (u32)((control & ~0x70) | 1));
    return 0;
}

void msi_disable(const struct msi_target *t)
{
    u8 cap = pci_find_capability(t->bdf, t->msix ? CAP_MSIX : CAP_MSI);

    if (!cap)
        return;
    if (t->msix) {
        if (msix_entry_write(t, cap, 0, 0, 1))
            return; /* the device has lost its BAR: it cannot send either */
    } else {
        pci_config_write(t->bdf, cap + 2u, 2, pci_config_read(t->bdf, cap + 2u, 2) & ~1u);
    }
}

bool msi_message_at(u16 bdf, u16 reg, unsigned bytes)
{
    u8 cap = reg < 0x40 ? 0 : pci_find_capability(bdf, CAP_MSI);

    if (!cap)
        return false;
    bool wide = pci_config_read(bdf, cap + 2u, 2) & 0x80;
    return reg + bytes > cap + 4u && reg < cap + (wide ? 14u : 10u);
}
