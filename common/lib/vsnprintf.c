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

/* What a conversion made: a prefix of at most two characters, zeros, then n characters of text. */
static void put_field(struct sink *s, const struct spec *sp, const char *prefix, int zeros, const char *text, int n)
{
    int blanks = sp->width - (int)strlen(prefix) - zeros - n;

    if (!sp->left)
        pad(s, blanks, ' ');
    while (*prefix)
        put(s, *prefix++);
    pad(s, zeros, '0');
    while (n--)
        put(s, *text++);
    if (sp->left)
        pad(s, blanks, ' ');
}

static void put_number(struct sink *s, const struct spec *sp, u64 v, unsigned base, bool upper, const char *prefix)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24], *first = text + sizeof(text);
    int n, zeros;

    do
        *--first = digits[v % base];
    while (v /= base);
    n = (int)(text + sizeof(text) - first);
    zeros = sp->precision - n;
    if (sp->zero && !sp->left && sp->precision < 0)
        zeros = sp->width - (int)strlen(prefix) - n;
    put_field(s, sp, prefix, MAX(zeros, 0), first, n);
}

static void put_string(struct sink *s, const struct spec *sp, const char *str)
{
    if (!str)
        str = "(null)";
    put_field(s, sp, "", 0, str, (int)(sp->precision >= 0 ? strnlen(str, (size_t)sp->precision) : strlen(str)));
}

/* A width or precision: digits, or '*' for an argument. */
static int parse_extent(const char **f, va_list *ap)
{
    int v = 0;

    if (**f == '*') {
        (*f)++;
        return va_arg(*ap, int);
    }
    for (; **f >= '0' && **f <= '9'; (*f)++)
        v = v * 10 + (**f - '0');
    return v;
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
    sp->width = parse_extent(&f, ap);
    if (sp->width < 0) {
        sp->left = true;
        sp->width = -sp->width;
    }
    if (*f == '.') {
        f++;
        sp->precision = parse_extent(&f, ap);
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

/* An argument of sp->size bytes, extended by its sign or by zeros. */
static u64 arg_number(const struct spec *sp, va_list *ap, bool is_signed)
{
    u64 v = sp->size == 8 ? va_arg(*ap, u64) : va_arg(*ap, u32);
    int above = 64 - 8 * sp->size;

    return is_signed ? (u64)((s64)(v << above) >> above) : v << above >> above;
}

static void put_signed(struct sink *s, const struct spec *sp, s64 v)
{
    put_number(s, sp, v < 0 ? -(u64)v : (u64)v, 10, false, v < 0 ? "-" : sp->plus ? "+" : "");
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
        case 'i': put_signed(&s, &sp, (s64)arg_number(&sp, &ap, true)); break;
        case 'u': put_number(&s, &sp, arg_number(&sp, &ap, false), 10, false, ""); break;
        case 'x': put_number(&s, &sp, arg_number(&sp, &ap, false), 16, false, sp.alt ? "0x" : ""); break;
        case 'X': put_number(&s, &sp, arg_number(&sp, &ap, false), 16, true, sp.alt ? "0X" : ""); break;
        case 'p':
            sp.precision = 16;
            put_number(&s, &sp, (u64)va_arg(ap, void *), 16, false, sp.alt ? "0x" : "");
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
