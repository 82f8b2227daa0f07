/* SPDX-License-Identifier: MIT */
/* Bounded copies and numbers in text. */
#include <hv/lib.h>

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strnlen(src, size);

    if (size)
        copy_bounded(dst, size, src, n);
    return n;
}

void copy_bounded(char *dst, size_t dst_size, const void *src, size_t src_size)
{
    size_t n = strnlen(src, MIN(src_size, dst_size - 1));

    memcpy(dst, src, n);
    dst[n] = 0;
}

bool copy_words(char *dst, size_t dst_size, const void *src, size_t src_size)
{
    size_t n = strnlen(src, MIN(src_size, dst_size));

    copy_bounded(dst, dst_size, src, src_size);
    if (n < dst_size)
        return true;
    /* A word that ends just where the room does is whole. */
    bool whole = ((const char *)src)[n - 1] == ' ';
    for (n--; n && !whole && dst[n - 1] != ' '; n--)
        ;
    dst[n] = 0;
    return false;
}

u64 parse_u64(const char *s, const char **end)
{
    bool hex = s[0] == '0' && (s[1] | 32) == 'x';
    u64 base = hex ? 16 : 10, v = 0;
    const char *first = hex ? s + 2 : s, *p = first;
    bool fits = true;

    for (;; p++) {
        u32 digit = hex_digit(*p);

        if (digit >= base)
            break;
        fits = !__builtin_mul_overflow(v, base, &v) && !__builtin_add_overflow(v, digit, &v) && fits;
    }
    fits &= p > first;
    if (end)
        *end = fits ? p : s;
    return fits ? v : 0;
}

u64 parse_size(const char *s, const char **end)
{
    static const char suffixes[] = "bkmgt"; /* each is 2^10 of the one before */
    const char *p;
    u64 v = parse_u64(s, &p);
    bool number = p > s;
    const char *suffix = number ? strchr(suffixes, *p | 32) : NULL;
    u32 shift = suffix ? 10 * (u32)(suffix - suffixes) : 10;

    p += suffix != NULL;
    bool fits = number && v << shift >> shift == v;
    if (end)
        *end = fits ? p : s;
    return fits ? v << shift : 0;
}

int word_index(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(word, words[i]))
            return (int)i;
    return -EINVAL;
}

bool list_next(const char **list, char *word, size_t size)
{
    const char *comma = strchr(*list, ',');
    size_t n = comma ? (size_t)(comma - *list) : strlen(*list);

    if (!**list || n >= size)
        return false;
    memcpy(word, *list, n);
    word[n] = 0;
    *list += comma ? n + 1 : n;
    return true;
}
