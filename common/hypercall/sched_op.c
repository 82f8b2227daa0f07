/* SPDX-License-Identifier: MIT */
/* sched_op and set_timer_op: a vCPU gives up its processor, its domain ends. */
#include <hv/evtchn.h>
#include <hv/hypercall.h>

#define POLL_MAX_PORTS 128

static long op_yield(void)
{
    current->sched.yields = true;
    softirq_raise(SOFTIRQ_SCHEDULE);
    return 0;
}

static long op_block(void)
{
    struct vcpu *v = current;

    if (v->info) {
        WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
        vcpu_pause_flag_set(v, PAUSE_BLOCKED);
        /*
         * An event or an NMI that came before the flag found the vCPU not blocked and woke nobody: so look again, behind the flag. An event
         * counts whatever another vCPU has made of the mask meanwhile (VCPUOP_register_vcpu_info copies it): the next one would wake nobody.
         */
        if (READ_ONCE(v->info->evtchn_upcall_pending) || vcpu_has_pending(v))
            vcpu_pause_flag_clear(v, PAUSE_BLOCKED);
    }
    return 0;
}

static long op_poll(struct sched_poll *p)
{
    struct vcpu *v = current;
    u32 ports[POLL_MAX_PORTS];

    if (p->nr_ports > POLL_MAX_PORTS)
        return -EINVAL;
    p->nr_ports = (u32)index_nospec(p->nr_ports, POLL_MAX_PORTS + 1);
    if (copy_from_guest(ports, p->ports, p->nr_ports * sizeof(u32)))
        return -EFAULT;
    int pending = evtchn_any_pending(v->domain, ports, p->nr_ports);
    if (pending)
        return pending < 0 ? pending : 0; /* there is nothing to wait for */
    timer_stop(&v->poll_timer);           /* of an earlier poll that an event ended */
    v->poll_port = p->nr_ports == 1 ? ports[0] : 0;
    vcpu_pause_flag_set(v, PAUSE_POLL); /* then look once more: wake_pollers() is the other side */
    if (evtchn_any_pending(v->domain, ports, p->nr_ports) || vcpu_has_pending(v))
        vcpu_pause_flag_clear(v, PAUSE_POLL);
    else if (p->timeout)
        timer_set(&v->poll_timer, p->timeout);
    return 0;
}

static long op_shutdown(const struct sched_shutdown *s)
{
    domain_shutdown(current->domain, (u8)s->reason); /* as much of it as the ABI's toolstack keeps */
    return 0;
}

static long op_remote_shutdown(const struct sched_remote_shutdown *s)
{
    struct domain *d __held_domain = s->domain_id == DOMID_SELF ? NULL : domain_by_id(s->domain_id);

    if (!d)
        return -ESRCH;
    domain_shutdown(d, (u8)s->reason);
    return 0;
}

static long op_shutdown_code(const struct sched_shutdown *s)
{
    domain_latch_shutdown_code(current->domain, (u8)s->reason);
    return 0;
}

static long op_watchdog(const struct sched_watchdog *w)
{
    return w->id ? domain_watchdog_change(current->domain, w->id, w->timeout) : domain_watchdog_start(current->domain, w->timeout);
}

static long op_pin_override(const struct sched_pin_override *p) { return sched_pin_override(current, p->pcpu); }

static const struct subop rows[] = {
    [SCHEDOP_yield] = { ANYBODY, ARG_NONE(op_yield) },
    [SCHEDOP_block] = { ANYBODY, ARG_NONE(op_block) },
    [SCHEDOP_shutdown] = { ANYBODY, ARG_IN(struct sched_shutdown, op_shutdown) },
    [SCHEDOP_poll] = { ANYBODY, ARG_IN(struct sched_poll, op_poll) },
    [SCHEDOP_remote_shutdown] = { CONTROL, ARG_IN(struct sched_remote_shutdown, op_remote_shutdown) },
    [SCHEDOP_shutdown_code] = { ANYBODY, ARG_IN(struct sched_shutdown, op_shutdown_code) },
    [SCHEDOP_watchdog] = { ANYBODY, ARG_IN(struct sched_watchdog, op_watchdog) },
    [SCHEDOP_pin_override] = { HARDWARE, ARG_IN(struct sched_pin_override, op_pin_override) },
};

const struct subops sched_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_sched_op };

long do_sched_op(u64 cmd, guest_ptr_t arg) { return subop_dispatch(&sched_op_table, (u32)cmd, arg, NULL); }

long do_set_timer_op(u64 timeout)
{
    if (timeout)
        timer_set(&current->singleshot_timer, timeout);
    else
        timer_stop(&current->singleshot_timer);
    return 0;
}
