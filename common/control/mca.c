/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a machine check that could be contained: damaged frames are retired, the owner
 * is told or ends alone, and dom0 can fetch the record (VIRQ_MCA, HYPERVISOR_mca).
 *
 * Lock: mca_lock (a leaf) guards the records for dom0, and lets one caller at a time make up errors.
 */
#include <hv/boot_step.h>
#include <hv/evtchn.h>
#include <hv/hypercall.h>
#include <hv/printk.h>
#include <hv/pv.h>
#include <hv/smp.h>
#include <hv/x86/cpu.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/page_table.h>
#include <public/mca.h>

#define MAX_RECORDS 16

struct record {
    struct mc_event event;
    domid_t running, owner; /* DOMID_INVALID: none */
    u32 vcpu;
    bool retired, fetched;
    u64 id;
};

static struct record records[MAX_RECORDS]; /* oldest first */
static u32 nr_records;
static u64 last_id;
static spinlock_t mca_lock = SPINLOCK_INIT(LOCK_LEAF);

/* ---- containment ---- */

static void mca_keep_event(const struct record *r)
{
    spin_lock(&mca_lock);
    if (nr_records == MAX_RECORDS) { /* dom0 does not fetch: the oldest goes */
        memmove(records, records + 1, sizeof(records[0]) * (MAX_RECORDS - 1));
        nr_records--;
    }
    records[nr_records] = *r;
    records[nr_records++].id = ++last_id;
    spin_unlock(&mca_lock);
    evtchn_send_global_virq(VIRQ_MCA);
}

static struct vmce as_told(const struct mc_event *e, mfn_t mfn)
{
    struct vmce told = { .status = e->status, .misc = e->misc };

    /* The guest's own address: pseudo-physical. What is not RAM has none. */
    if (e->nr_frames && mfn_valid(mfn))
        told.address = (m2p_get(mfn) << PAGE_SHIFT) | (e->address & (PAGE_SIZE - 1));
    else
        told.status &= ~(MCI_STATUS_ADDRV | MCI_STATUS_MISCV);
    told.mcg_status = MCG_STATUS_MCIP | (e->in_guest ? e->mcg_status & (MCG_STATUS_RIPV | MCG_STATUS_EIPV) : MCG_STATUS_RIPV);
    return told;
}

/* Synchronously to the vCPU that used the damaged data; asynchronously to the frame's owner where nobody has used it yet. */
static void mca_raise_for_guest(const struct mc_event *e, struct domain *owner, mfn_t mfn)
{
    struct vmce told = as_told(e, mfn);
    struct vcpu *v = current;

    if (e->in_guest && !e->restartable && e->severity >= MC_OPTIONAL) {
        domain_crash(v->domain, "machine check: its program cannot go on");
        return;
    }
    if (e->severity == MC_REQUIRED && e->in_guest) {
        vmce_inject(v, &told);
        return;
    }
    /* A copy that failed is the hypercall's error (-EFAULT). The owner hears of the bad frame as if nobody had used it. */
    if (e->copy_failed) {
        told.status &= ~MCI_STATUS_AR;
        told.mcg_status = MCG_STATUS_MCIP | MCG_STATUS_RIPV;
    }
    if (owner && e->severity >= MC_OPTIONAL && owner->vcpu[0])
        vmce_inject(owner->vcpu[0], &told);
}

/* Held until domain_put(), or NULL: the owner may be going. */
static struct domain *domain_owning(const struct page_info *pg)
{
    for_each_domain(d)
        if (page_owned_by(pg, d))
            return d;
    return NULL;
}

static void deal_with(const struct mc_event *e)
{
    static const char *const owners[] = { "no RAM", "a free frame", "a guest's frame", "the hypervisor's frame", "a retired frame" };
    mfn_t mfn = e->address >> PAGE_SHIFT;
    struct record r = { .event = *e, .running = DOMID_INVALID, .owner = DOMID_INVALID, .vcpu = ~0u };
    struct domain *owner __counted_domain = NULL;
    enum frame_owner kind = FRAME_NONE;

    if (e->in_guest) {
        r.running = current->domain->id;
        r.vcpu = current->id;
    }
    if (e->nr_frames) {
        if (frame_owner(mfn) == FRAME_GUEST) {
            owner = domain_owning(mfn_to_page(mfn));
            r.owner = owner ? owner->id : DOMID_INVALID;
        }
        kind = e->severity >= MC_DEFERRED ? page_retire(mfn) : frame_owner(mfn);
        r.retired = e->severity >= MC_DEFERRED && (kind == FRAME_FREE || kind == FRAME_GUEST);
        for (u32 i = 1; i < e->nr_frames && e->severity >= MC_DEFERRED; i++)
            page_retire(mfn + i);
        printk(LOG_WARN "Machine check on CPU %u, bank %u, status %016lx: %s, address %#lx, %s%s\n", e->cpu, e->bank, e->status,
               mc_severity_name(e->severity), e->address, owners[kind],
               !r.retired         ? "" :
               kind == FRAME_FREE ? ": retired" :
                                    ": to be retired");
    } else {
        printk(LOG_WARN "Machine check on CPU %u, bank %u, status %016lx: %s, no address\n", e->cpu, e->bank, e->status,
               mc_severity_name(e->severity));
    }
    mca_keep_event(&r);
    mca_raise_for_guest(e, owner, mfn);
}

static void mca_softirq(void)
{
    struct mc_event e;

    while (mc_event_take(&e))
        deal_with(&e);
}

/* Corrected errors are not signalled: banks are polled for them. */
#define POLL_NS 5000000000ULL
static struct timer poll_timer;

static void poll_softirq(void)
{
    machine_check_poll();
    mca_softirq(); /* also what the handler of a CPU that sleeps has found */
}

/* Each CPU's banks are its own. */
static void mca_poll_timer(__unused void *data)
{
    for_each_cpu(c, cpuset_read(&cpus_online))
        softirq_raise_on(c, SOFTIRQ_MACHINE_CHECK_POLL);
    timer_set(&poll_timer, system_time_ns() + POLL_NS);
}

void mca_init(void)
{
    softirq_register(SOFTIRQ_MACHINE_CHECK, mca_softirq);
    softirq_register(SOFTIRQ_MACHINE_CHECK_POLL, poll_softirq);
    timer_init(&poll_timer, mca_poll_timer, NULL);
}
BOOT_STEP(mca_init, NEEDS(machine_checks, timers), GIVES(machine_check_reports), EVERYWHERE);

void mca_start_polling(void) { mca_poll_timer(NULL); }
BOOT_STEP(mca_start_polling, NEEDS(machine_check_reports, apic_timer), GIVES(NOTHING), EVERYWHERE);

/* ---- the hypercall ---- */

static void *mca_append_record(struct mc_info *mi, u32 *used, u16 type, u16 size)
{
    struct mcinfo_common *c = (void *)((char *)mi->mi_data + *used);

    c->type = type;
    c->size = size;
    *used += size;
    mi->mi_nentries++;
    return c;
}

static void mca_describe(const struct record *r, struct mc_info *mi)
{
    const struct mc_event *e = &r->event;
    u32 used = 0;

    memset(mi, 0, sizeof(*mi));
    struct mcinfo_global *g = mca_append_record(mi, &used, MC_TYPE_GLOBAL, sizeof(*g));
    g->mc_domid = r->running;
    g->mc_vcpuid = (u16)r->vcpu;
    g->mc_coreid = (u16)e->cpu;
    g->mc_apicid = cpu_table[e->cpu]->apic_id;
    g->mc_flags = MC_FLAG_MCE | (e->severity == MC_CORRECTED ? MC_FLAG_CORRECTABLE : MC_FLAG_UNCORRECTABLE | MC_FLAG_RECOVERABLE);
    g->mc_gstatus = e->mcg_status;
    struct mcinfo_bank *b = mca_append_record(mi, &used, MC_TYPE_BANK, sizeof(*b));
    b->mc_bank = (u16)e->bank;
    b->mc_domid = r->owner;
    b->mc_status = e->status;
    b->mc_addr = e->address;
    b->mc_misc = e->misc;
    b->mc_tsc = e->tsc;
    if (!r->retired)
        return;
    struct mcinfo_recovery *rec = mca_append_record(mi, &used, MC_TYPE_RECOVERY, sizeof(*rec));
    rec->mc_bank = (u16)e->bank;
    rec->action_flags = REC_ACTION_RECOVERED;
    rec->action_types = MC_ACTION_PAGE_OFFLINE;
    rec->action_info.page_retire.mfn = e->address >> PAGE_SHIFT;
}

static long mca_acknowledge(u64 id)
{
    spin_lock_scope(&mca_lock);
    for (u32 i = 0; i < nr_records; i++)
        if (records[i].id == id && records[i].fetched) {
            memmove(records + i, records + i + 1, sizeof(records[0]) * (nr_records - i - 1));
            nr_records--;
            break;
        }
    return 0; /* an unknown id is one that had to make room */
}

static long op_fetch(struct xen_mc_fetch *f)
{
    struct record r;
    struct mc_info mi;
    bool found = false;

    if (f->flags & XEN_MC_ACK) {
        f->flags = XEN_MC_OK;
        return mca_acknowledge(f->fetch_id);
    }
    if ((f->flags & ~(u32)(XEN_MC_URGENT | XEN_MC_NONURGENT)) || !f->flags)
        return -EINVAL;
    spin_lock(&mca_lock);
    for (u32 i = 0; i < nr_records && !found; i++)
        if (!records[i].fetched && (records[i].event.severity >= MC_OPTIONAL) == !!(f->flags & XEN_MC_URGENT)) {
            records[i].fetched = found = true;
            r = records[i];
        }
    spin_unlock(&mca_lock);
    if (!found) {
        f->flags = XEN_MC_NODATA;
        return 0;
    }
    mca_describe(&r, &mi);
    f->fetch_id = r.id;
    f->flags = XEN_MC_OK;
    if (!copy_to_guest(f->data, &mi, sizeof(mi)))
        return 0;
    spin_lock(&mca_lock);
    for (u32 i = 0; i < nr_records; i++)
        if (records[i].id == r.id)
            records[i].fetched = false;
    spin_unlock(&mca_lock);
    return -EFAULT;
}

static void describe_cpu(u32 n, struct mcinfo_logical_cpu *c)
{
    struct cpuid_regs r = cpuid_count(1, 0);
    u32 family = r.eax >> 8 & 15;

    memset(c, 0, sizeof(*c));
    c->mc_cpunr = n;
    c->mc_coreid = (u16)n;
    c->mc_apicid = cpu_table[n]->apic_id;
    c->mc_ncores = c->mc_ncores_active = smp_online_count();
    c->mc_nthreads = 1;
    c->mc_cpuid_level = (s32)cpu.max_leaf;
    c->mc_family = family == 15 ? family + (r.eax >> 20 & 0xff) : family;
    c->mc_model = (r.eax >> 4 & 15) | (family == 6 || family == 15 ? r.eax >> 12 & 0xf0 : 0);
    c->mc_step = r.eax & 15;
    c->mc_vendor = cpu.intel ? 0 : 2; /* as Linux and Xen number them */
    strlcpy(c->mc_vendorid, cpu.vendor, sizeof(c->mc_vendorid));
    strlcpy(c->mc_brandid, cpu.model, sizeof(c->mc_brandid));
    c->mc_cpu_caps[0] = r.edx;
    c->mc_cpu_caps[4] = r.ecx;
    c->mc_msrvalues[0].reg = MSR_MCG_CAP;
    c->mc_nmsrvals = rdmsr_safe(MSR_MCG_CAP, &c->mc_msrvalues[0].value);
}

static long op_physcpuinfo(struct xen_mc_physcpuinfo *p)
{
    u32 room = p->ncpus, n = 0;
    struct mcinfo_logical_cpu described;

    p->ncpus = smp_online_count();
    if (!p->info.va)
        return 0;
    if (!room)
        return -EINVAL;
    for_each_cpu(c, cpuset_read(&cpus_online)) {
        if (n == room)
            break;
        describe_cpu(c->id, &described);
        if (copy_to_guest(guest_ptr_index(p->info, n++, sizeof(described)), &described, sizeof(described)))
            return -EFAULT;
    }
    p->ncpus = n;
    return 0;
}

/* Errors that are only made to look like hardware's: never a way around the checks of real ones. */
static long op_msrinject(const struct xen_mc_msrinject *m)
{
    int rc = 0;

    if (m->mcinj_cpunr || !m->mcinj_count || m->mcinj_count > MC_MSRINJ_MAXMSRS || (m->mcinj_flags & ~(u32)MC_MSRINJ_F_INTERPOSE))
        return -EINVAL;
    spin_lock_scope(&mca_lock);
    for (u32 i = 0; i < m->mcinj_count && !rc; i++)
        rc = m->mcinj_msr[i].reg >> 32 ? -EINVAL : mc_interpose((u32)m->mcinj_msr[i].reg, m->mcinj_msr[i].value);
    return rc;
}

static long op_mceinject(const struct xen_mc_mceinject *m)
{
    if (m->mceinj_cpunr)
        return -EINVAL; /* values for a bank are made up on the first CPU only (mc_interpose()) */
    __asm__ volatile("int $18");
    return 0;
}

/* The target must take the kind: polled records (CMCI) and local ones need a processor that has them. */
static long op_inject_v2(const struct xen_mc_inject_v2 *v)
{
    u8 cpus = 0;

    if ((v->flags & XEN_MC_INJECT_TYPE_MASK) != XEN_MC_INJECT_TYPE_MCE)
        return -EOPNOTSUPP;
    if (!(v->flags & XEN_MC_INJECT_CPU_BROADCAST)) {
        if (!v->cpumap.nr_bits || copy_from_guest(&cpus, v->cpumap.bitmap, 1))
            return -EFAULT;
        if (cpus != 1)
            return -EINVAL;
    }
    __asm__ volatile("int $18");
    return 0;
}

static const struct subop rows[] = {
    [XEN_MC_fetch] = { CONTROL, ARG_IN_OUT(struct xen_mc_fetch, op_fetch) },
    [XEN_MC_physcpuinfo] = { CONTROL, ARG_IN_OUT(struct xen_mc_physcpuinfo, op_physcpuinfo) },
    [XEN_MC_msrinject] = { CONTROL, ARG_IN_OUT(struct xen_mc_msrinject, op_msrinject) },
    [XEN_MC_mceinject] = { CONTROL, ARG_IN_OUT(struct xen_mc_mceinject, op_mceinject) },
    [XEN_MC_inject_v2] = { CONTROL, ARG_IN_OUT(struct xen_mc_inject_v2, op_inject_v2) },
};

const struct subops mca_table = { rows, ARRAY_SIZE(rows), __HYPERVISOR_mca, ARG_VERSIONED(struct xen_mc, XEN_MCA_INTERFACE_VERSION) };

long do_mca(guest_ptr_t arg) { return subop_dispatch(&mca_table, 0, arg, NULL); }
