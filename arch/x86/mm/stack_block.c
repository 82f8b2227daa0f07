/* SPDX-License-Identifier: MIT */
/*
 * Stack blocks: the SYSCALL trampoline's page, the guard page, which is the shadow stack where there are such, and the stack. The first CPU's
 * are part of the image; all others are mapped in vmap space.
 */
#include <hv/boot_step.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/vectors.h>

extern char trampoline_page[];

#define TOKEN_BUSY 1UL  /* of a supervisor token: some CPU is on it */
#define TOKEN_64BIT 1UL /* of a restore token */

/* The words below the token, through the direct map: their own addresses are read-only. */
static u64 *words_end(const void *block)
{
    u64 token = shadow_stack_token(block);

    return (u64 *)((char *)mfn_to_virt(pte_mfn(hv_lookup(token))) + token % PAGE_SIZE) + 1;
}

/* `page` where the block has its guard. */
static int shadow_stack_map(void *block, paddr_t page)
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
        int rc = !page            ? -ENOMEM :
                 off == PAGE_SIZE ? shadow_stack_map((void *)va, virt_to_phys(page)) :
                                    hv_map(va + off, virt_to_phys(page), PAGE_SIZE, HV_RW);

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

void *ist_block_alloc(void) { return block_alloc(vmap_reserve_for_cpus(STACK_BLOCK_SIZE, STACK_BLOCK_SIZE)); }

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
BOOT_STEP(stack_guard_boot_blocks, NEEDS(protections), GIVES(guarded_stacks), EVERYWHERE);
