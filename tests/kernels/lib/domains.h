/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack does, for test kernels that run as dom0: domains are created, get memory, are mapped and destroyed. The last
 * domctl's answer is in domctl_op.
 */
#ifndef DOMAINS_H
#define DOMAINS_H

#include "guest.h"

#include <public/domctl.h>

static struct xen_domctl domctl_op;

#define WRITABLE (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_NX)
#define READ_ONLY (PTE_P | PTE_U | PTE_A | PTE_NX)

/* Test builds only: free frames of the machine; the allocation after so many is refused (0: none), and whether one was not refused yet. */
#define FAIL_ALLOCATION 0x103
#define FREE_FRAMES 0x104
static inline u64 free_frames(void) { return (u64)HYPERCALL1(__HYPERVISOR_arch_7, FREE_FRAMES); }
static inline long fail_allocation(u64 after) { return HYPERCALL2(__HYPERVISOR_arch_7, FAIL_ALLOCATION, after); }

static inline long domctl(u32 cmd, domid_t id)
{
    domctl_op.cmd = cmd;
    domctl_op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    domctl_op.domain = id;
    return HYPERCALL1(__HYPERVISOR_domctl, &domctl_op);
}

/* The new domain's id is in domctl_op.domain. */
static inline long domain_try_create(u32 vcpus)
{
    domctl_op.u.createdomain = (struct xen_domctl_createdomain){ .flags = XEN_DOMCTL_CDF_oos_off,
                                                                 .max_vcpus = vcpus,
                                                                 .max_evtchn_port = 1023,
                                                                 .max_grant_frames = -1,
                                                                 .max_maptrack_frames = -1,
                                                                 .grant_opts = 2 };
    return domctl(XEN_DOMCTL_createdomain, DOMID_INVALID);
}

static inline long domain_try_vcpus(domid_t id, u32 vcpus)
{
    domctl_op.u.max_vcpus.max = vcpus;
    return domctl(XEN_DOMCTL_max_vcpus, id);
}

static inline void domain_set_max(domid_t id, u64 frames)
{
    domctl_op.u.max_mem.max_memkb = frames * 4;
    CHECK_EQ(domctl(XEN_DOMCTL_max_mem, id), 0);
}

/* Paused once, without a context; it may have so many frames. */
static inline domid_t domain_new(u32 vcpus, u64 frames)
{
    CHECK_EQ(domain_try_create(vcpus), 0);
    domid_t id = domctl_op.domain;

    CHECK_EQ(domain_try_vcpus(id, vcpus), 0);
    domain_set_max(id, frames);
    return id;
}

/* flags: XEN_DOMINF_*. The rest is in domctl_op.u.getdomaininfo. */
static inline u32 domain_info(domid_t id)
{
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, id), 0);
    CHECK_EQ(domctl_op.domain, id);
    return domctl_op.u.getdomaininfo.flags;
}

static inline bool domain_exists(domid_t id) { return !domctl(XEN_DOMCTL_getdomaininfo, id) && domctl_op.domain == id; }
static inline void domain_destroy(domid_t id) { CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, id), 0); }

/* n extents of 2^order frames; extents: their pfns before, their mfns afterwards. How many were done. */
static inline long reserve(u32 cmd, domid_t id, u64 *extents, u64 n, u32 order)
{
    struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .domid = id };

    *(u64 **)&r.extent_start = extents;
    return HYPERCALL2(__HYPERVISOR_memory_op, cmd, &r);
}

/* n frames, pfns 0 to n - 1. */
static inline void domain_populate(domid_t id, u64 *mfns, u64 n)
{
    for (u64 i = 0; i < n; i++)
        mfns[i] = i;
    CHECK_EQ(reserve(XENMEM_populate_physmap, id, mfns, n, 0), n);
}

/* Lets the page at va, which is a variable's, be the entry's frame, which belongs to that domain; how: of mmu_update. */
static inline long map_as(u32 how, void *va, u64 entry, domid_t id)
{
    struct mmu_update u = { pte_machine_address(va, 1) | how, entry };
    long rc = HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, id);

    mmuext(MMUEXT_INVLPG_LOCAL, (u64)va, 0);
    return rc;
}

static inline long map_foreign(void *va, u64 entry, domid_t id) { return map_as(MMU_NORMAL_PT_UPDATE, va, entry, id); }

static inline long mmuext_of(domid_t id, u32 cmd, u64 mfn)
{
    struct mmuext_op o = { .cmd = cmd, .arg1.mfn = mfn };

    return HYPERCALL4(__HYPERVISOR_mmuext_op, &o, 1, 0, id);
}

/* ---- an event every millisecond, also while a hypercall takes long ---- */
static u32 tick_port;
static volatile u32 tick_count;
static void (*on_tick)(void);

static inline void tick(void)
{
    tick_count++;
    __atomic_fetch_and(&shared_info->evtchn_pending[tick_port / 64], ~(1UL << tick_port % 64), __ATOMIC_SEQ_CST);
    shared_info->vcpu_info[0].evtchn_pending_sel = 0;
    on_tick();
}

/* handler may be called by the hypercalls that follow. */
static inline void ticks_begin(void (*handler)(void))
{
    struct evtchn_bind_virq v = { VIRQ_TIMER, 0, 0 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &v), 0);
    tick_port = v.port;
    on_tick = handler;
    event_handler = tick;
    tick_count = 0;
    events_unmask();
    CHECK_EQ(HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, &(u64){ 1000000 }), 0);
}

static inline void ticks_end(void)
{
    struct evtchn_close c = { tick_port };

    events_mask();
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_close, &c), 0);
}

#endif
