/* SPDX-License-Identifier: MIT */
/* Descriptor tables: what may stand in them, and that nothing in them leads to ring 0. */
#include "guest.h"

#define CODE64 0x00af9a000000ffffUL
#define DATA 0x00cf92000000ffffUL

static long set_gdt(u64 *page, u32 entries)
{
    u64 frame = va_to_mfn(page);

    return HYPERCALL2(__HYPERVISOR_set_gdt, &frame, entries);
}

static u64 machine(const void *va) { return va_to_mfn(va) << 12 | ((u64)va & 4095); }
static long update(u64 *slot, u64 desc) { return HYPERCALL2(__HYPERVISOR_update_descriptor, machine(slot), desc); }
static void load_ds(u16 sel) { __asm__ volatile("mov %0, %%ds" ::"r"(sel)); }
static void load_ss(u16 sel) { __asm__ volatile("mov %0, %%ss; mov %1, %%ss" ::"r"(sel), "r"((u16)FLAT_SS)); }

static bool refused(u64 desc)
{
    u64 *page = page_new();

    page[3] = desc;
    if (make_ro(page))
        return false;
    bool r = set_gdt(page, 512) < 0;

    if (!r) {
        u64 *empty = page_new();

        make_ro(empty);
        set_gdt(empty, 512);
    }
    return r;
}

void test_main(void)
{
    u64 *gdt = page_new();

    gdt[1] = CODE64;
    gdt[2] = DATA;
    gdt[3] = DATA | 0x5000UL << 16 | 0x34UL << 32 | 0x12UL << 56; /* its base is nothing in 64-bit mode */
    CHECK(set_gdt(gdt, 512) < 0);                                 /* mapped writable */
    CHECK_EQ(make_ro(gdt), 0);
    CHECK_EQ(set_gdt(gdt, 512), 0);
    CHECK(make_rw(gdt) < 0);
    /* DPL 0 code and data became the guest's ring. */
    CHECK_EQ((gdt[1] >> 45) & 3, 3);
    CHECK_EQ((gdt[2] >> 45) & 3, 3);
    load_ds(0x13);
    load_ds(0x1b);
    CHECK(HYPERCALL2(__HYPERVISOR_xen_version, 0, 0) > 0);
    load_ds(0);
    load_ss(0x13);

    /* System descriptors that the processor would act on: TSS, LDT, gates. */
    CHECK(refused(0x0000890000000067));
    CHECK(refused(0x0000820000000067));
    CHECK(refused(0x00008e0000080000));
    CHECK(refused(0x00008f0000080000));
    CHECK(refused(0x00ef9a000000ffff));  /* L and D both */
    CHECK(refused(0x00008c00e0080000));  /* call gate into the hypervisor's segment */
    CHECK(!refused(0x0000090000000067)); /* not present: only data */
    CHECK_EQ(set_gdt(gdt, 512), 0);

    CHECK(update(&gdt[5], 0x0000890000000067) < 0);
    CHECK_EQ(update(&gdt[5], DATA), 0);
    CHECK_EQ((gdt[5] >> 45) & 3, 3);
    CHECK_EQ(update(&gdt[5], 0), 0);
    /* Not-present segments: #NP for data, #SS for the stack, with the selector. */
    CHECK_EQ(update(&gdt[6], (DATA | 3UL << 45) & ~(1UL << 47)), 0);
    CHECK(TRAPS(11, load_ds(0x33)));
    CHECK_EQ(last_trap.error, 0x30);
    CHECK(TRAPS(12, load_ss(0x33)));
    CHECK_EQ(last_trap.error, 0x30);
    /* A call gate is kept, with DPL 0: its use faults. */
    CHECK_EQ(update(&gdt[7], 0x0000ec0000080000), 0);
    CHECK_EQ((gdt[7] >> 45) & 3, 0);

    /* update_descriptor is no way to write page tables or others' memory. */
    CHECK(update((u64 *)start_info->pt_base, DATA) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_update_descriptor, 0x200000, DATA) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_update_descriptor, machine(&gdt[5]) + 4, DATA) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_update_descriptor, ~7UL, DATA) < 0);

    /* The reserved part and bad arguments. */
    CHECK(set_gdt(gdt, 7169) < 0);
    CHECK(HYPERCALL2(__HYPERVISOR_set_gdt, 0xffff830000000000, 512) < 0);
    CHECK(TRAPS(13, load_ds(0xe008)));
    CHECK(TRAPS(13, load_ds(0xe040)));
    CHECK(TRAPS(13, load_ds(0x1000 | 3))); /* a page of the window without a frame */
    CHECK_EQ(last_trap.error, 0x1000);

    /* LDT: mapped on demand. */
    u64 *ldt = page_new();

    ldt[1] = DATA;
    CHECK_EQ(make_ro(ldt), 0);
    CHECK(mmuext(MMUEXT_SET_LDT, (u64)ldt + 8, 512) < 0);
    CHECK(mmuext(MMUEXT_SET_LDT, 0xffff830000000000, 512) < 0);
    CHECK(mmuext(MMUEXT_SET_LDT, (u64)ldt, 8193) < 0);
    CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
    load_ds(0xf);
    CHECK(make_rw(ldt) < 0);
    load_ds(0);
    CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    CHECK_EQ(make_rw(ldt), 0);
    CHECK(TRAPS(13, load_ds(0xf)));

    /* Segment bases: canonical ones only; a bad user selector loads null. */
    CHECK(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0x8000000000000000) < 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_FS, (u64)gdt), 0);
    u64 through_fs;

    __asm__ volatile("mov %%fs:8, %0" : "=r"(through_fs));
    CHECK_EQ(through_fs, gdt[1]);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0x5550), 0);
}
