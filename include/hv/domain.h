/* SPDX-License-Identifier: MIT */
/* Domains and their vCPUs. docs/locking.md has the order of the locks named here. */
#pragma once

#include <hv/io_rights.h>
#include <hv/sched.h>
#include <hv/softirq.h>
#include <hv/x86/domain.h>
#include <hv/x86/page_type.h>
#include <public/event_channel.h>
#include <public/vcpu.h>

#define VCPU_NO_PERIOD ~0ULL
#define DOMAIN_WATCHDOGS 2
#define GRANT_MAX_FRAMES 64
#define MAPTRACK_MAX_FRAMES 1024
#define NO_PAGE_LIMIT 0xffffffffULL /* max_pages; the ABI's: xentop says "no limit" */
#define TIME_UNPUBLISHED ((s64)(1ULL << 63))

/* Why a vCPU does not run: bits of vcpu.pause_flags. */
#define PAUSE_DOWN 1u     /* VCPUOP_down, or never up */
#define PAUSE_BLOCKED 2u  /* SCHEDOP_block */
#define PAUSE_POLL 4u     /* SCHEDOP_poll */
#define PAUSE_SHUTDOWN 8u /* its domain ended */
#define PAUSE_CAP 16u     /* its domain has used its CPU time of this period */
#define PAUSE_ONE 256u    /* vcpu_pause(): a count, in the bits from here on */

struct fifo_queue {
    u32 tail; /* port linked last; 0: unknown or empty */
};

struct vcpu {
    struct domain *domain;
    u32 id;
    bool is_idle, initialising, initialised;

    struct percpu *cpu; /* runs or ran there: changed under its run-queue lock */
    s64 tsc_offset;     /* that its published time parameters are for; TIME_UNPUBLISHED */
    u32 state_cpu;      /* the CPU whose registers last held its state; ~0: none does (pv_state_changed) */
    u32 pause_flags;    /* changed atomically */
    bool mid_operation; /* left the CPU in a preempt_point(): pauses wait for its exit. Changed by itself alone */
    struct sched_vcpu sched;

    void *stack_block;
    u64 saved_rsp;

    struct vcpu_runstate_info runstate;
    guest_ptr_t runstate_guest; /* its copy in the guest kernel's memory; 0: none */
    guest_ptr_t time_guest;     /* the same of info->time */

    struct timer periodic_timer, singleshot_timer, poll_timer;
    u64 period_ns, period_last; /* period_ns 0: not set yet */

    struct vcpu_info *info; /* in shared_info, or in a frame that the guest registered */
    struct page_info *info_page;
    u32 virq_port[NR_VIRQS]; /* the domain's event_lock */
    u32 poll_port;           /* the single port polled, 0: several */

    struct evtchn_fifo_control_block *fifo_control;
    struct page_info *fifo_control_page;
    struct fifo_queue fifo_queues[EVTCHN_FIFO_MAX_QUEUES]; /* the domain's event_lock */

    /* NMI to the guest: pending until delivered, then masked until its iret hypercall. */
    u32 nmi_pending; /* at most 2: one to be taken and one behind it, as a processor has them; changed atomically */
    bool nmi_masked;
    bool architectural_iopl; /* IOPL is that of the iret hypercall's frame. Behind nmi_masked: fast_paths.S looks at both at once. */

    guest_ptr_t batch; /* the entry of do_multicall() that is being done; 0: none */

    struct pv_vcpu pv;
};
CHECK_OFFSET(struct vcpu, architectural_iopl, offsetof(struct vcpu, nmi_masked) + 1);

/* One event channel. Guarded by the domain's event_lock. */
enum evtchn_state { ECS_FREE, ECS_RESERVED, ECS_UNBOUND, ECS_INTERDOMAIN, ECS_PIRQ, ECS_VIRQ, ECS_IPI };
struct evtchn {
    u8 state, priority, last_priority;
    bool pending; /* FIFO: raised before the event array had a word for it */
    u32 vcpu, last_vcpu;
    union {
        struct {
            struct domain *dom;
            u32 port;
        } remote;
        struct {
            domid_t domain;
            u64 serial; /* the domain's; 0: there was none of that id */
        } unbound;
        u32 irq;       /* ECS_PIRQ, ECS_VIRQ: its number */
        u32 next_free; /* ECS_FREE: the next one in the domain's list; 0: the last */
    };
};
#define EVTCHNS_PER_PAGE 128
#define MAX_EVTCHN_PAGES (EVTCHN_FIFO_NR_CHANNELS / EVTCHNS_PER_PAGE)
#define FIFO_WORDS_PER_PAGE (PAGE_SIZE / sizeof(u32))
#define FIFO_MAX_PAGES (EVTCHN_FIFO_NR_CHANNELS / FIFO_WORDS_PER_PAGE)

enum domain_state { DOMAIN_CREATED, DOMAIN_RUNNING, DOMAIN_CRASHED, DOMAIN_SHUT_DOWN, DOMAIN_DYING, DOMAIN_DEAD };
#define SHUTDOWN_NONE (~0u)

struct domain {
    domid_t id;
    u64 serial;                                /* domain_table.c: ids come again, this does not; not 0 */
    u32 refs;                                  /* domain_table.c; changed atomically */
    struct domain *next_in_chain, *next_by_id; /* domain_table.c, under its lock */
    bool is_control;                           /* the toolstack's: acts on other domains and their memory, and on the machine as a whole */
    bool is_hardware;  /* has the machine's devices, and what its drivers need: large extents, low memory, what the processor says */
    bool l1tf_checked; /* its not-present page-table entries may not name memory (L1TF) */

    /* life_lock; written by domain_life.c alone */
    spinlock_t life_lock;
    enum domain_state state; /* may be read without it */
    u32 pauses;
    u32 shutdown_code;            /* SHUTDOWN_*, of the ABI; SHUTDOWN_NONE */
    u32 kill_step, kill_index;    /* where domain_kill() goes on: one caller at a time */
    struct page_info *kill_frame; /* held */

    char crash_reason[160];
    bool crash_reported; /* registers and stack have been printed; changed atomically */
    u32 max_vcpus;
    struct vcpu *vcpu[MAX_VIRT_CPUS];
    struct sched_domain sched;
    struct timer watchdog[DOMAIN_WATCHDOGS];
    u32 watchdogs_used; /* a bit for each; changed atomically */

    struct shared_info *shared_info;
    struct pv_domain pv;

    /* page_lock */
    spinlock_t page_lock;
    u32 page_list; /* first frame of the owner's list; 0: empty */
    u64 tot_pages, max_pages;
    u64 claim; /* frames kept free for it; also under the allocator's lock: page_claim() */
    struct memory_map *memory_map;

    u64 vm_assist;

    /* event_lock */
    spinlock_t event_lock;
    struct evtchn *evtchn_pages[MAX_EVTCHN_PAGES];
    u32 nr_ports;              /* ports with a struct evtchn */
    u32 max_ports;             /* no port is this or above, whatever the ABI in use can name */
    u32 free_first, free_last; /* free ports, in the order in which they became so; 0: none */
    bool evtchn_resetting;     /* all ports are being closed: no new ones meanwhile */
    u32 polling;               /* vCPUs in SCHEDOP_poll; changed atomically */
    bool fifo;
    u32 *fifo_words[FIFO_MAX_PAGES];
    struct page_info *fifo_pages[FIFO_MAX_PAGES];
    u32 fifo_nr_pages;

    /* grant_lock, for more of them; used without it (common/grant) */
    spinlock_t grant_lock;
    void *grant_frames[GRANT_MAX_FRAMES];
    u32 *grant_pins[GRANT_MAX_FRAMES / 2];
    u32 nr_grant_frames, max_grant_frames;
    u32 nr_maptrack_frames, max_maptrack_frames;
    u32 *maptrack_frames; /* their frame numbers: a page; NULL before the first mapping */
    u64 maptrack_free;    /* maptrack.c */

    /* of the toolstack: one operation at a time (domctl.c) */
    bool in_domctl;        /* changed atomically */
    u32 controller_pauses; /* of its pauses */
    bool debugged;         /* a debugger looks at it: shown, nothing else */
    s64 time_offset;       /* of its wall clock, seconds */
    u8 handle[16];
    bool xs_domain; /* it runs xenstored: for the toolstack to know */

    spinlock_t line_lock; /* a leaf */
    char line[160];       /* what its kernel prints (console_io), up to the end of the line */
    u32 line_used;

    struct io_rights io; /* ports, device memory and interrupts, each by its number */
};

/* The vCPU of that number, which a guest may have chosen; or NULL. */
static inline struct vcpu *domain_vcpu(const struct domain *d, u32 id)
{
    return id < d->max_vcpus ? d->vcpu[index_nospec(id, MAX_VIRT_CPUS)] : NULL;
}

/* ---- domain_table.c: no pointer to a domain without a reference ---- */
extern struct domain *hardware_domain; /* dom0, once it exists; it never goes */
extern struct domain idle_domain;
/* Owners of frames that are no guests: nothing is given to them, and no operation but those on frames finds them. */
extern struct domain *domain_io;  /* DOMID_IO: of no frame. Who names it wants device memory */
extern struct domain *domain_xen; /* DOMID_XEN: of what the hypervisor shows the toolstack */

/* Another reference; the caller holds one. */
static inline void domain_get(struct domain *d) { ASSERT(__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED)); }
/* Gives a reference back. Any lock may be held: with the last one the domain is freed later, by a softirq. */
static inline void domain_put(struct domain *d)
{
    u32 before = __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL);

    ASSERT(before);
    if (before == 1)
        softirq_raise(SOFTIRQ_DOMAIN_END);
}
/* Held until domain_done(), or NULL. DOMID_SELF included. */
struct domain *domain_by_id(domid_t id) __must_check;
/* The first domain with this id or above, held until domain_put(); NULL. */
struct domain *domain_from_id(u32 id) __must_check;
/* The one after it; d is put. */
struct domain *domain_next(struct domain *d) __must_check;
/* d, which this declares: each domain, by id, held; a loop that is left by `break` or `return` keeps it so. Domains may come and go. */
#define for_each_domain(d) for (struct domain *d = domain_from_id(0); d; d = domain_next(d))
/* DOMID_INVALID: any id. -EEXIST; -ENOSPC: all are in use. From here on others find d, which is whole. */
int domain_table_add(struct domain *d, domid_t id) __must_check;
/* Takes a domain without references out of the table, for its end; NULL: there is none. */
struct domain *domain_table_take_unheld(void) __must_check;

/* Gives back what domain_by_id() and domain_for_caller() gave. */
static inline void domain_done(struct domain *d)
{
    if (unlikely(d != current->domain) && d)
        domain_put(d);
}
/* A variable that does so at the end of its scope. */
#define __held_domain __attribute__((cleanup(domain_done_at)))
static inline void domain_done_at(struct domain **d) { domain_done(*d); }
/* The same for one that was counted also if it is the caller's own: what domain_from_id() gave. */
#define __counted_domain __attribute__((cleanup(domain_put_at)))
static inline void domain_put_at(struct domain **d)
{
    if (*d)
        domain_put(*d);
}

static inline bool page_owned_by(const struct page_info *pg, const struct domain *d) { return pg->owner == owner_of(d); }

/*
 * The domain that a hypercall names, if the caller may act on it: 0, -EPERM, -ESRCH. -EPERM comes first, so that a caller without the right
 * does not learn which domains exist. *d is held until domain_done(), NULL with an error.
 */
static inline int __must_check domain_for_caller(domid_t id, struct domain **d)
{
    struct domain *self = current->domain;

    *d = self;
    if (likely(id == DOMID_SELF) || id == self->id)
        return 0;
    *d = self->is_control ? domain_by_id(id) : NULL;
    return *d ? 0 : self->is_control ? -ESRCH : -EPERM;
}

/* The same for the owner of frames that are named. DOMID_IO needs no right here: device memory has rights of its own. */
int domain_of_frames(domid_t id, struct domain **d) __must_check;

/* The domain's first vCPU with this number or above; NULL. */
static inline struct vcpu *vcpu_from(const struct domain *d, u32 id)
{
    while (id < d->max_vcpus && !READ_ONCE(d->vcpu[id]))
        id++;
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
}
/* v, which this declares: each vCPU that there is, by number. */
#define for_each_vcpu(d, v) for (struct vcpu *v = vcpu_from(d, 0); v; v = vcpu_from(d, v->id + 1))

/* A domain without vCPUs and frames, paused once, and held for the caller. 0; -ENOMEM, what domain_table_add() says: nothing is left of it. */
struct domain_config {
    u32 max_vcpus, max_ports, max_grant_frames, max_maptrack_frames;
    bool dom0; /* it has all rights, others none */
    bool xs_domain;
    u8 handle[16]; /* the toolstack's name for it */
};
int domain_create(domid_t id, const struct domain_config *config, struct domain **created) __must_check;
void domain_free(struct domain *d); /* no reference and no pointer to it is left; parts of it may never have been there */

/*
 * Gives `count` frames from pg on (at least one) to the domain: owner, list, PGR_ALLOCATED with one reference. -E2BIG, and none, over max_pages, or
 * over `had`, if that is more: what it had before it gave others for these, and a toolstack has set the limit below that.
 */
int domain_assign_pages(struct domain *d, struct page_info *pg, u64 count, u64 had) __must_check;
/*
 * A hypervisor frame that d may map: PGT_WRITABLE: read-write (shared_info, grant table); PGT_NONE: read-only, and then it is not
 * given back.
 */
void domain_share_page(struct domain *d, struct page_info *pg, enum page_type type);

/* ---- domain_life.c ---- */
/*
 * Paused: none of its vCPUs is in the hypervisor or gets there, until domain_unpause() has been called as often. Not of the caller's own
 * domain: -EINVAL. -ERESTART: as vcpu_pause(); nothing is paused then.
 */
int domain_pause(struct domain *d) __may_preempt __must_check;
void domain_unpause(struct domain *d); /* takes life_lock, then the locks of run queues */
/* A domain that has shut down goes on: its vCPUs return from the hypercall. 0, also if it has not; -EINVAL, -ERESTART: as domain_pause(). */
int domain_resume(struct domain *d) __may_preempt __must_check;
bool domain_add_vcpu(struct vcpu *v); /* for vcpu_create(); false: the domain has run already */
/*
 * Ends the domain and takes back all that it has; what others still have mapped goes when they let go. In steps that may be left
 * (-ERESTART, domain_work_point()): to be called again then, by one caller at a time. 0 also when it is dead. -EINVAL: dom0, and the
 * caller's own.
 */
int domain_kill(struct domain *d) __may_preempt __must_check;
int domain_work_point(void) __may_preempt __must_check; /* softirq.h has the rule */
/*
 * The same for a turn of a loop that waits for another vCPU (*turns: 0 at first). The first turns are not left: a vCPU that runs in its guest
 * comes out meanwhile, so that a guest cannot keep a toolstack from getting on by sending it events without end.
 */
#define TURNS_AT_LEAST 512
int domain_wait_point(u32 *turns) __may_preempt __must_check;
void domain_life_init(void);
/* The domain cannot go on: prints why and stops its vCPUs; the machine ends with dom0. Takes life_lock; the rest is a softirq's. */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);
void domain_shutdown(struct domain *d, u32 reason); /* reason: SHUTDOWN_* of the ABI. No lock held; does not return for dom0 */
/* The code that a later domain_shutdown() tells instead of its own; the first one counts. A crash is told as such. */
void domain_latch_shutdown_code(struct domain *d, u32 code);

/* ---- domain_watchdog.c ---- */
void domain_watchdog_init(struct domain *d);
void domain_watchdog_kill(struct domain *d); /* they never fire again */
/* Starts a free watchdog, which ends d after so many seconds. Its id, from 1 on; -ENOSPC. */
int domain_watchdog_start(struct domain *d, u32 seconds) __must_check;
/* Seconds from now, or 0: it is free again. -EINVAL: no such id, or it is free. */
int domain_watchdog_change(struct domain *d, u32 id, u32 seconds) __must_check;

void domains_init(void); /* boot */

/* ---- vcpu.c ---- */
/* Before the domain's first run, one at a time. NULL: no memory, and nothing is left of it. */
struct vcpu *vcpu_create(struct domain *d, u32 id) __must_check;
/* It is paused for ever: no queue, timer or frame of the guest's has to do with it any more. */
void vcpu_stop_for_good(struct vcpu *v) __may_preempt;
void vcpu_free(struct vcpu *v);  /* with its domain; NULL, and one of which parts have never been there, too */
void vcpu_start(struct vcpu *v); /* VCPUOP_up, with the default periodic timer the first time */
void vcpu_set_period(struct vcpu *v, u64 period_ns);
void vcpu_wake(struct vcpu *v);                       /* runnable again if no pause flag is left */
void vcpu_pause_flag_set(struct vcpu *v, u32 flag);   /* flag: one of PAUSE_*; v stops at its exit to the guest. Any lock may be held */
void vcpu_pause_flag_clear(struct vcpu *v, u32 flag); /* and wakes v if it was the last one. No run-queue lock held */
/*
 * Stops a vCPU other than the caller's at its exit to the guest, and waits for that: from then until vcpu_unpause() its
 * registers are those of an instruction boundary, and only the caller changes them.
 * -ERESTART: the caller itself is to be paused, perhaps by that very vCPU, or its events wait (domain_wait_point()); nothing is paused then.
 */
int vcpu_pause(struct vcpu *v) __may_preempt __must_check;
void vcpu_unpause(struct vcpu *v); /* as often as vcpu_pause() has returned 0 */
void vcpu_kick(struct vcpu *v);    /* events are pending: wake or interrupt it */
/* An event that is not masked, an NMI or a machine check waits for v, which is current: it does not go to sleep. */
bool vcpu_has_pending(const struct vcpu *v);

void vcpu_add_nmis(struct vcpu *v, u32 n); /* n more NMIs; takes a run-queue lock */
/* While its handler runs a processor remembers one more NMI, before that the one and one more. */
static inline u32 vcpu_nmis_after(u32 pending, u32 more, bool masked) { return MIN(pending + more, masked ? 1u : 2u); }
bool vcpu_is_running(const struct vcpu *v);               /* on some CPU; a hint unless it is this one */
struct vcpu_runstate_info sched_runstate(struct vcpu *v); /* up to now, of one moment */
/* info->time to the area that the guest has named, if any. v is current. */
void vcpu_time_area_publish(struct vcpu *v) __may_preempt;
