/* Memory and string functions. The compiler emits calls to the first four. */
#include <hv/lib.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    u8 *d = dst;
    const u8 *s = src;

    if (d <= s || d >= s + n)
        return memcpy(dst, src, n);
    while (n--) {
        d[n] = s[n];
        barrier(); /* keep the compiler from turning the loop into a call of memmove */
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
        barrier();
    }
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a && *a == *b; n--)
        a++, b++;
    return n ? (u8)*a - (u8)*b : 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, ~(size_t)0);
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}

char *strstr(const char *s, const char *word)
{
    size_t n = strlen(word);

    for (; *s; s++)
        if (!strncmp(s, word, n))
            return (char *)s;
    return NULL;
}

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
