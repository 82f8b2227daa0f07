/* SPDX-License-Identifier: MIT */
/* Domains: creation, ownership of frames, and what is freed in the end. */
#include <hv/arch.h>
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/evtchn.h>
#include <hv/grant.h>
#include <hv/printk.h>
#include <hv/x86/speculation.h>
#include <hv/x86/tlb.h>

#define STRUCT_PAGES ((sizeof(struct domain) + PAGE_SIZE - 1) >> PAGE_SHIFT)

/* Frame-aligned: page_info.owner holds its frame number. */
static struct domain *struct_alloc(void)
{
    struct page_info *pg = page_alloc_contiguous(STRUCT_PAGES);

    if (!pg)
        return NULL;
    struct domain *d = memset(page_to_virt(pg), 0, STRUCT_PAGES << PAGE_SHIFT);
    d->life_lock = d->line_lock = (spinlock_t)SPINLOCK_INIT(LOCK_LEAF);
    d->page_lock = (spinlock_t)SPINLOCK_INIT(LOCK_PAGE_LIST);
    d->event_lock = (spinlock_t)SPINLOCK_INIT(LOCK_EVENT);
    d->grant_lock = (spinlock_t)SPINLOCK_INIT(LOCK_GRANT);
    return d;
}

static void struct_free(struct domain *d) { page_free_range(virt_to_mfn(d), STRUCT_PAGES); }

#define DOMAIN_TIMERS (1 + DOMAIN_WATCHDOGS) /* 1: cap */

static int domain_allocate_parts(struct domain *d)
{
    d->shared_info = hv_alloc_page();
    if (!d->shared_info || arch_domain_create(d) || evtchn_init_domain(d) || grant_init_domain(d))
        return -ENOMEM;
    domain_share_page(d, mfn_to_page(virt_to_mfn(d->shared_info)), PGT_WRITABLE);
    for (u32 i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
    wallclock_publish(d);
    return 0;
}

int domain_create(domid_t id, const struct domain_config *config, struct domain **created)
{
    struct domain *d = struct_alloc();

    if (!d)
        return -ENOMEM;
    if (timers_reserve(DOMAIN_TIMERS)) {
        struct_free(d);
        return -ENOMEM;
    }
    d->refs = 2; /* domain_kill() gives one back, the caller the other one */
    d->pauses = 1;
    d->controller_pauses = config->dom0 ? 0 : 1; /* dom0 has no toolstack that would let it run */
    d->shutdown_code = SHUTDOWN_NONE;
    d->is_control = d->is_hardware = config->dom0;
    io_rights_init(&d->io, config->dom0);
    d->l1tf_checked = config->dom0 ? spec.l1tf_dom0 : spec.l1tf;
    d->max_vcpus = config->max_vcpus;
    d->max_ports = config->max_ports;
    d->max_grant_frames = config->max_grant_frames;
    d->max_maptrack_frames = config->max_maptrack_frames;
    d->xs_domain = config->xs_domain;
    memcpy(d->handle, config->handle, sizeof(d->handle));
    d->max_pages = config->dom0 ? NO_PAGE_LIMIT : 0; /* others are told */
    sched_domain_init(d);
    domain_watchdog_init(d);
    int rc = domain_allocate_parts(d);
    if (!rc)
        rc = domain_table_add(d, id);
    if (rc)
        domain_free(d);
    else
        *created = d;
    return rc;
}

void domain_free(struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++)
        vcpu_free(d->vcpu[i]);
    evtchn_free_domain(d);
    grant_free_domain(d);
    arch_domain_free(d);
    hv_free_page(d->shared_info);
    hv_free(d->memory_map);
    timers_release(DOMAIN_TIMERS);
    struct_free(d);
}

int domain_assign_pages(struct domain *d, struct page_info *pg, u64 count, u64 had)
{
    owner_t owner = owner_of(d);
    u32 stamp = tlb_clock();
    mfn_t mfn = page_to_mfn(pg), last = mfn + count - 1;

    spin_lock_scope(&d->page_lock);
    if (d->state >= DOMAIN_DYING || d->tot_pages + count > MAX(d->max_pages, had))
        return -E2BIG;
    if (!d->tot_pages)
        domain_get(d); /* page_release_frame() gives it back with the last frame */
    d->tot_pages += count;
    if (d->page_list)
        mfn_to_page(d->page_list)->prev = (u32)mfn;
    /* Each page_info is written once and as a whole: on large machines they are gigabytes. */
    for (u32 next = d->page_list; mfn <= last; next = (u32)mfn++, pg++) {
        pg->type_info = 0;
        pg->owner = owner;
        pg->tlb_stamp = stamp;
        pg->next = next;
        pg->prev = mfn < last ? (u32)mfn + 1 : 0;
        /* Last, and ordered behind the rest: from here on other CPUs may take references. */
        __atomic_store_n(&pg->ref_info, PGR_ALLOCATED | 1, __ATOMIC_RELEASE);
    }
    d->page_list = (u32)last;
    return 0;
}

void domain_share_page(struct domain *d, struct page_info *pg, enum page_type type)
{
    domain_get(d); /* page_release_frame() gives it back */
    pg->owner = owner_of(d);
    /* The hypervisor's own reference, never dropped while it uses the page: it keeps the type. */
    pg->type_info = ((u64)type << PGT_TYPE_SHIFT) | PGT_VALIDATED | 1;
    __atomic_store_n(&pg->ref_info, PGR_SPECIAL | 1, __ATOMIC_RELEASE);
}

/* Nothing to do: the interrupt has brought the vCPU into the hypervisor, and its way out looks at its events (deliver_pending()). */
static void look_at_events(void) {}

/* It is held for good. */
static struct domain *owner_create(domid_t id)
{
    struct domain *d = struct_alloc();

    if (!d)
        panic(PANIC_BOOT_MEMORY, "no memory for the domains that own frames");
    d->id = id;
    d->refs = 1;
    d->state = DOMAIN_DEAD;
    io_rights_init(&d->io, false);
    return d;
}

void domains_init(void)
{
    domain_io = owner_create(DOMID_IO);
    domain_xen = owner_create(DOMID_XEN);
    softirq_register(SOFTIRQ_EVENT, look_at_events);
    domain_life_init();
    arch_domains_init();
}
BOOT_STEP(domains_init, NEEDS(page_allocator), GIVES(domains), EVERYWHERE);

static void print_domains(void)
{
    static const char *const states[] = { ", being built", "", ", crashed", ", shut down", ", dying", ", dead, but in use by others" };
    static const char *const runstates[] = { "running", "runnable", "blocked", "offline" };

    for_each_domain(d) {
        printk("Domain %u: %lu pages, %u vCPUs, vm_assist %lx%s\n", d->id, d->tot_pages, d->max_vcpus, d->vm_assist, states[d->state]);
        for_each_vcpu(d, v) {
            const struct vcpu_info *info = READ_ONCE(v->info); /* of one beyond the legacy ones it goes with its domain */

            if (info && v->initialised)
                printk("  v%u: %s, pause %x, kernel cr3 %lx, user cr3 %lx, upcall pending %u mask %u\n", v->id,
                       runstates[v->runstate.state & 3], v->pause_flags, v->pv.base[0], v->pv.base[1], info->evtchn_upcall_pending,
                       info->evtchn_upcall_mask);
        }
    }
}
KEYHANDLER(
    'q', print_domains, "domains and their vCPUs",
    "`pause` is a set of reasons why a vCPU does not run: 1 down, 2 blocked (it waits for an event), 4 polls, 8 its domain has ended, "
    "10h its domain has used its time, 100h and up: paused so many times from outside. `cr3` are frames of page tables. `vm_assist` "
    "is the ABI's set of bits, 1 shifted by `VMASST_TYPE_...`");
