/* SPDX-License-Identifier: MIT */
/* The test kernel's own machinery. */
#include "domu.h"

struct start_info *start_info;
struct shared_info *shared_info;
bool is_domu;
trap_handler trap_handlers[256];
volatile u32 trap_count[256], upcalls, syscalls, failsafes;
struct frame last_trap;
u64 trap_resume, failsafe_frame[11];
void (*event_handler)(void);
const u8 vector_has_error[32] = { [8] = 1, [10] = 1, [11] = 1, [12] = 1, [13] = 1, [14] = 1, [17] = 1 };

static u32 checks_failed;
static u32 expected_vector = ~0u;
static u64 user_saved_rsp;
u64 user_enter_call[3] = { __HYPERVISOR_iret };
static bool user_active;
static u8 kernel_stack[16384] __attribute__((aligned(16)));
static u8 shared_page[4096] __attribute__((aligned(4096)));
u8 page_pool[256 * 4096] __attribute__((aligned(4096)));
static u32 pool_used;

extern char trap_entries[];
u64 user_enter(u64 *save_rsp, struct iret_context *frame);
void user_return(u64 rsp, u64 value) __attribute__((noreturn));
void kernel_main(void);
void setup_traps(void);
struct trap_return;
void trap_dispatch(u64 *sp, struct trap_return *r);
void failsafe_dispatch(u64 *frame) __attribute__((noreturn));

/* ---- library ---- */

void memory_copy(void *dst, const void *src, size_t n) { __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n)::"memory"); }

void memory_set(void *dst, int c, size_t n) { __asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory"); }

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n)
{
    memory_copy(d, s, n);
    return d;
}
void *memset(void *d, int c, size_t n)
{
    memory_set(d, c, n);
    return d;
}

static void put_number(char **p, u64 v, u32 base)
{
    char digits[20];
    u32 n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n)
        *(*p)++ = digits[--n];
}

/* %s, %x, %lx and %u only. */
void print(const char *fmt, ...)
{
    char line[256], *p = line;
    va_list ap;

    va_start(ap, fmt);
    for (; *fmt && p < line + 220; fmt++) {
        if (*fmt != '%') {
            *p++ = *fmt;
            continue;
        }
        if (*++fmt == 's')
            for (const char *s = va_arg(ap, const char *); *s && p < line + 220; s++)
                *p++ = *s;
        else if (*fmt == 'x')
            put_number(&p, va_arg(ap, u32), 16);
        else if (*fmt == 'u')
            put_number(&p, va_arg(ap, u32), 10);
        else if (*fmt == 'l') {
            fmt++;
            put_number(&p, va_arg(ap, u64), 16);
        }
    }
    va_end(ap);
    if (is_domu)
        domu_say(line, (u32)(p - line));
    else
        HYPERCALL3(__HYPERVISOR_console_io, CONSOLEIO_write, p - line, line);
}

void check_failed(const char *file, int line, const char *what, long got, long want)
{
    checks_failed++;
    print("%s:%u: check failed: %s (got 0x%lx, want 0x%lx)\n", file, line, what, (u64)got, (u64)want);
}

void finish(void)
{
    struct sched_shutdown s = { is_domu ? (checks_failed ? SHUTDOWN_crash : SHUTDOWN_poweroff) : SHUTDOWN_reboot };

    if (!is_domu)
        print("test kernel: %s\n", checks_failed ? "FAIL" : "PASS");
    HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &s);
    for (;;)
        ;
}

/* ---- traps ---- */

struct trap_return {
    u64 r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rdx, rsi, rdi;
    struct iret_context iret;
};
_Static_assert(sizeof(struct trap_return) == 8 * 21, "entry.S makes room for it");

void expect_trap(u32 vector) { expected_vector = vector; }

static struct frame read_frame(const u64 *sp)
{
    struct frame f;
    const u64 *hw = sp + 15;

    memory_copy(&f, sp, 15 * 8); /* r15 to rdi, vector, stack */
    f.rcx = *hw++;
    f.r11 = *hw++;
    f.error = f.vector < 32 && vector_has_error[f.vector] ? *hw++ : 0;
    f.rip = hw[0];
    f.cs = hw[1];
    f.rflags = hw[2];
    f.rsp = hw[3];
    f.ss = hw[4];
    return f;
}

static void unexpected(const struct frame *f)
{
    print("unexpected vector 0x%lx error 0x%lx at 0x%lx, cs 0x%lx rsp 0x%lx cr2 0x%lx\n", f->vector, f->error, f->rip, f->cs, f->rsp,
          shared_info ? shared_info->vcpu_info[0].arch.cr2 : 0);
    checks_failed++;
    finish();
}

static void event_upcall(void)
{
    struct vcpu_info *v = &shared_info->vcpu_info[0];

    upcalls++;
    __atomic_store_n(&v->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    if (event_handler)
        event_handler();
}

void trap_dispatch(u64 *sp, struct trap_return *r)
{
    struct frame f = read_frame(sp);
    bool from_user = (f.cs & 3) == 3;

    if (f.vector == 256)
        event_upcall();
    else if (f.vector > 256)
        syscalls++;
    else
        trap_count[f.vector]++;
    /* Events and handled NMIs are not what a test waits for: whatever they interrupted goes on. */
    bool passing = f.vector == 256 || (f.vector == 2 && trap_handlers[2]);

    if (!passing)
        last_trap = f;
    if (from_user && user_active && !passing) {
        user_active = false;
        user_return(user_saved_rsp, f.vector);
    }
    if (f.vector < 256) {
        if (trap_handlers[f.vector])
            trap_handlers[f.vector](&f);
        else if (f.vector != expected_vector)
            unexpected(&f);
        else if (trap_resume)
            f.rip = trap_resume;
    }
    /* clang-format off */
    *r = (struct trap_return){ f.r15, f.r14, f.r13, f.r12, f.rbp, f.rbx, f.r10, f.r9, f.r8, f.rdx, f.rsi, f.rdi,
                               { f.rax, f.r11, f.rcx, 0, f.rip, f.cs & 0xffff, f.rflags, f.rsp, f.ss } };
    /* clang-format on */
}

void failsafe_dispatch(u64 *frame)
{
    failsafes++;
    memory_copy(failsafe_frame, frame, sizeof(failsafe_frame));
    if (!user_active) {
        print("failsafe callback outside a user run\n");
        checks_failed++;
        finish();
    }
    user_active = false;
    user_return(user_saved_rsp, ~0UL);
}

void setup_traps(void)
{
    static struct trap_info table[257];

    /* Of the NMI events stay masked: the iret of one on top of its handler would let the next NMI into it. */
    for (u32 i = 0; i < 256; i++)
        table[i] = (struct trap_info){ (u8)i,
                                       i == 3 || i == 4 || i == 0x80 || i == 0x81 ? 3 :
                                       i == 2                                     ? 4 :
                                                                                    0,
                                       FLAT_CS64, (unsigned long)trap_entries + 16 * i };
    CHECK_EQ(HYPERCALL1(__HYPERVISOR_set_trap_table, table), 0);

    static const struct {
        u16 type;
        char *entry;
    } callbacks[] = { { CALLBACKTYPE_event, entry_event },
                      { CALLBACKTYPE_failsafe, entry_failsafe },
                      { CALLBACKTYPE_syscall, entry_syscall },
                      { CALLBACKTYPE_syscall32, entry_syscall32 } };

    for (u32 i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
        struct callback_register r = { callbacks[i].type, CALLBACKF_mask_events, (unsigned long)callbacks[i].entry };

        CHECK_EQ(HYPERCALL2(__HYPERVISOR_callback_op, CALLBACKOP_register, &r), 0);
    }
    CHECK_EQ(HYPERCALL2(__HYPERVISOR_stack_switch, FLAT_SS, kernel_stack + sizeof(kernel_stack)), 0);
}

void events_unmask(void)
{
    struct vcpu_info *v = &shared_info->vcpu_info[0];

    __atomic_store_n(&v->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    if (v->evtchn_upcall_pending)
        HYPERCALL2(__HYPERVISOR_xen_version, XENVER_version, 0); /* what Linux does: any hypercall delivers */
}

/* ---- memory ---- */

void *page_new(void)
{
    void *p = page_pool + 4096UL * pool_used++;

    if (pool_used > sizeof(page_pool) / 4096) {
        print("out of pages\n");
        checks_failed++;
        finish();
    }
    memory_set(p, 0, 4096);
    return p;
}

static const u64 *machine_to_phys = (const u64 *)0xffff800000000000UL;

static void *table_va(u64 pte) { return (void *)(VIRT_BASE + (machine_to_phys[(pte & PTE_ADDR) >> 12] << 12)); }

u64 *pte_of(const void *va, int level)
{
    u64 *t = (u64 *)start_info->pt_base;

    for (int l = 4; l > level; l--)
        t = table_va(t[((u64)va >> (12 + 9 * (l - 1))) & 511]);
    return &t[((u64)va >> (12 + 9 * (level - 1))) & 511];
}

u64 va_to_mfn(const void *va) { return (*pte_of(va, 1) & PTE_ADDR) >> 12; }

u64 pte_machine_address(const void *va, int level)
{
    u64 *e = pte_of(va, level);

    return (va_to_mfn(e) << 12) | ((u64)e & 4095);
}

int remap(void *va, u64 pte) { return (int)HYPERCALL3(__HYPERVISOR_update_va_mapping, va, pte, UVMF_INVLPG); }

int make_ro(void *va) { return remap(va, *pte_of(va, 1) & ~PTE_W); }

int make_rw(void *va) { return remap(va, *pte_of(va, 1) | PTE_W); }

long mmuext(u32 cmd, u64 arg1, u64 arg2)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = arg1;
    op.arg2.src_mfn = arg2;
    return HYPERCALL4(__HYPERVISOR_mmuext_op, &op, 1, 0, DOMID_SELF);
}

long mmu_update_one(u64 ptr, u64 val)
{
    struct mmu_update u = { ptr, val };

    return HYPERCALL4(__HYPERVISOR_mmu_update, &u, 1, 0, DOMID_SELF);
}

/* ---- user mode: the same page tables serve, since every guest page is a user page ---- */

void user_mode_setup(void) { CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, va_to_mfn((void *)start_info->pt_base), 0), 0); }

u64 user_run_frame(struct iret_context *f)
{
    user_active = true;
    return user_enter(&user_saved_rsp, f);
}

u64 user_run(u64 rip, u64 rsp, u64 rflags)
{
    static struct iret_context f;

    f = (struct iret_context){ .rip = rip, .cs = FLAT_CS64 | 3, .rflags = rflags | 2, .rsp = rsp, .ss = FLAT_SS | 3 };
    return user_run_frame(&f);
}

u64 user_text_page(const void *code, size_t n)
{
    void *p = page_new();

    memory_copy(p, code, n);
    return (u64)p;
}

u64 user_stack(void) { return (u64)page_new() + 4096; }

/* The table below the entry of `level` that va goes through, made if it is missing. Tables are found by what was made for them. */
static u64 *table_below(u64 va, int level, u64 entry_at)
{
    static struct {
        u64 region;
        int level;
        u64 *table;
    } made[18];
    u64 region = va >> (12 + 9 * (level - 1));
    u32 i = 0;

    for (; made[i].table; i++)
        if (made[i].level == level && made[i].region == region)
            return made[i].table;
    made[i].table = page_new();
    made[i].level = level;
    made[i].region = region;
    make_ro(made[i].table);
    CHECK_EQ(mmu_update_one(entry_at, va_to_mfn(made[i].table) << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
    return made[i].table;
}

void map_at(u64 at, const void *va)
{
    u64 *table = (u64 *)start_info->pt_base;

    for (int level = 4; level >= 1; level--) {
        u64 entry_at = va_to_mfn(table) << 12 | (at >> (12 + 9 * (level - 1)) & 511) * 8;

        if (level > 1)
            table = table_below(at, level, entry_at);
        else
            CHECK_EQ(mmu_update_one(entry_at, va_to_mfn(va) << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), 0);
    }
}

static void init(void)
{
    shared_info = (void *)shared_page;
    if (remap(shared_page, start_info->shared_info | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_NX)) {
        print("shared_info cannot be mapped\n");
        checks_failed++;
        finish();
    }
    setup_traps();
    HYPERCALL3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
}

void kernel_main(void)
{
    init();
    test_main();
    finish();
}

void domu_entry(u64 unused, struct start_info *si)
{
    (void)unused;
    is_domu = true;
    checks_failed = pool_used = 0;
    start_info = si;
    init();
    domu_box.main(domu_box.arg);
    finish();
}
