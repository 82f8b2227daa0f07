/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU areas and descriptor tables. The boot CPU's are static and valid from
 * the first C line: NMI, #MC and #DF have their stacks before there is an allocator.
 */
#include <hv/boot_step.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/vectors.h>

extern u64 boot_gdt[];
extern char trampoline_page[], trampoline_cstar[], syscall_entry[];

#define IST_TOP(n) ((u64)boot_ist_stacks + STACK_BLOCK_SIZE * (n) - sizeof(struct stack_top))

paddr_t boot_image_phys; /* where the loader put the image: written by long_mode.S */

/* In pages of its own: guests' tables map it under XPTI. */
struct percpu boot_percpu __section(".data.percpu") = {
    .curr = CURRENT_POISON,
    .gdt = boot_gdt,
    .tss = {
        .ist = { [IST_DF - 1] = IST_TOP(1), [IST_NMI - 1] = IST_TOP(2), [IST_MC - 1] = IST_TOP(3),
                 [IST_DB - 1] = IST_TOP(4) },
        .io_map_base = sizeof(struct tss64),
    },
};
struct percpu *cpu_table[MAX_CPUS] = { &boot_percpu };
cpuset_t cpus_online = CPUSET_FIRST_CPU;

void cpu_set_stack(struct percpu *c, void *block)
{
    u64 rsp0 = (u64)&stack_block_top(block)->guest_regs.es;

    stack_block_top(block)->cpu = c;
    if (c->tss.rsp[0] == rsp0)
        return;
    c->tss.rsp[0] = rsp0;
    wrmsr(MSR_LSTAR, (u64)block);
    wrmsr(MSR_CSTAR, (u64)block + (u64)(trampoline_cstar - trampoline_page));
    if (shadow_stacks_in_use())
        wrmsr(MSR_PL0_SSP, shadow_stack_token(block));
}

void cpu_init_descriptors(struct percpu *c)
{
    for (int i = 0; i < IST_COUNT; i++)
        ((struct stack_top *)c->tss.ist[i])->cpu = c;
    /* SDM vol. 3, 5.8.8. SYSCALL: CS e008, SS e010. SYSRET: CS e023 + 16 = e033, SS e023 + 8 = e02b. */
    wrmsr(MSR_STAR, ((u64)SEL_GUEST_CS32 << 48) | ((u64)SEL_HV_CS64 << 32));
    wrmsr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
    u64 unused;
    if (rdmsr_safe(MSR_SYSENTER_CS, &unused))
        wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER raises #GP: its callback is refused to guests */
}
BOOT_STEP(cpu_init_descriptors, NEEDS(NOTHING), GIVES(trap_stacks), EVERYWHERE);
