/* SPDX-License-Identifier: MIT */
/* Basic types and compiler helpers. Includes nothing of ours; usable from host unit tests. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 paddr_t; /* machine (physical) address, bytes */
typedef u64 mfn_t;   /* machine frame number: paddr >> 12 */

#define INVALID_MFN (~(mfn_t)0)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __packed __attribute__((packed))
#define __aligned_to(n) __attribute__((aligned(n)))
#define __section(s) __attribute__((section(s)))
#define __used __attribute__((used))
#define __unused __attribute__((unused)) /* a parameter that is there for the function's type alone */
#define __noreturn __attribute__((noreturn))
#define __must_check __attribute__((warn_unused_result))
/*
 * On a prototype: the function may run other vCPUs before it returns, so its caller holds no lock. assert_may_preempt() (softirq.h) checks that
 * at run time; tests/build/preempt_tests.py compares the marks with the calls in the image.
 */
#define __may_preempt
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define force_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))

/* Code needed only until dom0 is built; released afterwards. */
#define __init __section(".init.text")
/* Zero at first, written by boot alone: read-only wherever it is mapped when guests run (image_release_init()). */
#define __ro_after_init __section(".bss.ro_after_init")

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define CHECK_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has size " #size)
#define CHECK_OFFSET(type, field, off) _Static_assert(offsetof(type, field) == (off), #type "." #field " is at " #off)

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)(void *)&(x) = (v))
#define barrier() __asm__ volatile("" ::: "memory")

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ROUND_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ROUND_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))

#define KiB(n) ((u64)(n) << 10)
#define MiB(n) ((u64)(n) << 20)
#define GiB(n) ((u64)(n) << 30)

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
