/* SPDX-License-Identifier: MIT */
/* Frames of others: dom0 maps, pins and changes what belongs to a guest, to the hypervisor or to nobody, as far as it may. */
#include "domains.h"

#define FRAMES 16
#define VGA_FRAME 0xa0UL
#define TABLE (PTE_P | PTE_W | PTE_U | PTE_A)

static u8 window[2 * PAGE_SIZE] __attribute__((aligned(4096)));
static u64 mfns[FRAMES], m2p[64], own[2];
static domid_t id;

#define WORDS ((volatile u64 *)window)
static void window_back(u32 i) { CHECK_EQ(map_foreign(window + i * PAGE_SIZE, own[i], DOMID_SELF), 0); }

static long update_as(u64 ptr, u64 val, u32 domids)
{
    struct mmu_update u = { ptr, val };

    return HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, domids);
}

/* A frame is mapped in the name of its owner, by each way, and of nobody else. */
static void owners(void)
{
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | WRITABLE, id), 0);
    WORDS[5] = 0x1234;
    CHECK_EQ(map_as(MMU_PT_UPDATE_NO_TRANSLATE, window + PAGE_SIZE, mfns[0] << 12 | READ_ONLY, id), 0);
    CHECK_EQ(WORDS[512 + 5], 0x1234);
    window_back(1);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, DOMID_SELF), -22);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, DOMID_IO), -22);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, DOMID_XEN), -22);
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | WRITABLE, id + 1), -3);
    CHECK_EQ(map_foreign(window, (own[0] & PTE_ADDR) | WRITABLE, id), -22);
    CHECK_EQ(map_foreign(window, 0xfffffff000UL << 12 | WRITABLE, id), -22);
    CHECK_EQ(WORDS[5], 0x1234); /* what is refused leaves the old entry */
    /* Flags of an entry change without its owner's name, its right to be written does not. */
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | (WRITABLE & ~PTE_NX), DOMID_SELF), 0);
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | READ_ONLY, DOMID_SELF), -22);
    window_back(0);
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_update_va_mapping_otherdomain, window, mfns[0] << 12 | WRITABLE, 2, id), 0);
    CHECK_EQ(WORDS[5], 0x1234);
    window_back(0);
}

/* Device memory needs the rights of all who are named. */
static void device_memory(void)
{
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, DOMID_SELF), 0);
    window_back(0);
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, DOMID_IO), 0);
    window_back(0);
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, id), -1);
    domctl_op.u.iomem_permission = (struct xen_domctl_iomem_permission){ VGA_FRAME, 1, 1 };
    CHECK_EQ(domctl(XEN_DOMCTL_iomem_permission, id), 0);
    CHECK_EQ(map_foreign(window, VGA_FRAME << 12 | WRITABLE, id), 0);
    window_back(0);
}

/* The toolstack reads the M2P table by its frames. */
static void hypervisor_frames(void)
{
    struct xen_machphys_mfn_list list = { .max_extents = 64 };
    u64 own_mfn = (own[0] & PTE_ADDR) >> 12;

    *(u64 **)&list.extent_start = m2p;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, &list), 0);
    CHECK_EQ(list.nr_extents, 1); /* a table of 2 MiB names 1 GiB of memory */
    u64 frame = m2p[0] + own_mfn / 512;

    CHECK_EQ(map_foreign(window, frame << 12 | WRITABLE, DOMID_XEN), -22);
    CHECK_EQ(map_foreign(window, frame << 12 | READ_ONLY, DOMID_SELF), -22);
    CHECK_EQ(map_foreign(window, frame << 12 | READ_ONLY, DOMID_XEN), 0);
    CHECK_EQ(WORDS[own_mfn % 512], ((u64 *)0xffff800000000000UL)[own_mfn]);
    window_back(0);
    CHECK_EQ(mmuext_of(DOMID_XEN, MMUEXT_PIN_L1_TABLE, frame), -22);
    CHECK_EQ(mmuext_of(DOMID_XEN, MMUEXT_CLEAR_PAGE, frame), -22);
    list.max_extents = 0;
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, &list), 0);
    CHECK_EQ(list.nr_extents, 0);
}

/* A guest's tables: written through a mapping, pinned, then changed by the hypervisor alone, and only to map the guest's own frames. */
static void tables(void)
{
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, id), 0);
    WORDS[0] = mfns[2] << 12 | TABLE;
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[1]), -22); /* it can be written */
    window_back(0);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[1]), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[1]), -22);
    CHECK_EQ(mmuext_of(DOMID_SELF, MMUEXT_UNPIN_TABLE, mfns[1]), -22);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | WRITABLE, id), -22);
    CHECK_EQ(map_foreign(window, mfns[1] << 12 | READ_ONLY, id), 0);
    CHECK_EQ(WORDS[0], mfns[2] << 12 | TABLE);

    u64 at = (mfns[1] << 12) + 8;
    u32 of_guest = (u32)(id + 1) << 16;

    CHECK_EQ(update_as(at, mfns[3] << 12 | TABLE, of_guest | id), 0);
    CHECK_EQ(WORDS[1], mfns[3] << 12 | TABLE);
    CHECK_EQ(update_as(at, mfns[3] << 12 | TABLE, id), -22); /* no table of the caller's */
    CHECK_EQ(update_as(at, (own[0] & PTE_ADDR) | TABLE, of_guest | id), -22);
    CHECK_EQ(update_as(at, (own[0] & PTE_ADDR) | TABLE, of_guest | DOMID_SELF), -1);
    CHECK_EQ(update_as(at, m2p[0] << 12 | PTE_P | PTE_U | PTE_A, of_guest | DOMID_XEN), -1);
    CHECK_EQ(update_as(at, mfns[4] << 12 | TABLE, of_guest | (u32)(id + 1)), -3);
    CHECK_EQ(WORDS[1], mfns[3] << 12 | TABLE);
    CHECK_EQ(update_as(at, 0, of_guest | id), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_UNPIN_TABLE, mfns[1]), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_UNPIN_TABLE, mfns[1]), -22);
    window_back(0);
    /* The M2P entry of a guest's frame. */
    CHECK_EQ(update_as(mfns[3] << 12 | MMU_MACHPHYS_UPDATE, 77, id), 0);
    CHECK_EQ(((u64 *)0xffff800000000000UL)[mfns[3]], 77);
    CHECK_EQ(update_as(mfns[3] << 12 | MMU_MACHPHYS_UPDATE, 78, DOMID_SELF), -22);
    /* What acts on a vCPU's own address space acts on nobody else's. */
    CHECK_EQ(mmuext_of(id, MMUEXT_NEW_BASEPTR, mfns[1]), -1);
}

/* Stores of dom0's kernel to an entry that maps a frame of the guest's: flags and the end go, the right to write and other frames do not. */
static void by_stores(void)
{
    volatile u64 *slot = pte_of(window, 1);
    u64 v = 0;

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    CHECK_EQ(map_foreign(window, mfns[0] << 12 | READ_ONLY, id), 0);
    __asm__ volatile("lock andb $0xdf, %0" : "+m"(*(volatile u8 *)slot)); /* accessed */
    CHECK_EQ(*slot & PTE_A, 0);
    CHECK(TRAPS(14, *slot |= PTE_W));
    CHECK(TRAPS(14, *slot = mfns[5] << 12 | READ_ONLY));
    CHECK_EQ(*slot & PTE_ADDR, mfns[0] << 12);
    __asm__ volatile("xchg %0, %1" : "+r"(v), "+m"(*slot));
    CHECK_EQ(v & PTE_ADDR, mfns[0] << 12);
    CHECK(TRAPS(14, *slot = v)); /* as a move of the mapping would */
    window_back(0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
}

/* A table of dom0's that maps frames of the guest's, and is let go of: the frames go, and with what it says it is no table any more. */
static void let_go(void)
{
    u64 *table = page_new();
    u64 mfn = va_to_mfn(table), at = mfn << 12;

    CHECK_EQ(make_ro(table), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
    CHECK_EQ(update_as(at, mfns[6] << 12 | WRITABLE, id), 0);
    CHECK_EQ(update_as(at + 8, mfns[7] << 12 | READ_ONLY, id), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[6]), -22); /* mapped writable */
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[7]), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_UNPIN_TABLE, mfns[7]), 0);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_PIN_L1_TABLE, mfns[6]), 0);
    CHECK_EQ(mmuext_of(id, MMUEXT_UNPIN_TABLE, mfns[6]), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), -22);
    CHECK_EQ(make_rw(table), 0);
    memory_set(table, 0, PAGE_SIZE);
}

void test_main(void)
{
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    u64 before = free_frames();

    for (u32 round = 0; round < 2; round++) {
        before = free_frames();
        for (u32 i = 0; i < 2; i++)
            own[i] = *pte_of(window + i * PAGE_SIZE, 1);
        id = domain_new(1, FRAMES);
        domain_populate(id, mfns, FRAMES);
        owners();
        device_memory();
        hypervisor_frames();
        tables();
        by_stores();
        let_go();
        domain_destroy(id);
        CHECK(!domain_exists(id));
    }
    CHECK_EQ(free_frames(), before);
}
