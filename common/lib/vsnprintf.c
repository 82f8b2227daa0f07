/* SPDX-License-Identifier: MIT */
/* Formatted output into a bounded buffer. */
#include <hv/lib.h>

struct sink {
    char *buf;
    size_t size, len;
};

static void put(struct sink *s, char c)
{
    if (s->len + 1 < s->size)
        s->buf[s->len] = c;
    s->len++;
}

struct spec {
    bool left, zero, alt, plus;
    int width, precision; /* precision -1: not given */
    int size;             /* bytes of the argument */
};

static void pad(struct sink *s, int n, char c)
{
    for (; n > 0; n--)
        put(s, c);
}

static void put_number(struct sink *s, const struct spec *sp, u64 v, unsigned base, bool upper, char sign)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    bool prefixed = sp->alt && base == 16;
    char tmp[24];
    int n = 0, zeros, total;

    do
        tmp[n++] = digits[v % base];
    while (v /= base);

    zeros = sp->precision > n ? sp->precision - n : 0;
    total = n + zeros + (sign != 0) + 2 * prefixed;
    if (sp->zero && !sp->left && sp->precision < 0 && sp->width > total) {
        zeros += sp->width - total;
        total = sp->width;
    }
    if (!sp->left)
        pad(s, sp->width - total, ' ');
    if (sign)
        put(s, sign);
    if (prefixed) {
        put(s, '0');
        put(s, upper ? 'X' : 'x');
    }
    pad(s, zeros, '0');
    while (n)
        put(s, tmp[--n]);
    if (sp->left)
        pad(s, sp->width - total, ' ');
}

static void put_string(struct sink *s, const struct spec *sp, const char *str)
{
    if (!str)
        str = "(null)";
    size_t n = sp->precision >= 0 ? strnlen(str, (size_t)sp->precision) : strlen(str);

    if (!sp->left)
        pad(s, sp->width - (int)n, ' ');
    for (size_t i = 0; i < n; i++)
        put(s, str[i]);
    if (sp->left)
        pad(s, sp->width - (int)n, ' ');
}

static const char *parse_spec(struct spec *sp, const char *f, va_list *ap)
{
    *sp = (struct spec){ .precision = -1, .size = 4 };
    for (;; f++) {
        if (*f == '-')
            sp->left = true;
        else if (*f == '0')
            sp->zero = true;
        else if (*f == '#')
            sp->alt = true;
        else if (*f == '+')
            sp->plus = true;
        else
            break;
    }
    if (*f == '*') {
        sp->width = va_arg(*ap, int);
        if (sp->width < 0) {
            sp->left = true;
            sp->width = -sp->width;
        }
        f++;
    }
    while (*f >= '0' && *f <= '9')
        sp->width = sp->width * 10 + (*f++ - '0');
    if (*f == '.') {
        sp->precision = 0;
        if (*++f == '*') {
            sp->precision = va_arg(*ap, int);
            f++;
        }
        while (*f >= '0' && *f <= '9')
            sp->precision = sp->precision * 10 + (*f++ - '0');
    }
    for (;; f++) {
        if (*f == 'l' || *f == 'z')
            sp->size = 8;
        else if (*f == 'h')
            sp->size = sp->size == 2 ? 1 : 2;
        else
            break;
    }
    return f;
}

static u64 arg_unsigned(const struct spec *sp, va_list *ap)
{
    if (sp->size == 8)
        return va_arg(*ap, u64);
    u32 v = va_arg(*ap, u32);

    return sp->size == 2 ? (u16)v : sp->size == 1 ? (u8)v : v;
}

static s64 arg_signed(const struct spec *sp, va_list *ap)
{
    if (sp->size == 8)
        return va_arg(*ap, s64);
    s32 v = va_arg(*ap, s32);

    return sp->size == 2 ? (int16_t)v : sp->size == 1 ? (s8)v : v;
}

static void put_signed(struct sink *s, const struct spec *sp, s64 v)
{
    put_number(s, sp, v < 0 ? -(u64)v : (u64)v, 10, false, v < 0 ? '-' : sp->plus ? '+' : 0);
}

int hv_vsnprintf(char *buf, size_t size, const char *f, va_list ap_in)
{
    struct sink s = { buf, size, 0 };
    struct spec sp;
    va_list ap;

    va_copy(ap, ap_in);
    for (; *f; f++) {
        if (*f != '%') {
            put(&s, *f);
            continue;
        }
        f = parse_spec(&sp, f + 1, &ap);
        switch (*f) {
        case 'd':
        case 'i': put_signed(&s, &sp, arg_signed(&sp, &ap)); break;
        case 'u': put_number(&s, &sp, arg_unsigned(&sp, &ap), 10, false, 0); break;
        case 'x':
        case 'X': put_number(&s, &sp, arg_unsigned(&sp, &ap), 16, *f == 'X', 0); break;
        case 'p':
            sp.precision = 16;
            put_number(&s, &sp, (u64)va_arg(ap, void *), 16, false, 0);
            break;
        case 's': put_string(&s, &sp, va_arg(ap, const char *)); break;
        case 'c': put(&s, (char)va_arg(ap, int)); break;
        case 0: f--; break;
        default: put(&s, *f);
        }
    }
    va_end(ap);
    if (size)
        s.buf[MIN(s.len, size - 1)] = 0;
    return (int)s.len;
}

int hv_snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = hv_vsnprintf(buf, size, fmt, ap);

    va_end(ap);
    return n;
}
