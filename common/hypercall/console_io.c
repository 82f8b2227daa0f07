/* SPDX-License-Identifier: MIT */
/* console_io: the hardware domain's hvc console on ours, and messages of other domains' kernels, a line at a time. */
#include <hv/console.h>
#include <hv/hypercall.h>
#include <hv/printk.h>

/* A full UART takes a millisecond for as much: others that print wait no longer, and interrupts come in between. */
#define PIECE 16

/* Kernels print here before they have a console of their own. What does not fit in a line goes on in the next one. */
static void add_to_line(struct domain *d, const char *s, u64 n)
{
    spin_lock_scope(&d->line_lock);
    for (u64 i = 0; i < n; i++) {
        if (s[i] != '\n' && s[i] != '\r')
            d->line[d->line_used++] = log_char(s[i]);
        if (s[i] != '\n' && d->line_used < sizeof(d->line))
            continue;
        printk(GUEST_DEBUG "d%u: %.*s\n", d->id, (int)d->line_used, d->line);
        d->line_used = 0;
    }
}

static long console_out(guest_ptr_t guest, u64 count)
{
    char buf[256];

    while (count) {
        u64 n = MIN(count, sizeof(buf));

        if (copy_from_guest(buf, guest, n))
            return -EFAULT;
        for (u64 i = 0; i < n; i += PIECE) {
            u64 part = MIN(n - i, (u64)PIECE);

            if (current->domain->is_hardware)
                console_write(buf + i, part, CONSOLE_SINKS);
            else
                add_to_line(current->domain, buf + i, part);
            preempt_point();
        }
        guest = guest_ptr_add(guest, n);
        count -= n;
        if (count && domain_work_point())
            return hypercall_again(__HYPERVISOR_console_io, (const u64[]){ CONSOLEIO_write, count, guest.va }, 3);
    }
    return 0;
}

static long console_in(guest_ptr_t guest, u64 count)
{
    char buf[256];

    if (!current->domain->is_hardware)
        return -EPERM;
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
