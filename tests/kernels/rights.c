/* SPDX-License-Identifier: MIT */
/* dom0 has all devices, gives some of them up, and cannot have them back. */
#include "guest.h"
#include <public/domctl.h>
#include <public/physdev.h>

static struct xen_domctl op;

static long domctl(u32 cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = DOMID_SELF;
    return HYPERCALL1(__HYPERVISOR_domctl, &op);
}

static long port(u32 first, u32 count, u8 allow)
{
    op.u.ioport_permission = (struct xen_domctl_ioport_permission){ first, count, allow };
    return domctl(XEN_DOMCTL_ioport_permission);
}

static long frames(u64 first, u64 count, u8 allow)
{
    op.u.iomem_permission = (struct xen_domctl_iomem_permission){ first, count, allow };
    return domctl(XEN_DOMCTL_iomem_permission);
}

static long gsi(u32 n, u8 allow)
{
    op.u.irq_permission = (struct xen_domctl_irq_permission){ .pirq = n, .allow_access = allow };
    return domctl(XEN_DOMCTL_irq_permission);
}

static long map(int n)
{
    struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = n, .pirq = n };

    return HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &m);
}

void test_main(void)
{
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    outb(0x70, 13);
    CHECK(inb(0x71) != 0xff);
    CHECK_EQ(port(0x71, 1, 1), 0);
    CHECK_EQ(port(0x71, 1, 0), 0);
    CHECK_EQ(inb(0x71), 0xff);
    CHECK_EQ(port(0x71, 1, 1), -1);
    CHECK_EQ(port(0x70, 4, 0), -1);
    CHECK_EQ(port(0x70, 0, 0), -22);
    CHECK_EQ(port(0xffff, 2, 0), -22);
    CHECK_EQ(port(~0u, 2, 0), -22);

    CHECK_EQ(frames(0xd0000, 16, 0), 0);
    CHECK_EQ(frames(0xd0000, 1, 1), -1);
    CHECK_EQ(frames(0xcffff, 2, 0), -1);
    CHECK_EQ(frames(0xd0010, 1, 1), 0);
    CHECK_EQ(frames(0xd0010, 0, 1), -22);
    CHECK_EQ(frames(~0UL, 2, 1), -22);

    CHECK_EQ(map(10), 0);
    CHECK_EQ(gsi(11, 0), 0);
    CHECK_EQ(map(11), -1);
    CHECK_EQ(gsi(11, 1), -1);
    CHECK_EQ(gsi(4096, 1), -22);
}
