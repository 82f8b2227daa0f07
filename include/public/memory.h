/* SPDX-License-Identifier: MIT */
/* memory_op */
#pragma once

#include "xen.h"

#define MEMOP_EXTENT_SHIFT 6
#define MEMOP_CMD_MASK 63
#define XENMEM_increase_reservation 0
#define XENMEM_decrease_reservation 1
#define XENMEM_maximum_ram_page 2
#define XENMEM_current_reservation 3
#define XENMEM_maximum_reservation 4
#define XENMEM_machphys_mfn_list 5
#define XENMEM_populate_physmap 6
#define XENMEM_memory_map 9
#define XENMEM_machine_memory_map 10
#define XENMEM_exchange 11
#define XENMEM_machphys_mapping 12
#define XENMEM_set_memory_map 13
#define XENMEM_maximum_gpfn 14
#define XENMEM_get_sharing_freed_pages 18
#define XENMEM_get_sharing_shared_pages 19
#define XENMEM_claim_pages 24
#define XENMEM_get_vnumainfo 26
#define XENMEM_acquire_resource 28

struct xen_memory_reservation {
    XEN_GUEST_HANDLE(uint64_t) extent_start;
    unsigned long nr_extents;
    unsigned int extent_order, mem_flags;
    domid_t domid;
};
#define XENMEMF_ADDRESS_BITS(f) ((f)&0xff)

struct xen_memory_exchange {
    struct xen_memory_reservation in, out;
    unsigned long nr_exchanged;
};
struct xen_machphys_mapping {
    unsigned long v_start, v_end, max_mfn;
};
struct xen_machphys_mfn_list {
    unsigned int max_extents;
    XEN_GUEST_HANDLE(uint64_t) extent_start;
    unsigned int nr_extents;
};
struct xen_memory_map {
    unsigned int nr_entries;
    XEN_GUEST_HANDLE(void) buffer;
};
struct xen_foreign_memory_map {
    domid_t domid;
    struct xen_memory_map map;
};
#define XENMEM_resource_grant_table 1
#define XENMEM_resource_grant_table_id_shared 0
struct xen_mem_acquire_resource {
    domid_t domid;
    uint16_t type;
    uint32_t id, nr_frames, pad;
    uint64_t frame;
    XEN_GUEST_HANDLE(uint64_t) frame_list;
};
struct e820entry {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));
