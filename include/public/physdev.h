/* SPDX-License-Identifier: MIT */
/* physdev_op */
#pragma once

#include "xen.h"

#define PHYSDEVOP_irq_status_query 5
#define PHYSDEVOP_set_iopl 6
#define PHYSDEVOP_set_iobitmap 7
#define PHYSDEVOP_apic_read 8
#define PHYSDEVOP_apic_write 9
#define PHYSDEVOP_alloc_irq_vector 10
#define PHYSDEVOP_eoi 12
#define PHYSDEVOP_map_pirq 13
#define PHYSDEVOP_unmap_pirq 14
#define PHYSDEVOP_manage_pci_add 15
#define PHYSDEVOP_manage_pci_remove 16
#define PHYSDEVOP_manage_pci_add_ext 20
#define PHYSDEVOP_setup_gsi 21
#define PHYSDEVOP_pci_mmcfg_reserved 24
#define PHYSDEVOP_pci_device_add 25
#define PHYSDEVOP_pci_device_remove 26
#define PHYSDEVOP_pci_device_reset 32

struct physdev_irq_status_query {
    uint32_t irq, flags;
};
#define XENIRQSTAT_needs_eoi 1
struct physdev_set_iopl {
    uint32_t iopl;
};
struct physdev_set_iobitmap {
    XEN_GUEST_HANDLE(void) bitmap; /* a clear bit: user mode may use the port */
    uint32_t nr_ports;
};
struct physdev_apic {
    unsigned long apic_physbase;
    uint32_t reg, value;
};
struct physdev_irq {
    uint32_t irq, vector;
};
struct physdev_eoi {
    uint32_t irq;
};
#define MAP_PIRQ_TYPE_MSI 0
#define MAP_PIRQ_TYPE_GSI 1
#define MAP_PIRQ_TYPE_MSI_SEG 3
struct physdev_map_pirq {
    domid_t domid;
    int type, index, pirq, bus, devfn, entry_nr;
    uint64_t table_base;
};
struct physdev_unmap_pirq {
    domid_t domid;
    int pirq;
};
struct physdev_setup_gsi {
    int gsi;
    uint8_t triggering, polarity;
};
struct physdev_pci_device_add {
    uint16_t seg;
    uint8_t bus, devfn;
    uint32_t flags;
    struct {
        uint8_t bus, devfn;
    } physfn;
};
