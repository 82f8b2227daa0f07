/*
 * What a PV guest pays for. Under -icount shift=0 a TSC tick is an instruction; each line is the mean
 * of many rounds after a warm-up. Runs on any hypervisor of this ABI.
 */
#include "guest.h"

#define ROUNDS 200

static u64 overhead, ipi_port;
static u8 *window;
static u64 window_pte, window_at, table_mfn;
static volatile u32 seen;

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

static void null_hypercall(void)
{
    HYPERCALL2(__HYPERVISOR_xen_version, XENVER_version, 0);
}

static void multicall(void)
{
    static struct multicall_entry m[16];

    for (u32 i = 0; i < 16; i++)
        m[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version, .args = { XENVER_version } };
    HYPERCALL2(__HYPERVISOR_multicall, m, 16);
}

static void update_va(void)
{
    static bool writable;

    writable = !writable;
    HYPERCALL3(__HYPERVISOR_update_va_mapping, window, writable ? window_pte : window_pte & ~PTE_W, UVMF_INVLPG);
}

static void mmu_update(u32 n)
{
    static struct mmu_update u[64];
    static u64 toggle;

    toggle ^= PTE_W;
    for (u32 i = 0; i < n; i++)
        u[i] = (struct mmu_update){ window_at, (window_pte & ~PTE_W) | (i & 1 ? toggle : toggle ^ PTE_W) };
    HYPERCALL4(__HYPERVISOR_mmu_update, u, n, 0, DOMID_SELF);
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
    static struct mmuext_op op[2];
    u64 l4 = va_to_mfn((void *)start_info->pt_base);

    op[0] = (struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = l4 };
    op[1] = (struct mmuext_op){ .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = l4 };
    HYPERCALL4(__HYPERVISOR_mmuext_op, op, 2, 0, DOMID_SELF);
}

static void cpuid(void)
{
    u32 a = 0, b, c = 0, d;

    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n cpuid" : /* the ABI's prefix for the emulated one */
                     "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void rdmsr(void)
{
    u32 a, d;

    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080));
}

static void port_in(void) { inb(0x61); }

static void int3(void)
{
    __asm__ volatile("int3");
}

static void page_fault(void)
{
    expect_trap(14);
    __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, trap_resume(%%rip)\n mov 0x10, %%rax\n1:" ::: "rax", "memory");
    trap_resume = 0;
}

static struct iret_context user_frame;
static u64 user_rip, user_rsp;

/* Into user mode and back by the SYSCALL that it makes. */
static void user_syscall(void)
{
    user_frame = (struct iret_context){ .rip = user_rip, .cs = FLAT_CS64 | 3, .rflags = 0x202, .rsp = user_rsp, .ss = FLAT_SS | 3 };
    user_run_frame(&user_frame);
}

static void on_event(void)
{
    seen++;
    shared_info->vcpu_info[0].evtchn_pending_sel = 0;
    shared_info->evtchn_pending[ipi_port / 64] = 0;
}

static void event(void)
{
    struct evtchn_send s = { (u32)ipi_port };

    HYPERCALL2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &s);
}

static void set_timer(void)
{
    HYPERCALL1(__HYPERVISOR_set_timer_op, 1UL << 62);
}

static void on_breakpoint(struct frame *f)
{
    (void)f;
}

void test_main(void)
{
    static const u8 text[] = { 0x0f, 0x05, 0xeb, 0xfc }; /* syscall; jmp to itself */
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
    struct physdev_set_iopl iopl = { 1 };

    CHECK_EQ(HYPERCALL2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
    user_mode_setup();
    user_rip = user_text_page(text, sizeof(text));
    user_rsp = user_stack();
    trap_handlers[3] = on_breakpoint;

    measure("nothing", nothing, 1);
    measure("null hypercall", null_hypercall, 1);
    measure("multicall, each of 16", multicall, 16);
    measure("update_va_mapping", update_va, 1);
    measure("mmu_update, single", mmu_update_single, 1);
    measure("mmu_update, each of 64", mmu_update_batch, 64);
    measure("pin and unpin a full L1", pin_unpin, 1);
    measure("address-space switch", switch_address_space, 1);
    measure("set timer", set_timer, 1);
    measure("cpuid", cpuid, 1);
    measure("rdmsr", rdmsr, 1);
    measure("in from a port", port_in, 1);
    measure("int3 and back", int3, 1);
    measure("kernel page fault and back", page_fault, 1);
    measure("user mode and back by syscall", user_syscall, 1);
    event_handler = on_event;
    shared_info->evtchn_mask[ipi_port / 64] = 0;
    events_unmask();
    seen = 0;
    measure("event to oneself and upcall", event, 1);
    CHECK(seen >= ROUNDS);
}
