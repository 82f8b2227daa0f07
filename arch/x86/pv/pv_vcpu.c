/* SPDX-License-Identifier: MIT */
/* CPU state of PV vCPUs: creation, switching, end. What a guest or a toolstack says of it as a whole: vcpu_context.c. */
#include <hv/pv.h>
#include <hv/x86/cpu.h>
#include <hv/x86/fpu.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/pv/trap.h>

/* The toolstack may see the M2P table as it is mapped for guests: by frames, read-only. */
static void share_m2p(void)
{
    mfn_t mfn;

    for (u32 chunk = 0; m2p_chunk(chunk, &mfn); chunk++)
        for (u32 i = 0; mfn && i < M2P_CHUNK_SIZE >> PAGE_SHIFT; i++)
            domain_share_page(domain_xen, mfn_to_page(mfn + i), PGT_NONE);
}

void arch_domains_init(void)
{
    share_m2p();
    softirq_register(SOFTIRQ_SELECTORS, pv_selectors_on_exit);
    cpuid_tell_hidden();
}

int arch_domain_create(struct domain *d)
{
    d->pv.log.lock = (spinlock_t)SPINLOCK_INIT(LOCK_LOG_DIRTY);
    d->pv.xcr0_mask = cpu.xcr0_mask;
    d->pv.perdomain_l3 = hv_alloc_page();
    d->pv.perdomain_l2 = hv_alloc_page();
    if (!d->pv.perdomain_l3 || !d->pv.perdomain_l2)
        return -ENOMEM;
    d->pv.perdomain_l3[0] = make_pte(virt_to_mfn(d->pv.perdomain_l2), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
    for (unsigned i = 0; i * VCPUS_PER_L1 < d->max_vcpus; i++) {
        d->pv.perdomain_l1[i] = hv_alloc_page();
        if (!d->pv.perdomain_l1[i])
            return -ENOMEM;
        d->pv.perdomain_l2[i] = make_pte(virt_to_mfn(d->pv.perdomain_l1[i]), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
    }
    return 0;
}

int arch_vcpu_create(struct vcpu *v)
{
    v->pv.fpu_area = hv_alloc(fpu_area_size());
    if (!v->pv.fpu_area)
        return -ENOMEM;
    fpu_area_init(v->pv.fpu_area);
    v->pv.guest_kernel_mode = true;
    v->pv.xcr0 = cpu.xsave ? 1 : 0;
    v->pv.dr[6] = DR6_RESERVED_1;
    v->pv.dr[7] = DR7_RESERVED_1;
    v->pv.spec_ctrl_hw = spec_ctrl_for(0);
    pv_init_gdt_window(v);
    return xpti_init_vcpu(v);
}

void arch_vcpu_free(struct vcpu *v)
{
    xpti_free_vcpu(v);
    hv_free(v->pv.fpu_area);
}

void arch_domain_free(struct domain *d)
{
    for (unsigned i = 0; i < MAX_VIRT_CPUS / VCPUS_PER_L1; i++)
        hv_free_page(d->pv.perdomain_l1[i]);
    hv_free_page(d->pv.perdomain_l2);
    hv_free_page(d->pv.perdomain_l3);
    hv_free(d->pv.cpuid);
}

/* No CPU's curr_vcpu is v any more. Only for a vCPU that never runs again. */
static void forget_state(struct vcpu *v)
{
    for (u32 i = 0; i < MAX_CPUS; i++) {
        struct vcpu *had = v;

        if (cpu_table[i])
            __atomic_compare_exchange_n(&cpu_table[i]->curr_vcpu, &had, NULL, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
}

static void drop_base(struct vcpu *v, bool user)
{
    mfn_t old = v->pv.base[user];

    pv_note_base(v, user, 0);
    if (old)
        page_put_and_type(mfn_to_page(old));
}

void pv_drop_tables(struct vcpu *v)
{
    drop_base(v, false);
    drop_base(v, true);
    pv_release_gdt(v);
    pv_release_ldt(v);
}

void arch_domain_unload(const struct domain *d)
{
    /* A CPU that ran it last and now idles goes to the hypervisor's tables by itself before it sleeps. */
    for_each_cpu(c, cpuset_read(&cpus_online))
        for (u32 turns = 0; READ_ONCE(c->loaded_dom) == d;)
            preempt_wait(&turns);
}

void arch_vcpu_reset(struct vcpu *v)
{
    arch_domain_unload(v->domain);
    pv_drop_tables(v);
}

void arch_domain_relinquish(struct domain *d)
{
    log_dirty_end(d);
    for_each_vcpu(d, v) {
        pv_drop_tables(v);
        forget_state(v);
    }
}

static void save_bases(struct pv_vcpu *p)
{
    p->fs_base = rdmsr(MSR_FS_BASE);
    p->gs_base = rdmsr(MSR_GS_BASE);
    p->gs_base_shadow = rdmsr(MSR_KERNEL_GS_BASE);
}

void arch_vcpu_save(struct vcpu *v)
{
    struct pv_vcpu *p = &v->pv;

    fpu_save(p->fpu_area);
    if (!p->selectors_due && !p->selectors_lost)
        __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(p->ds), "=r"(p->es), "=r"(p->fs), "=r"(p->gs));
    save_bases(p);
}

void pv_state_changed(struct vcpu *v)
{
    /*
     * CPU A: writes the state, then state_cpu (here). CPU B, that loads v: state_cpu, then reads the state (with a CR3 load between, which
     * keeps the order). The other way round in either, B could have the old state and A's mark be overwritten by B's.
     */
    __atomic_store_n(&v->state_cpu, ~0u, __ATOMIC_RELEASE);
}

/* A selector that faults (its descriptor has changed meanwhile) becomes null, and is counted. */
#define LOAD_SELECTOR(reg, sel, lost)                              \
    do {                                                           \
        u32 s_ = (sel);                                            \
        __asm__ volatile("1: mov %k0, %%" #reg "\n"                \
                         "2:\n"                                    \
                         ".pushsection .text.fixup, \"ax\"\n"      \
                         "3: xor %k0, %k0\n   inc %1\n   jmp 1b\n" \
                         ".popsection\n" EXTABLE("1b", "3b")       \
                         : "+r"(s_), "+r"(lost));                  \
    } while (0)

/* Loads the guest's selectors; null ones where they wait for pages of the LDT (selectors_due). */
static void load_selectors(struct pv_vcpu *p)
{
    u32 kept = p->selectors_due ? 0 : 0xffff, lost = 0;

    LOAD_SELECTOR(ds, p->ds & kept, lost);
    LOAD_SELECTOR(es, p->es & kept, lost);
    LOAD_SELECTOR(fs, p->fs & kept, lost);
    LOAD_SELECTOR(gs, p->gs & kept, lost);
    p->selectors_lost = lost;
    wrmsr(MSR_FS_BASE, p->fs_base);
    wrmsr(MSR_GS_BASE, p->gs_base);
    wrmsr(MSR_KERNEL_GS_BASE, p->gs_base_shadow);
}

/* All descriptors that the selectors name are mapped. Mapping pages of the LDT may run other vCPUs, so a switch does not do it. */
static bool descriptors_mapped(const struct vcpu *v)
{
    const struct pv_vcpu *p = &v->pv;

    return !pv_ldt_unmapped(v, p->ds) && !pv_ldt_unmapped(v, p->es) && !pv_ldt_unmapped(v, p->fs) && !pv_ldt_unmapped(v, p->gs);
}

static void ask_for_selectors(const struct pv_vcpu *p)
{
    if (p->selectors_due || p->selectors_lost)
        softirq_raise(SOFTIRQ_SELECTORS);
}

void pv_load_due_selectors(void)
{
    struct vcpu *v = current;
    struct pv_vcpu *p = &v->pv;

    if (!p->selectors_due)
        return;
    pv_ldt_map(v, p->ds);
    pv_ldt_map(v, p->es);
    pv_ldt_map(v, p->fs);
    pv_ldt_map(v, p->gs);
    p->selectors_due = false;
    save_bases(p);
    load_selectors(p);
}

/* The guest is told of selectors that could not be loaded again, with what they were: the failsafe callback, if it has one. */
void pv_selectors_on_exit(void)
{
    struct vcpu *v = current;

    pv_load_due_selectors();
    if (!v->pv.selectors_lost)
        return;
    v->pv.selectors_lost = false;
    if (v->pv.failsafe_cb.address && !pv_failsafe_bounce(v, guest_cpu_user_regs()))
        guest_crash(v, guest_cpu_user_regs(), CRASH_RETURN, 0,
                    "the failsafe callback's frame cannot be written to the guest's kernel stack");
}

void arch_vcpu_load(struct vcpu *v)
{
    struct percpu *c = this_cpu();
    struct pv_vcpu *p = &v->pv;

    /* No other vCPU but the idle one has run here since v left, and that one uses none of these registers: v's are still loaded. */
    if (c->curr_vcpu == v && v->state_cpu == c->id) {
        if (!c->loaded_dom)
            pv_enter_address_space(c, v);
        fpu_load_xcr0(p->xcr0);
        ask_for_selectors(p);
        if (p->cr0_ts)
            write_cr0(read_cr0() | CR0_TS);
        return;
    }
    c->curr_vcpu = v;
    v->state_cpu = c->id;
    spec_barrier();
    xpti_enter_cpu(c, v);

    /* The new window has our GDT page before anything can load a segment through it. */
    pv_window_set_cpu_page(v);
    pv_enter_address_space(c, v);
    pv_load_ldt(v);

    cpu_write_cr4((c->cr4 & ~(CR4_TSD | CR4_DE | CR4_FSGSBASE)) | pv_cr4_loaded(v));
    fpu_restore(p->fpu_area, p->xcr0);
    if (p->cr0_ts)
        write_cr0(read_cr0() | CR0_TS);
    pv_load_debug_registers(v);

    p->selectors_due = !descriptors_mapped(v);
    load_selectors(p);
    ask_for_selectors(p);
    if (cpu.rdtscp)
        wrmsr(MSR_TSC_AUX, p->tsc_aux);
    spec_ctrl_load(p->spec_ctrl_hw);
    cpu_fault_cpuid(v->domain->pv.cpuid); /* dom0 asks the processor itself */
}
