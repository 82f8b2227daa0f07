/* SPDX-License-Identifier: MIT */
/*
 * Port I/O of guests. A domain reaches the ports that it has the right to, but not the ones that the
 * hypervisor drives itself: those read as ones and swallow writes. PCI configuration space is the hardware domain's.
 */
#include <hv/acpi.h>
#include <hv/boot_step.h>
#include <hv/pci.h>
#include <hv/serial.h>
#include <hv/x86/pv/emulate.h>

static bool port_within(u16 port, u16 first, u16 last) { return port >= first && port <= last; }

/* A bit for each port, set before the first guest runs: every IN and OUT of theirs looks here. */
static u64 hidden[0x10000 / 64] __ro_after_init;

/* PICs, PIT channels 0 and 1, the PM timer, our UARTs. */
static bool __init port_driven_here(u16 port)
{
    return port_within(port, 0x20, 0x21) || port_within(port, 0xa0, 0xa1) || port_within(port, 0x40, 0x41) ||
           (acpi.pm_timer && port_within(port, acpi.pm_timer, (u16)(acpi.pm_timer + 3))) || serial_owns_port(port);
}

void __init pv_hide_ports(void)
{
    for (u32 port = 0; port < 64 * ARRAY_SIZE(hidden); port++)
        if (port_driven_here((u16)port))
            atomic_test_and_set_bit(port, hidden);
}
BOOT_STEP(pv_hide_ports, NEEDS(acpi_tables, all_serial_lines), GIVES(hidden_ports), EVERYWHERE);

#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc

static bool is_pci_data(u16 port) { return port_within(port, PCI_DATA, PCI_DATA + 3); }

static bool port_hidden(const struct domain *d, u16 port)
{
    return test_bit(port, hidden) || !io_rights_has_port(&d->io, port) || (is_pci_data(port) && !d->is_hardware); /* all devices at once */
}

#define PIT_COMMAND 0x43
#define SYSTEM_CONTROL 0x61

/*
 * An access that touches ports which are not the guest's to use as it likes is done byte by byte, as a bus of single bytes
 * does it: each byte meets its own port's rule. The four bytes of PCI_DATA are one register.
 */
static noinline bool by_bytes(const struct domain *d, u16 port, unsigned bytes)
{
    if (is_pci_data(port) && (port & 3) + bytes <= 4)
        return false;
    for (unsigned i = 0; i < bytes; i++) {
        u16 p = (u16)(port + i);

        if (port_hidden(d, p) || p == PIT_COMMAND || p == SYSTEM_CONTROL || is_pci_data(p) || p < port)
            return true;
    }
    return false;
}

static u16 pci_register(const struct vcpu *v, u16 port) { return (u16)((v->pv.pci_cf8 & 0xfc) | (port & 3)); }

static noinline u32 read_bytes(struct vcpu *v, u16 port, unsigned bytes)
{
    u32 val = 0;

    for (unsigned i = 0; i < bytes; i++)
        val |= pv_io_read(v, (u16)(port + i), 1) << (8 * i);
    return val;
}

u32 pv_io_read(struct vcpu *v, u16 port, unsigned bytes)
{
    if (port == PCI_ADDRESS && bytes == 4)
        return v->pv.pci_cf8;
    if (bytes > 1 && by_bytes(v->domain, port, bytes))
        return read_bytes(v, port, bytes);
    if (port_hidden(v->domain, port))
        return (u32)bytes_mask(bytes);
    if (is_pci_data(port) && (v->pv.pci_cf8 & 0x80000000))
        return pci_config_read((u16)(v->pv.pci_cf8 >> 8), pci_register(v, port), bytes);
    return port_in(port, bytes);
}

/* Commands for channel 2 alone: it is the speaker's, the others keep time. */
static void pit_command(u8 val)
{
    const u8 channels = 0xc0, read_back = 0xc0, of_2 = 8, of_others = 6;

    if ((val & channels) == read_back)
        val = (val & of_2) ? (u8)(val & ~of_others) : 0;
    if ((val & channels) >= 0x80)
        outb(PIT_COMMAND, val);
}

/* A guest writes neither MSI messages (it could send INIT or NMI to a CPU) nor the configuration of the hypervisor's serial card. */
static void config_write(const struct vcpu *v, u16 port, unsigned bytes, u32 val)
{
    u16 bdf = (u16)(v->pv.pci_cf8 >> 8), reg = pci_register(v, port);

    if ((v->pv.pci_cf8 & 0x80000000) && !msi_message_at(bdf, reg, bytes) && !serial_owns_card(bdf))
        pci_config_write(bdf, reg, bytes, val);
}

static void write_byte(struct vcpu *v, u16 port, u8 val)
{
    if (port_hidden(v->domain, port))
        return;
    if (port == PIT_COMMAND)
        pit_command(val);
    else if (port == SYSTEM_CONTROL)
        /* NMI enables of the system control port stay the hypervisor's. */
        outb(SYSTEM_CONTROL, (u8)((inb(SYSTEM_CONTROL) & 0x0c) | (val & 3)));
    else if (is_pci_data(port))
        config_write(v, port, 1, val);
    else
        outb(port, val);
}

void pv_io_write(struct vcpu *v, u16 port, unsigned bytes, u32 val)
{
    if (port == PCI_ADDRESS && bytes == 4)
        v->pv.pci_cf8 = val;
    else if (bytes == 1 || by_bytes(v->domain, port, bytes))
        for (unsigned i = 0; i < bytes; i++)
            write_byte(v, (u16)(port + i), (u8)(val >> (8 * i)));
    else if (is_pci_data(port))
        config_write(v, port, bytes, val);
    else
        port_out(port, bytes, val);
}
