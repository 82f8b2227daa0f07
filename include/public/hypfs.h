/* SPDX-License-Identifier: MIT */
/* hypfs: a tree of values, read by path. */
#pragma once

#include <stdint.h>

#define XEN_HYPFS_VERSION 1

#define XEN_HYPFS_OP_get_version 0
#define XEN_HYPFS_OP_read 1
#define XEN_HYPFS_OP_write_contents 2

#define XEN_HYPFS_TYPE_DIR 0
#define XEN_HYPFS_TYPE_STRING 2
#define XEN_HYPFS_ENC_PLAIN 0
#define XEN_HYPFS_MAX_PATHLEN 1024

struct xen_hypfs_direntry {
    uint8_t type, encoding;
    uint16_t pad;
    uint32_t content_len, max_write_len; /* bytes; max_write_len 0: read-only */
};
struct xen_hypfs_dirlistentry {
    struct xen_hypfs_direntry e;
    uint16_t off_next; /* bytes to the next entry, 0: the last */
    char name[];
};
