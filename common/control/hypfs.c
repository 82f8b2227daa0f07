/* SPDX-License-Identifier: MIT */
/* hypfs: what dom0's tools can read by path ("xenhypfs cat /previous-boot/summary"). */
#include <hv/boot_info.h>
#include <hv/hypercall.h>
#include <hv/recorder.h>
#include <hv/version.h>
#include <public/hypfs.h>

static const char *hypfs_version(void) { return CAISSON_VERSION; }

static const char *hypfs_cmdline(void) { return boot_info.cmdline; }

/* A directory stands before what it holds. */
static const struct node {
    const char *path;
    const char *(*text)(void); /* NULL: a directory */
} nodes[] = {
    { "/", NULL },
    { "/buildinfo", NULL },
    { "/buildinfo/version", hypfs_version },
    { "/previous-boot", NULL },
    { "/previous-boot/log", recorder_previous_log },
    { "/previous-boot/summary", recorder_previous },
    { "/cmdline", hypfs_cmdline },
};

static const struct node *hypfs_find(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        if (!strcmp(nodes[i].path, path))
            return &nodes[i];
    return NULL;
}

/* The name of n as an entry of the directory, or NULL if it is none of its own. */
static const char *name_in(const struct node *dir, const struct node *n)
{
    size_t len = strlen(dir->path);
    const char *rest = n->path + (len > 1 ? len : 0);

    if (n == dir || strncmp(n->path, dir->path, len) || *rest != '/' || !rest[1] || strchr(rest + 1, '/'))
        return NULL;
    return rest + 1;
}

static u32 entry_size(const char *name) { return ROUND_UP((u32)(offsetof(struct xen_hypfs_dirlistentry, name) + strlen(name) + 1), 4u); }

static u32 list_size(const struct node *dir)
{
    u32 size = 0;

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        if (name_in(dir, &nodes[i]))
            size += entry_size(name_in(dir, &nodes[i]));
    return size;
}

static struct xen_hypfs_direntry hypfs_describe(const struct node *n)
{
    struct xen_hypfs_direntry e = { .type = n->text ? XEN_HYPFS_TYPE_STRING : XEN_HYPFS_TYPE_DIR, .encoding = XEN_HYPFS_ENC_PLAIN };

    e.content_len = n->text ? (u32)strlen(n->text()) + 1 : list_size(n);
    return e;
}

static int copy_list(guest_ptr_t out, const struct node *dir)
{
    u32 left = list_size(dir);

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        const char *name = name_in(dir, &nodes[i]);
        u64 room[6] = { 0 };
        struct xen_hypfs_dirlistentry *entry = (void *)room;

        if (!name)
            continue;
        left -= entry_size(name);
        entry->e = hypfs_describe(&nodes[i]);
        entry->off_next = left ? (u16)entry_size(name) : 0;
        strlcpy(entry->name, name, sizeof(room) - offsetof(struct xen_hypfs_dirlistentry, name));
        if (copy_to_guest(out, room, entry_size(name)))
            return -EFAULT;
        out = guest_ptr_add(out, entry_size(name));
    }
    return 0;
}

static long hypfs_read(const char *path, guest_ptr_t out, u64 size)
{
    const struct node *n = hypfs_find(path);

    if (!n)
        return -ENOENT;
    struct xen_hypfs_direntry e = hypfs_describe(n);
    if (size < sizeof(e) || copy_to_guest(out, &e, sizeof(e)))
        return size < sizeof(e) ? -EINVAL : -EFAULT;
    if (size - sizeof(e) < e.content_len)
        return -ENOBUFS; /* the caller has the length now */
    out = guest_ptr_add(out, sizeof(e));
    return n->text ? copy_to_guest(out, n->text(), e.content_len) : copy_list(out, n);
}

long do_hypfs_op(u64 cmd, guest_ptr_t path_at, u64 path_size, guest_ptr_t buffer, u64 size)
{
    char path[64];

    switch ((u32)cmd) {
    case XEN_HYPFS_OP_get_version: return path_at.va || path_size || buffer.va || size ? -EINVAL : XEN_HYPFS_VERSION;
    case XEN_HYPFS_OP_read:
        if (!path_size || path_size > XEN_HYPFS_MAX_PATHLEN)
            return -EINVAL;
        if (path_size > sizeof(path))
            return -ENOENT; /* nothing here has such a name */
        path_size = index_nospec(path_size, sizeof(path) + 1);
        if (copy_from_guest(path, path_at, path_size))
            return -EFAULT;
        return path[path_size - 1] ? -EINVAL : hypfs_read(path, buffer, size);
    case XEN_HYPFS_OP_write_contents: return -EACCES;
    default: return -EOPNOTSUPP;
    }
}
