/* SPDX-License-Identifier: MIT */
/* Shadow stacks in use, and the one thing that changes them but calls and returns. Branch tracking: on and off. */
#include <hv/boot_step.h>
#include <hv/x86/cet.h>
#include <hv/x86/vectors.h>

/* A trap pushes CS, RIP and SSP on the shadow stack (SDM vol. 1, 17.2); IRETQ compares. The interrupted place is found there and replaced. */
void shadow_stack_redirect(u64 from, u64 to)
{
    u64 *ssp = NULL;

    __asm__("rdsspq %0" : "+r"(ssp)); /* a NOP where there is none, or where it is suspended */
    if (!ssp)
        return;
    for (; (u64)(ssp + 1) % PAGE_SIZE; ssp++)
        if (ssp[0] == from && ssp[1] == SEL_HV_CS64) {
            __asm__ volatile("wrssq %1, %0" : "=m"(*ssp) : "r"(to));
            return;
        }
}

void shadow_stack_init_cpu(struct percpu *c, void *block)
{
    for (unsigned i = 0; i < IST_COUNT; i++)
        c->ist_ssp[i + 1] = shadow_stack_token((void *)c->tss.ist[i]);
    /* Entries by IST number, and the one by way of RSP0 (SDM vol. 1, 17.2; vol. 3, 6.14.5). */
    wrmsr(MSR_INTERRUPT_SSP_TABLE, (u64)c->ist_ssp);
    wrmsr(MSR_PL0_SSP, shadow_stack_token(block));
}

void branch_tracking_start(void)
{
    if (spec.branch_tracking)
        wrmsr(MSR_S_CET, rdmsr(MSR_S_CET) | S_CET_ENDBR_EN);
}
BOOT_STEP(branch_tracking_start, NEEDS(protections, released_image), GIVES(NOTHING), EVERYWHERE);

void branch_tracking_stop(void)
{
    if (read_cr4() & CR4_CET)
        wrmsr(MSR_S_CET, rdmsr(MSR_S_CET) & ~(u64)S_CET_ENDBR_EN);
}
