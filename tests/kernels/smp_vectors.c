/* SPDX-License-Identifier: MIT */
/*
 * Vectors of device interrupts on two CPUs: more of them than one CPU has, an honest end, and interrupts that follow when their CPU
 * goes offline. Devices: QEMU's edu (one MSI, raised by a register) in slot 5, one with 600 MSI-X entries in slot 6.
 */
#include "pci.h"
#include "smp.h"

#define EDU (5 << 3)
#define MANY (6 << 3)
#define ENTRIES 600
#define VECTORS_OF_ONE 191
#define EDU_RAISE (0x60 / 4)
#define EDU_ACKNOWLEDGE (0x64 / 4)

/* The PIRQ, or an error. */
static long map_msi(u32 devfn, u32 entry, u64 table)
{
    struct physdev_map_pirq m = { .domid = DOMID_SELF,
                                  .type = MAP_PIRQ_TYPE_MSI,
                                  .index = -1,
                                  .pirq = -1,
                                  .devfn = (int)devfn,
                                  .entry_nr = (int)entry,
                                  .table_base = table };
    long rc = HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &m);

    return rc ? rc : m.pirq;
}

static long unmap(long pirq)
{
    struct physdev_unmap_pirq u = { DOMID_SELF, (int)pirq };

    return HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, &u);
}

static volatile u32 *edu;
static u32 port;

/* True: the event came. */
static bool raise(void)
{
    volatile u64 *word = (volatile u64 *)&shared_info->evtchn_pending[port / 64];
    u64 end = smp_time(0) + 5000000000UL;

    __atomic_fetch_and(word, ~(1UL << port % 64), __ATOMIC_SEQ_CST);
    edu[EDU_RAISE] = 1;
    while (!(*word >> port % 64 & 1) && smp_time(0) < end)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    edu[EDU_ACKNOWLEDGE] = 1;
    return *word >> port % 64 & 1;
}

static void set_up_edu(void)
{
    void *page = page_new();
    long pirq = map_msi(EDU, 0, 0);
    struct evtchn_bind_pirq b = { (u32)pirq, 0, 0 };

    CHECK(pirq > 0);
    pci_write(EDU, 4, pci_read(EDU, 4) | 6); /* memory, bus master */
    CHECK_EQ(remap(page, (pci_read(EDU, 0x10) & ~15UL) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PCD | PTE_NX), 0);
    edu = page;
    CHECK_EQ(edu[0] & 0xff, 0xed);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, &b), 0);
    port = b.port;
}

void test_main(void)
{
    struct physdev_set_iopl iopl = { 1 };
    static long pirqs[ENTRIES];
    u32 n = 0;

    events_mask();
    HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl);
    pci_write(MANY, 4, pci_read(MANY, 4) | 6);
    pirqs[n++] = map_msi(MANY, 0, 1); /* on one CPU: the next goes to the other */
    set_up_edu();
    CHECK(raise());
    while (n < ENTRIES && (pirqs[n] = map_msi(MANY, n, 1)) >= 0)
        n++;
    print("0x%x interrupts\n", n);
    CHECK(n > VECTORS_OF_ONE + 100 && n <= 2 * VECTORS_OF_ONE);
    CHECK(n < ENTRIES && pirqs[n] == -28);
    CHECK(raise());
    CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 1), -28); /* no room for its interrupts */
    CHECK(raise());
    while (n > 4)
        CHECK_EQ(unmap(pirqs[--n]), 0);
    for (u32 round = 0; round < 5; round++) {
        CHECK_EQ(smp_cpu_change(XENPF_cpu_offline, 1), 0);
        CHECK(raise());
        CHECK_EQ(smp_cpu_change(XENPF_cpu_online, 1), 0);
        CHECK(raise());
    }
    CHECK(map_msi(MANY, 100, 1) > 0);
}
