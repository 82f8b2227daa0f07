/* SPDX-License-Identifier: MIT */
/* Rights to device memory, ports and interrupts, and the ports' gate. */
#include "fakes.h"

#include <stdlib.h>

#include <hv/io_rights.h>
#include <hv/pci.h>
#include <hv/pv.h>
#include <hv/serial.h>
#include <hv/x86/processor.h>

static u32 reads, writes, config_reads;
static u16 port_written[8];

u8 fake_inb(u16 port)
{
    (void)port;
    reads++;
    return 0x11;
}
void fake_outb(u16 port, u8 v)
{
    (void)v;
    port_written[writes++ % 8] = port;
}
static u32 fake_port_in(u16 port, unsigned bytes)
{
    (void)port;
    reads++;
    return bytes == 4 ? 0x11111111 : bytes == 2 ? 0x1111 : 0x11;
}
static void fake_port_out(u16 port, unsigned bytes, u32 v)
{
    (void)bytes;
    (void)v;
    port_written[writes++ % 8] = port;
}
#define port_in fake_port_in
#define port_out fake_port_out
#include "../../arch/x86/pv/emulate/io.c"

bool serial_owns_port(u16 port) { return port >= 0x3f8 && port < 0x400; }
bool serial_owns_card(u16 bdf)
{
    (void)bdf;
    return false;
}
bool msi_message_at(u16 bdf, u16 reg, unsigned bytes)
{
    (void)bdf;
    (void)reg;
    (void)bytes;
    return false;
}
u32 pci_config_read(u16 bdf, u16 reg, unsigned bytes)
{
    (void)bdf;
    (void)reg;
    (void)bytes;
    config_reads++;
    return 0;
}
void pci_config_write(u16 bdf, u16 reg, unsigned bytes, u32 v)
{
    (void)bdf;
    (void)reg;
    (void)bytes;
    (void)v;
}

/* ---- device memory: beside a bit for each frame ---- */
#define FRAMES 200

static void sets_of_frames(void **state)
{
    (void)state;
    static struct io_rights r;
    bool model[FRAMES] = { false };
    u32 full = 0;

    io_rights_init(&r, false);
    srand(1);
    for (u32 i = 0; i < 20000; i++) {
        u32 first = (u32)rand() % FRAMES, last = first + (u32)rand() % 3 % (FRAMES - first);
        bool allow = rand() % 2;
        int rc = io_rights_iomem(&r, first, last, allow);

        assert_true(!rc || (rc == -ENOSPC && r.nr_iomem == MAX_IOMEM_RANGES));
        full += !!rc;
        for (u32 f = first; !rc && f <= last; f++)
            model[f] = allow;
        u32 runs = 0;

        for (u32 f = 0; f < FRAMES; f++) {
            runs += model[f] && (!f || !model[f - 1]);
            assert_int_equal(io_rights_has_iomem(&r, f, f), model[f]);
        }
        assert_int_equal(r.nr_iomem, runs); /* none touches another */
        first = (u32)rand() % FRAMES, last = first + (u32)rand() % 3 % (FRAMES - first);
        bool whole = true;

        for (u32 f = first; f <= last; f++)
            whole &= model[f];
        assert_int_equal(io_rights_has_iomem(&r, first, last), whole);
        assert_int_equal(io_rights_caching(&r), runs != 0);
    }
    assert_true(full);
}

static void ends_of_numbers(void **state)
{
    (void)state;
    static struct io_rights r;

    io_rights_init(&r, true);
    assert_true(io_rights_has_iomem(&r, 0, MAX_IOMEM) && io_rights_has_port(&r, 0xffff) && io_rights_has_pirq(&r, MAX_PIRQS - 1));
    assert_false(io_rights_has_iomem(&r, MAX_IOMEM, MAX_IOMEM + 1) || io_rights_has_pirq(&r, MAX_PIRQS) || io_rights_has_pirq(&r, ~0u));
    assert_int_equal(io_rights_iomem(&r, 0, MAX_IOMEM, false), 0);
    assert_int_equal(r.nr_iomem, 0);
    assert_int_equal(io_rights_iomem(&r, 5, 4, true), -EINVAL);
    assert_int_equal(io_rights_iomem(&r, 0, MAX_IOMEM + 1, true), -EINVAL);
    assert_int_equal(io_rights_iomem(&r, ~0ULL, ~0ULL, true), -EINVAL);
    assert_int_equal(io_rights_iomem(&r, MAX_IOMEM, MAX_IOMEM, true), 0);
    assert_int_equal(io_rights_ports(&r, 0xffff, 2, false), -EINVAL);
    assert_int_equal(io_rights_ports(&r, ~0u, 2, false), -EINVAL);
    assert_int_equal(io_rights_ports(&r, 1, ~0u, false), -EINVAL);
    assert_int_equal(io_rights_ports(&r, 0xfffe, 2, false), 0);
    assert_false(io_rights_has_port(&r, 0xffff));
    assert_true(io_rights_has_port(&r, 0xfffd));
    assert_int_equal(io_rights_pirq(&r, MAX_PIRQS, false), -EINVAL);
    assert_int_equal(io_rights_pirq(&r, 64, false), 0);
    assert_true(!io_rights_has_pirq(&r, 64) && io_rights_has_pirq(&r, 63) && io_rights_has_pirq(&r, 65));
}

static void ports_at_their_gate(void **state)
{
    (void)state;
    static struct domain dom0, u;
    struct vcpu v = { .domain = &u }, first = { .domain = &dom0 };

    io_rights_init(&dom0.io, true);
    dom0.is_hardware = true;
    io_rights_init(&u.io, false);
    pv_hide_ports();
    assert_int_equal(pv_io_read(&v, 0x300, 1), 0xff);
    pv_io_write(&v, 0x300, 4, 0);
    assert_int_equal(reads + writes, 0);
    /* Of an access that goes beyond what it has, the part that it has is done. */
    assert_int_equal(io_rights_ports(&u.io, 0x300, 2, true), 0);
    assert_int_equal(pv_io_read(&v, 0x300, 2), 0x1111);
    assert_int_equal(pv_io_read(&v, 0x301, 4), 0xffffff11);
    reads = 0;
    pv_io_write(&v, 0x2ff, 4, 0);
    assert_int_equal(writes, 2);
    assert_true(port_written[0] == 0x300 && port_written[1] == 0x301);
    /* What the hypervisor drives, and configuration space, come with no right to their ports. */
    assert_int_equal(io_rights_ports(&u.io, 0, NR_PORTS, true), 0);
    v.pv.pci_cf8 = first.pv.pci_cf8 = 0x80000000;
    assert_int_equal(pv_io_read(&v, 0x3f8, 1), 0xff);
    assert_int_equal(pv_io_read(&first, 0x3f8, 1), 0xff);
    assert_int_equal(pv_io_read(&v, 0xcfc, 4), 0xffffffff);
    assert_int_equal(config_reads, 0);
    assert_int_equal(pv_io_read(&first, 0xcfc, 4), 0);
    assert_int_equal(config_reads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sets_of_frames), cmocka_unit_test(ends_of_numbers),
                                        cmocka_unit_test(ports_at_their_gate) };

    return cmocka_run_group_tests_name("io_rights", tests, NULL, NULL);
}
