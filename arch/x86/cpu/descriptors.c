/*
 * Per-CPU areas, descriptor tables and stack blocks. The boot CPU's are static and valid from
 * the first C line: NMI, #MC and #DF have their stacks before there is an allocator.
 */
#include <hv/boot_info.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/processor.h>
#include <hv/x86/vectors.h>

extern u64 boot_gdt[];
extern char trampoline_page[], trampoline_cstar[], syscall_entry[];

#define IST_TOP(n) ((u64)boot_ist_stacks + (n) * STACK_BLOCK_SIZE - sizeof(struct stack_top))

paddr_t boot_image_phys; /* where the loader put the image: written by long_mode.S */

/* In pages of its own: guests' tables map it where they are isolated. */
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
u64 cpus_online = 1;

/* The frames of a block; the trampoline's is the image's. */
static void block_free(u64 va)
{
    for (u64 off = PAGE_SIZE; off < STACK_BLOCK_SIZE; off += PAGE_SIZE) {
        pte_t e = hv_lookup(va + off);

        if (!e)
            continue;
        hv_unmap(va + off, PAGE_SIZE);
        hv_free_page(mfn_to_virt(pte_mfn(e)));
    }
}

static void *block_alloc(u64 va)
{
    /* Page 0: the SYSCALL trampoline; page 1: the guard or the shadow stack; the rest: stack. */
    if (hv_map(va, image_to_phys(trampoline_page), PAGE_SIZE, HV_RX))
        return NULL;
    for (u64 off = (shadow_stacks_in_use() ? 1 : 2) * PAGE_SIZE; off < STACK_BLOCK_SIZE; off += PAGE_SIZE) {
        void *page = hv_alloc_page();
        int rc = !page ? -ENOMEM
                 : off == PAGE_SIZE ? shadow_stack_map((void *)va, virt_to_phys(page))
                                    : hv_map(va + off, virt_to_phys(page), PAGE_SIZE, HV_RW);

        if (rc) {
            hv_free_page(page);
            block_free(va);
            return NULL;
        }
    }
    return (void *)va;
}

void *stack_block_alloc(void)
{
    u64 va = vmap_reserve(STACK_BLOCK_SIZE);
    void *block = va ? block_alloc(va) : NULL;

    if (va && !block)
        vmap_give_back(va, STACK_BLOCK_SIZE);
    return block;
}

void stack_block_free(void *block)
{
    if (!block)
        return;
    block_free((u64)block);
    vmap_give_back((u64)block, STACK_BLOCK_SIZE);
}

void *ist_block_alloc(void)
{
    return block_alloc(vmap_reserve_for_cpus(STACK_BLOCK_SIZE, STACK_BLOCK_SIZE));
}

static void guard_boot_block(char *block)
{
    char *page = block + PAGE_SIZE;

    hv_unmap((u64)page, PAGE_SIZE);
    if (shadow_stacks_in_use() && shadow_stack_map(block, image_to_phys(page)))
        panic(PANIC_BOOT_MEMORY, "no memory for shadow stacks");
}

void stack_guard_boot_blocks(void)
{
    guard_boot_block(boot_stack_block);
    for (int i = 0; i < IST_COUNT; i++)
        guard_boot_block(boot_ist_stacks + i * STACK_BLOCK_SIZE);
}

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
    /* SYSCALL: CS e008, SS e010. SYSRET: CS e023 + 16 = e033, SS e023 + 8 = e02b. */
    wrmsr(MSR_STAR, ((u64)SEL_GUEST_CS32 << 48) | ((u64)SEL_HV_CS64 << 32));
    wrmsr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
    u64 unused;

    if (rdmsr_safe(MSR_SYSENTER_CS, &unused))
        wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER raises #GP: its callback is refused to guests */
}
