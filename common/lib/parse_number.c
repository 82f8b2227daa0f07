/* Bounded copies and numbers in text. */
#include <hv/lib.h>

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strnlen(src, size);

    if (size) {
        size_t copy = MIN(n, size - 1);

        memcpy(dst, src, copy);
        dst[copy] = 0;
    }
    return n;
}

void copy_bounded(char *dst, size_t dst_size, const void *src, size_t src_size)
{
    size_t n = strnlen(src, MIN(src_size, dst_size - 1));

    memcpy(dst, src, n);
    dst[n] = 0;
}

u64 parse_u64(const char *s, const char **end)
{
    u64 base = 10, v = 0;

    if (s[0] == '0' && (s[1] | 32) == 'x') {
        base = 16;
        s += 2;
    }
    for (;; s++) {
        u64 digit = (u64)(u8)*s - '0';

        if (digit > 9)
            digit = ((u64)(u8)*s | 32) - 'a' + 10;
        if (digit >= base || (*s < '0'))
            break;
        v = v * base + digit;
    }
    if (end)
        *end = s;
    return v;
}

u64 parse_size(const char *s, const char **end)
{
    const char *p;
    u64 v = parse_u64(s, &p);
    unsigned shift = 10;

    switch (*p | 32) {
    case 'b': shift = 0; p++; break;
    case 'k': shift = 10; p++; break;
    case 'm': shift = 20; p++; break;
    case 'g': shift = 30; p++; break;
    case 't': shift = 40; p++; break;
    }
    if (end)
        *end = p;
    return v << shift;
}
