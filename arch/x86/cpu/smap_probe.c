/* SPDX-License-Identifier: MIT */
/*
 * Whether IRET in ring 3 works while CR4.SMAP is set. The emulator of QEMU 7.2 reads the frame as if it were the kernel, finds EFLAGS.AC
 * clear, and faults; PV kernels use that IRET to serialise the processor. So it is tried once, at boot, by two instructions in ring 3:
 * IRETQ to the next one, and SYSCALL. Meanwhile page faults and NMIs come to smap_probe_run.S, on IST stacks.
 */
#include <hv/lib.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/vectors.h>

/* Two addresses for ring 3: the last pages of the M2P's slot, whose upper tables have the user bit and whose end holds no M2P. */
#define CODE_VIRT (RO_M2P_VIRT_END - 2 * PAGE_SIZE)
#define STACK_VIRT (RO_M2P_VIRT_END - PAGE_SIZE)

struct gate { /* Intel SDM vol. 3, figure 6-8 */
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
CHECK_SIZE(struct gate, 16);

extern const struct gate idt_table[256];

extern char smap_probe_syscall[], smap_probe_fault[], smap_probe_nmi[];
enum { BACK_BY_SYSCALL, BACK_BY_FAULT, BACK_BY_NMI };
u32 smap_probe_run(u64 rip, u64 rsp, const struct table_pointer *idtr, const struct table_pointer *usual);

static struct gate gate_to(u64 handler, u8 ist)
{
    struct gate g = idt_table[VEC_PF];

    g.offset_low = (u16)handler;
    g.offset_middle = (u16)(handler >> 16);
    g.offset_high = (u32)(handler >> 32);
    g.ist = ist;
    return g;
}

static u64 smap_probe_prepare(u8 *page)
{
    static const u8 code[] = { 0x48, 0xcf, 0x0f, 0x05 }; /* iretq; syscall */
    u64 frame[5] = { CODE_VIRT + 2, SEL_GUEST_CS64, 2, STACK_VIRT + PAGE_SIZE / 2, SEL_GUEST_DS };

    memcpy(page, code, sizeof(code));
    memcpy(page + PAGE_SIZE - sizeof(frame), frame, sizeof(frame));
    return STACK_VIRT + PAGE_SIZE - sizeof(frame);
}

static bool smap_probe_fails(u64 rsp, const struct gate *idt)
{
    const struct table_pointer ours = { PAGE_SIZE - 1, (u64)idt }, usual = { PAGE_SIZE - 1, (u64)idt_table };
    u64 star = rdmsr(MSR_STAR), lstar = rdmsr(MSR_LSTAR), cr4 = read_cr4();
    u32 back;

    wrmsr(MSR_STAR, ((u64)SEL_GUEST_CS32 << 48) | ((u64)SEL_HV_CS64 << 32));
    wrmsr(MSR_LSTAR, (u64)smap_probe_syscall);
    write_cr4(cr4 | CR4_SMAP);
    do
        back = smap_probe_run(CODE_VIRT, rsp, &ours, &usual);
    while (back == BACK_BY_NMI);
    write_cr4(cr4);
    wrmsr(MSR_STAR, star);
    wrmsr(MSR_LSTAR, lstar);
    return back == BACK_BY_FAULT;
}

bool smap_breaks_iret(void)
{
    u8 *page = hv_alloc_page();
    struct gate *idt = hv_alloc_page();
    bool failed = false;

    if (page && idt && !hv_map(CODE_VIRT, virt_to_phys(page), PAGE_SIZE, PTE_PRESENT | PTE_USER | PTE_ACCESSED) &&
        !hv_map(STACK_VIRT, virt_to_phys(page), PAGE_SIZE, (HV_RW | PTE_USER) & ~PTE_GLOBAL)) {
        memcpy(idt, idt_table, PAGE_SIZE);
        idt[VEC_PF] = gate_to((u64)smap_probe_fault, IST_DB); /* there is no RSP0 before the first vCPU */
        idt[VEC_NMI] = gate_to((u64)smap_probe_nmi, IST_NMI);
        failed = smap_probe_fails(smap_probe_prepare(page), idt);
    }
    hv_unmap(CODE_VIRT, PAGE_SIZE);
    hv_unmap(STACK_VIRT, PAGE_SIZE);
    hv_free_page(page);
    hv_free_page(idt);
    return failed;
}
