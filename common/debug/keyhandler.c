/* SPDX-License-Identifier: MIT */
/* Debug keys, and word to dom0 that input waits for it. Input comes from console_input.c. */
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>
#include <hv/x86/trap.h>

extern const struct keyhandler __keyhandlers_start[], __keyhandlers_end[];

static char last_key; /* that was run since the input came here, or 0 */

void keyhandler_run(char key)
{
    const struct keyhandler *k = __keyhandlers_start;

    if (key == '\r' || key == '\n') /* typed behind a key */
        return;
    while (k < __keyhandlers_end && k->key != key)
        k++;
    if (k < __keyhandlers_end) {
        printk("'%c' pressed: %s\n", key, k->what);
        k->run();
    } else {
        printk("'%c': no such key; 'h' lists them\n", log_char(key));
    }
    last_key = key;
}

static void input_softirq(void)
{
    char key;

    while ((key = console_next_key()))
        if (key == CONSOLE_SWITCH)
            last_key = 0;
        else
            keyhandler_run(key);
    if (console_waits_for_dom0() && hardware_domain)
        evtchn_send_global_virq(VIRQ_CONSOLE);
}

static void messages_softirq(void) { evtchn_send_global_virq(VIRQ_CON_RING); }

static void print_help(void)
{
    for (const struct keyhandler *k = __keyhandlers_start; k < __keyhandlers_end; k++)
        printk(" key '%c' (ascii '%02x') => %s\n", k->key, (u8)k->key, k->what);
}
KEYHANDLER('h', print_help, "this list", "");

static void reboot_key(void)
{
    if (last_key != 'R') {
        printk("Once more 'R' reboots the machine at once, whatever dom0 does; any other key leaves it running.\n");
        return;
    }
    console_force_unlock(true);
    smp_stop_others(); /* they may be in the firmware, or writing to the record */
    console_flush_late();
    recorder_orderly_end();
    machine_restart();
}
KEYHANDLER('R', reboot_key, "reboot the machine, if pressed twice",
           "The first says that a second one reboots. The second, with no other key between, reboots the machine at once, whatever dom0 "
           "does; under `tools/run` QEMU ends then");

static void print_registers(void)
{
    printk("CPU %u: %lu interrupts, %lu NMIs\n", this_cpu()->id, this_cpu()->irq_count, this_cpu()->nmi_count);
    if (!hardware_domain)
        return;
    for_each_vcpu(hardware_domain, v) {
        if (!v->initialised)
            continue;
        printk("d%u:v%u %s mode:\n", v->domain->id, v->id, v->pv.guest_kernel_mode ? "kernel" : "user");
        registers_print(&stack_block_top(v->stack_block)->guest_regs, "");
    }
}
KEYHANDLER('d', print_registers, "registers of dom0's vCPUs",
           "As they were when the vCPU entered the hypervisor last. Before them, how many interrupts and NMIs this CPU has had");

static void print_memory(void)
{
    printk("Memory: %lu KiB RAM, %lu KiB free\n", total_ram_pages * 4, page_free_count() * 4);
    for_each_domain(d) {
        printk("  d%u: %lu pages\n", d->id, d->tot_pages);
        page_audit(d);
    }
}
KEYHANDLER('m', print_memory, "memory, with an audit of every domain's frames",
           "By type. Every frame's references and types of every domain are counted anew and compared: a line for each that differs is an "
           "error of the hypervisor's");

KEYHANDLER('l', console_replay, "the log: from boot, and the latest messages", "The first 16 KiB, then the latest 16 KiB");

static void print_events(void)
{
    for_each_domain(d)
        evtchn_print(d);
}
KEYHANDLER('e', print_events, "event channels",
           "Of each domain: a port's kind and its number (of the PIRQ, of the VIRQ, of the port at the other end) with the domain that has "
           "it or is waited for, the vCPU that gets it, its priority (0 is the highest), "
           "whether it is pending");

KEYHANDLER('i', irq_print, "interrupts",
           "A PIRQ, its domain (`d-1`: nobody has it), the CPU and vector (hexadecimal) it arrives at, edge or level, the port it becomes, "
           "how often it came. `unexpected`: a vector that nobody asked for");

static void print_walk(void)
{
    if (!hardware_domain)
        return;
    for_each_vcpu(hardware_domain, v)
        if (v->initialised)
            page_walk_print(v->pv.base[0] << PAGE_SHIFT, stack_block_top(v->stack_block)->guest_regs.rip, "");
}
KEYHANDLER('w', print_walk, "page-table walks to dom0's instruction pointers",
           "Each level's entry, with machine and pseudo-physical frame");

void keyhandler_init(void)
{
    softirq_register(SOFTIRQ_CONSOLE_RX, input_softirq);
    softirq_register(SOFTIRQ_MESSAGES, messages_softirq);
}
BOOT_STEP(keyhandler_init, NEEDS(consoles), GIVES(debug_keys), EVERYWHERE);
