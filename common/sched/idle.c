/* SPDX-License-Identifier: MIT */
/* Idle vCPUs: what `current` is before and between guests. They are on no queue. */
#include <hv/boot_step.h>
#include <hv/domain.h>
#include <hv/x86/cpu.h>

static struct vcpu boot_idle;

static void idle_vcpu_init(struct vcpu *v, struct percpu *c, void *stack_block)
{
    *v = (struct vcpu){ .domain = &idle_domain,
                        .id = c->id,
                        .is_idle = true,
                        .initialised = true,
                        .cpu = c,
                        .stack_block = stack_block,
                        .runstate.state = RUNSTATE_running };
    c->idle = v;
}

struct vcpu *idle_vcpu_create(struct percpu *c, void *stack_block)
{
    struct vcpu *v = c->idle ? c->idle : hv_alloc(sizeof(*v));

    if (v)
        idle_vcpu_init(v, c, stack_block);
    return v;
}

/* Makes the running boot stack the boot CPU's idle vCPU; `current` is valid afterwards. */
void idle_init_boot_cpu(void)
{
    idle_vcpu_init(&boot_idle, this_cpu(), boot_stack_block);
    this_cpu()->curr = &boot_idle;
}
BOOT_STEP(idle_init_boot_cpu, NEEDS(direct_map), GIVES(current), EVERYWHERE);
