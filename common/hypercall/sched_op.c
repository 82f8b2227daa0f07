/* SPDX-License-Identifier: MIT */
/* sched_op and set_timer_op: a vCPU gives up its processor, its domain ends. */
#include <hv/evtchn.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>
#include <hv/nospec.h>
#include <hv/printk.h>
#include <hv/softirq.h>

#define POLL_MAX_PORTS 128

static long op_yield(guest_ptr_t arg)
{
    (void)arg;
    current->sched.yields = true;
    softirq_raise(SOFTIRQ_SCHEDULE);
    return 0;
}

static long op_block(guest_ptr_t arg)
{
    struct vcpu *v = current;
    (void)arg;

    if (v->info) {
        WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
        vcpu_pause_flag_set(v, PAUSE_BLOCKED);
        /* An event that came between the two lines found the vCPU not blocked and woke nobody: so look again, behind the flag. */
        if (READ_ONCE(v->info->evtchn_upcall_pending))
            vcpu_unblock(v);
    }
    return 0;
}

static long op_poll(guest_ptr_t arg)
{
    struct vcpu *v = current;
    struct sched_poll p;
    u32 ports[POLL_MAX_PORTS];

    if (copy_from_guest(&p, arg, sizeof(p)))
        return -EFAULT;
    if (p.nr_ports > POLL_MAX_PORTS)
        return -EINVAL;
    p.nr_ports = (u32)index_nospec(p.nr_ports, POLL_MAX_PORTS + 1);
    if (copy_from_guest(ports, p.ports, p.nr_ports * sizeof(u32)))
        return -EFAULT;
    int pending = evtchn_any_pending(v->domain, ports, p.nr_ports);

    if (pending)
        return MIN(pending, 0);
    timer_stop(&v->poll_timer); /* of an earlier poll that an event ended */
    v->poll_port = p.nr_ports == 1 ? ports[0] : 0;
    vcpu_pause_flag_set(v, PAUSE_POLL); /* then look once more: wake_pollers() is the other side */
    if (evtchn_any_pending(v->domain, ports, p.nr_ports) ||
        (v->info && READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask)))
        vcpu_pause_flag_clear(v, PAUSE_POLL);
    else if (p.timeout)
        timer_set(&v->poll_timer, p.timeout);
    return 0;
}

static long op_shutdown(guest_ptr_t arg)
{
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s)))
        return -EFAULT;
    domain_shutdown(current->domain, (u8)s.reason); /* as much of it as the ABI's toolstack keeps */
    return 0;
}

static long op_remote_shutdown(guest_ptr_t arg)
{
    struct sched_remote_shutdown s;

    if (!current->domain->is_control)
        return -EPERM;
    if (copy_from_guest(&s, arg, sizeof(s)))
        return -EFAULT;
    struct domain *d __held_domain = s.domain_id == DOMID_SELF ? NULL : domain_by_id(s.domain_id);

    if (!d)
        return -ESRCH;
    domain_shutdown(d, (u8)s.reason);
    return 0;
}

static long op_shutdown_code(guest_ptr_t arg)
{
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s)))
        return -EFAULT;
    domain_latch_shutdown_code(current->domain, (u8)s.reason);
    return 0;
}

static long op_watchdog(guest_ptr_t arg)
{
    struct sched_watchdog w;

    if (copy_from_guest(&w, arg, sizeof(w)))
        return -EFAULT;
    return w.id ? domain_watchdog_change(current->domain, w.id, w.timeout) : domain_watchdog_start(current->domain, w.timeout);
}

static long op_pin_override(guest_ptr_t arg)
{
    struct sched_pin_override p;

    if (current->domain != hardware_domain)
        return -EPERM;
    if (copy_from_guest(&p, arg, sizeof(p)))
        return -EFAULT;
    return sched_pin_override(current, p.pcpu);
}

static long (*const ops[])(guest_ptr_t arg) = {
    [SCHEDOP_yield] = op_yield,
    [SCHEDOP_block] = op_block,
    [SCHEDOP_shutdown] = op_shutdown,
    [SCHEDOP_poll] = op_poll,
    [SCHEDOP_remote_shutdown] = op_remote_shutdown,
    [SCHEDOP_shutdown_code] = op_shutdown_code,
    [SCHEDOP_watchdog] = op_watchdog,
    [SCHEDOP_pin_override] = op_pin_override,
};

long do_sched_op(u64 cmd, guest_ptr_t arg)
{
    u64 op = index_nospec((u32)cmd, ARRAY_SIZE(ops));

    return (u32)cmd < ARRAY_SIZE(ops) ? ops[op](arg) : hypercall_not_offered(__HYPERVISOR_sched_op, cmd);
}

long do_set_timer_op(u64 timeout)
{
    if (timeout)
        timer_set(&current->singleshot_timer, timeout);
    else
        timer_stop(&current->singleshot_timer);
    return 0;
}
