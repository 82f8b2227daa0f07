/* SPDX-License-Identifier: MIT */
/* ELF64 executables and their "Xen" notes. Every offset is checked against the file (XSA-55). */
#include <elf.h>
#include <hv/dom0.h>

static bool inside(u64 offset, u64 length, u64 size) { return offset <= size && length <= size - offset; }

static u64 note_number(const u8 *desc, u32 size) { return read_number(desc, MIN(size, 8u)); }

static void use_note(struct elf_image *e, u32 type, const u8 *desc, u32 size)
{
    e->has_notes = true;
    switch (type) {
    case XEN_ELFNOTE_ENTRY: e->entry = note_number(desc, size); break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        e->hypercall_page = note_number(desc, size);
        e->has_hypercall_page = true;
        break;
    case XEN_ELFNOTE_VIRT_BASE: e->virt_base = note_number(desc, size); break;
    case XEN_ELFNOTE_PADDR_OFFSET: e->paddr_offset = note_number(desc, size); break;
    case XEN_ELFNOTE_XEN_VERSION: copy_bounded(e->loader_version, sizeof(e->loader_version), desc, size); break;
    case XEN_ELFNOTE_INIT_P2M:
        e->init_p2m = note_number(desc, size);
        e->has_init_p2m = true;
        break;
    case XEN_ELFNOTE_MOD_START_PFN: e->mod_start_pfn = note_number(desc, size); break;
    case XEN_ELFNOTE_SUPPORTED_FEATURES: e->not_dom0 = !(note_number(desc, size) >> XENFEAT_dom0 & 1); break;
    }
}

static void parse_notes(struct elf_image *e, const u8 *data, u64 start, u64 length)
{
    u64 off = 0;

    while (off + sizeof(Elf64_Nhdr) <= length) {
        Elf64_Nhdr n;

        memcpy(&n, data + start + off, sizeof(n));
        u64 name = off + sizeof(n), desc = name + ROUND_UP((u64)n.n_namesz, 4), end = desc + n.n_descsz;
        if (end > length)
            return;
        if (n.n_namesz == 4 && !memcmp(data + start + name, "Xen", 4))
            use_note(e, n.n_type, data + start + desc, n.n_descsz);
        off = ROUND_UP(end, 4);
    }
}

static int add_segment(struct elf_image *e, const Elf64_Phdr *p, u64 size, const char **why)
{
    struct elf_segment *s = &e->segments[e->nr_segments];

    if (!inside(p->p_offset, p->p_filesz, size) || p->p_filesz > p->p_memsz || p->p_paddr + p->p_memsz < p->p_paddr)
        return refuse_kernel(why, -EIO, "the kernel's ELF segments reach outside the file: it is damaged");
    if (e->nr_segments == ELF_MAX_SEGMENTS)
        return refuse_kernel(why, -EINVAL, "the kernel has too many ELF segments");
    *s = (struct elf_segment){ p->p_paddr, p->p_offset, p->p_filesz, p->p_memsz };
    e->paddr_start = e->nr_segments ? MIN(e->paddr_start, s->paddr) : s->paddr;
    e->paddr_end = MAX(e->paddr_end, s->paddr + s->mem_size);
    e->nr_segments++;
    return 0;
}

/* Differences of unsigned numbers: what lies below the base is far above the size. */
static bool addresses_agree(const struct elf_image *e)
{
    u64 first = e->paddr_start - e->paddr_offset, size = e->paddr_end - e->paddr_offset;
    u64 entry = e->entry - e->virt_base, page = e->hypercall_page - e->virt_base;

    if (e->virt_base & (MiB(4) - 1) || e->paddr_start < e->paddr_offset || size > GiB(1) || !guest_owns_range(e->virt_base, size))
        return false;
    return entry >= first && entry < size &&
           (!e->has_hypercall_page || (!(page & (PAGE_SIZE - 1)) && page < size && size - page > PAGE_SIZE - 1));
}

static const char *lacking(const struct elf_image *e)
{
    if (!e->has_notes)
        return "the kernel has no Xen PV support (no ELF notes): use one built with CONFIG_XEN_PV (linux-image-amd64)";
    if (strncmp(e->loader_version, "xen-3.0", 7))
        return "the kernel's ELF notes do not say xen-3.0: it is for other guests. Use one built with CONFIG_XEN_PV";
    if (e->not_dom0)
        return "the kernel cannot run as dom0: use one built with CONFIG_XEN_DOM0";
    if (!addresses_agree(e))
        return "the kernel's addresses make no sense: base, entry or hypercall page lie outside of it";
    return NULL;
}

int elf_parse(const u8 *data, u64 size, struct elf_image *e, const char **why)
{
    Elf64_Ehdr h;

    *e = (struct elf_image){ .data = data };
    if (size < sizeof(h) || memcmp(data, ELFMAG, SELFMAG))
        return refuse_kernel(why, -ENOEXEC, "the first module is no Linux kernel: put the kernel (vmlinuz) first, the initrd second");
    memcpy(&h, data, sizeof(h));
    if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 || h.e_phentsize != sizeof(Elf64_Phdr))
        return refuse_kernel(why, -EINVAL, "the kernel is not a 64-bit x86 ELF file: use an amd64 kernel");
    if (!inside(h.e_phoff, (u64)h.e_phnum * sizeof(Elf64_Phdr), size))
        return refuse_kernel(why, -EIO, "the kernel's ELF headers reach outside the file: it is damaged");
    e->entry = h.e_entry; /* unless a note says something else */
    for (u32 i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        int rc = 0;
        memcpy(&p, data + h.e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && p.p_memsz)
            rc = add_segment(e, &p, size, why);
        else if (p.p_type == PT_NOTE && inside(p.p_offset, p.p_filesz, size))
            parse_notes(e, data, p.p_offset, p.p_filesz);
        if (rc)
            return rc;
    }
    if (!e->nr_segments)
        return refuse_kernel(why, -EINVAL, "the kernel has nothing to load");
    *why = lacking(e);
    return *why ? -EINVAL : 0;
}
