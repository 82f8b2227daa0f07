/* SPDX-License-Identifier: MIT */
/*
 * Memory of the running guest, by its own virtual addresses on the address space that is
 * loaded. Faults and addresses in the hypervisor's range are errors, never traps.
 *
 * No copy depends on a branch for that: the address itself is made harmless (guest_address).
 *
 * Such an address is a guest_ptr_t (public/xen.h), which only the functions here follow. Hypercalls get theirs as arguments and in
 * structures; guest_ptr() makes one of a number (a register of the guest's), which tests/build/guest_input.py allows in a few files.
 */
#pragma once

#include <hv/lib.h>
#include <hv/x86/processor.h>
#include <public/xen.h>

static force_inline guest_ptr_t guest_ptr(u64 va) { return (guest_ptr_t){ va }; }
static force_inline guest_ptr_t guest_ptr_add(guest_ptr_t p, u64 bytes) { return guest_ptr(p.va + bytes); }
#define GUEST_NULL guest_ptr(0)
/* The element of an array: its type is the guest's business, its size is ours. */
static force_inline guest_ptr_t guest_ptr_index(guest_ptr_t array, u64 i, u64 size) { return guest_ptr_add(array, i * size); }

/* The whole range lies outside the hypervisor's hole and is canonical. */
static inline bool guest_range_ok(u64 va, u64 len)
{
    u64 end = va + len;

    if (end < va)
        return false;
    return end <= 0x0000800000000000ULL || va >= HV_VIRT_END;
}

/*
 * The address, if it may be a guest's. Others lose bit 47: what was the hypervisor's is then not canonical, and the access faults. Nor
 * does a processor that ignores the upper bits for a moment (AMD's, CVE-2020-12965) reach anything but the guest's own half. CMOV is
 * not predicted. Up to 128 TiB behind such an address there is nothing of the hypervisor's either.
 */
static force_inline u64 guest_address(guest_ptr_t guest)
{
    u64 va = guest.va, masked = va & ~(1ULL << 47);

    __asm__("cmp %2, %1\n   cmovae %1, %0" : "+r"(masked) : "r"(va), "r"(HV_VIRT_END) : "cc");
    return masked;
}

/* Bytes that could not be copied. They mask the guest's address themselves. */
u64 guest_copy_raw_to(guest_ptr_t guest, const void *src, u64 n);
u64 guest_copy_raw_from(void *dst, guest_ptr_t guest, u64 n);

/* EFLAGS.AC, where the CPU has SMAP: as ASM_STAC and ASM_CLAC. */
#define GUEST_ACCESS_SITE(section) \
    __asm__ volatile("661: .byte 0x0f, 0x1f, 0x00\n.pushsection " section ", \"a\"\n.quad 661b\n.popsection" ::: "memory")

/* Up to so many words are copied in line. clang warns where the count is not known in the end. */
#define GUEST_WORDS 8
#ifdef __clang__
#define UNROLL_WORDS
#else
#define UNROLL_WORDS _Pragma("GCC unroll 8")
#endif

static force_inline bool guest_read_words(void *dst, guest_ptr_t guest, unsigned words)
{
    const u64 *at = (const u64 *)guest_address(guest);
    u32 failed = 0;
    u64 word;

    GUEST_ACCESS_SITE(".smap_stac");
    UNROLL_WORDS
    for (unsigned i = 0; i < words; i++) {
        __asm__ volatile("1: mov %2, %0\n2:\n"
                         ".pushsection .text.fixup, \"ax\"\n3: mov $1, %1\n   xor %0, %0\n   jmp 2b\n.popsection\n" EXTABLE("1b", "3b")
                         : "=r"(word), "+r"(failed)
                         : "m"(at[i]));
        memcpy((u8 *)dst + 8 * i, &word, sizeof(word));
    }
    GUEST_ACCESS_SITE(".smap_clac");
    return !failed;
}

static force_inline bool guest_write_words(guest_ptr_t guest, const void *src, unsigned words)
{
    u64 *at = (u64 *)guest_address(guest);
    u64 word;

    GUEST_ACCESS_SITE(".smap_stac");
    UNROLL_WORDS
    for (unsigned i = 0; i < words; i++) {
        memcpy(&word, (const u8 *)src + 8 * i, sizeof(word));
        __asm__ goto("1: mov %1, %0\n" EXTABLE("1b", "%l2") : : "m"(at[i]), "r"(word) : "memory" : fault);
    }
    GUEST_ACCESS_SITE(".smap_clac");
    return true;
fault:
    GUEST_ACCESS_SITE(".smap_clac");
    return false;
}

/* Whether a byte of memory can be written to, by a write that changes nothing, not even for a moment. */
static inline bool guest_writable(guest_ptr_t guest)
{
    u8 *at = (u8 *)guest_address(guest);

    GUEST_ACCESS_SITE(".smap_stac");
    __asm__ goto("1: lock orb $0, %0\n" EXTABLE("1b", "%l1") : : "m"(*at) : "memory", "cc" : fault);
    GUEST_ACCESS_SITE(".smap_clac");
    return true;
fault:
    GUEST_ACCESS_SITE(".smap_clac");
    return false;
}

/* 0 or -EFAULT. */
static force_inline int __must_check copy_to_guest(guest_ptr_t guest, const void *src, u64 n)
{
    if (__builtin_constant_p(n) && n % 8 == 0 && n / 8 <= GUEST_WORDS)
        return guest_write_words(guest, src, (unsigned)(n / 8)) ? 0 : -EFAULT;
    return guest_copy_raw_to(guest, src, n) ? -EFAULT : 0;
}
static force_inline int __must_check copy_from_guest(void *dst, guest_ptr_t guest, u64 n)
{
    if (__builtin_constant_p(n) && n % 8 == 0 && n / 8 <= GUEST_WORDS)
        return guest_read_words(dst, guest, (unsigned)(n / 8)) ? 0 : -EFAULT;
    return guest_copy_raw_from(dst, guest, n) ? -EFAULT : 0;
}

/*
 * Writes to a guest-kernel virtual address of a vCPU whose address space may not be loaded:
 * walks its tables. False if it is not mapped writable.
 */
struct vcpu;
bool guest_kernel_write(struct vcpu *v, guest_ptr_t to, const void *src, u64 n) __may_preempt;
