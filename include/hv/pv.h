/* SPDX-License-Identifier: MIT */
/* PV guests: what a vCPU of theirs keeps, and its descriptor tables. Parts with a header of their own: hv/x86/pv/. */
#pragma once

#include <hv/arch.h>
#include <hv/domain.h>

/* ---- vmce.c: machine checks for guests ---- */
#define VMCE_BANKS 2
#define VMCE_MSR_STATUS 0x405 /* of bank 1, which holds what a guest is told */
#define VMCE_MSR_ADDR 0x406
#define VMCE_MSR_MISC 0x407
u64 *vmce_field(struct vmce *m, u32 msr);           /* NULL: an MSR that holds no state */
bool vmce_rdmsr(struct vcpu *v, u32 msr, u64 *val); /* true: all machine-check MSRs can be read */
bool vmce_wrmsr(struct vcpu *v, u32 msr, u64 val);  /* false: #GP */
/* The record and the #MC, now if v is current, else when it runs next; ends a domain that cannot take it. */
void vmce_inject(struct vcpu *v, const struct vmce *what);
u64 vmce_capabilities(void); /* MCG_CAP as guests see it */
/*
 * State from a toolstack: 0, or -EINVAL for what no processor would show. With MCIP set an error is
 * pending, and its #MC comes when v runs: synchronous (EIPV, a required action) only where the
 * processor tells required actions from optional ones.
 */
int vmce_set_state(struct vcpu *v, const struct vmce *state) __must_check;

/* ---- segments.c ---- */
void pv_init_gdt_window(struct vcpu *v);     /* of a new vCPU: zeroes */
void pv_window_set_cpu_page(struct vcpu *v); /* the reserved GDT page becomes this CPU's */
/* Of a vCPU that is current or outside. 0; -EINVAL: too many entries, or a frame that cannot be one of descriptors. */
int pv_set_gdt(struct vcpu *v, const mfn_t *frames, u32 entries) __may_preempt __must_check;
void pv_release_gdt(struct vcpu *v) __may_preempt; /* gives back the frames; the window shows zeroes */
void pv_release_ldt(struct vcpu *v) __may_preempt; /* gives back the frames; v is current or outside */
void pv_load_ldt(struct vcpu *v);                  /* LDTR of this CPU */
/* The processor has read at this offset of v's LDT window. True: the page is mapped now, try again. */
bool pv_ldt_fault(struct vcpu *v, u64 offset) __may_preempt;
/* Whether the selector names a descriptor in such a page; and maps it: true if it has been mapped only now. */
bool pv_ldt_unmapped(const struct vcpu *v, u16 selector);
bool pv_ldt_map(struct vcpu *v, u16 selector) __may_preempt;
bool descriptor_check(u64 *desc); /* makes it one that a guest may have. False: it must not have it */
/* The frame is BUSY. 0; -EINVAL: it holds a descriptor that guests may not have. */
int segdesc_page_validate(struct page_info *pg) __must_check;

/* ---- pv_vcpu.c: context. What common code calls: hv/arch.h ---- */
/*
 * To be called behind a write to v->pv or v's descriptor window by another vCPU: the next load of v takes all registers from there, and
 * flushes its CPU's translations of the window.
 */
void pv_state_changed(struct vcpu *v);
void pv_load_due_selectors(void) __may_preempt; /* maps LDT pages and loads the selectors that wait for them; v is current */
void pv_selectors_on_exit(void) __may_preempt;  /* SOFTIRQ_SELECTORS */
/* Gives back a vCPU's page tables and descriptor tables. It does not run, and no CPU has any of them loaded. */
void pv_drop_tables(struct vcpu *v) __may_preempt;

/* ---- hypercall_entry.c ---- */
int pv_init_hypercall_page(struct domain *d, mfn_t mfn) __may_preempt __must_check; /* d's frame becomes one of stubs. 0, -EINVAL */

/* ---- emulate/tsc.c ---- */
struct xen_domctl_tsc_info;
/* d is paused. 0; -EINVAL: no such mode, or a rate that cannot be. */
int pv_tsc_set(struct domain *d, const struct xen_domctl_tsc_info *x) __must_check;
void pv_tsc_get(const struct domain *d, struct xen_domctl_tsc_info *x);
u64 pv_tsc_read(const struct vcpu *v); /* what v's RDTSC gives; v is current */
static inline u64 pv_cr4_loaded(const struct vcpu *v) { return v->pv.cr4 | (unlikely(v->domain->pv.tsc.emulated) ? CR4_TSD : 0); }

/* ---- vcpu_context.c ---- */
void pv_get_context(const struct vcpu *v, struct vcpu_guest_context *c);
