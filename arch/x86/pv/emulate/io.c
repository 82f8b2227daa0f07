/*
 * Port I/O of guests. The hardware domain reaches the machine's ports, but not the ones that the
 * hypervisor drives itself: those read as ones and swallow writes. Others reach nothing.
 */
#include <hv/acpi.h>
#include <hv/console.h>
#include <hv/pci.h>
#include <hv/pv.h>
#include <hv/x86/processor.h>

static bool port_within(u16 port, u16 first, u16 last)
{
    return port >= first && port <= last;
}

/* PICs, PIT channel 0 and 1, the PM timer, our UART. */
static bool port_hidden(u16 port)
{
    return port_within(port, 0x20, 0x21) || port_within(port, 0xa0, 0xa1) || port_within(port, 0x40, 0x41) ||
           (acpi.pm_timer && port_within(port, acpi.pm_timer, (u16)(acpi.pm_timer + 3))) || serial_owns_port(port);
}

static u32 all_ones(unsigned bytes)
{
    return bytes == 4 ? ~0u : (1u << (8 * bytes)) - 1;
}

static bool is_pci_address(u16 port, unsigned bytes)
{
    return port == 0xcf8 && bytes == 4;
}

static bool is_pci_data(const struct vcpu *v, u16 port)
{
    return port_within(port, 0xcfc, 0xcff) && (v->pv.pci_cf8 & 0x80000000);
}

u32 pv_io_read(struct vcpu *v, u16 port, unsigned bytes)
{
    if (is_pci_address(port, bytes))
        return v->pv.pci_cf8;
    if (!v->domain->privileged || port_hidden(port))
        return all_ones(bytes);
    if (is_pci_data(v, port))
        return pci_config_read((u16)(v->pv.pci_cf8 >> 8), (u16)((v->pv.pci_cf8 & 0xfc) | (port & 3)), bytes);
    return port_in(port, bytes);
}

void pv_io_write(struct vcpu *v, u16 port, unsigned bytes, u32 val)
{
    if (is_pci_address(port, bytes))
        v->pv.pci_cf8 = val;
    else if (!v->domain->privileged || port_hidden(port))
        return;
    else if (is_pci_data(v, port))
        pci_config_write((u16)(v->pv.pci_cf8 >> 8), (u16)((v->pv.pci_cf8 & 0xfc) | (port & 3)), bytes, val);
    else if (port == 0x61)
        /* NMI enables of the system control port stay the hypervisor's. */
        outb(0x61, (u8)((inb(0x61) & 0x0c) | (val & 3)));
    else
        port_out(port, bytes, val);
}
