/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/efi.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/softirq.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>
#include <hv/x86/processor.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/speculation.h>
#include <hv/x86/tlb.h>

char fake_log[65536];
u32 fake_tlb_flushes, fake_softirqs;
u64 fake_now, fake_timer_deadline;
bool (*fake_msr_exists)(u32 msr);

#define WEAK __attribute__((weak))

struct percpu boot_percpu, *fake_cpu = &boot_percpu;
struct percpu *cpu_table[MAX_CPUS] = { &boot_percpu };
cpuset_t cpus_online = CPUSET_FIRST_CPU;
WEAK struct cpu_features cpu = { .phys_bits = 40 };
u64 fake_cr4 = CR4_PGE;
WEAK struct boot_info boot_info;
WEAK struct acpi_info acpi;
WEAK struct efi_boot_data efi_boot_data;
pte_t hv_l4[PT_ENTRIES];
WEAK struct spec_plan spec;
WEAK mfn_t max_mfn = FAKE_FRAMES - 1;
u64 total_ram_pages = FAKE_FRAMES;

WEAK void vprintk(const char *fmt, va_list ap)
{
    size_t n = strlen(fake_log);

    vsnprintf(fake_log + n, sizeof(fake_log) - n, fmt, ap);
}

WEAK void printk(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintk(fmt, ap);
    va_end(ap);
}

void panic(enum panic_code code, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "CAI-%d: ", (int)code);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    mock_assert(0, "panic", __FILE__, __LINE__);
    abort();
}

void fake_reset(void)
{
    fake_log[0] = 0;
    fake_tlb_flushes = fake_softirqs = 0;
    fake_now = 0;
    fake_timer_deadline = ~0ULL;
}

/* ---- time, softirqs, scheduling ---- */
WEAK u64 system_time_ns(void) { return fake_now; }
WEAK void pirqs_release(struct domain *d) { (void)d; }
WEAK void timestamp_set_wallclock(u64 sec, u32 nsec)
{
    (void)sec;
    (void)nsec;
}
WEAK void apic_timer_program(u64 expires) { fake_timer_deadline = expires; }
WEAK void softirq_raise(enum softirq nr) { fake_softirqs |= 1u << nr; }
WEAK void softirq_raise_on(struct percpu *c, enum softirq nr)
{
    (void)c;
    softirq_raise(nr);
}
WEAK void smp_stop_if_asked(void) {}
WEAK void vcpu_add_nmis(struct vcpu *v, u32 n) { v->nmi_pending = vcpu_nmis_after(v->nmi_pending, n, v->nmi_masked); }
WEAK bool vcpu_is_running(const struct vcpu *v) { return v == current; }
WEAK void softirq_register(enum softirq nr, void (*fn)(void))
{
    (void)nr;
    (void)fn;
}
WEAK void preempt_point(void) {}
WEAK int domain_work_point(void) { return 0; }
WEAK long hypercall_again(u64 nr, const u64 *args, u32 count)
{
    (void)args;
    (void)count;
    return (long)nr;
}
WEAK void preempt_wait(u32 *turns) { ++*turns; }
WEAK void vcpu_kick(struct vcpu *v) { v->pause_flags &= ~(PAUSE_BLOCKED | PAUSE_POLL); }
WEAK void vcpu_pause_flag_clear(struct vcpu *v, u32 flag) { v->pause_flags &= ~flag; }
WEAK void pv_l4_changed(struct domain *d, const pte_t *entry)
{
    (void)d;
    (void)entry;
}
WEAK void domain_crash(struct domain *d, const char *fmt, ...)
{
    (void)fmt;
    d->state = DOMAIN_CRASHED;
}
WEAK void spin_lock(spinlock_t *lock)
{
    assert_int_equal(lock->head, lock->tail);
    lock->tail++;
}
WEAK void spin_unlock(spinlock_t *lock)
{
    lock->head++;
    assert_int_equal(lock->head, lock->tail);
}

/* ---- memory ---- */
WEAK void boot_alloc_reserve(paddr_t start, paddr_t end)
{
    (void)start;
    (void)end;
}
WEAK bool frame_chunks[] = { true };
WEAK void fake_cpu_relax(void) {}
WEAK void fake_invlpg(u64 va) { (void)va; }
WEAK u32 tlb_clock(void) { return fake_tlb_flushes + 1; }
WEAK void tlb_serve(void) {}
WEAK void tlb_flush_local(void) { fake_tlb_flushes++; }
WEAK int pv_flush_vcpus(const struct domain *d, guest_ptr_t bitmap, u64 address)
{
    (void)d;
    (void)bitmap;
    (void)address;
    fake_tlb_flushes++;
    return 0;
}
WEAK bool tlb_flushed_since(u32 stamp)
{
    (void)stamp;
    return true;
}
WEAK void tlb_flush_since(u32 stamp)
{
    (void)stamp;
    fake_tlb_flushes++;
}
WEAK bool io_apic_owns_frame(u64 mfn) { return mfn == 0xfec00; }
/* The first page is not mapped. */
u64 guest_copy_raw_to(guest_ptr_t g, const void *s, u64 n)
{
    if (g.va < PAGE_SIZE)
        return n;
    memcpy((void *)g.va, s, n);
    return 0;
}
u64 guest_copy_raw_from(void *d, guest_ptr_t g, u64 n)
{
    if (g.va < PAGE_SIZE)
        return n;
    memcpy(d, (void *)g.va, n);
    return 0;
}

static void *map_at(u64 va, u64 size)
{
    void *p = mmap((void *)va, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    assert_ptr_equal(p, (void *)va);
    return p;
}

void fake_memory_init(void)
{
    map_at(FRAMETABLE_VIRT_START, FAKE_FRAMES * sizeof(struct page_info));
    map_at(DIRECTMAP_VIRT_START, FAKE_FRAMES * PAGE_SIZE);
    map_at(RW_M2P_VIRT_START, FAKE_FRAMES * 8);
    /* Each test program starts with an empty allocator: run only once per process. */
    static bool given;

    if (!given)
        page_free_new(1, FAKE_FRAMES - 1);
    given = true;
}

/* One of that id from an earlier test goes. */
static void replace_in_table(struct domain *d, domid_t id)
{
    struct domain *old = domain_from_id(id);

    if (old)
        old->refs = old->id == id ? 0 : old->refs - 1;
    while (domain_table_take_unheld())
        ;
    assert_int_equal(domain_table_add(d, id), 0);
}

struct domain *fake_domain(domid_t id, bool privileged)
{
    static struct vcpu vcpus[8];
    struct page_info *pg = page_alloc_contiguous((sizeof(struct domain) + PAGE_SIZE - 1) / PAGE_SIZE);
    struct domain *d = memset(page_to_virt(pg), 0, sizeof(*d));
    struct vcpu *v = &vcpus[id % 8];

    d->refs = 1;
    d->is_control = d->is_hardware = privileged;
    if (privileged) {
        d->io.nr_iomem = 1;
        d->io.iomem[0].last = MAX_IOMEM;
        memset(d->io.ports, 0xff, sizeof(d->io.ports));
        memset(d->io.pirqs, 0xff, sizeof(d->io.pirqs));
    }
    d->max_pages = ~0ULL;
    d->max_vcpus = 1;
    d->max_ports = EVTCHN_FIFO_NR_CHANNELS;
    d->max_grant_frames = 64;
    d->shared_info = hv_alloc_page();
    d->pv.perdomain_l3 = hv_alloc_page();
    *v = (struct vcpu){ .domain = d, .info = &d->shared_info->vcpu_info[0] };
    d->vcpu[0] = v;
    replace_in_table(d, id);
    boot_percpu.curr = v;
    return d;
}

struct page_info *fake_page(struct domain *d)
{
    struct page_info *pg = page_alloc(0, 0);

    assert_non_null(pg);
    memset(page_to_virt(pg), 0, PAGE_SIZE);
    pg->owner = owner_of(d);
    pg->type_info = 0;
    pg->prev = 0;
    pg->next = d->page_list;
    if (d->page_list)
        mfn_to_page(d->page_list)->prev = (u32)page_to_mfn(pg);
    d->page_list = (u32)page_to_mfn(pg);
    if (!d->tot_pages++)
        domain_get(d);
    pg->ref_info = PGR_ALLOCATED | 1;
    return pg;
}
