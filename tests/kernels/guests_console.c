/* SPDX-License-Identifier: MIT */
/* What a guest's kernel prints before it has a console: whole lines, with its domain, harmless, at guest_loglvl=debug. Only dom0 reads. */
#include "domu.h"
#include <public/sysctl.h>

static char text[32768];

static long say(const char *s, u64 n) { return HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_write, n, s); }

static void speaks(u64 arg)
{
    static const char line[] = "one line\nand \033[6none more\n\n";

    (void)arg;
    for (u32 i = 0; i < sizeof(line) - 1; i++)
        CHECK_EQ(say(line + i, 1), 0);
    memory_set(text, 'x', 200);
    CHECK_EQ(say(text, 200), 0);
    CHECK_EQ(say("\r\n", 2), 0);
    CHECK_EQ(say("never finished", 14), 0);
    CHECK_EQ(say((void *)0xffff830000000000, 1), -14);
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_read, 1, text), -1);
}

static void floods(u64 arg)
{
    memory_set(text, '\n', sizeof(text));
    CHECK_EQ(say(text, arg), 0);
}

void test_main(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    static struct domu g;

    for (u32 i = 0; i < 2; i++) {
        domu_new(&g, 1, i ? floods : speaks, 10000);
        CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
        domu_destroy(&g);
    }
    /* Of the flood there is little in the log. */
    op.u.readconsole.buffer = (u64)text;
    op.u.readconsole.count = sizeof(text);
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_sysctl, &op), 0);
    CHECK(op.u.readconsole.count > 100 && op.u.readconsole.count < sizeof(text) / 2);
}
