/* SPDX-License-Identifier: MIT */
/* Serial lines on PCI cards: the one that com1= names, or the first that looks like one. */
#include <hv/pci.h>
#include <hv/serial.h>

#define REG_VENDOR 0
#define REG_COMMAND 4
#define REG_CLASS 8
#define REG_HEADER_TYPE 0xe
#define REG_BAR 0x10
#define REG_BRIDGE_IO 0x1c
#define COMMAND_IO 1u
#define COMMAND_MEMORY 2u
#define NR_BARS 6
#define CLASS_SERIAL 0x0700
#define VENDOR_INTEL 0x8086
#define NO_DEVICE 0xffff
#define NR_BDFS 0x10000

/* The first of its BARs that the firmware has placed. */
static bool find_bar(u16 bdf, paddr_t *base)
{
    for (u32 i = 0; i < NR_BARS; i++) {
        u16 reg = (u16)(REG_BAR + 4 * i);
        u32 bar = pci_config_read(bdf, reg, 4);
        bool io = bar & 1, wide = !io && (bar & 6) == 4;

        *base = io ? bar & 0xfffc : bar & ~15u;
        if (wide && i + 1 < NR_BARS)
            *base |= (u64)pci_config_read(bdf, (u16)(reg + 4), 4) << 32;
        i += wide;
        if (*base && (io ? uart_ports_sound(*base) : *base >= IO_PORTS))
            return true;
    }
    return false;
}

static bool use_card(u16 bdf, struct uart_place *place)
{
    if (!find_bar(bdf, &place->base))
        return false;
    u32 decode = uart_in_memory(place) ? COMMAND_MEMORY : COMMAND_IO;
    pci_config_write(bdf, REG_COMMAND, 2, pci_config_read(bdf, REG_COMMAND, 2) | decode);
    place->on_card = true;
    place->bdf = bdf;
    return true;
}

static bool is_serial(u16 bdf, bool amt)
{
    u32 vendor = pci_config_read(bdf, REG_VENDOR, 2);

    return vendor != NO_DEVICE && pci_config_read(bdf, REG_CLASS, 4) >> 16 == CLASS_SERIAL && (amt || vendor != VENDOR_INTEL);
}

static bool has_functions(u16 bdf)
{
    return pci_config_read(bdf, REG_VENDOR, 2) != NO_DEVICE && pci_config_read(bdf, REG_HEADER_TYPE, 1) & 0x80;
}

bool pci_find_serial(u32 from, bool amt, struct uart_place *place)
{
    if (place->on_card)
        return use_card(place->bdf, place);
    for (u32 bdf = from; bdf < NR_BDFS; bdf++) {
        if (is_serial((u16)bdf, amt) && use_card((u16)bdf, place))
            return true;
        if (!(bdf & 7) && !has_functions((u16)bdf))
            bdf |= 7;
    }
    return false;
}

void pci_place_serial(const struct uart_place *place, const u16 *bridge)
{
    u8 window = place->base >> 8 & 0xf0;

    if (bridge)
        pci_config_write(*bridge, REG_BRIDGE_IO, 2, (u32)(window << 8 | window));
    pci_config_write(place->bdf, REG_BAR, 4, (u32)place->base | 1);
    pci_config_write(place->bdf, REG_COMMAND, 2, pci_config_read(place->bdf, REG_COMMAND, 2) | COMMAND_IO);
}
