/* SPDX-License-Identifier: MIT */
/* Instructions that C has no name for. No policy here. */
#pragma once

#include <hv/types.h>
#include <hv/x86/bits.h>
#include <hv/x86/layout.h>

#define CR4_TSD (1UL << 2)
#define CR4_DE (1UL << 3)
#define CR4_MCE (1UL << 6)
#define CR4_PGE (1UL << 7)
#define CR4_OSFXSR (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP (1UL << 11)
#define CR4_FSGSBASE (1UL << 16)
#define CR4_OSXSAVE (1UL << 18)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)
#define CR4_CET (1UL << 23)

#define MSR_TSC 0x10
#define MSR_PLATFORM_INFO 0xce
#define PLATFORM_INFO_CPUID_FAULTING (1ULL << 31)
#define MSR_MISC_FEATURES 0x140
#define MISC_FEATURES_CPUID_FAULTING 1
#define MSR_AMD_HWCR 0xc0010015
#define HWCR_CPUID_USER_DIS (1ULL << 35)
#define MSR_APIC_BASE 0x1b  /* SDM vol. 3, 11.4.4 and 11.12.1 */
#define APIC_BASE_BSP 0x100 /* the processor that boots */
#define APIC_BASE_X2APIC 0x400
#define APIC_BASE_ENABLE 0x800
#define MSR_MISC_ENABLE 0x1a0
#define MSR_PAT 0x277       /* SDM vol. 3, 12.12 */
#define MSR_STAR 0xc0000081 /* this and the next three: SYSCALL, SDM vol. 3, 5.8.8 */
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100 /* this and the next two: SDM vol. 3, 3.4.4 */
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_SYSENTER_CS 0x174  /* SDM vol. 3, 5.8.7 */
#define MSR_TSC_DEADLINE 0x6e0 /* SDM vol. 3, 11.5.4.1 */
#define MSR_AMD_DE_CFG 0xc0011029
#define DE_CFG_LFENCE 2 /* it serialises */
#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_MC0_CTL 0x400
#define MSR_MC0_STATUS 0x401
#define MSR_SMCA_MC0_CTL 0xc0002000 /* scalable MCA: 16 registers a bank */

/* What LGDT and LIDT load. */
struct table_pointer {
    u16 limit;
    u64 base; /* 32 bits of it in real and 32-bit mode */
} __packed __aligned_to(16);

/* inb(), outb() and so on. */
#define PORT_ACCESS(size, type)                                                                                      \
    static inline void out##size(u16 port, type v) { __asm__ volatile("out" #size " %0, %1" ::"a"(v), "Nd"(port)); } \
    static inline type in##size(u16 port)                                                                            \
    {                                                                                                                \
        type v;                                                                                                      \
        __asm__ volatile("in" #size " %1, %0" : "=a"(v) : "Nd"(port));                                               \
        return v;                                                                                                    \
    }
PORT_ACCESS(b, u8)
PORT_ACCESS(w, u16)
PORT_ACCESS(l, u32)

/* By width: 1, 2 or 4 bytes. */
static inline u32 port_in(u16 port, unsigned bytes) { return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port); }
static inline void port_out(u16 port, unsigned bytes, u32 v)
{
    if (bytes == 1)
        outb(port, (u8)v);
    else if (bytes == 2)
        outw(port, (u16)v);
    else
        outl(port, v);
}

/* read_cr0(), write_cr0() and so on. */
#define CONTROL_REGISTER(n)                                                                            \
    static inline void write_cr##n(u64 v) { __asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory"); } \
    static inline u64 read_cr##n(void)                                                                 \
    {                                                                                                  \
        u64 v;                                                                                         \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                              \
        return v;                                                                                      \
    }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
static inline void invlpg(u64 va) { __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory"); }
static inline void wbinvd(void) { __asm__ volatile("wbinvd" ::: "memory"); }
static inline void clflush(const void *p) { __asm__ volatile("clflush %0" ::"m"(*(const char *)p)); }

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((u64)hi << 32) | lo;
}
static inline void wrmsr(u32 msr, u64 v) { __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }

/* An entry of the exception table: a fault at insn continues at fixup. */
struct exception_table_entry {
    s32 insn, fixup; /* relative to the field itself */
};
#define EXTABLE(insn, fixup)                               \
    ".pushsection .ex_table, \"a\"\n"                      \
    ".balign 4\n.long " insn " - .\n.long " fixup " - .\n" \
    ".popsection\n"

/* As rdmsr/wrmsr; false instead of a #GP for an MSR that does not exist or a value it refuses. */
static inline bool __must_check rdmsr_safe(u32 msr, u64 *v)
{
    u32 lo = 0, hi = 0, ok = 0;
    __asm__ volatile("1: rdmsr\n   inc %2\n2:\n" EXTABLE("1b", "2b") : "+a"(lo), "+d"(hi), "+r"(ok) : "c"(msr));
    *v = ((u64)hi << 32) | lo;
    return ok;
}
static inline bool __must_check wrmsr_safe(u32 msr, u64 v)
{
    u32 ok = 0;
    __asm__ volatile("1: wrmsr\n   inc %0\n2:\n" EXTABLE("1b", "2b") : "+r"(ok) : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
    return ok;
}

static inline u64 rdtsc(void) { return __builtin_ia32_rdtsc(); }
static inline u64 rdtsc_ordered(void)
{
    __asm__ volatile("lfence" ::: "memory");
    return rdtsc();
}

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};
static inline struct cpuid_regs cpuid_count(u32 leaf, u32 subleaf)
{
    struct cpuid_regs r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline void cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cli" ::: "memory"); }
static inline void irq_enable(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void irq_window(void) { __asm__ volatile("sti; nop; cli" ::: "memory"); } /* STI takes effect after the next instruction */
static inline bool irqs_enabled(void) { return __builtin_ia32_readeflags_u64() & RFLAGS_IF; }
/* Orders what comes after it, device memory and MSRs included, behind all stores before it. */
static inline void mfence(void) { __asm__ volatile("mfence" ::: "memory"); }
static inline void smp_mb(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void wmb(void) { barrier(); } /* stores are not reordered with stores on x86 (SDM vol. 3, 9.2) */

static inline bool is_canonical(u64 va) { return (u64)((s64)(va << 16) >> 16) == va; }
