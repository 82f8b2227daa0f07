/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs (Intel SDM vol. 3, 9.4).
 *
 * One at a time: there is one trampoline and one mailbox. Each stage has a bound; a
 * CPU that misses it, or that faults on its way, is named and left out, and the boot goes on.
 */
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/printk.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <hv/x86/ap_mailbox.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/tlb.h>
#include <hv/x86/trap.h>

/*
 * How the boot CPU (A) and the one that starts (B) speak through the mailbox:
 *
 *   A (start_one()):                    fills the mailbox; INIT and STARTUP; waits for CPU_ONLINE in B's state, or a vector in the mailbox
 *   B (ap_trampoline.S, ap_main()):     counts stages in it; a fault writes its vector and halts; at the end CPU_ONLINE, with all it has set up
 *
 * The next CPU gets the mailbox only when B is online or has been sent back by INIT: one that came late would take that CPU's stack.
 *
 * Code and mailbox: two pages below 640 KiB, the last of a block of STACK_BLOCK_SIZE, wherever the memory map has RAM that holds none of the
 * loader's modules: dom0 is built of those later. Page 0 is not used: the BIOS's data are there.
 */
#define TRAMPOLINE_SIZE (2 * PAGE_SIZE)
#define TRAMPOLINE_FIRST (STACK_BLOCK_SIZE - TRAMPOLINE_SIZE)
#define TRAMPOLINE_END 0xa0000
static u32 trampoline;
#define ANSWER_NS 1000000000ULL

extern const u8 ap_trampoline[], ap_trampoline_end[], ap_vectors16[], ap_vectors32[], ap_test16[], ap_test32[];
extern const u8 idt_table[];
extern u64 boot_gdt[];

static u32 opt_maxcpus = MAX_CPUS;
OPTION("maxcpus", option_count, opt_maxcpus, "CPUs that are started at most, the first included; 1 or more", "all, up to 64");
static bool opt_nosmp;
OPTION("nosmp", option_bool, opt_nosmp, "only the first CPU runs", "off");

static struct ap_mailbox *mailbox(void) { return phys_to_virt(trampoline + PAGE_SIZE); }

void ap_main(struct percpu *c) __noreturn;
void ap_main(struct percpu *c)
{
    cpu_init_descriptors(c);
    trap_test_phase("ap_64");
    cpu_load_features();
    machine_check_init_cpu();
    local_apic_init_cpu();
    tlb_flush_global(); /* it has a time of the TLB clock from now on */
    c->curr = c->idle;
    __atomic_store_n(&c->state, CPU_ONLINE, __ATOMIC_RELEASE);
    tsc_sync_target();
    shadow_stack_start(c, c->boot_stack);
    branch_tracking_start();
    idle_loop();
}

/* Descriptors, stacks and page of GDT; false: out of memory. */
static bool ap_prepare_cpu(struct percpu *c)
{
    u64 base = (u64)&c->tss;

    c->gdt = hv_alloc_page();
    if (!c->gdt)
        return false;
    memcpy(c->gdt, boot_gdt, PAGE_SIZE);
    u64 *tss = c->gdt + (SEL_TSS & 0xff8) / 8;
    tss[0] = (sizeof(struct tss64) - 1) | ((base & 0xffffff) << 16) | DESC_TSS | ((base >> 24 & 0xff) << 56);
    tss[1] = base >> 32;
    c->tss.io_map_base = sizeof(struct tss64);
    for (unsigned i = 0; i < IST_COUNT; i++) {
        void *block = ist_block_alloc();

        if (!block)
            return false;
        stack_block_top(block)->cpu = c;
        c->tss.ist[i] = (u64)stack_block_top(block);
    }
    c->boot_stack = stack_block_alloc();
    if (!c->boot_stack)
        return false;
    stack_block_top(c->boot_stack)->cpu = c;
    return idle_vcpu_create(c, c->boot_stack) && !sched_init_cpu(c) && !timers_init_cpu(c) && !xpti_init_cpu(c);
}

/* A CPU's struct percpu, with an unmapped page on either side. */
static struct percpu *area_alloc(u32 id)
{
    u64 size = ROUND_UP(sizeof(struct percpu), PAGE_SIZE), va = vmap_reserve_for_cpus(size + 2 * PAGE_SIZE, PAGE_SIZE) + PAGE_SIZE;

    for (u64 off = 0; off < size; off += PAGE_SIZE) {
        void *page = hv_alloc_page();

        if (!page || hv_map(va + off, virt_to_phys(page), PAGE_SIZE, HV_RW))
            return NULL;
    }
    cpu_table[id] = (struct percpu *)va;
    return cpu_table[id];
}

static void fill_mailbox(struct percpu *c)
{
    struct ap_mailbox *m = mailbox();
    u32 base = trampoline, page = base + PAGE_SIZE;

    memset(m, 0, sizeof(*m));
    m->vector = AP_NO_VECTOR;
    m->cr3 = read_cr3();
    m->stack = (u64)stack_block_top(c->boot_stack) & ~15UL;
    m->stack -= 8; /* as after a CALL */
    m->entry = (u64)ap_main;
    m->percpu = (u64)c;
    m->stack_top.cpu = c;
    for (u32 v = 0; v < 32; v++) {
        u32 handler = base + (u32)(ap_vectors32 - ap_trampoline) + 8 * v;

        m->ivt[v].offset = (u16)(ap_vectors16 - ap_trampoline + 8 * v);
        m->ivt[v].segment = (u16)(base >> 4);
        m->idt32[v] = (handler & 0xffff) | ((u64)SEL_BOOT_CS32 << 16) | (0x8e00ULL << 32) | ((u64)(handler >> 16) << 48);
    }
    memcpy(m->gdt, c->gdt, sizeof(m->gdt));
    m->ivt_pointer = (struct table_pointer){ sizeof(m->ivt) - 1, page + offsetof(struct ap_mailbox, ivt) };
    m->idt32_pointer = (struct table_pointer){ sizeof(m->idt32) - 1, page + offsetof(struct ap_mailbox, idt32) };
    /* Based so that our selectors start at e000h, as everywhere. */
    m->gdt_pointer = (struct table_pointer){ GDT_RESERVED_BASE + sizeof(m->gdt) - 1,
                                             (u32)(page + offsetof(struct ap_mailbox, gdt) - GDT_RESERVED_BASE) };
    m->idt64_pointer = (struct table_pointer){ 256 * 16 - 1, (u64)idt_table };
    m->gdt64_pointer = (struct table_pointer){ GDT_LIMIT, (u64)c->gdt - GDT_RESERVED_BASE };
}

static bool ap_answered(const struct percpu *c) { return __atomic_load_n(&c->state, __ATOMIC_ACQUIRE) == CPU_ONLINE; }

static void wait_for(struct percpu *c)
{
    u64 end = system_time_ns() + ANSWER_NS * trap_test_patience();

    while (!ap_answered(c) && READ_ONCE(mailbox()->vector) == AP_NO_VECTOR && system_time_ns() < end)
        cpu_relax();
}

static void name_failure(const struct percpu *c)
{
    static const char *const stages[] = { "before its first instruction", "in real mode", "in 32-bit mode", "in 64-bit mode" };
    u32 vector = mailbox()->vector;
    const char *stage = stages[mailbox()->stage & 3];

    if (vector < 32)
        printk(LOG_WARN "CPU %u (APIC %u): exception %s %s; it is left out\n", c->id, c->apic_id, vector_infos[vector].mnemonic, stage);
    else
        printk(LOG_WARN "CPU %u (APIC %u): no answer within a second, %s; it is left out\n", c->id, c->apic_id, stage);
}

static void start_one(struct percpu *c)
{
    fill_mailbox(c);
    c->state = CPU_STARTING;
    local_apic_send(c->apic_id, IPI_INIT);
    delay_ns(10000000);
    local_apic_send(c->apic_id, IPI_STARTUP(trampoline >> PAGE_SHIFT));
    delay_ns(200000);
    if (READ_ONCE(mailbox()->stage) == AP_STAGE_SENT)
        local_apic_send(c->apic_id, IPI_STARTUP(trampoline >> PAGE_SHIFT));
    wait_for(c);
    if (ap_answered(c)) {
        tsc_sync_source(c);
        cpuset_set_atomic(&cpus_online, c->id);
        return;
    }
    name_failure(c);
    local_apic_send(c->apic_id, IPI_INIT); /* back to waiting for STARTUP, before the mailbox is another CPU's */
    c->state = CPU_ABSENT;
}

static void copy_trampoline(void) { memcpy(phys_to_virt(trampoline), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline)); }

/* The highest place: what firmware keeps for itself without saying so lies low. 0: none. */
static u32 trampoline_find_place(void)
{
    u32 at = TRAMPOLINE_END - TRAMPOLINE_SIZE;

    while (at >= TRAMPOLINE_FIRST && !boot_info_place_is_free(&boot_info, at, at + TRAMPOLINE_SIZE, boot_info.nr_modules))
        at -= MIN(at, (u32)STACK_BLOCK_SIZE);
    return at >= TRAMPOLINE_FIRST ? at : 0;
}

static bool trampoline_in_place(void)
{
    trampoline = trampoline_find_place();
    if (!trampoline)
        return false;
    ASSERT((u64)(ap_trampoline_end - ap_trampoline) <= PAGE_SIZE);
    copy_trampoline();
    /* Mapped where it lies for the moment of the switch; guests' tables have no copy of this entry. */
    return hv_map(trampoline, trampoline, PAGE_SIZE, HV_RX & ~PTE_GLOBAL) == 0 &&
           hv_map(trampoline + PAGE_SIZE, trampoline + PAGE_SIZE, PAGE_SIZE, HV_RW & ~PTE_GLOBAL) == 0;
}

/* CPUs that fail while trampolines are broken by intent, then the real start. */
static void start_with_tests(struct percpu *c)
{
    for (u32 n = 0; n < trap_test_trampolines(); n++) {
        u8 *copy = phys_to_virt(trampoline);

        trap_test_break_trampoline(copy + (ap_test16 - ap_trampoline), copy + (ap_test32 - ap_trampoline), n);
        start_one(c);
        copy_trampoline();
    }
    start_one(c);
}

/* A table may lack the processor that boots, which is there all the same. */
static u32 count_listed(void)
{
    for (u32 i = 0; i < acpi.nr_cpus; i++)
        if (acpi.cpus[i].apic_id == this_cpu()->apic_id)
            return acpi.nr_cpus;
    if (acpi.nr_cpus)
        printk(LOG_WARN "SMP: the MADT does not list the processor that boots, APIC id %u\n", this_cpu()->apic_id);
    return acpi.nr_cpus + 1;
}

/* INIT must never reach a CPU that runs: acpi.cpus has each id once, and ids that would be cut on their way are not used. */
static bool can_be_started(u32 i)
{
    u32 apic_id = acpi.cpus[i].apic_id;

    if (!acpi.cpus[i].enabled || apic_id == this_cpu()->apic_id)
        return false;
    if (!local_apic_reaches(apic_id)) {
        printk(LOG_WARN "SMP: APIC id %u cannot be reached in xAPIC mode; that CPU is left out\n", apic_id);
        return false;
    }
    return true;
}

/* False: no memory for it. */
static bool bring_up(u32 id, u32 apic_id)
{
    struct percpu *c = area_alloc(id);

    if (c) {
        c->id = id;
        c->apic_id = apic_id;
        c->curr = CURRENT_POISON;
    }
    if (!c || !ap_prepare_cpu(c)) {
        printk(LOG_WARN "SMP: no memory for CPU %u\n", id);
        return false;
    }
    start_with_tests(c);
    return true;
}

void smp_start_others(void)
{
    u32 id = 1, listed = count_listed();

    boot_percpu.state = CPU_ONLINE;
    if (listed < 2 || opt_nosmp || opt_maxcpus == 1)
        return;
    if (!trampoline_in_place()) {
        printk(LOG_WARN "SMP: there are no %lu KiB of memory below 640 KiB to start the other CPUs from; only this one runs\n",
               TRAMPOLINE_SIZE >> 10);
        return;
    }
    for (u32 i = 0; i < acpi.nr_cpus; i++) {
        if (!can_be_started(i))
            continue;
        if (id == MAX_CPUS) {
            printk(LOG_WARN "SMP: more than %u CPUs, the rest is left out\n", MAX_CPUS);
            break;
        }
        if (id == opt_maxcpus || !bring_up(id, acpi.cpus[i].apic_id))
            break;
        id++;
    }
    hv_drop_slot(PT_INDEX((u64)trampoline, 4)); /* every CPU runs at high addresses now */
    printk(LOG_INFO "SMP: %u of %u CPUs online\n", smp_online_count(), listed);
}
BOOT_STEP(smp_start_others, NEEDS(options, memory_map, acpi_tables, local_apic, clock, guarded_stacks, scheduler, timers, xpti),
          GIVES(other_cpus), EVERYWHERE);
