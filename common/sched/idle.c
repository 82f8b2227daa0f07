/* The idle vCPU of the boot CPU: what `current` is before and between guests. */
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/pv.h>
#include <hv/sched_idle.h>
#include <hv/x86/cpu.h>

static struct vcpu boot_idle = { .domain = &idle_domain, .is_idle = true, .initialised = true };

void idle_init_boot_cpu(void)
{
    struct percpu *c = this_cpu();

    boot_idle.stack_block = boot_stack_block;
    boot_idle.cpu = c;
    boot_idle.runstate.state = RUNSTATE_running;
    c->idle = c->curr = &boot_idle;
    c->state_owner = NULL;
}
