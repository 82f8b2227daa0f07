/* SPDX-License-Identifier: MIT */
/* console_io: the hardware domain's hvc console on ours. */
#include <hv/console.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/softirq.h>

/* A full UART takes a millisecond for as much: others that print wait no longer, and interrupts come in between. */
#define PIECE 16

static long console_out(guest_ptr_t guest, u64 count)
{
    char buf[256];

    while (count) {
        u64 n = MIN(count, sizeof(buf));

        if (copy_from_guest(buf, guest, n))
            return -EFAULT;
        for (u64 i = 0; i < n; i += PIECE) {
            console_write(buf + i, MIN(n - i, (u64)PIECE), CONSOLE_SINKS);
            preempt_point();
        }
        guest = guest_ptr_add(guest, n);
        count -= n;
    }
    return 0;
}

static long console_in(guest_ptr_t guest, u64 count)
{
    char buf[256];
    size_t n = console_read_dom0(buf, MIN(count, sizeof(buf)));

    return copy_to_guest(guest, buf, n) ? -EFAULT : (long)n;
}

long do_console_io(u64 cmd, u64 count, guest_ptr_t buffer)
{
    switch ((u32)cmd) {
    case CONSOLEIO_write: return console_out(buffer, (u32)count);
    case CONSOLEIO_read: return console_in(buffer, (u32)count);
    default: return hypercall_not_offered(__HYPERVISOR_console_io, cmd);
    }
}
