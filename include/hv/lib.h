/* SPDX-License-Identifier: MIT */
/* Freestanding library: memory, strings, formatting, sorting, bits. Interrupt-safe, no locks. */
#pragma once

#include <hv/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
/* In line where sizes are known. */
#define memcpy(...) __builtin_memcpy(__VA_ARGS__)
#define memset(...) __builtin_memset(__VA_ARGS__)
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *s, const char *word);

/* Copies at most size - 1 bytes and always terminates; returns strlen(src) as far as size shows it. */
size_t strlcpy(char *dst, const char *src, size_t size);
/* A string that may lack its end inside src_size bytes; dst_size > 0, always terminated. */
void copy_bounded(char *dst, size_t dst_size, const void *src, size_t src_size);
/* The same, but whole words: where it is too long, it ends at the last blank that fits. false: it was too long. */
bool copy_words(char *dst, size_t dst_size, const void *src, size_t src_size) __must_check;

/*
 * Conversions d i u x X p s c %, flags 0 - # +, width, precision, l ll h hh z. Returns the
 * length the whole text would have; the buffer is always terminated when size > 0.
 */
int hv_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int hv_snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/* 0 to 15; more: c is no digit. */
static inline u32 hex_digit(char c)
{
    u32 lower = (u32)(u8)c | 32;

    return c >= '0' && c <= '9' ? (u32)(c - '0') : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : ~0u;
}
/* Number with optional 0x; stops at the first other character, which *end points to. No digit or more than u64 holds: *end is s, 0. */
u64 parse_u64(const char *s, const char **end);
/* As parse_u64 with suffix K M G T or B for bytes; no suffix means KiB, as in Xen's size options. */
u64 parse_size(const char *s, const char **end);
int word_index(const char *word, const char *const *words, size_t n) __must_check; /* which of the n words it is; -EINVAL: none of them */
/*
 * Copies the next of the words that commas separate to word, whole and terminated, and moves *list behind it and its comma.
 * false: the list is at its end, or the word does not fit (then *list stays at it).
 */
bool list_next(const char **list, char *word, size_t size) __must_check;

/* Little-endian numbers of at most eight bytes, at any address. */
static inline u64 read_number(const void *p, size_t bytes)
{
    u64 v = 0;

    memcpy(&v, p, bytes);
    return v;
}
static inline u32 read_u32(const void *p) { return (u32)read_number(p, 4); }

static inline unsigned bit_first(u64 x) { return (unsigned)__builtin_ctzll(x); }     /* x != 0 */
static inline unsigned bit_last(u64 x) { return 63 - (unsigned)__builtin_clzll(x); } /* x != 0 */
static inline u64 bytes_mask(unsigned bytes) { return ~0ULL >> (64 - 8 * bytes); }   /* the low 1 to 8 bytes of a word */

static inline bool test_bit(u64 n, const volatile void *p) { return (((const volatile u8 *)p)[n >> 3] >> (n & 7)) & 1; }
static inline bool atomic_test_and_set_bit(u64 n, volatile void *p)
{
    bool old;
    __asm__ volatile("lock btsq %2, %0" : "+m"(*(volatile u64 *)p), "=@ccc"(old) : "r"(n) : "memory");
    return old;
}
static inline bool atomic_test_and_clear_bit(u64 n, volatile void *p)
{
    bool old;
    __asm__ volatile("lock btrq %2, %0" : "+m"(*(volatile u64 *)p), "=@ccc"(old) : "r"(n) : "memory");
    return old;
}

/*
 * Indices that a guest chooses (Spectre v1). A processor that predicts a bounds check wrongly runs on for a while with an index of the
 * guest's making; what a second load then does with the word it finds there can be measured. So the index itself is bounded, by
 * instructions whose results are not predicted. The check before it stays: it decides what the guest is told.
 * index_nospec() gives the index, if it is below count; else 0. Only the processor ever sees the latter, where it is wrong about the check.
 */
static force_inline u64 index_nospec(u64 index, u64 count)
{
    u64 below;

    __asm__("cmp %2, %1\n   sbb %0, %0" : "=r"(below) : "r"(index), "rme"(count) : "cc");
    return index & below;
}

/* Errors: the ABI's numbers, which are Linux's. */
/* clang-format off */
enum {
    EPERM = 1, ENOENT = 2, ESRCH = 3, EIO = 5, ENXIO = 6, E2BIG = 7, ENOEXEC = 8, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13,
    EFAULT = 14, EBUSY = 16, EEXIST = 17, EXDEV = 18, ENODEV = 19, EINVAL = 22, ENOSPC = 28,
    ERANGE = 34, ENOSYS = 38, ENODATA = 61, ETIME = 62, EOVERFLOW = 75, ERESTART = 85, EOPNOTSUPP = 95, ENOBUFS = 105,
};
/* clang-format on */
