/* SPDX-License-Identifier: MIT */
/* The machine ends, or a report is written: every other CPU stops, by NMI. */
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <hv/x86/apic.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

#define STOP_POLLS 1000000 /* of port 80h, about a microsecond each */

static u32 stopped, stopper; /* stopper: number plus one of the CPU that goes on */

void smp_note_stopped(void)
{
    if (cpuset_clear_atomic(&cpus_online, this_cpu()->id))
        __atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
}

void smp_stop_if_asked(void)
{
    u32 who = READ_ONCE(stopper);

    if (who && who != this_cpu()->id + 1) {
        smp_note_stopped();
        machine_halt();
    }
}

/*
 * Parked CPUs stay as they are: they hold no lock and print nothing. An NMI must not reach a CPU
 * that never started: it lies in the firmware's halt loop, without an IDT, and would reset the machine.
 */
void smp_stop_others(void)
{
    cpuset_t set = cpuset_without(cpuset_read(&cpus_online), this_cpu()->id);
    u32 nobody = 0, others = cpuset_count(set), before = READ_ONCE(stopped);

    if (trap_test_goes_on())
        return;
    /* Two that end the machine at once: the second one goes no further. A report goes over both. */
    if (!__atomic_compare_exchange_n(&stopper, &nobody, this_cpu()->id + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        !panic_in_progress())
        smp_stop_if_asked();
    for_each_cpu(c, set)
        local_apic_send(c->apic_id, IPI_NMI);
    for (u32 i = 0; i < STOP_POLLS && __atomic_load_n(&stopped, __ATOMIC_ACQUIRE) - before < others; i++)
        inb(0x80);
    if (READ_ONCE(stopped) - before < others)
        printk("%u other CPUs did not stop\n", others - (READ_ONCE(stopped) - before));
}
