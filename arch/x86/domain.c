/* SPDX-License-Identifier: MIT */
/* What common code asks of a kind of guest. There is one kind, so each question has one answer. */
#include <hv/arch.h>
#include <hv/pv.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>

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

int arch_domain_create(struct domain *d) { return pv_domain_init(d); }

int arch_vcpu_create(struct vcpu *v) { return pv_vcpu_init(v); }

void arch_domain_relinquish(struct domain *d) { pv_domain_relinquish(d); }

void arch_domain_free(struct domain *d) { pv_domain_free(d); }

void arch_vcpu_free(struct vcpu *v) { pv_vcpu_free(v); }

void arch_vcpu_save(struct vcpu *v) { pv_state_save(v); }

void arch_vcpu_load(struct vcpu *v) { pv_state_load(v); }

void arch_cpu_leave_guests(void) { pv_leave_address_space(); }

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) { return pv_set_context(v, c); }

void arch_flush_caller(void) { pv_flush_caller(); }

int16_t arch_grant_map(struct arch_walk *w, struct domain *owner, mfn_t mfn, u64 at, u32 flags)
{
    return pv_grant_map(w, owner, mfn, at, flags);
}

int16_t arch_grant_unmap(struct arch_walk *w, mfn_t mfn, u64 at, u32 flags, u64 from) { return pv_grant_unmap(w, mfn, at, flags, from); }
