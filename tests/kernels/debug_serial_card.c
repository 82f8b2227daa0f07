/* The serial card that the hypervisor writes to, at 00:09.0: its configuration cannot be changed, its ports cannot be reached. */
#include "guest.h"

#define CARD 0x80004800u

static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline u32 inl(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static u32 config_read(u32 reg)
{
    outl(0xcf8, CARD | reg);
    return inl(0xcfc);
}

static void config_write(u32 reg, u32 v)
{
    outl(0xcf8, CARD | reg);
    outl(0xcfc, v);
}

void test_main(void)
{
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);

    u32 command = config_read(4), bar = config_read(0x10);

    CHECK_EQ(config_read(0), 0x00021b36);
    CHECK(bar & 1);
    config_write(4, 0);
    config_write(0x10, ~0u);
    CHECK_EQ(config_read(4), command);
    CHECK_EQ(config_read(0x10), bar);
    CHECK_EQ(inb((u16)((bar & ~3u) + 5)), 0xff);
    outb((u16)((bar & ~3u) + 3), 0x80);
}
