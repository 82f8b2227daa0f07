/* SPDX-License-Identifier: MIT */
/*
 * The small PV kernel that every test is linked with: entry, hypercalls, traps, a console and
 * checks. A test is one file with test_main(); it passes if all its checks do.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XEN_GUEST_HANDLE(type) type *
#define XEN_GUEST_HANDLE_64(type) uint64_t
#include <public/event_channel.h>
#include <public/memory.h>
#include <public/physdev.h>
#include <public/platform.h>
#include <public/vcpu.h>
#include <public/xen.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef VIRT_BASE
#define VIRT_BASE 0xffffffff80000000UL
#endif
#define PAGE_SIZE 4096UL
#define FLAT_CS64 0xe033
#define FLAT_SS 0xe02b
#define KERNEL_CS_IN_FRAME 0xe030

#define PTE_P 1UL
#define PTE_W 2UL
#define PTE_U 4UL
#define PTE_PCD 0x10UL
#define PTE_A 0x20UL
#define PTE_D 0x40UL
#define PTE_PSE 0x80UL
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL

long hypercall(u64 nr, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
#define HYPERCALL1(nr, a) hypercall(nr, (u64)(a), 0, 0, 0, 0)
#define HYPERCALL2(nr, a, b) hypercall(nr, (u64)(a), (u64)(b), 0, 0, 0)
#define HYPERCALL3(nr, a, b, c) hypercall(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0)
#define HYPERCALL4(nr, a, b, c, d) hypercall(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0)

extern struct start_info *start_info;
extern struct shared_info *shared_info;

void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void memory_copy(void *dst, const void *src, size_t n);
void memory_set(void *dst, int c, size_t n);

/* ---- checks ---- */
void check_failed(const char *file, int line, const char *what, long got, long want);
#define CHECK(c) ((c) ? (void)0 : check_failed(__FILE__, __LINE__, #c, 0, 1))
#define CHECK_EQ(got, want)                                              \
    do {                                                                 \
        long g_ = (long)(got), w_ = (long)(want);                        \
        if (g_ != w_)                                                    \
            check_failed(__FILE__, __LINE__, #got " == " #want, g_, w_); \
    } while (0)
void test_main(void);
extern bool is_domu; /* this copy of the kernel runs in a guest (domu.h) */
/* Says PASS or FAIL and ends the machine; ends a guest, as powered off if all its checks passed. */
void finish(void) __attribute__((noreturn));

/* ---- traps: what the hypervisor pushed, and a handler that can change it ---- */
struct frame {
    u64 r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rax, rdx, rsi, rdi;
    u64 vector, stack_at_entry;
    u64 rcx, r11, error, rip, cs, rflags, rsp, ss; /* error: 0 where the vector has none */
};
typedef void (*trap_handler)(struct frame *f);
extern trap_handler trap_handlers[256];
extern volatile u32 trap_count[256];
extern struct frame last_trap;
extern const u8 vector_has_error[32];
/* The next trap of this vector continues at *resume instead of where it happened. */
void expect_trap(u32 vector);
extern u64 trap_resume; /* 0: return as the frame says */

/* Runs the statement; true if it raised exactly one trap of the vector. */
#define TRAPS(vec, statement)                                                                                          \
    ({                                                                                                                 \
        u32 before_ = trap_count[vec];                                                                                 \
        expect_trap(vec);                                                                                              \
        __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, trap_resume(%%rip)" ::: "rax", "memory");                   \
        statement;                                                                                                     \
        __asm__ volatile("1:" ::: "memory", "cc", "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11"); \
        trap_resume = 0;                                                                                               \
        trap_count[vec] == before_ + 1;                                                                                \
    })

/* ---- events ---- */
extern volatile u32 upcalls;
extern void (*event_handler)(void);
static inline void events_mask(void) { ((volatile struct vcpu_info *)&shared_info->vcpu_info[0])->evtchn_upcall_mask = 1; }
void events_unmask(void);
static inline long evtchn(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg); }
static inline bool event_take(u32 port) /* true: it was pending; 2-level ABI */
{
    u64 bit = 1UL << port % 64;

    return __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}
extern char entry_syscall[], entry_syscall32[], entry_event[], entry_failsafe[];
extern volatile u32 syscalls, failsafes;
extern u64 failsafe_frame[11];

/* ---- memory: every page comes from a pool of mapped, writable ones ---- */
void *page_new(void); /* zeroed */
u64 va_to_mfn(const void *va);
u64 *pte_of(const void *va, int level); /* the entry, in a table mapped read-only */
u64 pte_machine_address(const void *va, int level);
int remap(void *va, u64 pte); /* update_va_mapping with a local flush */
int make_ro(void *va);
int make_rw(void *va);
long mmuext(u32 cmd, u64 arg1, u64 arg2);
long mmu_update_one(u64 ptr, u64 val);

/* ---- user mode: runs code at rip in guest-user mode until it makes a SYSCALL or a trap ---- */
void user_mode_setup(void);
u64 user_run_frame(struct iret_context *f);
u64 user_run(u64 rip, u64 rsp, u64 rflags);
u64 user_text_page(const void *code, size_t n); /* copies code to a page that user mode can run */
u64 user_stack(void);
/* The hypercall that enters user mode, and two arguments: iret, or something that contains it. */
extern u64 user_enter_call[3];
/* Maps the page of va at another address of the lower half: 32-bit code needs low ones. Up to six regions of 2 MiB. */
void map_at(u64 at, const void *va);

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static inline u8 inb(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u64 rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

/* ---- time ---- */
/* System time in ns by these parameters, as the ABI defines it. */
static inline u64 smp_time_by(const volatile struct vcpu_time_info *t)
{
    u64 delta = rdtsc() - t->tsc_timestamp;

    delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
    return t->system_time + (u64)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
}

/* That of the calling vCPU. */
static inline u64 smp_time(u32 id)
{
    volatile struct vcpu_time_info *t = &shared_info->vcpu_info[id].time;
    u32 version;
    u64 ns;

    do {
        version = t->version;
        __asm__ volatile("lfence" ::: "memory");
        ns = smp_time_by(t);
        __asm__ volatile("lfence" ::: "memory");
    } while ((version & 1) || version != t->version);
    return ns;
}

/* Sleeps until system time t. */
static inline void smp_sleep_until(u32 id, u64 t)
{
    while (smp_time(id) < t) {
        struct sched_poll p = { .timeout = t };

        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_poll, &p);
    }
}

#endif
