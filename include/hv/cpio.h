/* SPDX-License-Identifier: MIT */
/* cpio archives in the format newc (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). */
#pragma once

#include <hv/types.h>

struct cpio_member {
    const char *name;
    u64 name_size, data, end; /* name_size: with the final NUL; [data, end): the contents, offsets into the archive */
};

/* The member at offset `off` of an archive of `size` bytes; `at` is where that lies in memory. False: none, or it reaches past the end. */
bool cpio_member(const char *at, u64 off, u64 size, struct cpio_member *m);
bool cpio_named(const struct cpio_member *m, const char *name); /* that is its name, whole */
/* An archive in which there is nothing but kernel/x86/microcode/, as loaders put before the initrd. */
bool cpio_is_microcode(const u8 *data, u64 size);
