/* SPDX-License-Identifier: MIT */
/* Hypercalls that set a vCPU's traps, callbacks, stack and assists. */
#include <hv/hypercall.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/vectors.h>

/* While writes are logged a fault may be one that the guest's own tables do not make. */
void pv_traps_changed(struct vcpu *v) { v->pv.fault_address = v->domain->pv.log.on ? 0 : v->pv.traps[VEC_PF].address; }

long do_set_trap_table(guest_ptr_t list)
{
    struct vcpu *v = current;

    if (!list.va) {
        memset(v->pv.traps, 0, sizeof(v->pv.traps));
        pv_traps_changed(v);
        return 0;
    }
    for (u32 i = 0; i <= 256; i++) {
        struct trap_info t;

        if (copy_from_guest(&t, guest_ptr_index(list, i, sizeof(t)), sizeof(t)))
            return -EFAULT;
        if (!t.address)
            return 0;
        if (!is_canonical(t.address))
            return -EINVAL;
        t.cs |= 3;
        v->pv.traps[t.vector] = t;
        pv_traps_changed(v);
    }
    return -EINVAL; /* no end mark */
}

long do_stack_switch(u64 ss, u64 rsp)
{
    pv_set_kernel_stack(current, (u16)ss, rsp);
    return 0;
}

long do_fpu_taskswitch(u64 set)
{
    current->pv.cr0_ts = (u32)set != 0;
    write_cr0((read_cr0() & ~(u64)CR0_TS) | (current->pv.cr0_ts ? CR0_TS : 0));
    return 0;
}

long do_set_debugreg(u64 reg, u64 value) { return pv_set_debugreg(current, (u32)reg, value); }

long do_get_debugreg(u64 reg)
{
    u64 val;
    long rc = pv_get_debugreg(current, (u32)reg, &val);

    return rc ? rc : (long)val;
}

static struct callback *callback_of(struct vcpu *v, u16 type)
{
    switch (type) {
    case CALLBACKTYPE_event: return &v->pv.event_cb;
    case CALLBACKTYPE_failsafe: return &v->pv.failsafe_cb;
    case CALLBACKTYPE_syscall: return &v->pv.syscall_cb;
    case CALLBACKTYPE_sysenter: return &v->pv.sysenter_cb;
    case CALLBACKTYPE_syscall32: return &v->pv.syscall32_cb;
    default: return NULL;
    }
}

static long set_callback(const struct callback_register *r)
{
    struct callback *cb = callback_of(current, r->type);

    if (!is_canonical(r->address))
        return -EINVAL;
    if (r->type == CALLBACKTYPE_nmi) {
        current->pv.traps[VEC_NMI].address = r->address; /* the same entry as by the trap table */
        return 0;
    }
    if (!cb)
        return -ENOSYS;
    cb->address = r->address;
    cb->mask_events = r->type == CALLBACKTYPE_event || (r->flags & CALLBACKF_mask_events);
    return 0;
}

static long op_unregister(const struct callback_unregister *r)
{
    /* Callbacks can be replaced, not withdrawn. */
    if (callback_of(current, r->type))
        return -EINVAL;
    if (r->type != CALLBACKTYPE_nmi)
        return -ENOSYS;
    current->pv.traps[VEC_NMI] = (struct trap_info){ 0 };
    return 0;
}

static const struct subop rows[] = {
    [CALLBACKOP_register] = { ANYBODY, ARG_IN(struct callback_register, set_callback) },
    [CALLBACKOP_unregister] = { ANYBODY, ARG_IN(struct callback_unregister, op_unregister) },
};

const struct subops callback_op_table = { .rows = rows, .count = ARRAY_SIZE(rows), .hypercall = __HYPERVISOR_callback_op };

long do_callback_op(u64 cmd, guest_ptr_t arg) { return subop_dispatch(&callback_op_table, (u32)cmd, arg, NULL); }

/* The older way to set three callbacks. An address that is refused leaves the old one; the ABI has no error for that. */
long do_set_callbacks(u64 event, u64 failsafe, u64 syscall)
{
    const struct callback_register list[] = { { CALLBACKTYPE_event, 0, event },
                                              { CALLBACKTYPE_failsafe, 0, failsafe },
                                              { CALLBACKTYPE_syscall, 0, syscall } };

    for (u32 i = 0; i < ARRAY_SIZE(list); i++)
        (void)set_callback(&list[i]);
    return 0;
}

void pv_vm_assist_changed(struct domain *d)
{
    for_each_vcpu(d, v)
        pv_set_iopl(v, v->pv.iopl);
}

long do_vm_assist(u64 command, u64 number)
{
    u32 cmd = (u32)command, type = (u32)number;

    if (type > 63 || !(PV_VM_ASSISTS >> type & 1))
        return -EINVAL;
    if (cmd == VMASST_CMD_enable)
        __atomic_fetch_or(&current->domain->vm_assist, 1ULL << type, __ATOMIC_RELAXED);
    else if (cmd == VMASST_CMD_disable)
        __atomic_fetch_and(&current->domain->vm_assist, ~(1ULL << type), __ATOMIC_RELAXED);
    else
        return -ENOSYS;
    pv_vm_assist_changed(current->domain);
    return 0;
}
