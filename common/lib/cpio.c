/* SPDX-License-Identifier: MIT */
/* cpio archives, format newc. Nothing in them is trusted. */
#include <hv/cpio.h>
#include <hv/lib.h>

#define NEWC_HEADER 110

static bool cpio_hex_field(const char *p, u64 *v)
{
    *v = 0;
    for (int i = 0; i < 8; i++) {
        u32 digit = hex_digit(p[i]);

        if (digit > 15)
            return false;
        *v = *v * 16 + digit;
    }
    return true;
}

bool cpio_member(const char *at, u64 off, u64 size, struct cpio_member *m)
{
    u64 file_size;

    if (size - off < NEWC_HEADER || memcmp(at, "070701", 6) || !cpio_hex_field(at + 54, &file_size) ||
        !cpio_hex_field(at + 94, &m->name_size))
        return false;
    m->name = at + NEWC_HEADER;
    m->data = ROUND_UP(off + NEWC_HEADER + m->name_size, 4);
    m->end = m->data + file_size;
    return m->name_size && m->end <= size;
}

bool cpio_named(const struct cpio_member *m, const char *name)
{
    return m->name_size == strlen(name) + 1 && !memcmp(m->name, name, m->name_size);
}

/* Inside kernel/x86/microcode, or a folder on the way there, or the mark of dracut's early archives. */
static bool of_microcode(const struct cpio_member *m)
{
    static const char folder[] = "kernel/x86/microcode/";
    bool dot = m->name_size > 2 && !memcmp(m->name, "./", 2);
    const char *name = m->name + 2 * dot;
    u64 n = m->name_size - 1 - 2 * dot;

    return cpio_named(m, ".") || cpio_named(m, "early_cpio") || !memcmp(name, folder, MIN(n, sizeof(folder) - 1));
}

/* Archives may be padded, and one may follow another. */
static u64 skip_zeros(const u8 *data, u64 off, u64 size)
{
    while (off < size && !data[off])
        off++;
    return off;
}

bool cpio_is_microcode(const u8 *data, u64 size)
{
    struct cpio_member m;
    u64 off = 0;

    while (off < size && cpio_member((const char *)data + off, off, size, &m)) {
        bool last = cpio_named(&m, "TRAILER!!!");

        if (last ? !off : !of_microcode(&m)) /* an initrd may follow its own microcode */
            return false;
        off = last ? skip_zeros(data, m.end, size) : ROUND_UP(m.end, 4);
        if (last && off == size)
            return true;
    }
    return false;
}
