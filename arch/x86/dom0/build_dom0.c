/* SPDX-License-Identifier: MIT */
/*
 * dom0: memory, page tables, start_info, first vCPU, as the ABI lays them out.
 *
 * Pseudo-physical order: [hole and kernel | start_info | page tables | stack | spare] mapped from VIRT_BASE, then initrd, then
 * the p2m array with its page tables, then the rest. For kernels without the notes MOD_START_PFN and INIT_P2M, initrd and p2m
 * follow the kernel instead, mapped (layout.c).
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/cpio.h>
#include <hv/dom0.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>

#define TABLE_FLAGS (PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define MIN_PAGES (MiB(64) >> PAGE_SHIFT)
#define CHUNK_ORDER 10

static bool opt_pin;
OPTION("dom0_vcpus_pin", option_bool, opt_pin, "each vCPU of dom0 stays on one CPU", "off");

static cpuset_t nth_online_cpu(u32 n)
{
    cpuset_t set = cpuset_read(&cpus_online);

    while (n--)
        cpuset_drop_first(&set);
    return cpuset_of(cpuset_first(set));
}

struct build {
    struct domain *d;
    struct elf_image elf;
    struct dom0_layout at;
    const struct boot_module *initrd; /* NULL: none */
    u8 *unpacked;
    u64 nr_pages, max_pages, next_pfn;
    u64 *p2m;           /* by pfn: the machine frame; in the frames that dom0 will see it in */
    u64 next_table_pfn; /* pool for table_new() */
};

static void *pfn_to_virt(const struct build *b, u64 pfn) { return mfn_to_virt(b->p2m[pfn]); }

/* For addresses in [v_start, v_end). */
static u64 va_to_pfn(const struct build *b, u64 va) { return (va - b->at.v_start) >> PAGE_SHIFT; }

static u64 module_bytes(const struct boot_module *m) { return m ? m->end - m->start : 0; }

/* ---- memory ---- */

static void take_frames(struct build *b, struct page_info *pg, u64 count)
{
    u64 pfn = b->next_pfn;

    /* max_pages is not set yet: assignment cannot be refused. */
    if (domain_assign_pages(b->d, pg, count, 0))
        panic(PANIC_ASSERT, "dom0's frames cannot be assigned");
    for (mfn_t mfn = page_to_mfn(pg), end = mfn + count; mfn < end; mfn++, pfn++) {
        m2p_set(mfn, pfn);
        b->p2m[pfn] = mfn;
    }
    b->next_pfn = pfn;
}

/* The next `count` pfns get frames, in chunks as large as memory offers. */
static void allocate_pages(struct build *b, u64 count)
{
    unsigned order = CHUNK_ORDER;

    while (count) {
        order = MIN(order, bit_last(count));
        struct page_info *pg = page_alloc(order, 0);
        if (!pg) {
            if (!order--)
                panic(PANIC_BESIDE_DOM0, "too little memory for dom0: lower dom0_mem= or give the machine more");
            continue;
        }
        take_frames(b, pg, 1ULL << order);
        count -= 1ULL << order;
    }
}

/* The p2m is written while its own frames are still to become dom0's: it is made first, of scattered frames. */
static void allocate_memory(struct build *b)
{
    b->p2m = scratch_alloc(b->at.nr_p2m_pages << PAGE_SHIFT);
    if (!b->p2m)
        panic(PANIC_BESIDE_DOM0, "too little memory for dom0's p2m table (%lu KiB): lower dom0_mem=", b->at.nr_p2m_pages * 4);
    memset(b->p2m + b->nr_pages, 0, (b->at.nr_p2m_pages << PAGE_SHIFT) - b->nr_pages * sizeof(u64));
    allocate_pages(b, b->at.p2m_pfn);
    for (u64 i = 0; i < b->at.nr_p2m_pages; i++)
        take_frames(b, scratch_page((char *)b->p2m + (i << PAGE_SHIFT)), 1);
    allocate_pages(b, b->nr_pages - b->next_pfn);
}

/* ---- contents ---- */

static void copy_in(struct build *b, u64 va, const u8 *src, u64 n)
{
    while (n) {
        u64 off = va & (PAGE_SIZE - 1), chunk = MIN(n, PAGE_SIZE - off);
        char *dst = (char *)pfn_to_virt(b, va_to_pfn(b, va)) + off;

        if (src) {
            memcpy(dst, src, chunk);
            src += chunk;
        } else {
            memset(dst, 0, chunk);
        }
        va += chunk;
        n -= chunk;
    }
}

static void load_kernel(struct build *b)
{
    struct elf_image *e = &b->elf;

    for (u32 i = 0; i < e->nr_segments; i++) {
        struct elf_segment *s = &e->segments[i];
        u64 va = s->paddr - e->paddr_offset + e->virt_base;

        copy_in(b, va, e->data + s->offset, s->file_size);
        copy_in(b, va + s->file_size, NULL, s->mem_size - s->file_size);
    }
}

static void dom0_fill_hypercall_page(struct build *b)
{
    u8 page[PAGE_SIZE];

    if (!b->elf.has_hypercall_page)
        return;
    pv_fill_hypercall_page(page);
    copy_in(b, b->elf.hypercall_page, page, sizeof(page));
}

static pte_t *table_new(struct build *b, u64 *pfn)
{
    *pfn = b->next_table_pfn++;
    return memset(pfn_to_virt(b, *pfn), 0, PAGE_SIZE);
}

/* Sets the L1 entry for va, making tables from the pool. */
static void map_page(struct build *b, pte_t *l4, u64 va, pte_t leaf)
{
    pte_t *t = l4;

    for (unsigned level = 4; level > 1; level--) {
        pte_t *e = &t[PT_INDEX(va, level)];

        if (!*e) {
            u64 pfn;

            t = table_new(b, &pfn);
            *e = make_pte(b->p2m[pfn], TABLE_FLAGS);
        } else {
            t = mfn_to_virt(pte_mfn(*e));
        }
    }
    t[PT_INDEX(va, 1)] = leaf;
}

static mfn_t build_tables(struct build *b)
{
    const struct dom0_layout *at = &b->at;
    u64 l4_pfn, first = va_to_pfn(b, at->tables);

    b->next_table_pfn = first;
    pte_t *l4 = table_new(b, &l4_pfn);
    for (u64 va = at->v_start; va < at->v_end; va += PAGE_SIZE) {
        bool is_table = va - at->tables < at->nr_tables << PAGE_SHIFT;

        map_page(b, l4, va, make_pte(b->p2m[va_to_pfn(b, va)], is_table ? TABLE_FLAGS & ~PTE_RW : TABLE_FLAGS));
    }
    if (at->nr_p2m_tables) {
        b->next_table_pfn = at->p2m_pfn + at->nr_p2m_pages;
        for (u64 i = 0; i < at->nr_p2m_pages; i++)
            map_page(b, l4, at->p2m + (i << PAGE_SHIFT), make_pte(b->p2m[at->p2m_pfn + i], TABLE_FLAGS));
    }
    return b->p2m[l4_pfn];
}

static void fill_vga_info(struct dom0_vga_console_info *vga)
{
    const struct boot_framebuffer *fb = &boot_info.fb;

    /* A longer line than the ABI's 16 bits can say is not described: dom0 would draw on wrong places. */
    if (!fb->valid || fb->text || fb->pitch > 0xffff) {
        vga->video_type = XEN_VGATYPE_TEXT_MODE_3;
        vga->u.text_mode_3.font_height = 16;
        vga->u.text_mode_3.rows = 25;
        vga->u.text_mode_3.columns = 80;
        return;
    }
    vga->video_type = boot_info.platform == PLATFORM_EFI ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    vga->u.vesa_lfb.width = (u16)fb->width;
    vga->u.vesa_lfb.height = (u16)fb->height;
    vga->u.vesa_lfb.bytes_per_line = (u16)fb->pitch;
    vga->u.vesa_lfb.bits_per_pixel = fb->bpp;
    vga->u.vesa_lfb.lfb_base = (u32)fb->base;
    vga->u.vesa_lfb.ext_lfb_base = (u32)(fb->base >> 32);
    vga->u.vesa_lfb.lfb_size = (u32)(((u64)fb->pitch * fb->height + 0xffff) >> 16);
    vga->u.vesa_lfb.red_pos = fb->red_pos;
    vga->u.vesa_lfb.red_size = fb->red_size;
    vga->u.vesa_lfb.green_pos = fb->green_pos;
    vga->u.vesa_lfb.green_size = fb->green_size;
    vga->u.vesa_lfb.blue_pos = fb->blue_pos;
    vga->u.vesa_lfb.blue_size = fb->blue_size;
}

static void fill_command_line(char *to, size_t size, const char *line)
{
    size_t n = 0;

    /* Without a BIOS area to search, and without EFI runtime services, dom0 has to be told. First: it fits, and no "--" is before it. */
    if (boot_info.platform == PLATFORM_EFI && acpi.present)
        n = (size_t)hv_snprintf(to, size, "acpi_rsdp=%#lx ", acpi.rsdp);
    if (!copy_words(to + n, size - n, line, strlen(line)))
        printk(LOG_WARN "dom0's command line is longer than the %zu characters that fit: what follows '%s' is cut off\n", size - n - 1,
               to + MAX(strlen(to), n + 30) - 30);
}

static void fill_start_info(struct build *b)
{
    struct start_info *si = memset(pfn_to_virt(b, va_to_pfn(b, b->at.start_info)), 0, PAGE_SIZE);
    const char *line = boot_info.modules[0].cmdline;

    strlcpy(si->magic, "xen-3.0-x86_64p", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = virt_to_phys(b->d->shared_info);
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->pt_base = b->at.tables;
    si->nr_pt_frames = b->at.nr_tables;
    si->mfn_list = b->at.p2m;
    if (b->at.nr_p2m_tables) {
        si->first_p2m_pfn = b->at.p2m_pfn;
        si->nr_p2m_frames = b->at.nr_p2m_pages + b->at.nr_p2m_tables;
    }
    if (b->initrd) {
        si->flags |= b->elf.mod_start_pfn ? SIF_MOD_START_PFN : 0;
        si->mod_start = b->elf.mod_start_pfn ? b->at.initrd_pfn : b->at.v_start + (b->at.initrd_pfn << PAGE_SHIFT);
        si->mod_len = module_bytes(b->initrd);
    }
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(struct dom0_vga_console_info);
    if (!line[0])
        line = cmdline_dom0_part(boot_info.cmdline);
    fill_command_line((char *)si->cmd_line, sizeof(si->cmd_line), line);
    fill_vga_info((struct dom0_vga_console_info *)(si + 1));
    copy_in(b, b->at.stack, NULL, PAGE_SIZE);
}

static void start_vcpu(struct build *b, mfn_t l4)
{
    struct vcpu *v = b->d->vcpu[0];
    struct cpu_user_regs *regs = &stack_block_top(v->stack_block)->guest_regs;

    /* The builder's own tables: a refusal is a mistake in this file. */
    if (page_pin(b->d, l4, PGT_L4) || pv_set_base(v, false, l4))
        panic(PANIC_ASSERT, "dom0's first page tables were refused");
    regs->rip = b->elf.entry;
    regs->rsp = b->at.stack + PAGE_SIZE;
    regs->rsi = b->at.start_info;
    regs->rflags = RFLAGS_IF | RFLAGS_FIXED;
    regs->cs = SEL_GUEST_CS64;
    regs->ss = SEL_GUEST_DS;
    v->initialised = true;
}

/* ---- the modules ---- */

/* Loaders put modules where they like: it need not be memory that the map calls RAM. */
static const u8 *module_data(const struct boot_module *m)
{
    if (direct_map_add(m->start, m->end - m->start))
        panic(PANIC_MODULE_PLACE, "the module at %lx to %lx cannot be mapped: it lies beyond %lu GiB", m->start, m->end,
              (MAX_MFN + 1) >> 18);
    return phys_to_virt(m->start);
}

/* The panic code for an error of the parsers: each has its own advice. */
static enum panic_code code_of(int rc)
{
    switch (rc) {
    case -ENOEXEC: return PANIC_NOT_A_KERNEL;
    case -EIO: return PANIC_KERNEL_DAMAGED;
    case -EOPNOTSUPP: return PANIC_KERNEL_FORMAT;
    case -ENOMEM: return PANIC_UNPACK_MEMORY;
    default: return PANIC_KERNEL;
    }
}

static void unpack_kernel(struct build *b)
{
    const struct boot_module *m = &boot_info.modules[0];
    const char *why = "";
    struct payload p;

    if (!boot_info.nr_modules)
        panic(PANIC_NO_KERNEL,
              "no dom0 kernel was loaded. Add a line such as 'module2 /boot/vmlinuz-6.1.0 console=hvc0' to the GRUB entry");
    int rc = bzimage_find_payload(module_data(m), module_bytes(m), &p, &why);
    if (!rc && p.unpacked_size) {
        u64 start = rdtsc();

        rc = decompress(p.data, p.size, p.unpacked_size, &b->unpacked, &why);
        printk(LOG_DEBUG "Kernel unpacked from %lu to %lu KiB, TSC: %lu\n", p.size >> 10, p.unpacked_size >> 10, rdtsc() - start);
        p.data = b->unpacked;
        p.size = p.unpacked_size;
    }
    if (!rc)
        rc = elf_parse(p.data, p.size, &b->elf, &why);
    if (rc)
        panic(code_of(rc), "dom0 kernel: %s", why);
}

/* The first module after the kernel that can be an initrd. Modules that are not used are named in the log. */
static const struct boot_module *find_initrd(void)
{
    const struct boot_module *initrd = NULL;

    for (u32 i = 1; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.modules[i];

        if (cpio_is_microcode(module_data(m), module_bytes(m)))
            printk(LOG_WARN "Module %u holds only microcode, which is not loaded: it is not taken for the initrd\n", i + 1);
        else if (initrd)
            printk(LOG_WARN "Module %u (%lu KiB) is not used: dom0 gets a kernel and one initrd\n", i + 1, module_bytes(m) >> 10);
        else
            initrd = m;
    }
    return module_bytes(initrd) ? initrd : NULL;
}

static void copy_initrd(struct build *b)
{
    u64 bytes = module_bytes(b->initrd);

    for (u64 off = 0; off < bytes; off += PAGE_SIZE)
        memcpy(pfn_to_virt(b, b->at.initrd_pfn + (off >> PAGE_SHIFT)), phys_to_virt(b->initrd->start + off), MIN(PAGE_SIZE, bytes - off));
}

/* RAM that nothing else shares is freed; what is not RAM is unmapped again (the TLB is flushed with the scratch area). */
static void free_module(u32 i)
{
    const struct boot_module *m = &boot_info.modules[i];

    for (paddr_t at = ROUND_UP(m->start, PAGE_SIZE); at + PAGE_SIZE <= m->end; at += PAGE_SIZE) {
        if (boot_info_place_is_free(&boot_info, at, at + PAGE_SIZE, i)) {
            if (at >= MiB(1) && mfn_valid(at >> PAGE_SHIFT)) /* low memory is dom0's I/O range */
                page_free(mfn_to_page(at >> PAGE_SHIFT), 0);
        } else if (!boot_info_memory_type(&boot_info, at) || boot_info_memory_type(&boot_info, at) == E820_RESERVED) {
            hv_unmap((u64)phys_to_virt(at), PAGE_SIZE);
        }
    }
}

static void choose_size(struct build *b)
{
    u64 free = page_free_count(), available = free - MIN(free, (free >> 18) + 4); /* tables of the scratch area map the p2m */
    u64 max = dom0_layout_max_pages(&b->elf, module_bytes(b->initrd));
    const char *why = "";

    b->nr_pages = dom0_choose_pages(available, &b->max_pages);
    if (b->nr_pages > max) {
        b->nr_pages = max;
        printk(LOG_WARN "dom0 gets %lu MiB: its kernel has no room for a longer p2m list\n", max >> 8);
    }
    if (dom0_layout(&b->elf, module_bytes(b->initrd), b->nr_pages, &b->at, &why))
        panic(PANIC_KERNEL, "dom0 kernel: %s", why);
    u64 needed = b->at.nr_used + MIN_PAGES / 4;
    if (b->nr_pages < needed)
        panic(PANIC_DOM0_MEMORY,
              "too little memory for dom0: %lu MiB where its kernel needs %lu MiB. Raise dom0_mem= or give the machine more",
              b->nr_pages >> 8, needed >> 8);
}

void build_dom0(void)
{
    static struct build b;

    unpack_kernel(&b);
    b.initrd = find_initrd();
    choose_size(&b);
    u32 cpus = smp_online_count(), vcpus = dom0_choose_vcpus(cpus);
    const struct domain_config config = { .max_vcpus = vcpus,
                                          .max_ports = EVTCHN_FIFO_NR_CHANNELS,
                                          .max_grant_frames = GRANT_MAX_FRAMES,
                                          .max_maptrack_frames = MAPTRACK_MAX_FRAMES,
                                          .dom0 = true };
    if (domain_create(0, &config, &b.d))
        panic(PANIC_BESIDE_DOM0, "no memory for dom0's structures");
    hardware_domain = b.d;
    for (u32 i = 0; i < vcpus; i++) {
        if (!vcpu_create(b.d, i))
            panic(PANIC_BESIDE_DOM0, "no memory for dom0's vCPU %u", i);
        if (opt_pin)
            b.d->vcpu[i]->sched.hard_affinity = nth_online_cpu(i % cpus);
    }

    printk(LOG_INFO "dom0: %lu MiB, %u vCPUs, kernel %016lx to %016lx, entry %016lx\n", b.nr_pages >> 8, vcpus, b.at.kernel_start,
           b.at.kernel_end, b.elf.entry);
    allocate_memory(&b);
    b.d->max_pages = b.max_pages;
    load_kernel(&b);
    dom0_fill_hypercall_page(&b);
    scratch_free(b.unpacked);
    copy_initrd(&b);
    fill_start_info(&b);
    b.d->shared_info->arch.max_pfn = 0;
    start_vcpu(&b, build_tables(&b));
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        free_module(i);
    scratch_end();
    vcpu_start(b.d->vcpu[0]);
    domain_unpause(b.d);
}
BOOT_STEP(build_dom0,
          NEEDS(options, modules, page_allocator, m2p, acpi_tables, domains, scheduler, timers, interrupts, wallclock, other_cpus),
          GIVES(dom0), EVERYWHERE);
