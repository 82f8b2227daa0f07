/* SPDX-License-Identifier: MIT */
/* Building the first domain from the boot modules. */
#pragma once

#include <hv/domain.h>

/*
 * Parsers: 0, or an error with *why set to a sentence for the user: -ENOEXEC no kernel at all, -EIO a damaged file, -EOPNOTSUPP
 * a format that is not offered, -ENOMEM, -EINVAL a kernel that cannot be dom0. All input is
 * untrusted; nothing outside [data, data + size) is read.
 */

static inline int refuse_kernel(const char **why, int rc, const char *sentence)
{
    *why = sentence;
    return rc;
}

/* load_bzimage.c: the payload inside a bzImage. A file without the boot header is its own payload. */
struct payload {
    const u8 *data;
    u64 size;
    u64 unpacked_size; /* 0: not compressed */
};
int bzimage_find_payload(const u8 *data, u64 size, struct payload *p, const char **why);

/* decompress.c: xz, zstd, gzip, lz4, by the distribution's libraries. *out is scratch_alloc()ed. -ENOMEM: what was too little is memory. */
enum compression { COMPRESSION_NONE, COMPRESSION_XZ, COMPRESSION_ZSTD, COMPRESSION_GZIP, COMPRESSION_LZ4, COMPRESSION_UNKNOWN };
enum compression compression_detect(const u8 *data, u64 size);
int decompress(const u8 *data, u64 size, u64 unpacked_size, u8 **out, const char **why);

/* load_elf.c: segments and notes. */
#define ELF_MAX_SEGMENTS 16
struct elf_segment {
    u64 paddr, offset, file_size, mem_size; /* paddr: the ELF's physical address */
};
struct elf_image {
    const u8 *data;
    u32 nr_segments;
    struct elf_segment segments[ELF_MAX_SEGMENTS];
    u64 paddr_start, paddr_end;
    /* from the notes */
    bool has_notes, mod_start_pfn, not_dom0, has_hypercall_page, has_init_p2m;
    u64 entry, virt_base, paddr_offset, init_p2m, hypercall_page;
    char loader_version[16];
};
/* Also checks that the kernel's addresses agree with each other. */
int elf_parse(const u8 *data, u64 size, struct elf_image *elf, const char **why);

/*
 * layout.c: where the things lie that dom0 starts with. Virtual addresses from v_start on map pfns from 0 on; what is not
 * mapped there has a pfn only. nr_used: pfns that are needed at least.
 */
struct dom0_layout {
    u64 v_start, kernel_start, kernel_end, start_info, tables, nr_tables, stack, v_end;
    u64 initrd_pfn, nr_initrd_pages;
    u64 p2m, p2m_pfn, nr_p2m_pages, nr_p2m_tables; /* p2m: virtual address; tables of its own if it is outside [v_start, v_end) */
    u64 nr_used;
};
/* Virtual addresses that are the guest's: in one half of the canonical ones, outside the hypervisor's slots. */
bool guest_owns_range(u64 start, u64 size);
int dom0_layout(const struct elf_image *e, u64 initrd_bytes, u64 nr_pages, struct dom0_layout *l, const char **why);
/* The most pages for which the layout has room. */
u64 dom0_layout_max_pages(const struct elf_image *e, u64 initrd_bytes);

/* dom0_options.c: dom0's size in pages, of those that are free, and the most that it may have later; its vCPUs. */
u64 dom0_choose_pages(u64 available, u64 *max_pages);
u32 dom0_choose_vcpus(u32 cpus); /* dom0_max_vcpus= on a machine with so many CPUs */

/* build_dom0.c: panics with advice for the user when it cannot be done (no guest exists yet). */
void build_dom0(void) __may_preempt;
