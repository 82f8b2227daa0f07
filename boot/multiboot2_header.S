/* SPDX-License-Identifier: MIT */
/* Multiboot2 header. Multiboot2 Specification 2.0, 3.1. */
#include <hv/x86/layout.h>

#define MB2_MAGIC 0xe85250d6
#ifndef MB2_PREFERENCE
#define MB2_PREFERENCE 1 /* as low as possible; 2, as high, is for the test of relocation */
#endif

    .section .boot.header, "a"
    .balign 8
header:
    .long   MB2_MAGIC
    .long   0                       /* i386 protected mode */
    .long   header_end - header
    .long   -(MB2_MAGIC + 0 + (header_end - header))

    .balign 8
    .short  1, 0                    /* information request: optional as a whole is refused by old loaders */
    .long   2f - .  + 4
    .long   4, 6                    /* basic memory information, memory map */
2:
    .balign 8
    .short  3, 1                    /* entry address for the BIOS */
    .long   12
    .long   multiboot2_entry32
    .balign 8
    .short  6, 1                    /* modules on page boundaries */
    .long   8
    .balign 8
    .short  7, 1                    /* EFI boot services: do not end them, we do */
    .long   8
    .balign 8
    .short  9, 1                    /* entry address for amd64 EFI */
    .long   12
    .long   multiboot2_entry_efi64
    .balign 8
    .short  10, 1                   /* relocatable, anywhere below 4 GiB, 2 MiB aligned */
    .long   24
    .long   IMAGE_PHYS_LINK
    .long   0xffffffff
    .long   IMAGE_MAX_SIZE
    .long   MB2_PREFERENCE
    .balign 8
    .short  5, 1                    /* framebuffer: any mode, text included */
    .long   20
    .long   0, 0, 0
    .balign 8
    .short  0, 0
    .long   8
header_end:
