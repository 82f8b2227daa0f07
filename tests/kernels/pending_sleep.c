/* SPDX-License-Identifier: MIT */
/* A vCPU does not go to sleep over an NMI that it has not taken yet. Nothing else would wake it. */
#include "guest.h"

static void on_nmi(struct frame *f) { (void)f; }

/* An NMI to itself, then the operation, without leaving the hypervisor in between. */
static void nmi_then(u32 op, void *arg)
{
    struct multicall_entry calls[] = {
        { .op = __HYPERVISOR_vcpu_op, .args = { VCPUOP_send_nmi, 0, 0 } },
        { .op = __HYPERVISOR_sched_op, .args = { op, (u64)arg } },
    };
    u32 before = trap_count[2];

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_multicall, calls, 2), 0);
    CHECK_EQ(calls[1].result, 0);
    CHECK_EQ(trap_count[2], before + 1);
}

void test_main(void)
{
    struct evtchn_bind_ipi ipi = { .vcpu = 0 };
    struct sched_poll one = { .nr_ports = 1 }, none = { .nr_ports = 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
    one.ports = &ipi.port;
    trap_handlers[2] = on_nmi;
    nmi_then(SCHEDOP_poll, &one);
    nmi_then(SCHEDOP_poll, &none);
    nmi_then(SCHEDOP_block, NULL);
}
