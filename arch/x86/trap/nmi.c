/*
 * NMI. Safe in every phase and between any two instructions: no lock, no allocation, nothing
 * that can fault (an IRET inside would let the next NMI in on a stack in use), no `current`
 * before the phase is active.
 */
#include <hv/cmdline.h>
#include <hv/domain.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/softirq.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

enum { NMI_FATAL, NMI_DOM0, NMI_IGNORE };
static int opt_nmi = NMI_DOM0;

static int parse_nmi(const char *value, void *var)
{
    static const char *const names[] = { "fatal", "dom0", "ignore" };

    for (int i = 0; i < 3; i++)
        if (!strcmp(value, names[i])) {
            *(int *)var = i;
            return 0;
        }
    return -EINVAL;
}
OPTION("nmi", parse_nmi, opt_nmi);

#define PORT_NMI_STATUS 0x61
#define NMI_SERR 0x80
#define NMI_IOCHK 0x40

void nmi_handle(struct cpu_user_regs *regs)
{
    u8 reason = inb(PORT_NMI_STATUS);

    this_cpu()->nmi_count++;
    if (opt_nmi == NMI_FATAL)
        fatal_trap(regs, reason & NMI_SERR    ? "NMI: PCI system error"
                         : reason & NMI_IOCHK ? "NMI: I/O check"
                                              : "NMI (nmi=fatal)");
    if (reason & (NMI_SERR | NMI_IOCHK)) {
        /* Acknowledge the line, else it stays asserted. */
        outb(PORT_NMI_STATUS, (u8)((reason & 0x0f) | ((reason & NMI_SERR) ? 4 : 0) | ((reason & NMI_IOCHK) ? 8 : 0)));
    }
    /* dom0 is told at the next softirq point: delivery takes locks and may fault. */
    if (opt_nmi == NMI_DOM0 && booted_past(vector_policies[VEC_NMI].follows_current) && hardware_domain)
        softirq_raise(SOFTIRQ_NMI_DOM0);
}

static void deliver_to_dom0(void)
{
    struct vcpu *v = hardware_domain->vcpu[0];

    v->nmi_pending = true;
    vcpu_kick(v);
}

void nmi_init(void)
{
    softirq_register(SOFTIRQ_NMI_DOM0, deliver_to_dom0);
}
