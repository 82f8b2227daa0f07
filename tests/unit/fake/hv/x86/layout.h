/* SPDX-License-Identifier: MIT */
/* The real layout, with the windows moved to addresses that a process can map. */
#include_next <hv/x86/layout.h>

#ifndef FAKE_LAYOUT_H
#define FAKE_LAYOUT_H
#undef RW_M2P_VIRT_START
#undef FRAMETABLE_VIRT_START
#undef DIRECTMAP_VIRT_START
#undef DIRECTMAP_VIRT_END
#define RW_M2P_VIRT_START 0x210000000000UL
#define FRAMETABLE_VIRT_START 0x220000000000UL
#define DIRECTMAP_VIRT_START 0x230000000000UL
#define DIRECTMAP_VIRT_END 0x240000000000UL
#endif
