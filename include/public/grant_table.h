/* SPDX-License-Identifier: MIT */
/* grant_table_op, tables of version 1 */
#pragma once

#include "xen.h"

#define GNTTABOP_map_grant_ref 0
#define GNTTABOP_unmap_grant_ref 1
#define GNTTABOP_setup_table 2
#define GNTTABOP_copy 5
#define GNTTABOP_query_size 6
#define GNTTABOP_unmap_and_replace 7
#define GNTTABOP_set_version 8
#define GNTTABOP_get_version 10
#define GNTTABOP_swap_grant_ref 11
#define GNTST_okay 0
#define GNTST_general_error (-1)
#define GNTST_bad_domain (-2)
#define GNTST_bad_gntref (-3)
#define GNTST_bad_handle (-4)
#define GNTST_bad_dev_addr (-6)
#define GNTST_no_device_space (-7)
#define GNTST_permission_denied (-8)
#define GNTST_bad_page (-9)
#define GNTST_bad_copy_arg (-10)
#define GNTST_eagain (-12)
#define GNTST_no_space (-13)

#define GTF_permit_access 1
#define GTF_type_mask 3
#define GTF_readonly 4 /* by the granter */
#define GTF_reading 8  /* by the hypervisor: in use, here and below */
#define GTF_writing 16
struct grant_entry_v1 {
    uint16_t flags;
    domid_t domid;
    uint32_t frame;
};
#define GNTMAP_device_map 1
#define GNTMAP_host_map 2
#define GNTMAP_readonly 4
#define GNTMAP_application_map 8
#define GNTMAP_contains_pte 16 /* host_addr is the machine address of a page-table entry */
#define GNTMAP_guest_avail0_shift 16
struct gnttab_map_grant_ref {
    uint64_t host_addr;
    uint32_t flags, ref;
    domid_t dom;
    int16_t status;
    uint32_t handle;
    uint64_t dev_bus_addr;
};
struct gnttab_unmap_grant_ref {
    uint64_t host_addr, dev_bus_addr; /* 0: not this one */
    uint32_t handle;
    int16_t status;
};
struct gnttab_unmap_and_replace {
    uint64_t host_addr, new_addr; /* new_addr: of the mapping that moves to host_addr; 0: none */
    uint32_t handle;
    int16_t status;
};
#define GNTCOPY_source_gref 1
#define GNTCOPY_dest_gref 2
struct gnttab_copy {
    struct gnttab_copy_ptr {
        union {
            uint32_t ref;
            uint64_t gmfn;
        } u;
        domid_t domid;
        uint16_t offset;
    } source, dest;
    uint16_t len, flags;
    int16_t status;
};
struct gnttab_swap_grant_ref {
    uint32_t ref_a, ref_b;
    int16_t status;
};
struct gnttab_setup_table {
    domid_t dom;
    uint32_t nr_frames;
    int16_t status;
    XEN_GUEST_HANDLE(uint64_t) frame_list;
};
struct gnttab_query_size {
    domid_t dom;
    uint32_t nr_frames, max_nr_frames;
    int16_t status;
};
struct gnttab_set_version {
    uint32_t version;
};
struct gnttab_get_version {
    domid_t dom;
    uint16_t pad;
    uint32_t version;
};
