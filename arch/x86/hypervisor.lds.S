/* SPDX-License-Identifier: MIT */
/*
 * Memory image. Boot code is linked where it is loaded; all else at IMAGE_VIRT_START, at the
 * same offset from the load address, so that one 2 MiB region maps everything.
 */
#include <hv/x86/layout.h>

OUTPUT_FORMAT("elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(multiboot2_entry32)

PHDRS
{
    boot PT_LOAD FLAGS(5);
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
    stack PT_GNU_STACK FLAGS(6);
}

/* What the entries of a table stand in, between its two symbols. */
#define TABLE(name)       \
    __##name##_start = .; \
    KEEP(*(.name))        \
    __##name##_end = .;
#define HIGH(sec) AT(ADDR(sec) - IMAGE_VIRT_START + IMAGE_PHYS_LINK)

SECTIONS
{
    . = IMAGE_PHYS_LINK;
    __boot_start = .;
    .boot : {
        KEEP(*(.boot.header))
        . = STUBS32_PHYS - IMAGE_PHYS_LINK;
        KEEP(*(.boot.stubs))
        KEEP(*(.boot.text))
        KEEP(*(.boot.data))
    } :boot
    .notes : { KEEP(*(.note.pvh)) } :boot :note
    __boot_end = .;

    . = STUBS_VIRT;
    __text_start = .;
    .text : HIGH(.text) {
        KEEP(*(.text.stubs))
        KEEP(*(.text.entry))
        *(EXCLUDE_FILE(*liblzma.a:* *libzstd.a:* *libz.a:* *liblz4.a:*) .text
          EXCLUDE_FILE(*liblzma.a:* *libzstd.a:* *libz.a:* *liblz4.a:*) .text.[!t]*)
        *(.text.t[!r]*)
        . = ALIGN(4096);
        KEEP(*(.text.trampoline))
        . = ALIGN(4096);
    } :text
    __init_text_start = .;
    .init.text : HIGH(.init.text) {
        KEEP(*(.init.text))
        KEEP(*(.init.rodata))
        /* The distribution's decompressors are used once, by the dom0 builder. */
        *(.text .text.unlikely .text.startup .text.*)
        . = ALIGN(4096);
    } :text
    __init_text_end = .;
    __text_end = .;

    .rodata : HIGH(.rodata) {
        *(.rodata .rodata.*)
        *(.data.rel.ro .data.rel.ro.* .data.rel.ro.local)
        . = ALIGN(8);
        TABLE(ex_table)
        . = ALIGN(8);
        TABLE(smap_clac)
        TABLE(smap_stac)
        TABLE(patch_sites)
        TABLE(keyhandlers)
        TABLE(options)
        KEEP(*(.symbols))
        . = ALIGN(8);
        TABLE(gcov_info)
        *(.got .got.plt)
        . = ALIGN(4096);
    } :rodata
    __rodata_end = .;

    .data : HIGH(.data) {
        __data_start = .;
        *(.data.percpu)
        . = ALIGN(4096);
        *(.data.page_aligned)
        *(.data .data.*)
        . = ALIGN(4096);
    } :data
    .bss : HIGH(.bss) {
        . = ALIGN(4096);
        *(.bss.block_aligned)
        *(.bss.page_aligned)
        . = ALIGN(4096);
        __ro_after_init_start = .;
        *(.bss.ro_after_init)
        . = ALIGN(4096);
        __ro_after_init_end = .;
        *(.bss .bss.* COMMON)
        . = ALIGN(4096);
    } :data
    __image_end = .;

    /DISCARD/ : { *(.comment) *(.eh_frame) *(.note.GNU-stack) *(.note.gnu.*) *(.init_array) *(.fini_array) *(.gnu.*) *(.interp) *(.dynamic) *(.tm_clone_table) }
}

ASSERT(__boot_end <= IMAGE_PHYS_LINK + STUBS_VIRT - IMAGE_VIRT_START, "boot code reaches the vector stubs")
ASSERT(stubs32 == STUBS32_PHYS, "gates of the 32-bit stub are computed from STUBS32_PHYS")
ASSERT(__data_start == boot_percpu, "it begins a page")
ASSERT(vector_stubs == STUBS_VIRT, "IDT gates are computed from STUBS_VIRT")
ASSERT(__image_end - IMAGE_VIRT_START <= IMAGE_MAX_SIZE, "the image must fit one L1 table")
ASSERT((boot_stack_block & (STACK_BLOCK_SIZE - 1)) == 0, "stack blocks are aligned to their size")
ASSERT((IMAGE_VIRT_START & 0xffffffff) == 0x40000000, "the TSS base in long_mode.S assumes it")
