/* SPDX-License-Identifier: MIT */
/* A test kernel's guests: see domu.h. */
#include "domu.h"

#define FIRST_PFN 0x100 /* where the image lies: kernel.lds */
#define PAGE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define VA_OF(pfn) (VIRT_BASE + ((u64)(pfn) << 12))
#define PFN_OF(va) ((u32)(((u64)(va)-VIRT_BASE) >> 12))

struct domu_box domu_box __attribute__((aligned(4096)));
struct vcpu_guest_context domu_context;
static union {
    struct domu_box box;
    u8 page[PAGE_SIZE];
} box_windows[DOMU_MAX] __attribute__((aligned(4096)));
static bool box_used[DOMU_MAX];
static u8 window[PAGE_SIZE] __attribute__((aligned(4096)));
static u64 table[512];
static u64 extents[DOMU_PFNS];

extern u8 page_pool[], stack_top[], _end_of_kernel[];

void domu_say(const char *line, u32 n)
{
    for (u32 i = 0; i < n && domu_box.text_used < sizeof(domu_box.text) - 1; i++)
        domu_box.text[domu_box.text_used++] = line[i];
}

int domu_map(void *at, struct domu *g, u64 mfn, bool writable)
{
    u64 pte = mfn << 12 | (PAGE_FLAGS & ~(writable ? 0 : PTE_W)) | PTE_NX;

    return (int)HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, at, pte, UVMF_INVLPG, g->id);
}

void domu_unmap(void *at, u64 own_pte) { CHECK_EQ(remap(at, own_pte), 0); }

void domu_create(struct domu *g, u32 vcpus)
{
    memory_set(g, 0, sizeof(*g));
    g->id = domain_new(vcpus, DOMU_PFNS);
    g->vcpus = vcpus;
}

/* Pages of the image that a guest gets: most of the page pool stays out. */
static bool in_image(u32 pfn)
{
    return pfn >= FIRST_PFN && pfn < PFN_OF(_end_of_kernel) && (pfn < PFN_OF(page_pool) + DOMU_POOL || pfn >= PFN_OF(page_pool) + 256);
}

static void populate(struct domu *g, u32 end)
{
    u32 n = 0;

    for (u32 pfn = FIRST_PFN; pfn < end; pfn++)
        if (in_image(pfn) || pfn >= PFN_OF(_end_of_kernel))
            extents[n++] = pfn;
    CHECK_EQ(reserve(XENMEM_populate_physmap, g->id, extents, n, 0), n);
    g->nr_frames = n;
    n = 0;
    for (u32 pfn = FIRST_PFN; pfn < end; pfn++)
        if (in_image(pfn) || pfn >= PFN_OF(_end_of_kernel))
            g->mfn[pfn] = extents[n++];
}

static void put(struct domu *g, u32 pfn, const void *from)
{
    CHECK_EQ(domu_map(window, g, g->mfn[pfn], true), 0);
    memory_copy(window, from, PAGE_SIZE);
}

/* A table with one entry, of `count` tables one behind the other. */
static void put_table(struct domu *g, u32 pfn, u32 index, u32 first, u32 count)
{
    memory_set(table, 0, sizeof(table));
    for (u32 i = 0; i < count; i++)
        table[index + i] = g->mfn[first + i] << 12 | PAGE_FLAGS;
    put(g, pfn, table);
}

/* The image at its addresses; behind it start_info, L1 tables, L2, L3, L4. */
static void put_tables(struct domu *g, u32 first_l1, u32 nr_l1, u32 end)
{
    for (u32 t = 0; t < nr_l1; t++) {
        for (u32 i = 0; i < 512; i++) {
            u32 pfn = t * 512 + i;
            u64 mfn = pfn < DOMU_PFNS ? g->mfn[pfn] : 0;

            table[i] = !mfn ? 0 : mfn << 12 | (pfn >= first_l1 && pfn < end ? PAGE_FLAGS & ~PTE_W : PAGE_FLAGS);
        }
        put(g, first_l1 + t, table);
    }
    u32 l2 = first_l1 + nr_l1;

    put_table(g, l2, 0, first_l1, nr_l1);
    put_table(g, l2 + 1, 510, l2, 1);
    put_table(g, l2 + 2, 511, l2 + 1, 1);
    g->l4_pfn = l2 + 2;
}

static void put_start_info(struct domu *g, u32 pfn, u32 nr_tables)
{
    static union {
        struct start_info si;
        u8 page[PAGE_SIZE];
    } p;

    domain_info(g->id);
    p.si = (struct start_info){ .magic = "xen-3.0-x86_64",
                                .nr_pages = g->nr_frames,
                                .shared_info = domctl_op.u.getdomaininfo.shared_info_frame << 12,
                                .pt_base = VA_OF(g->l4_pfn),
                                .nr_pt_frames = nr_tables };
    put(g, pfn, &p);
    g->start_info_pfn = pfn;
    CHECK_EQ(domu_map(window, g, p.si.shared_info >> 12, true), 0); /* a toolstack clears it */
    memory_set(window, 0, PAGE_SIZE);
}

static void take_box(struct domu *g, void (*main)(u64 arg), u64 arg)
{
    u32 i = 0;

    while (i < DOMU_MAX - 1 && box_used[i])
        i++;
    CHECK(!box_used[i]);
    box_used[i] = true;
    g->own_box_pte = *pte_of(&box_windows[i], 1);
    CHECK_EQ(domu_map(&box_windows[i], g, g->mfn[PFN_OF(&domu_box)], true), 0);
    g->box = &box_windows[i].box;
    memory_set(&box_windows[i], 0, PAGE_SIZE);
    g->box->main = main;
    g->box->arg = arg;
}

void domu_load(struct domu *g, void (*main)(u64 arg), u64 arg)
{
    u64 own = *pte_of(window, 1);
    u32 start = PFN_OF(_end_of_kernel), nr_l1 = (start + 8) / 512 + 1, end = start + 1 + nr_l1 + 3;

    CHECK(end < DOMU_PFNS);
    populate(g, end);
    for (u32 pfn = FIRST_PFN; pfn < start; pfn++)
        if (in_image(pfn))
            put(g, pfn, (void *)VA_OF(pfn));
    put_tables(g, start + 1, nr_l1, end);
    put_start_info(g, start, nr_l1 + 3);
    domu_unmap(window, own);
    take_box(g, main, arg);
    CHECK_EQ(mmuext_of(g->id, MMUEXT_PIN_L4_TABLE, g->mfn[g->l4_pfn]), 0);
}

void domu_make_context(struct domu *g)
{
    struct vcpu_guest_context *c = &domu_context;

    memory_set(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    c->user_regs.rip = (u64)domu_entry;
    c->user_regs.rsi = VA_OF(g->start_info_pfn);
    c->user_regs.rsp = (u64)stack_top - 8;
    c->user_regs.cs = FLAT_CS64;
    c->user_regs.ss = FLAT_SS;
    c->user_regs.rflags = 0x200;
    c->kernel_ss = FLAT_SS;
    c->kernel_sp = (u64)stack_top - 16384;
    c->ctrlreg[3] = g->mfn[g->l4_pfn] << 12;
}

long domu_set_context(struct domu *g, u32 vcpu)
{
    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ vcpu, (u64)&domu_context };
    return domctl(XEN_DOMCTL_setvcpucontext, g->id);
}

void domu_new(struct domu *g, u32 vcpus, void (*main)(u64 arg), u64 arg)
{
    domu_create(g, vcpus);
    domu_load(g, main, arg);
    domu_make_context(g);
    CHECK_EQ(domu_set_context(g, 0), 0);
}

long domu_unpause(struct domu *g) { return domctl(XEN_DOMCTL_unpausedomain, g->id); }

u32 domu_wait(struct domu *g, u32 ms)
{
    u64 end = smp_time(0) + ms * 1000000UL;

    for (;;) {
        u32 flags = domain_info(g->id);

        if (flags & XEN_DOMINF_shutdown)
            return flags >> XEN_DOMINF_shutdownshift & 0xff;
        if (smp_time(0) >= end)
            return DOMU_RUNS;
        smp_sleep_until(0, smp_time(0) + 1000000);
    }
}

u32 domu_run(struct domu *g)
{
    CHECK_EQ(domu_unpause(g), 0);
    return domu_wait(g, 60000);
}

void domu_destroy(struct domu *g)
{
    if (g->box) {
        if (g->box->text_used)
            print("d%u: %s\n", g->id, (const char *)g->box->text);
        domu_unmap((void *)g->box, g->own_box_pte);
        for (u32 i = 0; i < DOMU_MAX; i++)
            if (&box_windows[i].box == g->box)
                box_used[i] = false;
        g->box = NULL;
    }
    domain_destroy(g->id);
}
