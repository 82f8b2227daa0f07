/* SPDX-License-Identifier: MIT */
/* PCI configuration space by ports cf8h and cfch: the kernel needs IOPL 1. */
#ifndef PCI_H
#define PCI_H

#include "guest.h"

static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline u32 inl(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

/* devfn: on bus 0. */
static inline u32 pci_read(u32 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    return inl(0xcfc);
}

static inline void pci_write(u32 devfn, u32 reg, u32 v)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    outl(0xcfc, v);
}

#endif
