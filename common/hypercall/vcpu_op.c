/* SPDX-License-Identifier: MIT */
/* vcpu_op: secondary vCPUs, timers, shared areas. */
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/hypercall.h>

#define PERIOD_MIN_NS 1000000ULL
#define PERIOD_MAX_NS (3600ULL * 1000000000ULL)

/*
 * One caller at a time: arch_vcpu_set_context() may let other vCPUs run. It sets `initialised` at its end, so that is looked at by
 * who has the turn: CPU A sees it clear, CPU B initialises v and starts it, A then has the turn and writes to a vCPU that runs.
 */
static long initialise(struct vcpu *v, const struct vcpu_guest_context *c)
{
    if (__atomic_exchange_n(&v->initialising, true, __ATOMIC_ACQ_REL))
        return -EEXIST;
    long rc = v->initialised ? -EEXIST : arch_vcpu_set_context(v, c);
    __atomic_store_n(&v->initialising, false, __ATOMIC_RELEASE);
    return rc;
}

static long op_initialise(const guest_ptr_t *at, struct vcpu *v)
{
    if (!v->info)
        return -EINVAL;
    struct vcpu_guest_context *c __freed = hv_alloc(sizeof(*c));
    long rc = !c ? -ENOMEM : copy_from_guest(c, *at, sizeof(*c));
    return rc ? rc : initialise(v, c);
}

static long op_up(__unused void *arg, struct vcpu *v)
{
    if (!__atomic_load_n(&v->initialised, __ATOMIC_ACQUIRE))
        return -EINVAL;
    vcpu_start(v);
    return 0;
}

static long op_down(__unused void *arg, struct vcpu *v)
{
    vcpu_pause_flag_set(v, PAUSE_DOWN);
    for_each_vcpu(v->domain, other)
        if (!(other->pause_flags & PAUSE_DOWN))
            return 0;
    domain_shutdown(v->domain, SHUTDOWN_poweroff); /* the last one turned off the light */
    return 0;
}

static long op_is_up(__unused void *arg, struct vcpu *v) { return !(v->pause_flags & PAUSE_DOWN); }

static long op_get_runstate(struct vcpu_runstate_info *info, struct vcpu *v)
{
    *info = sched_runstate(v);
    return 0;
}

static long op_runstate_area(const struct vcpu_register_runstate_memory_area *a, struct vcpu *v)
{
    if (!guest_range_ok(a->addr.h.va, sizeof(struct vcpu_runstate_info)))
        return -EFAULT;
    v->runstate_guest = a->addr.h;
    if (v == current)
        guest_kernel_write(v, a->addr.h, &v->runstate, sizeof(v->runstate)); /* not mapped yet: the next switch tries again */
    return 0;
}

static long op_set_periodic(const struct vcpu_set_periodic_timer *t, struct vcpu *v)
{
    if (t->period_ns < PERIOD_MIN_NS || t->period_ns > PERIOD_MAX_NS)
        return -EINVAL;
    vcpu_set_period(v, t->period_ns);
    return 0;
}

static long op_stop_periodic(__unused void *arg, struct vcpu *v)
{
    vcpu_set_period(v, VCPU_NO_PERIOD);
    return 0;
}

static long op_set_singleshot(const guest_ptr_t *at, struct vcpu *v)
{
    struct vcpu_set_singleshot_timer t;

    if (v != current)
        return -EINVAL;
    if (copy_from_guest(&t, *at, sizeof(t)))
        return -EFAULT;
    if ((t.flags & VCPU_SSHOTTMR_future) && t.timeout_abs_ns < system_time_ns())
        return -ETIME;
    timer_set(&v->singleshot_timer, t.timeout_abs_ns);
    return 0;
}

static long op_stop_singleshot(__unused void *arg, struct vcpu *v)
{
    if (v != current)
        return -EINVAL;
    timer_stop(&v->singleshot_timer);
    return 0;
}

static long op_register_info(const struct vcpu_register_vcpu_info *r, struct vcpu *v)
{
    if ((r->offset & 7) || r->offset > PAGE_SIZE - sizeof(struct vcpu_info))
        return -ENXIO;
    if (v->info_page)
        return -EINVAL;
    int rc = page_get_and_type(r->mfn, v->domain, PGT_WRITABLE);
    if (rc)
        return rc;
    struct vcpu_info *area = (void *)((char *)mfn_to_virt(r->mfn) + r->offset);
    spin_lock(&v->domain->event_lock);
    if (v->info_page) { /* another vCPU was faster */
        spin_unlock(&v->domain->event_lock);
        page_put_and_type(mfn_to_page(r->mfn));
        return -EINVAL;
    }
    if (v->info)
        memcpy(area, v->info, sizeof(*area));
    else {
        *area = (struct vcpu_info){ .evtchn_upcall_mask = 1 };
        v->tsc_offset = TIME_UNPUBLISHED;
    }
    v->info_page = mfn_to_page(r->mfn);
    v->info = area;
    /* Events may have been raised in the old place while we copied: let the guest look at all. */
    area->evtchn_pending_sel = v->domain->fifo ? 0 : ~0UL;
    area->evtchn_upcall_pending = 1;
    spin_unlock(&v->domain->event_lock);
    if (v == current)
        vcpu_time_publish(v); /* else the copy serves, or the next switch to it */
    else
        vcpu_kick(v);
    return 0;
}

/* For a pinned vCPU of dom0: the APIC id and the ACPI id of its CPU. */
static long op_get_physid(struct vcpu_get_physid *id, struct vcpu *v)
{
    cpuset_t hard = v->sched.hard_affinity;

    if (v->domain != hardware_domain || cpuset_count(hard) != 1)
        return -EINVAL;
    u32 apic_id = cpu_table[cpuset_first(hard)]->apic_id;
    id->phys_id = apic_id | (u64)acpi_id_of(apic_id) << 32;
    return 0;
}

static long op_register_time(const struct vcpu_register_time_memory_area *a, struct vcpu *v)
{
    if (!guest_range_ok(a->addr.h.va, sizeof(struct vcpu_time_info)))
        return -EFAULT;
    v->time_guest = a->addr.h;
    if (v == current && v->info)
        vcpu_time_area_publish(v);
    else
        v->tsc_offset = TIME_UNPUBLISHED; /* the next switch to it publishes */
    return 0;
}

static long op_send_nmi(__unused void *arg, struct vcpu *v)
{
    vcpu_add_nmis(v, 1);
    return 0;
}

static const struct subop rows[] = {
    [VCPUOP_initialise] = { ANYBODY, ARG_BY_HAND(struct vcpu_guest_context, op_initialise, WITH_VCPU) },
    [VCPUOP_up] = { ANYBODY, ARG_NONE(op_up, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_down] = { ANYBODY, ARG_NONE(op_down, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_is_up] = { ANYBODY, ARG_NONE(op_is_up, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_get_runstate_info] = { ANYBODY, ARG_OUT(struct vcpu_runstate_info, op_get_runstate, WITH_VCPU) },
    [VCPUOP_register_runstate_memory_area] = { ANYBODY, ARG_IN(struct vcpu_register_runstate_memory_area, op_runstate_area, WITH_VCPU) },
    [VCPUOP_set_periodic_timer] = { ANYBODY, ARG_IN(struct vcpu_set_periodic_timer, op_set_periodic, WITH_VCPU) },
    [VCPUOP_stop_periodic_timer] = { ANYBODY, ARG_NONE(op_stop_periodic, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_set_singleshot_timer] = { ANYBODY, ARG_BY_HAND(struct vcpu_set_singleshot_timer, op_set_singleshot, WITH_VCPU) },
    [VCPUOP_stop_singleshot_timer] = { ANYBODY, ARG_NONE(op_stop_singleshot, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_register_vcpu_info] = { ANYBODY, ARG_IN(struct vcpu_register_vcpu_info, op_register_info, WITH_VCPU) },
    [VCPUOP_send_nmi] = { ANYBODY, ARG_NONE(op_send_nmi, NO_ARGUMENT, WITH_VCPU) },
    [VCPUOP_get_physid] = { ANYBODY, ARG_OUT(struct vcpu_get_physid, op_get_physid, WITH_VCPU) },
    [VCPUOP_register_vcpu_time_memory_area] = { ANYBODY, ARG_IN(struct vcpu_register_time_memory_area, op_register_time, WITH_VCPU) },
};

const struct subops vcpu_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_vcpu_op };

long do_vcpu_op(u64 cmd, u64 id, guest_ptr_t arg)
{
    struct vcpu *v = domain_vcpu(current->domain, (u32)id);

    return v ? subop_dispatch(&vcpu_op_table, (u32)cmd, arg, v) : -ENOENT;
}
