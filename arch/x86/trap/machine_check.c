/*
 * #MC. Banks are read and reported; a corrected error goes on, anything else is fatal: it
 * cannot yet be told whose frame was hit.
 */
#include <hv/console.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

#define MCG_STATUS_MCIP 4
#define STATUS_VALID (1ULL << 63)
#define STATUS_UC (1ULL << 61)
#define STATUS_PCC (1ULL << 57)

static u32 nr_banks;

void machine_check_init(void)
{
    u64 cap;

    if ((cpuid_count(1, 0).edx & (1 << 14)) && rdmsr_safe(MSR_MCG_CAP, &cap)) {
        nr_banks = cap & 0xff;
        if ((cap & (1 << 8)) && !wrmsr_safe(MSR_MCG_CTL, ~0ULL))
            printk(LOG_WARN "machine check: MCG_CTL cannot be written\n");
        for (u32 i = 0; i < nr_banks; i++)
            if (!wrmsr_safe(MSR_MC0_CTL + 4 * i, ~0ULL) || !wrmsr_safe(MSR_MC0_STATUS + 4 * i, 0))
                printk(LOG_WARN "machine check: bank %u cannot be enabled\n", i);
    }
}

void machine_check_init_cpu(void)
{
}

void machine_check_handle(struct cpu_user_regs *regs)
{
    bool fatal = nr_banks == 0; /* before machine_check_init(): nothing is known about it */

    for (u32 i = 0; i < nr_banks; i++) {
        u64 status = rdmsr(MSR_MC0_STATUS + 4 * i);

        if (!(status & STATUS_VALID))
            continue;
        if (status & (STATUS_UC | STATUS_PCC)) {
            console_force_unlock();
            printk(LOG_ERR "machine check: bank %u status %016lx\n", i, status);
            fatal = true;
        }
        wrmsr(MSR_MC0_STATUS + 4 * i, 0);
    }
    if (fatal) {
        console_force_unlock();
        fatal_trap(regs, PANIC_MC_UNKNOWN, "machine check: the hardware reports an uncorrected error");
    }
    wrmsr(0x17a, 0); /* MCIP off: the next #MC would reset the machine otherwise */
}
