/* SPDX-License-Identifier: MIT */
/*
 * A hostile kernel: random operations from several vCPUs at once, most of them almost right. What each vCPU does follows from the seed alone. It
 * may die; the hypervisor may not, and nobody else may take harm. It is dom0 (ops.c), or a guest without rights (guests.c).
 *
 * Some of it is done in user mode, and comes back by SYSCALL, a trap or the failsafe callback.
 *
 * An operation is made of what matters where it goes: frames that are tables, mappings, free or not ours,
 * entries with plausible flags, ports that exist, structures whose fields are each sometimes wild.
 *
 * Whoever includes this says how much it has to play with: WORKERS (vCPUs), FRAMES, WINDOWS.
 */
#pragma once

#include "smp.h"
#include <hv/hypercall_list.h>
#include <public/grant_table.h>
#include <public/hypfs.h>
#include <public/mca.h>
#include <public/sysctl.h>

#define RESUMABLE 0xf022f022U

static u64 mfns[FRAMES];     /* frames to play with; some are given away and taken anew */
static u8 *frame_va[FRAMES]; /* their first mappings, read-only */
static u8 *windows[WINDOWS];
static u64 window_entries[WINDOWS];                      /* machine addresses: the table that says so is attacked too */
static u64 theirs[FRAMES];                               /* frames of other domains, as memory_op tells them */
static domid_t self_id, others[] = { 1, 2, 3, 4, 5, 6 }; /* domains that there may be */
static u64 pt_base_mfn, nr_ops = 10000, seed = 1;
static u64 home_first = ~0UL, home_last;                         /* the frames of this kernel and its tables */
static volatile u64 done, succeeded, trapped, finished, allowed; /* allowed: of what needs a right */

struct worker {
    u64 state;
    u32 id;
    u8 *scratch;    /* a page of arguments */
    bool forbidden; /* the operation names another domain: to a guest */
} __attribute__((aligned(64)));
static struct worker workers[WORKERS];

static u64 rnd(struct worker *w)
{
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return w->state;
}

static u64 below(struct worker *w, u64 n) { return (rnd(w) >> 16) % n; }
static bool one_in(struct worker *w, u64 n) { return !below(w, n); }
static domid_t some_other(struct worker *w) { return others[below(w, sizeof(others) / sizeof(others[0]))]; }

/* A number that somebody forgot to check. */
static u64 wild(struct worker *w)
{
    /* clang-format off */
    static const u64 interesting[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x7ff0, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
                                       0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0xffff82d040000000,
                                       0xffff830000001000, 0xffff87fffffffff8, 0xffff880000000000, 0x7fffffffffffffff, ~0UL, ~0UL - 7 };
    /* clang-format on */

    return one_in(w, 3) ? rnd(w) : interesting[below(w, sizeof(interesting) / 8)] + (one_in(w, 4) ? below(w, 16) : 0);
}

/* Any frame but those that we live in. */
static u64 stranger(u64 mfn) { return mfn >= home_first && mfn <= home_last ? mfns[0] : mfn; }

static u64 some_mfn(struct worker *w)
{
    switch (below(w, 16)) {
    case 0: return stranger(below(w, 0x10000));
    case 1: return stranger(wild(w) & 0xfffffffffffUL);
    case 2: return pt_base_mfn;
    case 3: return 0xfee00 + below(w, 3); /* the local APIC and beside it */
    case 4: return start_info->shared_info >> 12;
    case 5:
    case 6: return stranger(theirs[below(w, FRAMES)]);
    default: return mfns[below(w, FRAMES)];
    }
}

/* Whose frames a call is about: of the few other domains, the hypervisor's, our own. */
static domid_t some_owner(struct worker *w)
{
    switch (below(w, 12)) {
    case 0: return DOMID_IO;
    case 1: return DOMID_XEN;
    case 2: return (domid_t)wild(w);
    case 3: return DOMID_SELF;
    default: return some_other(w);
    }
}

static u64 some_pte(struct worker *w)
{
    static const u64 flags[] = { PTE_P, PTE_P | PTE_A, PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX, PTE_P | PTE_U | PTE_A, 0 };
    u64 e = (some_mfn(w) << 12 & PTE_ADDR) | flags[below(w, 5)];

    if (one_in(w, 4))
        e ^= 1UL << below(w, 12);
    if (one_in(w, 16))
        e ^= 1UL << below(w, 64);
    return e;
}

/* Machine address of an entry that we can afford to lose. */
static u64 some_entry(struct worker *w)
{
    if (one_in(w, 3))
        return window_entries[below(w, WINDOWS)];
    return (some_mfn(w) << 12) + 8 * below(w, 512);
}

static struct vcpu_time_info clock; /* taken before anybody stores into shared_info; it never changes */
static u64 now(void) { return smp_time_by(&clock); }

struct call {
    u64 nr, a[4];
};

static struct call mmu_update(struct worker *w)
{
    struct mmu_update *u = (void *)w->scratch;
    u64 n = 1 + below(w, 8);

    for (u64 i = 0; i < n; i++) {
        u[i].ptr = some_entry(w);
        /* The tables that we live in keep their entries, but for the windows'. */
        if (u[i].ptr >> 12 == pt_base_mfn)
            u[i].ptr = mfns[0] << 12;
        u[i].ptr |= below(w, 4);
        u[i].val = some_pte(w);
    }
    return (struct call){ __HYPERVISOR_mmu_update,
                          { (u64)u, one_in(w, 50) ? wild(w) & 0xff : n, one_in(w, 4) ? (u64)w->scratch + 2048 : 0,
                            !one_in(w, 4) ? DOMID_SELF :
                            one_in(w, 3)  ? (some_owner(w) + 1UL) << 16 | some_owner(w) :
                                            some_owner(w) } };
}

static struct call update_va(struct worker *w)
{
    u64 va = (u64)windows[below(w, WINDOWS)] + (one_in(w, 50) ? below(w, 4096) : 0), flags = below(w, 3);

    if (one_in(w, 3))
        flags |= UVMF_ALL;
    else if (one_in(w, 3)) {
        *(u64 *)(w->scratch + 1024) = rnd(w);
        flags |= (u64)w->scratch + 1024;
    } else if (one_in(w, 50))
        flags |= wild(w) & ~3UL;
    return (struct call){ __HYPERVISOR_update_va_mapping,
                          { one_in(w, 60) ? wild(w) | 1UL << 63 | 0x7ffUL << 52 | 0x100UL << 39 : va, some_pte(w), flags } };
}

static bool names_other(domid_t id)
{
    for (u32 i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i] == id && id != self_id)
            return true;
    return false;
}

static struct call mmuext_op(struct worker *w)
{
    struct mmuext_op *op = (void *)w->scratch;
    u64 n = 1 + below(w, 3);

    for (u64 i = 0; i < n; i++) {
        op[i].cmd = (u32)below(w, one_in(w, 10) ? 40 : 5); /* mostly pins */
        if (op[i].cmd == 4 || one_in(w, 3))
            op[i].cmd = MMUEXT_UNPIN_TABLE;
        if (op[i].cmd == MMUEXT_NEW_BASEPTR && !one_in(w, 4))
            op[i].cmd = MMUEXT_TLB_FLUSH_ALL;
        op[i].arg1.mfn = op[i].cmd == MMUEXT_NEW_BASEPTR ? pt_base_mfn : some_mfn(w);
        if (op[i].cmd == MMUEXT_UNPIN_TABLE && op[i].arg1.mfn == pt_base_mfn)
            op[i].arg1.mfn = mfns[0];
        if (op[i].cmd == MMUEXT_CLEAR_PAGE || op[i].cmd == MMUEXT_COPY_PAGE)
            op[i].arg1.mfn = one_in(w, 3) ? stranger(theirs[below(w, FRAMES)]) : mfns[below(w, FRAMES)];
        op[i].arg2.src_mfn = one_in(w, 2) ? (u64)w->scratch + 3000 : some_mfn(w);
        if (op[i].cmd == MMUEXT_SET_LDT) {
            op[i].arg1.linear_addr = (u64)windows[below(w, WINDOWS)];
            op[i].arg2.nr_ents = (u32)below(w, 600);
        }
    }
    domid_t id = one_in(w, 4) ? some_owner(w) : DOMID_SELF;

    w->forbidden = names_other(id);
    return (struct call){ __HYPERVISOR_mmuext_op, { (u64)op, n, 0, id } };
}

static struct call segments(struct worker *w)
{
    u64 *frames = (void *)w->scratch, n = below(w, 3);

    switch (below(w, 4)) {
    case 0:
        for (u64 i = 0; i < 16; i++)
            frames[i] = some_mfn(w);
        return (struct call){ __HYPERVISOR_set_gdt, { (u64)frames, one_in(w, 20) ? wild(w) : n * 512 } };
    case 1: return (struct call){ __HYPERVISOR_update_descriptor, { (mfns[below(w, FRAMES)] << 12) + 8 * below(w, 512), rnd(w) } };
    case 2: return (struct call){ __HYPERVISOR_set_segment_base, { below(w, 5), one_in(w, 2) ? wild(w) & 0xffff : wild(w) } };
    default: return (struct call){ __HYPERVISOR_set_debugreg, { below(w, 8), one_in(w, 2) ? below(w, 1UL << 46) : rnd(w) & 0xffff } };
    }
}

/* As memory() makes it. */
static bool names_domain(u64 cmd)
{
    return cmd == XENMEM_increase_reservation || cmd == XENMEM_decrease_reservation || cmd == XENMEM_populate_physmap ||
           cmd == XENMEM_claim_pages || cmd == XENMEM_set_memory_map;
}

static struct call memory(struct worker *w)
{
    struct xen_memory_reservation *r = (void *)w->scratch;
    u64 *list = (void *)(w->scratch + 512), cmd = below(w, 30);
    domid_t id = one_in(w, 3) ? some_owner(w) : DOMID_SELF;

    if (cmd >= 16 && one_in(w, 2))
        cmd = below(w, 2) ? XENMEM_populate_physmap : XENMEM_decrease_reservation;

    for (u64 i = 0; i < 64; i++)
        list[i] = some_mfn(w) == pt_base_mfn ? 0 : mfns[below(w, FRAMES)];
    if (cmd == 11) {
        struct xen_memory_exchange *x = (void *)w->scratch;

        x->in = (struct xen_memory_reservation){ list, 1 + below(w, 4), (u32)below(w, 3), 0, DOMID_SELF };
        x->out = (struct xen_memory_reservation){ list + 32, 1 + below(w, 4), (u32)below(w, 3), one_in(w, 2) ? 32 : 0, DOMID_SELF };
        x->nr_exchanged = one_in(w, 20) ? wild(w) : 0;
    } else {
        *r = (struct xen_memory_reservation){ list, 1 + below(w, 8), (u32)below(w, one_in(w, 20) ? 40 : 2), one_in(w, 20) ? (u32)rnd(w) : 0,
                                              one_in(w, 20) ? (domid_t)rnd(w) : DOMID_SELF };
        if (one_in(w, 30))
            ((u64 *)r)[below(w, 3)] = wild(w);
        if (id != DOMID_SELF && cmd <= XENMEM_populate_physmap)
            *r = (struct xen_memory_reservation){ theirs + below(w, FRAMES - 8), 1 + below(w, 8), 0, 0, id };
        if (cmd == XENMEM_claim_pages)
            *r = (struct xen_memory_reservation){ NULL, below(w, 2048), 0, 0, id };
        if (cmd == XENMEM_set_memory_map)
            *(struct xen_foreign_memory_map *)r = (struct xen_foreign_memory_map){ id, { (u32)below(w, 140), list } };
        if (cmd == XENMEM_acquire_resource)
            *(struct xen_mem_acquire_resource *)r = (struct xen_mem_acquire_resource){ .domid = id,
                                                                                       .type = (u16)below(w, 3),
                                                                                       .nr_frames = (u32)below(w, 4),
                                                                                       .frame = below(w, 70),
                                                                                       .frame_list = theirs + below(w, FRAMES - 8) };
    }
    w->forbidden = names_other(id) && names_domain(cmd);
    return (struct call){ __HYPERVISOR_memory_op, { cmd, (u64)w->scratch } };
}

/* Random bytes, with small numbers where fields are likely. */
static void fill(struct worker *w, u32 bytes)
{
    u32 *p = (void *)w->scratch;

    for (u32 i = 0; i < bytes / 4; i++)
        p[i] = (u32)(one_in(w, 8) ? wild(w) : below(w, 8));
}

/* Between two domains. */
static struct call links(struct worker *w)
{
    u64 cmd = EVTCHNOP_send;

    switch (below(w, 6)) {
    case 0:
        cmd = EVTCHNOP_alloc_unbound;
        *(struct evtchn_alloc_unbound *)w->scratch = (struct evtchn_alloc_unbound){ .dom = DOMID_SELF, .remote_dom = some_other(w) };
        break;
    case 1:
        cmd = EVTCHNOP_bind_interdomain;
        *(struct evtchn_bind_interdomain *)w->scratch =
            (struct evtchn_bind_interdomain){ .remote_dom = some_other(w), .remote_port = (u32)below(w, 12) };
        break;
    case 2: cmd = EVTCHNOP_close;                    /* fall through */
    default: *(u32 *)w->scratch = (u32)below(w, 20); /* the port */
    }
    return (struct call){ __HYPERVISOR_event_channel_op, { cmd, (u64)w->scratch } };
}

static struct call events(struct worker *w)
{
    if (is_domu && one_in(w, 2))
        return links(w);
    fill(w, 64);
    if (one_in(w, 3)) { /* the FIFO pages */
        *(u64 *)w->scratch = some_mfn(w);
        return (struct call){ __HYPERVISOR_event_channel_op, { 11 + below(w, 2), (u64)w->scratch } };
    }
    return (struct call){ __HYPERVISOR_event_channel_op, { below(w, 15), one_in(w, 100) ? wild(w) : (u64)w->scratch } };
}

static struct call vcpus(struct worker *w)
{
    u64 cmd = below(w, 16), id = below(w, WORKERS + 2);

    fill(w, 1024);
    if (cmd == VCPUOP_up || cmd == VCPUOP_down)
        cmd = VCPUOP_get_runstate_info;
    if (cmd == VCPUOP_register_runstate_memory_area ||
        cmd == VCPUOP_register_vcpu_time_memory_area) /* it is written at any time: not over what we need */
        *(u64 *)w->scratch = one_in(w, 2) ? (u64)windows[below(w, WINDOWS)] : wild(w) | 1UL << 63;
    if (cmd == VCPUOP_register_vcpu_info) {
        *(u64 *)w->scratch = some_mfn(w);
        id = WORKERS + 1; /* never started */
    }
    if (cmd == VCPUOP_initialise)
        id = WORKERS + 1;
    return (struct call){ __HYPERVISOR_vcpu_op, { cmd, id, (u64)w->scratch } };
}

static struct call scheduling(struct worker *w)
{
    struct sched_poll *p = (void *)w->scratch;

    switch (below(w, 5)) {
    case 0: return (struct call){ __HYPERVISOR_sched_op, { SCHEDOP_yield, 0 } };
    case 1:
        *(struct sched_pin_override *)w->scratch = (struct sched_pin_override){ (int)below(w, 4) - 1 };
        return (struct call){ __HYPERVISOR_sched_op, { SCHEDOP_pin_override, (u64)w->scratch } };
    case 2: /* none is left to fire */
        *(struct sched_watchdog *)w->scratch = (struct sched_watchdog){ (u32)below(w, 4), 1000000 };
        return (struct call){ __HYPERVISOR_sched_op, { SCHEDOP_watchdog, (u64)w->scratch } };
    case 3:
        fill(w, 256);
        *p = (struct sched_poll){ (void *)(w->scratch + 64), (u32)below(w, 5), now() + below(w, 100000) };
        return (struct call){ __HYPERVISOR_sched_op, { SCHEDOP_poll, (u64)p } };
    default: return (struct call){ __HYPERVISOR_set_timer_op, { one_in(w, 4) ? wild(w) : now() + below(w, 1000000) } };
    }
}

/* A vCPU's state, sometimes with something wild in it. Written again by whatever reads one. */
static struct vcpu_guest_context *domain_context(struct worker *w)
{
    static struct vcpu_guest_context contexts[WORKERS];
    struct vcpu_guest_context *c = &contexts[w->id % WORKERS];

    if (one_in(w, 2))
        *c = (struct vcpu_guest_context){ .flags = VGCF_in_kernel, .ctrlreg[3] = some_mfn(w) << 12 };
    if (one_in(w, 2))
        ((u64 *)c)[below(w, sizeof(*c) / 8)] = wild(w);
    return c;
}

/* The same of its extended state: XCR0, all that it may have, the image and its header. */
static u64 *domain_state(struct worker *w)
{
    static u64 states[WORKERS][512];
    u64 *s = states[w->id % WORKERS];

    if (one_in(w, 2))
        s[0] = s[1] = s[2 + 512 / 8] = below(w, 8) | 1;
    if (one_in(w, 2))
        s[below(w, 2 + 576 / 8)] = one_in(w, 2) ? 0 : wild(w);
    return s;
}

static struct call machine_ops(struct worker *w)
{
    fill(w, 256);
    switch (below(w, 7)) {
    case 0: {
        static const u32 cmds[] = { XENPF_settime64,   XENPF_get_cpuinfo,   XENPF_cpu_online,
                                    XENPF_cpu_offline, XENPF_firmware_info, XENPF_read_memtype };
        struct xen_platform_op *op = (void *)w->scratch;

        op->cmd = one_in(w, 10) ? 63 + (u32)below(w, 10) : cmds[below(w, 6)];
        op->interface_version = XENPF_INTERFACE_VERSION;
        return (struct call){ __HYPERVISOR_platform_op, { (u64)op } };
    }
    case 1: return (struct call){ __HYPERVISOR_physdev_op, { below(w, 32), (u64)w->scratch } };
    case 2: {
        struct xen_domctl *op = (void *)w->scratch;
        static const u32 cmds[] = { 17, 66, 82, 83, 83, 9,  25, 16, 43, 72, XEN_DOMCTL_getpageframeinfo3, 1, 2, 3, 4, 5, 11, 12, 13, 15,
                                    10, 14, 22, 24, 27, 59, 60, 62, 63, 69 };

        op->cmd = one_in(w, 10) ? (u32)below(w, 90) : cmds[below(w, sizeof(cmds) / sizeof(cmds[0]))];
        if (op->cmd == XEN_DOMCTL_set_vcpu_msrs)
            op->cmd = XEN_DOMCTL_get_vcpu_msrs; /* a machine check would end us */
        if (op->cmd == XEN_DOMCTL_sendtrigger)
            op->cmd = XEN_DOMCTL_resumedomain; /* an NMI as well */
        op->interface_version = one_in(w, 3) ? XEN_DOMCTL_INTERFACE_VERSION_4_20 : XEN_DOMCTL_INTERFACE_VERSION;
        op->domain = one_in(w, 10) ? (domid_t)rnd(w) : DOMID_SELF;
        /* The life of other domains, of which there are a few at a time. */
        if (op->cmd < XEN_DOMCTL_setvcpuaffinity || (op->cmd >= XEN_DOMCTL_max_mem && op->cmd <= XEN_DOMCTL_max_vcpus) || one_in(w, 3))
            op->domain = some_other(w);
        if (op->cmd == XEN_DOMCTL_getpageframeinfo3) {
            op->domain = some_other(w);
            op->u.getpageframeinfo3 = (struct xen_domctl_getpageframeinfo3){ below(w, 8), (u64)(w->scratch + 512) };
        }
        if (op->cmd == XEN_DOMCTL_createdomain)
            op->u.createdomain = (struct xen_domctl_createdomain){
                .max_vcpus = 1 + (u32)below(w, 2), .max_evtchn_port = (u32)rnd(w), .max_grant_frames = -1, .grant_opts = 1
            };
        else if (op->cmd == XEN_DOMCTL_max_vcpus)
            op->u.max_vcpus.max = 1 + (u32)below(w, 2);
        else if (op->cmd == XEN_DOMCTL_setvcpucontext || op->cmd == XEN_DOMCTL_getvcpucontext)
            op->u.vcpucontext =
                (struct xen_domctl_vcpucontext){ (u32)below(w, 3),
                                                 op->cmd == XEN_DOMCTL_setvcpucontext && one_in(w, 4) ? 0 : (u64)domain_context(w) };
        else if (op->cmd == XEN_DOMCTL_setvcpuextstate || op->cmd == XEN_DOMCTL_getvcpuextstate)
            op->u.vcpuextstate =
                (struct xen_domctl_vcpuextstate){ (u32)below(w, 3), one_in(w, 8) ? wild(w) : below(w, 8),
                                                  one_in(w, 8) ? wild(w) : 16 + 576 + 256 * below(w, 2), (u64)domain_state(w) };
        else if (op->cmd == XEN_DOMCTL_max_mem)
            op->u.max_mem.max_memkb = below(w, 4096);
        if (op->cmd == XEN_DOMCTL_setvcpuaffinity) {
            u64 *map = (void *)(w->scratch + 512);

            *map = rnd(w);
            op->u.vcpuaffinity.cpumap_hard = op->u.vcpuaffinity.cpumap_soft = (struct xenctl_bitmap){ (u64)map, (u32)below(w, 70) };
        }
        if (op->cmd == XEN_DOMCTL_set_virq_handler)
            op->u.set_virq_handler.virq = (u32)below(w, 26);
        if (op->cmd == XEN_DOMCTL_get_cpu_policy || op->cmd == XEN_DOMCTL_set_cpu_policy) {
            struct xen_cpuid_leaf *leaves = (void *)(w->scratch + 512);
            static const u32 numbers[] = { 0, 1, 4, 7, 0xd, 0x40000000, 0x80000000, 0x80000001, 0x80000008, 0x80000021 };
            u32 n = op->cmd == XEN_DOMCTL_get_cpu_policy ? 140 : (u32)below(w, 16); /* what a get writes is as good */

            for (u32 i = 0; i < n && n < 16; i++)
                leaves[i] = (struct xen_cpuid_leaf){ numbers[below(w, 10)], one_in(w, 2) ? XEN_CPUID_NO_SUBLEAF : (u32)below(w, 9),
                                                     (u32)wild(w),          (u32)rnd(w),
                                                     (u32)rnd(w),           (u32)rnd(w) };
            op->domain = one_in(w, 4) ? DOMID_SELF : some_other(w);
            op->u.cpu_policy = (struct xen_domctl_cpu_policy){ n, one_in(w, 4) ? (u32)below(w, 4) : 0, (u64)leaves, (u64)leaves, 0, 0, 0 };
        }
        if (op->cmd == XEN_DOMCTL_scheduler_op)
            op->u.scheduler_op = (struct xen_domctl_scheduler_op){ XEN_SCHEDULER_CREDIT2,
                                                                   (u32)below(w, 3),
                                                                   { { (u16)rnd(w), one_in(w, 2) ? 0 : (u16)(100 + below(w, 500)) } } };
        return (struct call){ __HYPERVISOR_domctl, { (u64)op } };
    }
    case 3: return (struct call){ __HYPERVISOR_grant_table_op, { below(w, 14), (u64)w->scratch, below(w, 4) } };
    case 4: {
        struct xen_sysctl *op = (void *)w->scratch;
        u64 buffer = (u64)w->scratch + 1024;
        u32 room = one_in(w, 4) ? (u32)wild(w) : (u32)below(w, 64);

        op->cmd = (u32)below(w, 31);
        op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        switch (op->cmd) {
        case XEN_SYSCTL_readconsole: op->u.readconsole.count = room % 4096, op->u.readconsole.buffer = buffer; break;
        case XEN_SYSCTL_getdomaininfolist: op->u.getdomaininfolist.max_domains = room, op->u.getdomaininfolist.buffer = buffer; break;
        case XEN_SYSCTL_debug_keys: op->u.debug_keys.keys = (u64) "ehi", op->u.debug_keys.nr_keys = 1 + (u32)below(w, 3); break;
        case XEN_SYSCTL_getcpuinfo: op->u.getcpuinfo.max_cpus = room, op->u.getcpuinfo.info = buffer; break;
        case XEN_SYSCTL_cputopoinfo: op->u.cputopoinfo.num_cpus = room, op->u.cputopoinfo.cputopo = buffer; break;
        case XEN_SYSCTL_numainfo: op->u.numainfo.num_nodes = room, op->u.numainfo.meminfo = buffer; break;
        case XEN_SYSCTL_scheduler_op:
            op->u.scheduler_op = (struct xen_sysctl_scheduler_op){ .sched_id = XEN_SCHEDULER_CREDIT2, .cmd = (u32)below(w, 2) };
            op->u.scheduler_op.u.sched_credit2.ratelimit_us = one_in(w, 8) ? (u32)wild(w) : (u32)below(w, 3) * 100;
            break;
        case XEN_SYSCTL_cpupool_op: op->u.cpupool_op.cpumap = (struct xenctl_bitmap){ buffer, room % 4096 }; break;
        case XEN_SYSCTL_pcitopoinfo:
            op->u.pcitopoinfo.num_devs = room % 64, op->u.pcitopoinfo.devs = op->u.pcitopoinfo.nodes = buffer;
            break;
        case XEN_SYSCTL_page_offline_op: op->u.page_offline.cmd = 2 + (u32)below(w, 3); break; /* frames that are lost would be missed */
        }
        return (struct call){ __HYPERVISOR_sysctl, { (u64)op } };
    }
    case 5: return (struct call){ __HYPERVISOR_hypfs_op, { below(w, 4), (u64) "/previous-boot/summary", 23, (u64)w->scratch } };
    default: return (struct call){ __HYPERVISOR_xen_version, { below(w, 15), (u64)w->scratch } };
    }
}

/* ---- grants: dom0's mostly to itself ---- */

#define REFS 32
static struct grant_entry_v1 *grant_table;
static struct gnttab_map_grant_ref grant_maps[WORKERS][4];
static struct mapping {
    u64 at, bus;
    u32 handle;
} mappings[64]; /* that were made, by anybody */
static u64 grants_mapped;

static domid_t granter(struct worker *w)
{
    if (!one_in(w, is_domu ? 2 : 8))
        return self_id;
    return one_in(w, is_domu ? 8 : 2) ? (domid_t)wild(w) : some_other(w);
}
static u32 some_ref(struct worker *w) { return one_in(w, 20) ? (u32)wild(w) : (u32)below(w, REFS); }

static void map_grants(struct worker *w, struct gnttab_map_grant_ref *m, u64 n)
{
    for (u64 i = 0; i < n; i++) {
        u64 window = below(w, WINDOWS);
        u32 flags = one_in(w, 30) ? (u32)rnd(w) : (u32)(1 + below(w, 3)) | (u32)below(w, 8) << 2;

        m[i] = (struct gnttab_map_grant_ref){ .host_addr = flags & GNTMAP_contains_pte ? window_entries[window] : (u64)windows[window],
                                              .flags = flags,
                                              .ref = some_ref(w),
                                              .dom = granter(w),
                                              .status = 1 };
        if (one_in(w, 40))
            m[i].host_addr = one_in(w, 2) ? some_entry(w) : wild(w) | 1UL << 63 | 0x7ffUL << 52 | 0x100UL << 39;
    }
}

static struct gnttab_copy_ptr copy_side(struct worker *w, bool by_ref)
{
    struct gnttab_copy_ptr p = { .domid = by_ref ? granter(w) : DOMID_SELF, .offset = (u16)below(w, 4200) };

    if (by_ref)
        p.u.ref = some_ref(w);
    else
        p.u.gmfn = some_mfn(w);
    return p;
}

static struct call grants(struct worker *w)
{
    struct gnttab_map_grant_ref *m = grant_maps[w->id];
    struct gnttab_unmap_grant_ref *u = (void *)w->scratch;
    struct gnttab_copy *c = (void *)w->scratch;
    u64 n = 1 + below(w, 4), cmd = GNTTABOP_map_grant_ref;

    for (u32 i = 0; i < 4; i++) { /* of the last time */
        if (!m[i].status && m[i].flags) {
            mappings[below(w, 64)] = (struct mapping){ m[i].host_addr, m[i].dev_bus_addr, m[i].handle };
            grants_mapped++;
        }
        m[i].status = 1;
    }
    if (one_in(w, 2))
        grant_table[below(w, REFS)] =
            (struct grant_entry_v1){ one_in(w, 8) ? (u16)rnd(w) : (u16)(GTF_permit_access | (rnd(w) & GTF_readonly)), granter(w),
                                     (u32)some_mfn(w) };
    switch (below(w, 6)) {
    case 0:
    case 1: map_grants(w, m, n); return (struct call){ __HYPERVISOR_grant_table_op, { cmd, (u64)m, n } };
    case 2:
    case 3:
        cmd = one_in(w, 4) ? GNTTABOP_unmap_and_replace : GNTTABOP_unmap_grant_ref;
        for (u64 i = 0; i < n; i++) {
            struct mapping *known = mappings + below(w, 64);

            u[i] = (struct gnttab_unmap_grant_ref){ .host_addr = one_in(w, 6) ? 0 : known->at,
                                                    .dev_bus_addr = one_in(w, 2) ? 0 : known->bus,
                                                    .handle = one_in(w, 20) ? (u32)wild(w) : known->handle };
            if (cmd == GNTTABOP_unmap_and_replace)
                u[i].dev_bus_addr = one_in(w, 2) ? 0 : (u64)windows[below(w, WINDOWS)];
        }
        break;
    case 4:
        cmd = GNTTABOP_copy;
        for (u64 i = 0; i < n; i++) {
            u16 flags = one_in(w, 30) ? (u16)rnd(w) : (u16)below(w, 4);

            c[i] = (struct gnttab_copy){ copy_side(w, flags & GNTCOPY_source_gref), copy_side(w, flags & GNTCOPY_dest_gref),
                                         (u16)below(w, one_in(w, 8) ? 4100 : 64), flags, 0 };
        }
        break;
    default:
        cmd = GNTTABOP_swap_grant_ref;
        *(struct gnttab_swap_grant_ref *)w->scratch = (struct gnttab_swap_grant_ref){ some_ref(w), some_ref(w), 0 };
        n = 1;
    }
    return (struct call){ __HYPERVISOR_grant_table_op, { cmd, (u64)w->scratch, n } };
}

static struct call strays(struct worker *w)
{
    static const u8 offered[] = {
#define X(name, ...) __HYPERVISOR_##name,
        HYPERCALL_LIST(X)
#undef X
    };
    u64 nr = one_in(w, 2) ? below(w, 70) : offered[below(w, sizeof(offered))];

    /* Not those that end or blind us, nor those made well above. */
    switch (nr) {
    case __HYPERVISOR_set_trap_table:
    case __HYPERVISOR_set_callbacks:
    case __HYPERVISOR_callback_op:
    case __HYPERVISOR_iret:
    case __HYPERVISOR_sched_op:
    case __HYPERVISOR_console_io:
    case __HYPERVISOR_mmu_update:
    case __HYPERVISOR_mmuext_op:
    case __HYPERVISOR_platform_op:
    case __HYPERVISOR_vcpu_op:
    case __HYPERVISOR_mca:
    case __HYPERVISOR_memory_op:
    case __HYPERVISOR_multicall:
    case __HYPERVISOR_update_va_mapping:
    case __HYPERVISOR_vm_assist:
    case __HYPERVISOR_domctl:
    case __HYPERVISOR_sysctl:
    case __HYPERVISOR_stack_switch: nr = __HYPERVISOR_xen_version;
    }
    return (struct call){ nr, { wild(w), wild(w), wild(w), wild(w) } };
}

static struct call (*const makers[])(struct worker *w) = {
    mmu_update, mmu_update, mmu_update, update_va, update_va,  update_va,   mmuext_op, mmuext_op, mmuext_op, segments,
    memory,     events,     events,     vcpus,     scheduling, machine_ops, strays,    grants,    grants,
};

/* ---- instructions; a trap continues behind them (on_trap) ---- */

#define RESUMABLY(code, ...)                                                                          \
    __asm__ volatile("lea 1f(%%rip), %%r15\n   mov %[magic], %%r14d\n" code "\n1: xor %%r14d, %%r14d" \
                     : [a] "+a"(a), [c] "+c"(c), [d] "+d"(d)                                          \
                     : [magic] "i"(RESUMABLE), ##__VA_ARGS__                                          \
                     : "r11", "r13", "r14", "r15", "rbx", "rsi", "rdi", "memory", "cc")

static void instruction(struct worker *w)
{
    u64 a = wild(w), c = wild(w), d = wild(w);
    u64 *entry = (u64 *)frame_va[below(w, FRAMES)] + below(w, 512), value = some_pte(w);
    static const u32 msrs[] = { 0x10,       0x1b,       0x179,      0x17a,      0x1a0,      0x277, 0x400, 0x401, 0x405,
                                0xc0000080, 0xc0000081, 0xc0000082, 0xc0000102, 0xc0000103, 0,     0x280, 0x47f };

    switch (below(w, 16)) {
    case 0: RESUMABLY("cpuid"); break;
    case 1: RESUMABLY("xor %%edx, %%edx\n .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n cpuid"); break;
    case 2:
        c = one_in(w, 2) ? msrs[below(w, 17)] : c;
        RESUMABLY("rdmsr");
        break;
    case 3:
        c = msrs[below(w, 17)];
        RESUMABLY("wrmsr");
        break;
    case 4:
        d = 0x3f8 + below(w, 8);
        RESUMABLY("inb %%dx, %%al");
        break;
    case 5: RESUMABLY("mov %%cr0, %%rax\n mov %%cr4, %%rcx\n mov %%cr2, %%rdx"); break;
    case 6: RESUMABLY("xgetbv"); break;
    case 7: RESUMABLY("mov %[v], %[e]", [e] "m"(*entry), [v] "r"(value)); break;
    case 8: RESUMABLY("xchg %[v], %[e]", [e] "m"(*entry), [v] "r"(value)); break;
    case 9: RESUMABLY("lock cmpxchg %[v], %[e]", [e] "m"(*entry), [v] "r"(value)); break;
    case 10: RESUMABLY("lock andq $-3, %[e]", [e] "m"(*entry)); break;
    case 11: RESUMABLY("mov %[e], %%rax", [e] "m"(*entry)); break;
    case 13:
        RESUMABLY(
            "smsw %%eax\n sldt %%ecx\n str %%edx\n sgdt %[e]\n sidt %[e]", [e] "m"(*(one_in(w, 2) ? entry : (u64 *)below(w, 1UL << 46))));
        break;
    case 14: RESUMABLY("mov %%rax, %%dr7\n mov %%rcx, %%dr0\n mov %%dr6, %%rax\n mov %%db5, %%rcx"); break;
    case 15:
        /* CR4.DE on or off, and a breakpoint on a port that is read then */
        HYPERCALL2(__HYPERVISOR_set_debugreg, 1, 0x3f8 + below(w, 8));
        HYPERCALL2(__HYPERVISOR_set_debugreg, 7, 0x200004 | below(w, 4) << 22);
        d = 0x3f8 + below(w, 8);
        RESUMABLY("mov %%cr4, %%rcx\n xor $8, %%rcx\n mov %%rcx, %%cr4\n inb %%dx, %%al");
        break;
    case 12:
        /* iret to the kernel itself: any flags but DF and AC, whose effects are ours to suffer; sometimes to where nothing is */
        a = (rnd(w) & ~0x40400UL) | (one_in(w, 3) ? 0x100 : 0);
        c = 0xe030 + below(w, 3) + (rnd(w) << 16);
        d = one_in(w, 4) ? 0xffffffff00000000UL + below(w, 1UL << 30) : one_in(w, 4) ? below(w, 1UL << 46) : 0;
        RESUMABLY("test %%rdx, %%rdx\n cmovz %%r15, %%rdx\n mov %%rsp, %%rbx\n push $0xe02b\n push %%rbx\n push %%rax\n push %%rcx\n"
                  "push %%rdx\n push %%rax\n push %%rcx\n push %%r11\n push %%rax\n mov $23, %%eax\n syscall");
        break;
    }
}

/* ---- user mode ---- */

/* Ends of user mode, for which %rbx and %r15 are kept: SYSCALL and the failsafe callback come here. */
__asm__("fuzz_resume: mov %rbx, %rsp\n jmp *%r15");
extern const char fuzz_resume[];

/* Each does one thing and leaves. %rdi: a page's inside, or wild as %rsi; not to be jumped to: what lies there would run. */
/* clang-format off */
#define STUBS(X)                                                                                                   \
    X(syscall, "syscall") X(int80, "int $0x80") X(int3, "int3") X(ud2, "ud2") X(load, "mov (%rdi), %rax")          \
    X(store, "mov %rax, (%rdi)") X(xchg, "xchg %rax, (%rdi)") X(hlt, "hlt") X(cli, "cli") X(in, "in %dx, %al")     \
    X(cr3, "mov %cr3, %rax") X(rdmsr, "mov %edi, %ecx; rdmsr") X(wrmsr, "mov $0x48, %ecx; wrmsr")                  \
    X(cpuid, "mov %rbx, %r13; cpuid; mov %r13, %rbx")                                                              \
    X(forced, "mov %rbx, %r13; .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid; mov %r13, %rbx") X(jump, "jmp *%rsi")    \
    X(stack3, "mov %rdi, %rsp; int3") X(stack_syscall, "mov %rdi, %rsp; syscall") X(push, "mov %rdi, %rsp; push %rax") \
    X(iretq, "mov %rdi, %rsp; iretq") X(far, "mov %rdi, %rsp; lretq") X(sysenter, "sysenter") X(sysret, "sysretq") X(ds, "mov %edi, %ds")          \
    X(fs, "mov %edi, %fs") X(gs, "mov %edi, %gs") X(ss, "mov %edi, %ss") X(swapgs, "swapgs") X(base, "wrgsbase %rdi") \
    X(step, "pushf; orl $0x100, (%rsp); popf; nop") X(flags, "push %rdi; andl $~0x40400, (%rsp); popf") X(xgetbv, "xor %ecx, %ecx; xgetbv") \
    X(intn, "int $14") X(intn2, "int $2") X(into, "int $8") X(lldt, "lldt %di") X(invlpg, "invlpg (%rdi)") X(sgdt, "sgdt (%rdi)") X(sidt, "sidt -4(%rdi)") \
    X(sldt, "sldt (%rdi)") X(str, "str 8(%rdi)") X(smsw, "smsw %fs:(%rdi)") X(smsw_reg, "smsw %eax") X(ins, "insl") X(prefixed, ".byte 0x66, 0x2e; int $0x80") X(fpu, "fninit; fld1")
#define X(name, code) __asm__(".globl user_" #name "\nuser_" #name ": " code "\n syscall\n ud2"); extern const char user_##name[];
STUBS(X)
#undef X
/* clang-format on */
#define X(name, code) user_##name,
static const char *const user_stubs[] = { STUBS(X) };
#undef X

static void user_mode(struct worker *w)
{
    u64 flags = (rnd(w) & ~0x40400UL) | (one_in(w, 8) ? 0x100 : 0); /* not DF, AC */
    u64 cs = one_in(w, 8) ? 0xe023 : one_in(w, 16) ? rnd(w) | 3 : 0xe033 + (rnd(w) << 16);
    u64 rip = one_in(w, 20) ? wild(w) : (u64)user_stubs[below(w, sizeof(user_stubs) / sizeof(user_stubs[0]))];
    if (cs == 0xe023)
        rip = (u32)rip; /* as a processor takes it; QEMU's emulator keeps the rest, and does not survive a breakpoint there */
    u64 to = one_in(w, 3) ? wild(w) : (u64)(one_in(w, 2) ? frame_va[below(w, FRAMES)] : windows[below(w, WINDOWS)]) + 8 * below(w, 512);
    struct {
        u64 rdi, rsi, ss;
    } more = { to, wild(w), one_in(w, 16) ? rnd(w) : 0xe02b };
    u64 a = flags, c = cs, d = rip;

    if (mmuext(MMUEXT_NEW_USER_BASEPTR, pt_base_mfn, 0))
        return;
    RESUMABLY("mov %%rsp, %%rbx\n sub $1024, %%rsp\n pushq 16(%[m])\n push %%rbx\n push %%rax\n push %%rcx\n push %%rdx\n push %%rax\n "
              "push %%rcx\n"
              "push %%r11\n push %%rax\n mov 8(%[m]), %%rsi\n mov (%[m]), %%rdi\n mov $23, %%eax\n syscall",
              [m] "r"(&more));
}

static void on_trap(struct frame *f)
{
    smp_atomic_add(&trapped, 1);
    f->rflags = (f->rflags & ~0x100UL) | (f->vector == 1 ? 0x10000 : 0); /* one step is enough, and one stop at a breakpoint */
    if (f->vector == 1 || f->vector == 2 || f->vector == 18)
        return; /* these come from outside, perhaps while another trap is handled */
    if ((u32)f->r14 == RESUMABLE) {
        if (f->cs & 3) { /* from user mode */
            f->cs = FLAT_CS64 & ~3UL;
            f->ss = FLAT_SS;
            f->rsp = f->rbx;
            f->rflags = 0x202;
        }
        f->rip = f->r15;
    } else {
        print("fuzz: lost, vector 0x%lx error 0x%lx at 0x%lx, address 0x%lx\n", f->vector, f->error, f->rip,
              shared_info->vcpu_info[0].arch.cr2);
        finish();
    }
}

/* Our own stores into shared_info may have unmasked events of any vCPU. */
static void on_event(void)
{
    for (u32 i = 0; i <= WORKERS; i++)
        __atomic_store_n(&shared_info->vcpu_info[i].evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
}

/* ---- the run ---- */

/* A guest has no rights. memory_op tells how much was done. */
static void look_at(const struct worker *w, const struct call *c, long rc)
{
    bool whole =
        c->nr == __HYPERVISOR_domctl || c->nr == __HYPERVISOR_sysctl || c->nr == __HYPERVISOR_platform_op || c->nr == __HYPERVISOR_hypfs_op;
    bool done = c->nr == __HYPERVISOR_memory_op && c->a[0] <= XENMEM_populate_physmap ? rc > 0 : rc >= 0;

    if (is_domu && (whole || w->forbidden) && done) {
        smp_atomic_add(&allowed, 1);
        print("fuzz: hypercall %u, operation 0x%lx was done for a guest\n", (u32)c->nr, c->a[0]);
    }
}

static void operation(struct worker *w)
{
    static struct multicall_entry batch[WORKERS][4];

    if (one_in(w, 6)) {
        instruction(w);
        return;
    }
    if (one_in(w, 8)) {
        user_mode(w);
        return;
    }
    w->forbidden = false;
    struct call c = makers[below(w, sizeof(makers) / sizeof(makers[0]))](w);
    long rc;

    for (u32 i = 0; i < 4; i++)
        if (c.a[i] == (u64)w->scratch && c.nr != __HYPERVISOR_sched_op && one_in(w, 32)) { /* nowhere, or over the page's end */
            c.a[i] = one_in(w, 2) ? wild(w) : c.a[i] + PAGE_SIZE - below(w, 200);
            w->forbidden = false; /* what stands there is not known */
        }

    if (one_in(w, 10)) {
        struct multicall_entry *m = batch[w->id];

        for (u32 i = 0; i < 4; i++) /* the same one again and again: what the first did meets the second */
            m[i] = (struct multicall_entry){ .op = c.nr, .args = { c.a[0], c.a[1], c.a[2], c.a[3] }, .result = ~0UL };
        rc = HYPERCALL2(__HYPERVISOR_multicall, m, 1 + below(w, 4));
        look_at(w, &c, (long)m[0].result);
    } else {
        rc = HYPERCALL4(c.nr, c.a[0], c.a[1], c.a[2], c.a[3]);
        look_at(w, &c, rc);
    }
    if (rc >= 0)
        smp_atomic_add(&succeeded, 1);
}

/* New frames for those that were given away. */
static void replenish(struct worker *w)
{
    u64 mfn = 0;
    struct xen_memory_reservation r = { &mfn, 1, 0, 0, DOMID_SELF };

    if (HYPERCALL2(__HYPERVISOR_memory_op, 0 /* increase_reservation */, &r) == 1)
        mfns[below(w, FRAMES)] = mfn;
}

void setup_traps(void);

void setup_traps(void);

/* On each vCPU. */
static void hostile_begin(u32 id)
{
    static u8 stacks[WORKERS][8192] __attribute__((aligned(16)));
    static const u16 types[] = { CALLBACKTYPE_syscall, CALLBACKTYPE_syscall32, CALLBACKTYPE_failsafe };

    if (id)
        setup_traps();
    for (u32 i = 0; i < 3; i++) {
        struct callback_register r = { types[i], 0, (unsigned long)fuzz_resume };

        HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r);
    }
    HYPERCALL2(__HYPERVISOR_stack_switch, FLAT_SS, stacks[id] + sizeof(stacks[0]));
}

/* What there is to play with. First of all. */
static void hostile_setup(void)
{
    clock = shared_info->vcpu_info[0].time;
    pt_base_mfn = va_to_mfn((void *)start_info->pt_base);
    HYPERCALL2(__HYPERVISOR_vm_assist, 0, 2); /* writable page tables */
    for (u32 i = 0; i < 256; i++)
        trap_handlers[i] = on_trap;
    event_handler = on_event;
    for (u32 i = 0; i < FRAMES; i++) {
        frame_va[i] = page_new();
        mfns[i] = va_to_mfn(frame_va[i]);
        CHECK_EQ(make_ro(frame_va[i]), 0);
    }
    for (u32 i = 0; i < WINDOWS; i++) {
        windows[i] = page_new();
        window_entries[i] = pte_machine_address(windows[i], 1);
    }
    for (u32 i = 0; i < WORKERS; i++) {
        workers[i].id = i;
        workers[i].state = (seed * WORKERS + i + 1) * 0x9e3779b97f4a7c15UL;
        workers[i].scratch = page_new();
        CHECK_EQ(remap(page_new(), 0), 0);
    }
    u64 frame = 0;
    struct gnttab_setup_table table = { .dom = DOMID_SELF, .nr_frames = 1, .frame_list = &frame };

    grant_table = page_new();
    HYPERCALL3(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, &table, 1);
    CHECK_EQ(remap(grant_table, frame << 12 | PTE_P | PTE_W | PTE_A | PTE_D), 0);
}

/* A hexadecimal word of the command line. */
static u64 argument(const char *name, u64 otherwise)
{
    const char *s = (const char *)start_info->cmd_line;

    for (; *s; s++) {
        const char *n = name, *p = s;

        while (*n && *n == *p)
            n++, p++;
        if (*n)
            continue;
        u64 v = 0;

        for (; (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f'); p++)
            v = v * 16 + (u64)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
        return v;
    }
    return otherwise;
}
