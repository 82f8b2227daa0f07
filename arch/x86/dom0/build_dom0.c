/*
 * dom0: memory, page tables, start_info, first vCPU, as the ABI lays them out.
 *
 * Pseudo-physical order: [hole and kernel | start_info | page tables | stack | spare] mapped from
 * VIRT_BASE, then initrd, then the p2m array with its page tables, then the rest.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/dom0.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/pv.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>
#include <hv/x86/processor.h>

#define TABLE_FLAGS (PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define RO_FLAGS (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define SPARE_BYTES KiB(512)
#define MIN_PAGES (MiB(64) >> PAGE_SHIFT)
#define CHUNK_ORDER 10

static bool opt_pin;
OPTION("dom0_vcpus_pin", option_bool, opt_pin, "each vCPU of dom0 stays on one CPU", "off");

static u64 nth_online_cpu(u32 n)
{
    u64 set = READ_ONCE(cpus_online);

    while (n--)
        set &= set - 1;
    return set & -set;
}

struct build {
    struct domain *d;
    struct elf_image elf;
    u8 *unpacked;
    u64 nr_pages, next_pfn;
    u64 v_start, kernel_end, start_info, tables, nr_tables, stack, v_end;
    u64 initrd_pfn, initrd_bytes;
    u64 p2m_pfn, nr_p2m_pages, nr_p2m_tables;
    u64 *p2m;           /* by pfn: the machine frame; in the frames that dom0 will see it in */
    u64 next_table_pfn; /* pool for table_new() */
};

static void *pfn_to_virt(const struct build *b, u64 pfn)
{
    return mfn_to_virt(b->p2m[pfn]);
}

/* ---- sizes ---- */

static u64 tables_for(u64 start, u64 end)
{
    u64 n = 0;

    for (unsigned level = 1; level < 4; level++)
        n += ((end - 1) >> PT_SHIFT(level + 1)) - (start >> PT_SHIFT(level + 1)) + 1;
    return n;
}

static void layout(struct build *b)
{
    struct elf_image *e = &b->elf;

    b->v_start = e->virt_base;
    b->kernel_end = ROUND_UP(e->paddr_end - e->paddr_offset + e->virt_base, PAGE_SIZE);
    b->start_info = b->kernel_end;
    b->tables = b->start_info + PAGE_SIZE;
    /* The tables map themselves: take more until it fits. The L4 counts too. */
    for (b->nr_tables = 1;; b->nr_tables++) {
        b->stack = b->tables + b->nr_tables * PAGE_SIZE;
        b->v_end = ROUND_UP(b->stack + PAGE_SIZE + SPARE_BYTES, MiB(4));
        if (tables_for(b->v_start, b->v_end) + 1 <= b->nr_tables)
            return;
    }
}

/* ---- memory ---- */

static void take_frame(struct build *b, struct page_info *pg)
{
    /* max_pages is not set yet: assignment cannot be refused. */
    if (domain_assign_page(b->d, pg))
        panic(PANIC_DOM0_MEMORY, "dom0's frames cannot be assigned");
    m2p_set(page_to_mfn(pg), b->next_pfn);
    b->p2m[b->next_pfn++] = page_to_mfn(pg);
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
                panic(PANIC_DOM0_MEMORY, "too little memory for dom0: lower dom0_mem= or give the machine more");
            continue;
        }
        for (u64 i = 0; i < 1ULL << order; i++)
            take_frame(b, pg + i);
        count -= 1ULL << order;
    }
}

static void allocate_memory(struct build *b, u64 p2m_bytes)
{
    b->nr_p2m_pages = ROUND_UP(p2m_bytes, PAGE_SIZE) >> PAGE_SHIFT;
    b->nr_p2m_tables = b->elf.init_p2m ? tables_for(b->elf.init_p2m, b->elf.init_p2m + p2m_bytes) : 0;
    u64 block = b->nr_p2m_pages + b->nr_p2m_tables, mapped = (b->v_end - b->v_start) >> PAGE_SHIFT;
    struct page_info *p2m_block = page_alloc_contiguous(block);

    if (!p2m_block)
        panic(PANIC_DOM0_MEMORY, "too little contiguous memory for dom0's p2m table (%lu KiB): lower dom0_mem=", block * 4);
    b->p2m = page_to_virt(p2m_block);
    memset(b->p2m, 0, block << PAGE_SHIFT);

    allocate_pages(b, mapped);
    b->initrd_pfn = b->next_pfn;
    allocate_pages(b, ROUND_UP(b->initrd_bytes, PAGE_SIZE) >> PAGE_SHIFT);
    b->p2m_pfn = b->next_pfn;
    for (u64 i = 0; i < block; i++)
        take_frame(b, p2m_block + i);
    allocate_pages(b, b->nr_pages - b->next_pfn);
}

/* ---- contents ---- */

static void copy_in(struct build *b, u64 va, const u8 *src, u64 n)
{
    while (n) {
        u64 off = va & (PAGE_SIZE - 1), chunk = MIN(n, PAGE_SIZE - off);
        char *dst = (char *)pfn_to_virt(b, (va - b->v_start) >> PAGE_SHIFT) + off;

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

static void fill_hypercall_page(struct build *b)
{
    u8 page[PAGE_SIZE];
    u64 va = b->elf.hypercall_page;

    if (!b->elf.has_hypercall_page)
        return;
    if (va < b->v_start || va + PAGE_SIZE > b->kernel_end || (va & (PAGE_SIZE - 1)))
        panic(PANIC_KERNEL, "dom0's kernel names a hypercall page outside itself");
    pv_fill_hypercall_page(page);
    copy_in(b, va, page, sizeof(page));
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

static void make_read_only(pte_t *l4, u64 va)
{
    pte_t *t = l4;

    for (unsigned level = 4; level > 1; level--)
        t = mfn_to_virt(pte_mfn(t[PT_INDEX(va, level)]));
    t[PT_INDEX(va, 1)] &= ~PTE_RW;
}

static mfn_t build_tables(struct build *b)
{
    u64 l4_pfn, first = (b->tables - b->v_start) >> PAGE_SHIFT;

    b->next_table_pfn = first;
    pte_t *l4 = table_new(b, &l4_pfn);

    for (u64 va = b->v_start; va < b->v_end; va += PAGE_SIZE)
        map_page(b, l4, va, make_pte(b->p2m[(va - b->v_start) >> PAGE_SHIFT], TABLE_FLAGS));
    for (u64 pfn = first; pfn < first + b->nr_tables; pfn++)
        make_read_only(l4, b->v_start + (pfn << PAGE_SHIFT));
    if (b->elf.init_p2m) {
        b->next_table_pfn = b->p2m_pfn + b->nr_p2m_pages;
        for (u64 i = 0; i < b->nr_p2m_pages; i++)
            map_page(b, l4, b->elf.init_p2m + i * PAGE_SIZE, make_pte(b->p2m[b->p2m_pfn + i], TABLE_FLAGS));
    }
    return b->p2m[l4_pfn];
}

static void fill_vga_info(struct dom0_vga_console_info *vga)
{
    const struct boot_framebuffer *fb = &boot_info.fb;

    if (!fb->valid || fb->text) {
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

static void fill_start_info(struct build *b)
{
    struct start_info *si = memset(pfn_to_virt(b, (b->start_info - b->v_start) >> PAGE_SHIFT), 0, PAGE_SIZE);
    const char *line = boot_info.modules[0].cmdline;

    strlcpy(si->magic, "xen-3.0-x86_64p", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = virt_to_phys(b->d->shared_info);
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->pt_base = b->tables;
    si->nr_pt_frames = b->nr_tables;
    si->mfn_list = b->elf.init_p2m;
    si->first_p2m_pfn = b->elf.init_p2m ? b->p2m_pfn : 0;
    si->nr_p2m_frames = b->elf.init_p2m ? b->nr_p2m_pages + b->nr_p2m_tables : 0;
    if (b->initrd_bytes) {
        si->flags |= SIF_MOD_START_PFN;
        si->mod_start = b->initrd_pfn;
        si->mod_len = b->initrd_bytes;
    }
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(struct dom0_vga_console_info);
    if (!line[0])
        line = cmdline_dom0_part(boot_info.cmdline);
    size_t n = strlcpy((char *)si->cmd_line, line, sizeof(si->cmd_line));

    /* Without a BIOS area to search, and without EFI runtime services, dom0 has to be told. */
    if (boot_info.platform == PLATFORM_EFI && acpi.present && n < sizeof(si->cmd_line))
        hv_snprintf((char *)si->cmd_line + n, sizeof(si->cmd_line) - n, " acpi_rsdp=%#lx", acpi.rsdp);
    fill_vga_info((struct dom0_vga_console_info *)(si + 1));
    copy_in(b, b->stack, NULL, PAGE_SIZE);
}

static void start_vcpu(struct build *b, mfn_t l4)
{
    struct vcpu *v = b->d->vcpu[0];
    struct cpu_user_regs *regs = &stack_block_top(v->stack_block)->guest_regs;

    /* The builder's own tables: a refusal is a mistake in this file. */
    if (page_pin(b->d, l4, PGT_L4) || pv_set_kernel_base(v, l4))
        panic(PANIC_KERNEL, "dom0's first page tables were refused");
    regs->rip = b->elf.entry;
    regs->rsp = b->stack + PAGE_SIZE;
    regs->rsi = b->start_info;
    regs->rflags = RFLAGS_IF | RFLAGS_FIXED;
    regs->cs = SEL_GUEST_CS64;
    regs->ss = SEL_GUEST_DS;
    v->initialised = true;
}

/* ---- the modules ---- */

static void unpack_kernel(struct build *b)
{
    const struct boot_module *m = &boot_info.modules[0];
    const char *why = "";
    struct payload p;

    if (!boot_info.nr_modules)
        panic(PANIC_NO_KERNEL, "no dom0 kernel was loaded. Add a line such as 'module2 /boot/vmlinuz-6.1.0 console=hvc0' to the GRUB entry");
    int rc = bzimage_find_payload(phys_to_virt(m->start), m->end - m->start, &p, &why);

    if (!rc && p.unpacked_size) {
        u64 start = rdtsc();

        rc = decompress(p.data, p.size, p.unpacked_size, &b->unpacked, &why);
        printk(LOG_DEBUG "Kernel unpacked from %lu to %lu KiB, TSC: %lu\n", p.size >> 10, p.unpacked_size >> 10,
               rdtsc() - start);
        p.data = b->unpacked;
        p.size = p.unpacked_size;
    }
    if (!rc)
        rc = elf_parse(p.data, p.size, &b->elf, &why);
    if (!rc && (b->elf.virt_base & (MiB(4) - 1) || b->elf.paddr_end < b->elf.paddr_offset ||
                b->elf.paddr_start < b->elf.paddr_offset || b->elf.paddr_end - b->elf.paddr_offset > GiB(1) ||
                b->elf.virt_base + GiB(2) - 1 < b->elf.virt_base)) {
        why = "the kernel's addresses make no sense";
        rc = -EINVAL;
    }
    if (rc)
        panic(PANIC_KERNEL, "dom0 kernel: %s", why);
}

static void copy_initrd(struct build *b)
{
    const struct boot_module *m = &boot_info.modules[1];

    for (u64 off = 0; off < b->initrd_bytes; off += PAGE_SIZE)
        memcpy(pfn_to_virt(b, b->initrd_pfn + (off >> PAGE_SHIFT)), phys_to_virt(m->start + off),
               MIN(PAGE_SIZE, b->initrd_bytes - off));
}

static void free_modules(void)
{
    for (u32 i = 0; i < boot_info.nr_modules; i++) {
        mfn_t first = ROUND_UP(boot_info.modules[i].start, PAGE_SIZE) >> PAGE_SHIFT;
        mfn_t end = ROUND_DOWN(boot_info.modules[i].end, PAGE_SIZE) >> PAGE_SHIFT;

        /* Shared edges stay reserved; low memory is dom0's I/O range. */
        if (first >= MiB(1) >> PAGE_SHIFT && first < end)
            page_free_range(first, end - first);
    }
}

void build_dom0(void)
{
    static struct build b;

    unpack_kernel(&b);
    if (boot_info.nr_modules > 1)
        b.initrd_bytes = boot_info.modules[1].end - boot_info.modules[1].start;
    layout(&b);

    u64 available = page_free_count(), max_pages;
    u64 needed = ((b.v_end - b.v_start) >> PAGE_SHIFT) + (b.initrd_bytes >> PAGE_SHIFT) + MIN_PAGES / 4;

    b.nr_pages = dom0_choose_pages(available, &max_pages);
    if (b.nr_pages < needed)
        panic(PANIC_DOM0_MEMORY, "too little memory for dom0: %lu MiB where its kernel needs %lu MiB. Raise dom0_mem= or give the machine more",
              b.nr_pages >> 8, needed >> 8);
    u32 cpus = smp_online_count(), vcpus = dom0_choose_vcpus(cpus);

    b.d = domain_create(0, vcpus, true);
    if (!b.d)
        panic(PANIC_DOM0_MEMORY, "no memory for dom0's structures");
    hardware_domain = b.d;
    for (u32 i = 0; i < vcpus; i++) {
        if (!vcpu_create(b.d, i))
            panic(PANIC_DOM0_MEMORY, "no memory for dom0's vCPU %u", i);
        if (opt_pin)
            b.d->vcpu[i]->sched.hard_affinity = nth_online_cpu(i % cpus);
    }

    printk(LOG_INFO "dom0: %lu MiB, %u vCPUs, kernel %016lx to %016lx, entry %016lx\n", b.nr_pages >> 8, vcpus,
           b.v_start + b.elf.paddr_start - b.elf.paddr_offset, b.kernel_end, b.elf.entry);
    allocate_memory(&b, b.nr_pages * sizeof(u64));
    b.d->max_pages = max_pages;
    load_kernel(&b);
    fill_hypercall_page(&b);
    hv_free(b.unpacked);
    copy_initrd(&b);
    fill_start_info(&b);
    b.d->shared_info->arch.max_pfn = 0;
    start_vcpu(&b, build_tables(&b));
    free_modules();
    vcpu_start(b.d->vcpu[0]);
}
