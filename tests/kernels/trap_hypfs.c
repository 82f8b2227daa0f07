/* SPDX-License-Identifier: MIT */
/* Reads what the hypervisor shows of itself and of its previous boot. */
#include "guest.h"
#include <public/hypfs.h>

static u8 buffer[16384];

static long hypfs(u32 op, const char *path, u64 n, void *out, u64 size)
{
    return hypercall(__HYPERVISOR_hypfs_op, op, (u64)path, n, (u64)out, size);
}

static u64 length(const char *s)
{
    u64 n = 0;

    while (s[n])
        n++;
    return n;
}

static long read(const char *path) { return hypfs(XEN_HYPFS_OP_read, path, length(path) + 1, buffer, sizeof(buffer)); }

static void list(const char *path)
{
    CHECK_EQ(read(path), 0);
    const struct xen_hypfs_direntry *d = (void *)buffer;

    CHECK_EQ(d->type, XEN_HYPFS_TYPE_DIR);
    for (u8 *p = buffer + sizeof(*d);;) {
        const struct xen_hypfs_dirlistentry *e = (void *)p;

        print("%s: %s type 0x%x\n", path, e->name, e->e.type);
        if (!e->off_next)
            break;
        p += e->off_next;
    }
}

static void show(const char *path)
{
    CHECK_EQ(read(path), 0);
    print("%s = ", path);
    const struct xen_hypfs_direntry *d = (void *)buffer;

    HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_write, d->content_len - 1, buffer + sizeof(*d));
    print("\n");
}

static void checks(void)
{
    CHECK_EQ(hypfs(XEN_HYPFS_OP_get_version, 0, 0, 0, 0), XEN_HYPFS_VERSION);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_get_version, 0, 0, buffer, 0), -22);
    CHECK_EQ(read("/nothing"), -2);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/", 1, buffer, sizeof(buffer)), -22); /* no end */
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/", 2, buffer, 4), -22);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/cmdline", 9, buffer, 13), -105);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, (void *)0xffff830000000000, 9, buffer, 100), -14);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_read, "/", 2, (void *)0xffff830000000000, 100), -14);
    CHECK_EQ(hypfs(XEN_HYPFS_OP_write_contents, "/cmdline", 9, buffer, 1), -13);
    CHECK_EQ(hypfs(77, 0, 0, 0, 0), -95);
    list("/");
    list("/previous-boot");
    show("/buildinfo/version");
    show("/previous-boot/summary");
    show("/cmdline");
}

/* Without a previous boot to tell of: waits for something that will make one. */
void test_main(void)
{
    CHECK_EQ(read("/previous-boot/summary"), 0);
    if (!buffer[sizeof(struct xen_hypfs_direntry)]) {
        print("waiting for a crash\n");
        for (;;)
            ;
    }
    checks();
}
