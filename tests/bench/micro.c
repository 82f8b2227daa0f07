/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest pays for. Under -icount shift=0 a TSC tick is an instruction; each line is the mean
 * of many rounds after a warm-up. Runs on any hypervisor of this ABI.
 */
#include "domu.h"
#include "smp.h"
#include <public/grant_table.h>

#define ROUNDS 200
#define USER_ROUNDS 100
#define STRING_(x) #x
#define STRING(x) STRING_(x)

static u64 overhead, ipi_port;
static u8 *window;
static u64 window_pte, window_at, table_mfn, l4[2];
u64 *event_word;
volatile u32 seen;

static u64 ticks(void)
{
    __asm__ volatile("lfence" ::: "memory");
    return rdtsc();
}

static void nothing(void) {}

static void measure(const char *name, void (*op)(void), u32 per_call)
{
    for (u32 i = 0; i < ROUNDS / 4; i++)
        op();
    u64 start = ticks();

    for (u32 i = 0; i < ROUNDS; i++)
        op();
    u64 each = (ticks() - start) / ROUNDS;

    if (op == nothing)
        overhead = each;
    else
        print("bench: %s 0x%lx\n", name, (each - overhead) / per_call);
}

static void null_hypercall(void) { HYPERCALL2(__HYPERVISOR_xen_version, XENVER_version, 0); }

static void multicall(void)
{
    static struct multicall_entry m[16];

    for (u32 i = 0; i < 16 && !m[i].op; i++)
        m[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version, .args = { XENVER_version } };
    HYPERCALL2(__HYPERVISOR_multicall, m, 16);
}

static void update_va(void)
{
    static bool writable;

    writable = !writable;
    HYPERCALL3(__HYPERVISOR_update_va_mapping, window, writable ? window_pte : window_pte & ~PTE_W, UVMF_INVLPG);
}

/* Each update changes whether the page is writable. */
static struct mmu_update updates[64];

static void mmu_update(u32 n)
{
    if (n == 1)
        updates[0].val ^= PTE_W;
    HYPERCALL4(__HYPERVISOR_mmu_update, updates, n, 0, DOMID_SELF);
}

static void mmu_update_single(void) { mmu_update(1); }
static void mmu_update_batch(void) { mmu_update(64); }

static void pin_unpin(void)
{
    mmuext(MMUEXT_PIN_L1_TABLE, table_mfn, 0);
    mmuext(MMUEXT_UNPIN_TABLE, table_mfn, 0);
}

static void switch_address_space(void)
{
    static struct mmuext_op op[2] = { { .cmd = MMUEXT_NEW_BASEPTR }, { .cmd = MMUEXT_NEW_USER_BASEPTR } };
    static u32 next;

    next ^= 1;
    op[0].arg1.mfn = op[1].arg1.mfn = l4[next];
    HYPERCALL4(__HYPERVISOR_mmuext_op, op, 2, 0, DOMID_SELF);
}

static void cpuid(void)
{
    u32 a = 0, b, c = 0, d;

    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n cpuid"
                     : /* the ABI's prefix for the emulated one */
                     "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void rdmsr(void)
{
    u32 a, d;

    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080));
}

static void port_in(void) { inb(0x61); }

/* ---- grants: to oneself, which costs what others' do but for the look for the domain ---- */

#define GRANT_REFS 16
static struct gnttab_map_grant_ref maps[GRANT_REFS];
static struct gnttab_unmap_grant_ref unmaps[GRANT_REFS];
static struct gnttab_copy copy_op;

static void grant(u32 cmd, void *list, u32 n) { HYPERCALL3(__HYPERVISOR_grant_table_op, cmd, list, n); }

static void grants_set_up(void)
{
    u64 frame = 0, *windows = page_new();
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1, .frame_list = &frame };
    struct grant_entry_v1 *table = page_new();

    grant(GNTTABOP_setup_table, &s, 1);
    CHECK_EQ(remap(table, frame << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
    for (u32 i = 0; i < GRANT_REFS; i++) {
        u8 *at = page_new();

        table[8 + i] = (struct grant_entry_v1){ GTF_permit_access, 0, (u32)va_to_mfn(page_new()) };
        CHECK_EQ(remap(at, 0), 0);
        maps[i] = (struct gnttab_map_grant_ref){ .host_addr = (u64)at, .flags = GNTMAP_host_map, .ref = 8 + i };
        unmaps[i].host_addr = (u64)at;
    }
    copy_op = (struct gnttab_copy){
        .source.u.ref = 8, .dest = { .u.gmfn = va_to_mfn(windows), .domid = DOMID_SELF }, .len = PAGE_SIZE, .flags = GNTCOPY_source_gref
    };
}

static void map_grants(u32 n)
{
    grant(GNTTABOP_map_grant_ref, maps, n);
    for (u32 i = 0; i < n; i++)
        unmaps[i].handle = maps[i].handle;
}

static void unmap_grants(u32 n) { grant(GNTTABOP_unmap_grant_ref, unmaps, n); }
static void copy_grant(void) { grant(GNTTABOP_copy, &copy_op, 1); }

/* ---- memory of others: given, mapped, taken back ---- */

#define GIVEN 4096
#define BLOCKS (GIVEN / 512) /* of 2 MiB, as toolstacks ask for them */
#define GUESTS 2
#define ROOM (8192 + 2 * GIVEN)
static u64 given[BLOCKS];

/* Of our own memory, which is nearly all there is: frames at the end, that nothing maps. The hypervisor keeps some of it. */
static void make_room(void)
{
    u64 *end = (u64 *)start_info->mfn_list + start_info->nr_pages;

    CHECK_EQ(reserve(XENMEM_decrease_reservation, DOMID_SELF, end - ROOM, ROOM, 0), ROOM);
}

static void map_and_unmap(domid_t id)
{
    struct mmu_update u = { window_at, given[1] << 12 | WRITABLE };

    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, id), 0);
    u.val = window_pte;
    CHECK_EQ(HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, DOMID_SELF), 0);
}

static void measure_memory(void)
{
    u64 giving = 0, mapping = 0, ending = 0;

    make_room();
    for (u32 i = 0; i < GUESTS; i++) {
        domid_t id = domain_new(1, GIVEN);

        smp_sleep_until(0, smp_time(0) + 50000000); /* time to clear what was freed, for an idle CPU */
        u64 start = ticks();

        for (u64 n = 0; n < BLOCKS; n++)
            given[n] = n << 9;
        CHECK_EQ(reserve(XENMEM_populate_physmap, id, given, BLOCKS, 9), BLOCKS);
        u64 populated = ticks();

        for (u32 k = 0; k < ROUNDS; k++)
            map_and_unmap(id);
        u64 mapped = ticks();

        domain_destroy(id);
        giving += populated - start;
        mapping += mapped - populated;
        ending += ticks() - mapped;
    }
    print("bench: a frame given to a guest 0x%lx\n", giving / GUESTS / GIVEN);
    print("bench: a guest's frame mapped and unmapped 0x%lx\n", mapping / GUESTS / ROUNDS);
    print("bench: a guest's end, each frame 0x%lx\n", ending / GUESTS / GIVEN);
}

/* Both in turns, each by its own ticks. */
static void measure_grants(const char *map_name, const char *unmap_name, u32 n)
{
    u64 mapping = 0, unmapping = 0;

    for (u32 i = 0; i < ROUNDS + ROUNDS / 4; i++) {
        u64 start = ticks();

        map_grants(n);
        u64 between = ticks();

        unmap_grants(n);
        mapping += i < ROUNDS / 4 ? 0 : between - start;
        unmapping += i < ROUNDS / 4 ? 0 : ticks() - between;
        CHECK(!maps[n - 1].status && !unmaps[n - 1].status);
    }
    print("bench: %s 0x%lx\n", map_name, (mapping / ROUNDS - overhead) / n);
    print("bench: %s 0x%lx\n", unmap_name, (unmapping / ROUNDS - overhead) / n);
}

/*
 * Handlers that do nothing but return, so that what is measured is the hypervisor's part.
 * Frame: rcx, r11, [error], rip, cs, rflags, rsp, ss; the iret hypercall wants rax, r11, rcx, flags, rip...
 */
#define IRET(flags) "pushq $" #flags "\n push %rcx\n push %r11\n push %rax\n mov $23, %eax\n syscall\n"
#define FAULTING_BYTES "8" /* of mov 0x10, %rax */
/* clang-format off */
__asm__("raw_breakpoint: pop %rcx\n pop %r11\n" IRET(0)
        "raw_page_fault: pop %rcx\n pop %r11\n addq $" FAULTING_BYTES ", 8(%rsp)\n add $8, %rsp\n" IRET(0)
        "raw_syscall: pop %rcx\n pop %r11\n" IRET(0x100)
        /* As Linux does it: its own selectors in the frame, no flags. */
        "raw_linux_syscall: pop %rcx\n pop %r11\n movq $0x33, 8(%rsp)\n movq $0x2b, 32(%rsp)\n" IRET(0)
        "raw_event: mov shared_info(%rip), %rcx\n movb $0, (%rcx)\n movq $0, 8(%rcx)\n" /* upcall_pending, pending_sel */
        "mov event_word(%rip), %rcx\n movq $0, (%rcx)\n incl seen(%rip)\n pop %rcx\n pop %r11\n" IRET(0)
        "user_loops: mov $" STRING(USER_ROUNDS) ", %ebx\n1: syscall\n dec %ebx\n jnz 1b\n int $0x80\n"
        "user_faults: mov $" STRING(USER_ROUNDS) ", %ebx\n1: mov 0x10, %rax\n dec %ebx\n jnz 1b\n int $0x80\n"
        "user_end:");
/* clang-format on */
extern char raw_breakpoint[], raw_page_fault[], raw_syscall[], raw_linux_syscall[], raw_event[], user_loops[], user_faults[], user_end[];

static void set_trap(u8 vector, const char *entry)
{
    struct trap_info t[2] = { { vector, vector == 14 ? 4 : 0, FLAT_CS64, (unsigned long)entry } };

    CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_trap_table, t), 0);
}

static void set_callback(u16 type, const char *entry)
{
    struct callback_register r = { type, CALLBACKF_mask_events, (unsigned long)entry };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r), 0);
}

static void int3(void) { __asm__ volatile("int3" ::: "rcx", "r11", "memory"); }

static void page_fault(void)
{
    __asm__ volatile(".byte 0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0" ::: "rax", "rcx", "r11", "memory"); /* mov 0x10, %rax */
}

static u64 user_text, user_rsp;

static void user_syscall(void) { user_run(user_text, user_rsp, 0x200); }

static void user_page_fault(void) { user_run(user_text + (u64)(user_faults - user_loops), user_rsp, 0x200); }

static void send(u64 port) { evtchn(EVTCHNOP_send, &(struct evtchn_send){ (u32)port }); }
static void event(void) { send(ipi_port); }

static void take_events(u64 port)
{
    set_callback(CALLBACKTYPE_event, raw_event);
    event_word = &shared_info->evtchn_pending[port / 64];
    shared_info->evtchn_mask[port / 64] = 0;
}

/* ---- a guest on the same CPU, which answers each event ---- */

static u64 peer_port;

/* One more than `before`. From the look on, nothing may come before the hypercall that waits for it. */
static void await_event(u32 before)
{
    for (events_mask(); seen == before; events_mask())
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_block, 0);
}

static void answer(u64 dom0_port)
{
    struct evtchn_bind_interdomain b = { 0, (u32)dom0_port, 0 };

    events_mask();
    CHECK_EQ(evtchn(EVTCHNOP_bind_interdomain, &b), 0);
    take_events(b.local_port);
    for (u32 taken = seen;; await_event(taken++)) /* the first one says that it is there */
        send(b.local_port);
}

static void ping_pong(void)
{
    u32 before = seen;

    send(peer_port); /* it may run, and answer, before this returns */
    await_event(before);
}

static void measure_ping_pong(void)
{
    static struct domu g;

    events_mask();
    domu_create(&g, 1);
    struct evtchn_alloc_unbound a = { DOMID_SELF, g.id, 0 };

    CHECK_EQ(evtchn(EVTCHNOP_alloc_unbound, &a), 0);
    peer_port = a.port;
    take_events(peer_port);
    domu_load(&g, answer, peer_port);
    domu_make_context(&g);
    CHECK_EQ(domu_set_context(&g, 0), 0);
    u32 before = seen;

    CHECK_EQ(domu_unpause(&g), 0);
    await_event(before);
    measure("event to another domain and back", ping_pong, 1);
    domu_destroy(&g);
}

static void set_timer(void) { HYPERCALL1(__HYPERVISOR_set_timer_op, 1UL << 62); }

void test_main(void)
{
    struct evtchn_bind_ipi ipi = { 0, 0 };

    window = page_new();
    window_pte = *pte_of(window, 1) | PTE_A | PTE_D;
    window_at = pte_machine_address(window, 1);
    u64 *table = page_new();

    for (u32 i = 0; i < 512; i++)
        table[i] = va_to_mfn(window) << 12 | PTE_P | PTE_A | PTE_U;
    table_mfn = va_to_mfn(table);
    CHECK_EQ(make_ro(table), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
    ipi_port = ipi.port;
    for (u32 i = 0; i < 64; i++)
        updates[i] = (struct mmu_update){ window_at, i & 1 ? window_pte : window_pte & ~PTE_W };
    /* A second address space: a copy of the first one's top table. */
    u64 *copy = page_new();

    memory_copy(copy, (void *)start_info->pt_base, PAGE_SIZE);
    l4[0] = va_to_mfn((void *)start_info->pt_base);
    l4[1] = va_to_mfn(copy);
    CHECK_EQ(make_ro(copy), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L4_TABLE, l4[1], 0), 0);
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    u64 *gdt = page_new(), gdt_frame = va_to_mfn(gdt);

    gdt[5] = 0x00cff3000000ffff; /* 2bh: data */
    gdt[6] = 0x00affb000000ffff; /* 33h: code, 64-bit */
    CHECK_EQ(make_ro(gdt), 0);
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_set_gdt, &gdt_frame, 512), 0);
    user_mode_setup();
    user_text = user_text_page(user_loops, (size_t)(user_end - user_loops));
    user_rsp = user_stack();

    measure("nothing", nothing, 1);
    measure("null hypercall", null_hypercall, 1);
    measure("multicall, each of 16", multicall, 16);
    measure("update_va_mapping", update_va, 1);
    measure("mmu_update, single", mmu_update_single, 1);
    measure("mmu_update, each of 64", mmu_update_batch, 64);
    measure("pin and unpin a full L1", pin_unpin, 1);
    measure("address-space switch", switch_address_space, 1);
    measure("set timer", set_timer, 1);
    grants_set_up();
    measure_grants("grant map, single", "grant unmap, single", 1);
    measure_grants("grant map, each of 16", "grant unmap, each of 16", GRANT_REFS);
    measure("grant copy of 4 KiB", copy_grant, 1);
    CHECK_EQ(copy_op.status, GNTST_okay);
    measure_memory();
    measure("cpuid", cpuid, 1);
    measure("rdmsr", rdmsr, 1);
    measure("in from a port", port_in, 1);
    set_trap(3, raw_breakpoint);
    set_trap(14, raw_page_fault);
    set_callback(CALLBACKTYPE_syscall, raw_syscall);
    measure("int3 and back", int3, 1);
    measure("kernel page fault and back", page_fault, 1);
    measure("user page fault and back", user_page_fault, USER_ROUNDS);
    measure("user mode's syscall and back", user_syscall, USER_ROUNDS);
    set_callback(CALLBACKTYPE_syscall, raw_linux_syscall);
    measure("the same with Linux's selectors", user_syscall, USER_ROUNDS);
    take_events(ipi_port);
    events_unmask();
    seen = 0;
    measure("event to oneself and upcall", event, 1);
    CHECK(seen >= ROUNDS);
    measure_ping_pong();
}
