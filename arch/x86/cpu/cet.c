/* Shadow stacks: their pages, their first words, and the one thing that changes them afterwards. Branch tracking: on and off. */
#include <hv/lib.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/vectors.h>

#define TOKEN_BUSY 1UL  /* of a supervisor token: some CPU is on it */
#define TOKEN_64BIT 1UL /* of a restore token */

/* The words below the token, through the direct map: their own addresses are read-only. */
static u64 *words_end(const void *block)
{
    u64 token = shadow_stack_token(block);

    return (u64 *)((char *)mfn_to_virt(pte_mfn(hv_lookup(token))) + token % PAGE_SIZE) + 1;
}

int shadow_stack_map(void *block, paddr_t page)
{
    int rc = hv_map((u64)block + PAGE_SIZE, page, PAGE_SIZE, HV_SHADOW_STACK);

    if (!rc)
        words_end(block)[-1] = shadow_stack_token(block);
    return rc;
}

u64 shadow_stack_first(void *block, u64 first_code)
{
    u64 token = shadow_stack_token(block), *end;

    if (!shadow_stacks_in_use())
        return 0;
    end = words_end(block);
    end[-1] = token | TOKEN_BUSY; /* as on the way from a guest: its first code returns to one */
    end[-2] = first_code;
    end[-3] = (token - 8) | TOKEN_64BIT;
    return token - 16;
}

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
    wrmsr(MSR_INTERRUPT_SSP_TABLE, (u64)c->ist_ssp);
    wrmsr(MSR_PL0_SSP, shadow_stack_token(block));
}

void branch_tracking_start(void)
{
    if (spec.branch_tracking)
        wrmsr(MSR_S_CET, rdmsr(MSR_S_CET) | S_CET_ENDBR_EN);
}

void branch_tracking_stop(void)
{
    if (read_cr4() & CR4_CET)
        wrmsr(MSR_S_CET, rdmsr(MSR_S_CET) & ~(u64)S_CET_ENDBR_EN);
}
