/* SPDX-License-Identifier: MIT */
/* What another vCPU writes into the saved state of one is there when that goes on, also where the registers were nobody else's meanwhile. */
#include "smp.h"

#define MSR_TSC_AUX 0xc0000103

static volatile u32 round, answered;
static volatile u64 seen;

static u32 aux(void)
{
    u32 a, d, c;

    __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
    return c;
}

static void other(u32 id)
{
    for (u32 done = 0;;) {
        /* Its CPU has nothing else to do: it goes idle with this vCPU's registers. */
        while (round == done)
            smp_sleep_until(id, smp_time(id) + 1000000);
        if (round == ~0u)
            smp_stop(id);
        seen = aux();
        done = round;
        answered = done;
    }
}

static void set_aux(u32 value)
{
    static struct xen_domctl_vcpu_msr msr;

    msr = (struct xen_domctl_vcpu_msr){ MSR_TSC_AUX, 0, value };
    smp_op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ 1, 1, (u64)&msr };
    CHECK_EQ(smp_domctl(XEN_DOMCTL_set_vcpu_msrs), 0);
}

void test_main(void)
{
    smp_start(1, other);
    for (u32 i = 1; i <= 20; i++) {
        smp_sleep_until(0, smp_time(0) + 5000000);
        set_aux(i * 0x1001);
        /* One that runs just now has its old value until it has been away. */
        smp_sleep_until(0, smp_time(0) + 20000000);
        round = i;
        while (answered != i)
            HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        CHECK_EQ(seen, i * 0x1001);
    }
    round = ~0u;
}
