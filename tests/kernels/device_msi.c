/* Interrupt messages: a guest says which device and which entry, the hypervisor where the message goes, and only into registers of devices. */
#include "guest.h"

#define CAP_MSI 0x05
#define XHCI (5u << 3)     /* MSI-X, its table at 3000h in BAR 0, of 64 bits */
#define AHCI (0x1fu << 3 | 2)

static void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static u32 inl(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static u32 get(u32 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    return inl(0xcfc);
}
static void set(u32 devfn, u32 reg, u32 v)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    outl(0xcfc, v);
}

static u64 map(u32 devfn, bool msix)
{
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = -1, .pirq = -1, .devfn = (int)devfn, .table_base = msix };
    long rc = HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &m);
    struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = m.pirq };

    if (!rc)
        CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, &u), 0);
    return (u64)rc;
}

static void places(void)
{
    static const struct {
        u32 low, high;
    } wrong[] = {
        { 0, 0x00ffffff }, { 0, 0x80000000 }, { 0xfffff000, 0xffffffff }, /* wider than addresses are */
        { 0, 0 }, { 0x00100000, 0 }, { 0x08000000, 0 },                   /* RAM, and below the first MiB */
        { 0xfee00000, 0 }, { 0xfee40000, 0 },                             /* messages, the local APIC */
    };
    u32 low = get(XHCI, 0x10), high = get(XHCI, 0x14), ram[4];
    u8 *page = page_new();

    CHECK_EQ(get(XHCI, 0), 0x000d1b36);
    CHECK_EQ(map(XHCI, true), 0);
    for (u32 i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        set(XHCI, 0x10, wrong[i].low);
        set(XHCI, 0x14, wrong[i].high);
        CHECK_EQ(map(XHCI, true), -22);
    }
    /* A page of ours: nothing is written to it. */
    u64 at = va_to_mfn(page) << 12;

    set(XHCI, 0x10, (u32)(at & ~0x3fffUL));
    set(XHCI, 0x14, (u32)(at >> 32));
    CHECK_EQ(map(XHCI, true), -22);
    memory_copy(ram, page, sizeof(ram));
    CHECK_EQ(ram[0] | ram[1] | ram[2] | ram[3], 0);
    set(XHCI, 0x10, low);
    set(XHCI, 0x14, high);
    CHECK_EQ(map(XHCI, true), 0);
}

static void messages(void)
{
    u32 cap = get(AHCI, 0x34) & 0xfc;

    while (cap && (get(AHCI, cap) & 0xff) != CAP_MSI)
        cap = get(AHCI, cap) >> 8 & 0xfc;
    CHECK(cap != 0);
    bool wide = get(AHCI, cap) >> 16 & 0x80;
    u32 data = cap + (wide ? 12 : 8);

    CHECK_EQ(map(AHCI, false), 0);
    u32 was_address = get(AHCI, cap + 4), was_data = get(AHCI, data);

    set(AHCI, cap + 4, 0xfee0100c);
    set(AHCI, data, 0x0500); /* INIT */
    CHECK_EQ(get(AHCI, cap + 4), was_address);
    CHECK_EQ(get(AHCI, data), was_data);
    outl(0xcf8, 0x80000000u | AHCI << 8 | data);
    outb(0xcfd, 0x04); /* NMI, by its byte alone */
    CHECK_EQ(get(AHCI, data), was_data);
    CHECK_EQ(was_data & 0x700, 0);
    /* Its other registers are dom0's. */
    u32 line = get(AHCI, 0x3c);

    set(AHCI, 0x3c, line ^ 0x5);
    CHECK_EQ(get(AHCI, 0x3c), line ^ 0x5);
    set(AHCI, 0x3c, line);
}

void test_main(void)
{
    struct physdev_set_iopl i = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &i), 0);
    places();
    messages();
}
