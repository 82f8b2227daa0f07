/* SPDX-License-Identifier: MIT */
/*
 * What the firmware and the loader told us, in one form for every way in. Filled once by the
 * parser of the protocol; read-only afterwards.
 */
#pragma once

#include <hv/types.h>

#define BOOT_MAX_MEMORY_RANGES 1024
#define BOOT_MAX_MODULES 8
#define MBI_MAX_SIZE 0x100000 /* of the Multiboot2 information; larger is no size */
#define BOOT_CMDLINE_SIZE 2048

enum platform { PLATFORM_BIOS, PLATFORM_EFI, PLATFORM_PVH };

/* E820 types (ACPI 6.4, 15.1). */
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_UNUSABLE = 5 };

struct memory_range {
    paddr_t start, end; /* [start, end) bytes */
    u32 type;
};

struct boot_module {
    paddr_t start, end; /* [start, end) bytes */
    char cmdline[1024];
};

#define FRAMEBUFFER_MAX_SIDE 16384u /* pixels */

struct boot_framebuffer {
    paddr_t base;
    u32 pitch, width, height; /* bytes a line, pixels */
    u8 bpp;
    u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
    bool text, valid; /* valid: text, or colours of 15, 16, 24 or 32 bits, no side of 0 or above the maximum, lines that hold a row */
};

struct boot_info {
    enum platform platform;
    paddr_t image_phys; /* where the hypervisor's own image lies */
    char cmdline[BOOT_CMDLINE_SIZE];
    char loader[64];
    u32 nr_ranges, nr_dropped;                          /* nr_dropped: entries for which there was no room */
    struct memory_range ranges[BOOT_MAX_MEMORY_RANGES]; /* sorted, disjoint */
    u32 nr_modules;
    struct boot_module modules[BOOT_MAX_MODULES];
    paddr_t rsdp;                 /* 0: search the BIOS areas */
    paddr_t info_start, info_end; /* the loader's own structure, which rsdp may point into */
    paddr_t efi_system_table;
    struct boot_framebuffer fb;
};

extern struct boot_info boot_info;
extern paddr_t boot_image_phys;

/* Parsers: 0, or -EINVAL with a sentence printed. Hostile or truncated input is refused, never trusted. */
int multiboot2_parse(struct boot_info *bi, const void *mbi, size_t max_size);
int pvh_parse(struct boot_info *bi, paddr_t start_info);

/* Adds a range; types of overlapping ranges are resolved by boot_info_sort_memory(). */
void boot_info_add_memory(struct boot_info *bi, paddr_t start, paddr_t end, u32 type);
/* An entry in the firmware's words: sizes that wrap are cut, unknown types are reserved memory. */
void boot_info_add_e820(struct boot_info *bi, paddr_t start, u64 size, u32 type);
/* A command line of at most `size` bytes, in whole words; what does not fit is named. whose: "of ..." */
void boot_info_copy_line(char *to, size_t room, const void *line, size_t size, const char *whose);
/* A module with its command line of at most `size` bytes. False, and a line: it ends before it starts. One too many is named and left out. */
bool boot_info_add_module(struct boot_info *bi, paddr_t start, paddr_t end, const char *cmdline, size_t size);
/* Sorts, cuts overlaps in favour of the higher type, joins neighbours of one type. */
void boot_info_sort_memory(struct boot_info *bi);
u32 boot_info_memory_type(const struct boot_info *bi, paddr_t addr); /* E820_*; 0: no range has it */
/* Any RAM between these ends. */
bool boot_info_has_ram(const struct boot_info *bi, paddr_t start, paddr_t end);
/* RAM from end to end, and neither the image, the loader's information nor one of the first nr_modules modules is there. */
bool boot_info_place_is_free(const struct boot_info *bi, paddr_t start, paddr_t end, u32 nr_modules);

/*
 * A cpio archive (newc) with the members "kernel" and optionally "initrd" stands for two
 * modules, for loaders that pass only one (qemu -initrd). Splits it in place; others are left.
 */
void boot_bundle_split(struct boot_info *bi, void *(*map)(paddr_t));
