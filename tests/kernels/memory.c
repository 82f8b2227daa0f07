/* SPDX-License-Identifier: MIT */
/* memory_op: reservations, exchange, maps; hostile arguments. */
#include "guest.h"

static long memory_op(u64 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_memory_op, cmd, arg); }

static void unmap(void *page) { CHECK_EQ(remap(page, 0), 0); }

static void reservations(void)
{
    domid_t self = DOMID_SELF;
    long before = memory_op(XENMEM_current_reservation, &self);
    void *page = page_new();
    u64 mfn = va_to_mfn(page), pfn = ((u64)page - 0xffffffff80000000) >> 12;
    struct xen_memory_reservation r = { &mfn, 1, 0, 0, DOMID_SELF };

    CHECK_EQ(before, start_info->nr_pages);
    CHECK(memory_op(XENMEM_maximum_reservation, &self) >= before);
    unmap(page);
    CHECK_EQ(memory_op(XENMEM_decrease_reservation, &r), 1);
    CHECK_EQ(memory_op(XENMEM_current_reservation, &self), before - 1);
    /* Gone: neither mapped nor given back twice. */
    CHECK(remap(page, mfn << 12 | PTE_P | PTE_W | PTE_U) < 0);
    CHECK_EQ(memory_op(XENMEM_decrease_reservation, &r), 0);
    mfn = pfn;
    CHECK_EQ(memory_op(XENMEM_populate_physmap, &r), 1);
    CHECK_EQ(memory_op(XENMEM_current_reservation, &self), before);
    CHECK_EQ(((u64 *)0xffff800000000000)[mfn], pfn);
    CHECK_EQ(remap(page, mfn << 12 | PTE_P | PTE_W | PTE_U), 0);
    for (u32 i = 0; i < 512; i++)
        if (((volatile u64 *)page)[i]) {
            CHECK_EQ(((volatile u64 *)page)[i], 0); /* XSA-100 */
            break;
        }
    /* A page in use is not freed under its users. */
    mfn = va_to_mfn((void *)start_info->pt_base);
    u64 saved = mfn;

    CHECK(memory_op(XENMEM_decrease_reservation, &r) <= 1);
    CHECK_EQ(va_to_mfn((void *)start_info->pt_base), saved);
    CHECK(page_new() != 0);
}

static void exchanges(void)
{
    void *pages[4];
    u64 in[4], out = 0x1000;
    struct xen_memory_exchange x = { { in, 4, 0, 0, DOMID_SELF }, { &out, 1, 2, 32, DOMID_SELF }, 0 };
    domid_t self = DOMID_SELF;
    long before = memory_op(XENMEM_current_reservation, &self);

    for (u32 i = 0; i < 4; i++) {
        pages[i] = page_new();
        in[i] = va_to_mfn(pages[i]);
    }
    /* Still mapped: refused, nothing exchanged. */
    CHECK(memory_op(XENMEM_exchange, &x) < 0);
    CHECK_EQ(x.nr_exchanged, 0);
    for (u32 i = 0; i < 4; i++)
        unmap(pages[i]);
    /* A frame twice, and none: all are the guest's again, or the next exchange would not get them. */
    u64 last = in[3];

    for (u32 i = 0; i < 2; i++) {
        in[3] = i ? ~0UL : in[0];
        CHECK_EQ(memory_op(XENMEM_exchange, &x), -22);
        CHECK_EQ(x.nr_exchanged, 0);
    }
    in[3] = last;
    x.out.mem_flags = 13; /* below 8 KiB: there is none */
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -12);
    x.out.mem_flags = 32;
    static u64 answer[512] __attribute__((aligned(4096))); /* cannot be written: nothing is exchanged */
    make_ro(answer);
    x.out.extent_start = answer;
    CHECK_EQ(memory_op(XENMEM_exchange, &x), -14);
    CHECK_EQ(x.nr_exchanged, 0);
    x.out.extent_start = &out;
    CHECK_EQ(memory_op(XENMEM_exchange, &x), 0);
    CHECK_EQ(x.nr_exchanged, 4);
    CHECK_EQ(out & 3, 0);     /* aligned and contiguous */
    CHECK(out < (1UL << 20)); /* below 4 GiB */
    CHECK_EQ(memory_op(XENMEM_current_reservation, &self), before);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(remap(pages[i], (out + i) << 12 | PTE_P | PTE_W | PTE_U), 0);

    /* Hostile shapes and arrays (XSA-29, 31, 212). */
    struct xen_memory_exchange bad = x;

    bad.nr_exchanged = 0;
    bad.in.extent_order = 60;
    CHECK(memory_op(XENMEM_exchange, &bad) < 0);
    bad = x;
    bad.nr_exchanged = 0;
    bad.in.nr_extents = 1UL << 62;
    bad.out.nr_extents = 1UL << 60;
    CHECK_EQ(memory_op(XENMEM_exchange, &bad), -14); /* EFAULT: arrays out of range */
    bad = x;
    bad.nr_exchanged = 0;
    bad.out.extent_start = (void *)0xffff830000000000;
    CHECK_EQ(memory_op(XENMEM_exchange, &bad), -14);
    bad = x;
    bad.nr_exchanged = 0;
    bad.in.extent_start = (void *)0xffff7fffffffffe8;
    CHECK_EQ(memory_op(XENMEM_exchange, &bad), -14);
    bad = x;
    bad.in.domid = 5;
    CHECK(memory_op(XENMEM_exchange, &bad) < 0);
    bad = x;
    bad.nr_exchanged = ~0UL;
    CHECK_EQ(memory_op(XENMEM_exchange, &bad), -22);
    bad = x;
    bad.nr_exchanged = 0;
    bad.out.mem_flags = 13; /* below 8 KiB: there is none */
    CHECK(memory_op(XENMEM_exchange, &bad) < 0);
    CHECK_EQ(memory_op(XENMEM_current_reservation, &self), before);
}

static void maps(void)
{
    static struct e820entry e[128];
    struct xen_memory_map m = { 128, e };
    struct xen_machphys_mapping p;
    bool ram = false;

    CHECK_EQ(memory_op(XENMEM_machine_memory_map, &m), 0);
    for (u32 i = 0; i < m.nr_entries; i++)
        ram |= e[i].type == 1 && e[i].size > 1 << 20;
    CHECK(ram);
    CHECK_EQ(memory_op(XENMEM_machphys_mapping, &p), 0);
    CHECK_EQ(p.v_start, 0xffff800000000000);
    CHECK(memory_op(XENMEM_maximum_ram_page, 0) > 1000);
    CHECK_EQ(memory_op(63, 0), -38);
    m.buffer = (void *)0xffff830000000000;
    CHECK(memory_op(XENMEM_machine_memory_map, &m) < 0);
}

static void multicalls(void)
{
    struct multicall_entry e[3] = {
        { __HYPERVISOR_xen_version, 0, { XENVER_version } },
        { __HYPERVISOR_multicall, 0, { 0, 0 } },
        { 1000, 0, { 0 } },
    };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, e, 3), 0);
    CHECK_EQ(e[0].result, 0x40011);
    CHECK_EQ((long)e[1].result, -22);
    CHECK_EQ((long)e[2].result, -38);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, 0xffff830000000000, 0), -14);
    CHECK_EQ(hypercall(63, 0, 0, 0, 0, 0), -38);
    CHECK_EQ(hypercall(~0UL, 0, 0, 0, 0, 0), -38);
}

/* Older kernels call through a page of stubs, 32 bytes each. */
static void through_the_page(void)
{
    extern char hypercall_page[];
    long result;

    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(hypercall_page + 32 * __HYPERVISOR_xen_version), "D"((u64)XENVER_version), "S"(0UL)
                     : "memory", "rdx", "r8", "r9", "r10");
    CHECK_EQ(result, 0x40011);
    CHECK_EQ((u8)hypercall_page[32 * __HYPERVISOR_iret + 3], 0x50); /* iret's own form: push %rax */
}

void test_main(void)
{
    through_the_page();
    reservations();
    exchanges();
    maps();
    multicalls();
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_kexec_op, 4, 0), -95); /* refused in words, too */
}
