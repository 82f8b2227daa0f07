/* SPDX-License-Identifier: MIT */
/*
 * PIRQs: device interrupts that a domain gets as event channels. GSIs are identity-mapped; MSIs are numbered after them. A PIRQ
 * belongs to the domain that has mapped or bound it, which is held meanwhile; io_rights say which ones a domain may have.
 *
 * A level-triggered GSI is masked at the I/O APIC when it fires and unmasked by the guest's
 * PHYSDEVOP_eoi; edges and MSIs need no such step.
 *
 * Lock: irq_lock guards all of pirqs[] and the vectors' owners; taken before io_apic_lock, released
 * before an event is sent (event_lock comes first in the order).
 */
#include <hv/acpi.h>
#include <hv/evtchn.h>
#include <hv/pci.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/x86/apic.h>
#include <public/physdev.h>

_Static_assert(MAX_PIRQS >= 2 * MAX_GSIS, "MSIs have numbers, too");

#define DRAIN_NS 200000 /* longer than any message needs from a device to a CPU */

enum pirq_kind { PIRQ_FREE, PIRQ_GSI, PIRQ_MSI, PIRQ_HYPERVISOR /* no domain's to touch */ };
struct pirq {
    u8 kind;
    struct domain *owner; /* while mapped or bound */
    struct irq_vector at; /* kinds GSI and MSI */
    bool mapped, bound, level, active_low, awaiting_eoi;
    u32 port;
    struct msi_target msi;
    u64 count;
};

static struct pirq pirqs[MAX_PIRQS];
static spinlock_t irq_lock = SPINLOCK_INIT(LOCK_IRQ);
static u32 nr_gsis;

static bool has_vector(const struct pirq *p) { return p->kind == PIRQ_GSI || p->kind == PIRQ_MSI; }

/* Its number is below MAX_PIRQS; of a guest's it has been checked. */
static struct pirq *pirq_at(u32 n) { return &pirqs[index_nospec(n, MAX_PIRQS)]; }

/* irq_lock held. */
static int pirq_claim(struct pirq *p, struct domain *d)
{
    if (p->owner)
        return p->owner == d ? 0 : -EBUSY;
    domain_get(d);
    p->owner = d;
    return 0;
}

/* irq_lock held. A PIRQ that is neither mapped nor bound loses its owner. */
static void pirq_disclaim(struct pirq *p)
{
    if (!p->owner || p->mapped || p->bound)
        return;
    domain_put(p->owner);
    p->owner = NULL;
}

/* irq_lock held. */
static int pirq_place_vector(u32 n, u32 preferred)
{
    int rc = vector_alloc(n, preferred, &pirqs[n].at);

    if (rc)
        printk(GUEST_WARN "PIRQ %u: no CPU that device interrupts can reach has a vector left\n", n);
    return rc;
}

static u8 pirq_destination(const struct pirq *p) { return (u8)cpu_table[p->at.cpu]->apic_id; }

/* Where the MADT moved an ISA interrupt, and how it is triggered by default. */
static u32 isa_to_gsi(u32 irq, struct gsi_route *r)
{
    for (u32 i = 0; i < acpi.nr_overrides; i++)
        if (acpi.overrides[i].isa_irq == irq) {
            r->level = acpi.overrides[i].level;
            r->active_low = acpi.overrides[i].active_low;
            return acpi.overrides[i].gsi;
        }
    return irq;
}

/* To the first CPU, which never goes offline. */
static int route_ours(u32 irq, struct gsi_route r)
{
    u32 gsi = isa_to_gsi(irq, &r);

    if (gsi >= nr_gsis || !irq_reaches(&boot_percpu))
        return -ENODEV;
    if (pirqs[gsi].kind != PIRQ_FREE)
        return -EBUSY;
    r.apic_id = (u8)boot_percpu.apic_id;
    int rc = io_apic_route(gsi, &r);
    if (!rc)
        pirqs[gsi].kind = PIRQ_HYPERVISOR;
    return rc;
}

int irq_route_hypervisor_gsi(u32 irq, u32 vector) { return route_ours(irq, (struct gsi_route){ .vector = (u8)vector }); }

int irq_route_hypervisor_nmi(u32 irq) { return route_ours(irq, (struct gsi_route){ .nmi = true }); }

void pirqs_init(void) { nr_gsis = io_apic_gsi_count(); }

static int gsi_apply(u32 gsi, bool masked)
{
    const struct pirq *p = pirq_at(gsi);
    struct gsi_route r = {
        .vector = p->at.vector, .apic_id = pirq_destination(p), .level = p->level, .active_low = p->active_low, .masked = masked
    };

    return io_apic_route(gsi, &r);
}

static void set_default_trigger(struct pirq *p, u32 gsi)
{
    struct gsi_route r = { .level = gsi >= 16, .active_low = gsi >= 16 };

    for (u32 i = 0; i < acpi.nr_overrides; i++)
        if (acpi.overrides[i].gsi == gsi)
            isa_to_gsi(acpi.overrides[i].isa_irq, &r);
    p->level = r.level;
    p->active_low = r.active_low;
}

/* irq_lock held. */
static int gsi_prepare(u32 gsi)
{
    struct pirq *p = pirq_at(gsi);

    if (p->kind == PIRQ_GSI)
        return 0;
    if (p->kind == PIRQ_HYPERVISOR)
        return -EBUSY;
    int rc = pirq_place_vector(gsi, 0);
    if (rc)
        return rc;
    set_default_trigger(p, gsi);
    rc = gsi_apply(gsi, true);
    if (rc)
        vector_free(p->at); /* a number between those of two I/O APICs */
    else
        p->kind = PIRQ_GSI;
    return rc;
}

int pirq_setup_gsi(u32 gsi, bool level, bool active_low)
{
    if (gsi >= nr_gsis)
        return -EINVAL;
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(gsi);
    int rc = p->bound ? -EEXIST : gsi_prepare(gsi);
    if (rc)
        return rc;
    struct pirq was = *p;
    p->level = level;
    p->active_low = active_low;
    rc = gsi_apply(gsi, true);
    if (rc)
        *p = was;
    return rc;
}

int pirq_map_gsi(struct domain *d, u32 gsi)
{
    if (gsi >= nr_gsis) /* only the hardware domain is told that there is no such GSI */
        return d->is_hardware ? -EINVAL : -EPERM;
    if (!io_rights_has_pirq(&d->io, gsi))
        return -EPERM;
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(gsi);
    int rc = gsi_prepare(gsi);
    if (!rc)
        rc = pirq_claim(p, d);
    if (!rc)
        p->mapped = true;
    return rc ? rc : (int)gsi;
}

/* irq_lock held. Number of a PIRQ, or -ENOSPC. */
static int free_pirq(void)
{
    for (u32 n = nr_gsis; n < MAX_PIRQS; n++)
        if (pirqs[n].kind == PIRQ_FREE)
            return (int)n;
    printk(GUEST_WARN "All %u PIRQs are in use: a device gets no interrupt\n", MAX_PIRQS);
    return -ENOSPC;
}

static int msi_apply(const struct pirq *p) { return msi_program(&p->msi, p->at.vector, pirq_destination(p)); }

/* irq_lock held. */
static int msi_prepare(struct domain *d, u32 n, const struct msi_target *t)
{
    int rc = pirq_place_vector(n, 0);

    if (rc)
        return rc;
    struct pirq *p = pirq_at(n);
    *p = (struct pirq){ .kind = PIRQ_MSI, .at = p->at, .mapped = true, .msi = *t };
    rc = msi_apply(p);
    if (!rc)
        return pirq_claim(p, d);
    vector_free(p->at);
    *p = (struct pirq){ 0 };
    return rc;
}

int pirq_map_msi(struct domain *d, u16 bdf, u32 entry, bool msix)
{
    struct msi_target t = { .bdf = bdf, .entry = entry, .msix = msix };

    if (!d->is_hardware) /* devices are nobody else's; map_pirq's row cannot say it, GSIs are given one by one */
        return -EPERM;
    spin_lock_scope(&irq_lock);
    int n = free_pirq(), rc = n < 0 ? n : msi_prepare(d, (u32)n, &t);
    return rc ? rc : n;
}

/* May the domain have anything to do with a PIRQ of this number? What it has it may end, though the right be gone. */
static int pirq_check(const struct domain *d, u32 n)
{
    if (n >= MAX_PIRQS)
        return d->is_hardware ? -EINVAL : -EPERM;
    return io_rights_has_pirq(&d->io, n) || READ_ONCE(pirq_at(n)->owner) == d ? 0 : -EPERM;
}

int pirq_unmap(struct domain *d, u32 n)
{
    int rc = pirq_check(d, n);

    if (rc)
        return rc;
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(n);
    if (!p->mapped || p->owner != d)
        return -EINVAL;
    if (p->bound)
        return -EBUSY;
    p->mapped = false;
    pirq_disclaim(p);
    if (p->kind == PIRQ_MSI) {
        msi_disable(&p->msi);
        vector_free(p->at);
        p->kind = PIRQ_FREE;
    }
    return 0;
}

void pirqs_release(struct domain *d)
{
    for (u32 n = 0; n < MAX_PIRQS; n++) {
        if (READ_ONCE(pirqs[n].owner) == d)
            ASSERT(!pirq_unmap(d, n)); /* it is not bound any more, so it is mapped */
        preempt_point();
    }
}

int pirq_bind(struct domain *d, u32 n, u32 port)
{
    int rc = pirq_check(d, n);

    if (rc)
        return rc;
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(n);
    if (n < nr_gsis)
        rc = gsi_prepare(n);
    if (rc)
        return rc;
    if (p->kind == PIRQ_FREE)
        return -EINVAL;
    if (p->bound)
        return -EEXIST;
    rc = pirq_claim(p, d);
    if (!rc && p->kind == PIRQ_GSI)
        rc = gsi_apply(n, false); /* what comes at once waits for irq_lock */
    if (rc) {
        pirq_disclaim(p);
        return rc;
    }
    p->port = port;
    p->bound = true;
    p->awaiting_eoi = false;
    return 0;
}

void pirq_unbind(struct domain *d, u32 n)
{
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(n);
    if (p->bound && p->owner == d) {
        p->bound = false;
        if (p->kind == PIRQ_GSI)
            io_apic_mask(n, true);
        pirq_disclaim(p);
    }
}

int pirq_eoi(struct domain *d, u32 n)
{
    int rc = pirq_check(d, n);

    if (rc)
        return rc;
    spin_lock_scope(&irq_lock);
    struct pirq *p = pirq_at(n);
    if (p->kind == PIRQ_GSI && p->owner == d && p->awaiting_eoi) {
        p->awaiting_eoi = false;
        if (p->bound)
            io_apic_mask(n, false);
    }
    return 0;
}

u32 pirq_status(struct domain *d, u32 n)
{
    if (pirq_check(d, n))
        return 0;
    const struct pirq *p = pirq_at(n);

    /* Asked before the trigger mode is known: level is the safe answer for what is not set up yet. */
    return p->kind == PIRQ_MSI || (p->kind == PIRQ_GSI && !p->level) ? 0 : XENIRQSTAT_needs_eoi;
}

void pirq_dispatch(u32 n)
{
    spin_lock(&irq_lock);
    struct pirq *p = pirq_at(n);
    struct domain *owner = p->bound ? p->owner : NULL;
    u32 port = p->port;
    if (owner)
        domain_get(owner); /* it may be unbound, and end, before the event is sent */
    p->count++;
    if (p->kind == PIRQ_GSI && p->level) {
        io_apic_mask(n, true);
        p->awaiting_eoi = true;
    }
    local_apic_eoi();
    spin_unlock(&irq_lock);
    if (owner) {
        evtchn_send_pirq(owner, port);
        domain_put(owner);
    }
}

/* ---- CPUs that go offline ---- */

/*
 * irq_lock held. Moves a PIRQ to another CPU, on the same vector wherever possible: then a plain MSI changes by one write of its address, and
 * an interrupt that the device sends meanwhile arrives at the old place or the new one. (With another vector there are two writes, and between
 * them the message would have the vector of another PIRQ.) The old vector goes on leading to the PIRQ: vector_leave().
 */
static int pirq_move_vector(u32 n)
{
    struct pirq *p = &pirqs[n];
    struct irq_vector old = p->at;
    int rc = pirq_place_vector(n, old.vector);

    if (rc)
        return rc;
    rc = p->kind == PIRQ_GSI ? gsi_apply(n, !p->bound || p->awaiting_eoi) : msi_apply(p);
    if (rc) {
        vector_free(p->at);
        p->at = old;
    } else {
        vector_leave(old);
    }
    return rc;
}

static int move_from(u32 n, const struct percpu *c)
{
    spin_lock_scope(&irq_lock);
    bool there = has_vector(&pirqs[n]) && pirqs[n].at.cpu == c->id;
    return there ? pirq_move_vector(n) : 0;
}

/* Each step is whole: where one fails, what has been moved stays where it is now and holds one vector, as before. */
int irq_leave_cpu(const struct percpu *c)
{
    int rc = 0;

    spin_lock(&irq_lock);
    vectors_close(c); /* from here on nothing new comes to it */
    spin_unlock(&irq_lock);
    for (u32 n = 0; n < MAX_PIRQS && !rc; n++) {
        rc = move_from(n, c);
        preempt_point();
    }
    if (rc)
        irq_return_to_cpu(c);
    return rc;
}

void irq_drain(void)
{
    u64 end = system_time_ns() + DRAIN_NS;

    while (system_time_ns() < end) {
        irq_window();
        cpu_relax();
    }
    spin_lock_scope(&irq_lock);
    vectors_forget(this_cpu());
}

void irq_return_to_cpu(const struct percpu *c)
{
    spin_lock_scope(&irq_lock);
    vectors_open(c);
}

void pirqs_print(void)
{
    for (u32 i = 0; i < MAX_PIRQS; i++) {
        const struct pirq *p = &pirqs[i];

        spin_lock_scope(&irq_lock); /* without it the owner may go meanwhile */
        if (has_vector(p) && (p->bound || p->count))
            printk("  pirq %3u %s d%d CPU %u vector %02x %s %s port %u count %lu%s\n", i, p->kind == PIRQ_GSI ? "GSI" : "MSI",
                   p->owner ? p->owner->id : -1, p->at.cpu, p->at.vector, p->level ? "level" : "edge", p->bound ? "bound" : "unbound",
                   p->port, p->count, p->awaiting_eoi ? " awaiting EOI" : "");
    }
}
