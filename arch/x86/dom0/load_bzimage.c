/* SPDX-License-Identifier: MIT */
/* The Linux boot header (Documentation/x86/boot.rst): where a bzImage keeps its payload. */
#include <hv/dom0.h>

int bzimage_find_payload(const u8 *data, u64 size, struct payload *p, const char **why)
{
    p->data = data;
    p->size = size;
    p->unpacked_size = 0;
    if (size < 0x264 || memcmp(data + 0x202, "HdrS", 4)) {
        enum compression c = compression_detect(data, size);

        if (c == COMPRESSION_NONE || c == COMPRESSION_UNKNOWN)
            return 0; /* the ELF parser knows what to say */
        return refuse_kernel(why, -EINVAL,
                             "the kernel file is compressed as a whole: unpack it (gunzip, unxz, unzstd), or let GRUB do that");
    }
    u16 version = (u16)(data[0x206] | data[0x207] << 8);
    u64 setup = data[0x1f1] ? data[0x1f1] : 4;
    u64 start = (setup + 1) * 512 + read_u32(data + 0x248), length = read_u32(data + 0x24c);
    if (version < 0x208)
        return refuse_kernel(why, -EINVAL, "the kernel's boot protocol is older than 2.08: use Linux 2.6.24 or newer");
    if (start > size || length > size - start || length < 8)
        return refuse_kernel(why, -EIO, "the kernel file is truncated: copy it again");
    p->data = data + start;
    p->size = length;
    if (compression_detect(p->data, p->size) != COMPRESSION_NONE) {
        /* The build appends the unpacked size to the compressed stream. */
        p->unpacked_size = read_u32(p->data + length - 4);
        p->size -= 4;
    }
    return 0;
}
