/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's address space: its two base tables (the L4 of the guest's kernel and that of its user mode), loading one of them into CR3, the
 * CPUs that may have translations of it in their TLBs, and a walk in software. A base table has a type reference for being one; that is given
 * back only when no CPU has the table in CR3 any more.
 */
#include <hv/guest_access.h>
#include <hv/x86/pv/log_dirty.h>
#include <hv/x86/pv/mmu.h>
#include "pt_entry.h"

void pv_load_address_space(struct vcpu *v) { tlb_load_cr3(v->pv.run_l4[!v->pv.guest_kernel_mode] << PAGE_SHIFT); }

static void load_gdt(u64 base)
{
    const struct table_pointer gdtr = { GDT_LIMIT, base };

    __asm__ volatile("lgdt %0" ::"m"(gdtr));
}

void pv_enter_address_space(struct percpu *c, struct vcpu *v)
{
    __atomic_store_n(&c->loaded_dom, v->domain, __ATOMIC_SEQ_CST); /* before CR3 is loaded: cpus_with_guests() in tlb.c */
    pv_load_address_space(v);
    load_gdt(PERDOMAIN_VIRT_START + ((u64)v->id << GDT_LDT_VCPU_SHIFT));
}

void arch_cpu_leave_guests(void)
{
    struct percpu *c = this_cpu();

    if (!c->loaded_dom)
        return;
    load_gdt((u64)c->gdt - GDT_RESERVED_BASE);
    write_cr3(image_to_phys(hv_l4));
    c->guest_cr3 = 0;
    __atomic_store_n(&c->loaded_dom, NULL, __ATOMIC_RELEASE);
}

void pv_l4_changed(struct domain *d, const pte_t *entry)
{
    if (unlikely(d->pv.log.on))
        log_dirty_l4_changed(d, entry);
    else if (xpti_active())
        xpti_l4_changed(d, entry);
}

static force_inline void note_base(struct vcpu *v, bool user, mfn_t mfn)
{
    if (unlikely(v->domain->pv.log.on)) {
        log_dirty_note_base(v, user, mfn);
        return;
    }
    v->pv.base[user] = v->pv.run_l4[user] = mfn;
    if (xpti_active())
        xpti_load_l4(v, user, mfn);
}

void pv_note_base(struct vcpu *v, bool user, mfn_t mfn) { note_base(v, user, mfn); }

static force_inline int set_base(struct vcpu *v, bool user, mfn_t mfn)
{
    mfn_t old = v->pv.base[user];
    int rc = mfn || !user ? page_get_and_type(mfn, v->domain, PGT_L4) : 0;

    if (rc)
        return rc;
    note_base(v, user, mfn);
    if (!user && v == current) /* so it runs its kernel; user mode's is loaded on the way there */
        tlb_load_cr3(v->pv.run_l4[0] << PAGE_SHIFT);
    /* Only now: no CPU has the old table in CR3 any more, so it may be torn down. */
    if (old)
        page_put_and_type(mfn_to_page(old));
    return 0;
}

/* Each process switch of a guest comes here twice: once for either mode, and each way is compiled by itself. */
int pv_set_base(struct vcpu *v, bool user, mfn_t mfn) { return user ? set_base(v, true, mfn) : set_base(v, false, mfn); }

/*
 * The CPUs that may have translations of these vCPUs of the domain: those whose curr_vcpu is one of them.
 *
 *   CPU A (here):              the guest has changed page tables; reads curr_vcpu
 *   CPU B (arch_vcpu_load()):  curr_vcpu = v; loads CR3
 *
 * If A does not see v, B's walks come after the change (a CR3 load is ordered behind the store). The other way round in either, B could keep a
 * translation of the old tables and not be asked to flush. Nor is v freed while A looks at its domain: domains_end().
 */
static cpuset_t cpus_of(const struct domain *d, u64 vcpus)
{
    cpuset_t set = CPUSET_NONE;

    smp_mb();
    for_each_cpu(c, cpuset_read(&cpus_online)) {
        const struct vcpu *v = READ_ONCE(c->curr_vcpu);

        if (v && v->domain == d && (vcpus >> v->id & 1))
            cpuset_set(&set, c->id);
    }
    return set;
}

int pv_flush_vcpus(const struct domain *d, guest_ptr_t guest_bitmap, u64 address)
{
    u64 vcpus = ~0ULL;

    if (guest_bitmap.va) {
        vcpus = 0;
        if (copy_from_guest(&vcpus, guest_bitmap, (d->max_vcpus + 7) / 8))
            return -EFAULT;
    }
    tlb_flush_cpus(cpus_of(d, vcpus), address);
    return 0;
}

void arch_flush_caller(void)
{
    cpuset_t others = cpuset_without(cpus_of(current->domain, ~0ULL), this_cpu()->id);

    tlb_flush_local();
    if (!cpuset_empty(others))
        tlb_flush_cpus(others, 0);
}

paddr_t pv_walk(const struct vcpu *v, u64 va, unsigned level) { return pt_walk(v->pv.base[0], va, level); }
