/* SPDX-License-Identifier: MIT */
/*
 * com1= and com2=, in Xen's syntax (4.17): BAUD[/BASE][,DPS[,IOBASE|pci|amt|acpi[,IRQ|msi[,PORT-BDF[,BRIDGE-BDF]]]]], where each
 * of them may be left empty or be given as NAME=VALUE. "acpi" is this hypervisor's own.
 */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/serial.h>

#define LCR_8N1 3
#define MAX_ADDRESS (1ULL << 46)

static bool com_parse_number(const char *s, u64 max, u64 *v)
{
    const char *end;

    *v = parse_u64(s, &end);
    return end > s && !*end && *v <= max;
}

struct word {
    const char *name;
    bool (*take)(struct com_option *o, const struct word *w, const char *value);
    size_t at; /* in the options; of formats: which */
    u64 max;   /* of a number; of a BDF: where it is noted that there is one */
};

static bool take_baud(struct com_option *o, const struct word *w, const char *s)
{
    const char *end;
    u64 base = o->base_baud;

    if (!strcmp(s, "auto")) {
        o->baud = 0;
        return true;
    }
    u64 baud = parse_u64(s, &end);
    if (!baud || baud > w->max || (*end && (*end != '/' || !com_parse_number(end + 1, w->max, &base))))
        return false;
    o->baud = (u32)baud;
    o->base_baud = (u32)base;
    return true;
}

/* What the line control register has of "8n1", each by its letter's place. */
static const struct {
    u8 mask;
    char letters[8];
} formats[] = { { 3, "5678" }, { 7 << 3, { [0] = 'n', [1] = 'o', [3] = 'e', [5] = 'm', [7] = 's' } }, { 1 << 2, "12" } };

static bool set_format(struct com_option *o, size_t field, char letter)
{
    u32 mask = formats[field].mask, unit = mask & -mask;

    for (u32 i = 0; letter && i < sizeof(formats[field].letters); i++)
        if (letter == formats[field].letters[i]) {
            o->lcr = (u8)((o->lcr & ~mask) | i * unit);
            o->lcr_given = true;
            return true;
        }
    return false;
}

static bool take_format(struct com_option *o, const struct word *w, const char *s) { return s[0] && !s[1] && set_format(o, w->at, s[0]); }

static bool take_dps(struct com_option *o, const struct word *w, const char *s)
{
    return strlen(s) == ARRAY_SIZE(formats) && set_format(o, w->at, s[0]) && set_format(o, w->at + 1, s[1]) &&
           set_format(o, w->at + 2, s[2]);
}

/* The ISA interrupts of the four usual ports. */
static u8 usual_irq(paddr_t base) { return base == 0x3f8 || base == 0x3e8 ? 4 : base == 0x2f8 || base == 0x2e8 ? 3 : 0; }

static bool take_place(struct com_option *o, const struct word *w, const char *s)
{
    static const char *const names[] = { "pci", "amt", "acpi" }; /* UART_PCI and what follows */
    int named = word_index(s, names, ARRAY_SIZE(names));
    u64 base;

    if (named >= 0) {
        o->where = UART_PCI + (u32)named;
        o->place.irq = 0;
        return true;
    }
    if (!com_parse_number(s, w->max, &base) || !base)
        return false;
    o->where = UART_AT_BASE;
    o->place.base = base;
    o->place.irq = usual_irq(base);
    return true;
}

static bool take_number(struct com_option *o, const struct word *w, const char *s)
{
    u64 v;

    if (!com_parse_number(s, w->max, &v))
        return false;
    memcpy((u8 *)o + w->at, &v, w->max > 0xff ? sizeof(u32) : 1);
    return true;
}

/* Cards are polled: which interrupt theirs is, only dom0 learns, from the firmware's AML. */
static bool take_irq(struct com_option *o, const struct word *w, const char *s) { return take_number(o, w, strcmp(s, "msi") ? s : "0"); }

static bool take_width(struct com_option *o, const struct word *w, const char *s)
{
    u64 v;

    return com_parse_number(s, w->max, &v) && (v == 1 || v == 4) && take_number(o, w, s);
}

static bool com_hex_field(const char **s, u32 max, char end, u32 *v)
{
    const char *p = *s;

    for (*v = 0; *p != end; p++) {
        u32 digit = hex_digit(*p);

        if (digit > 15)
            return false;
        *v = *v * 16 + digit;
        if (*v > max)
            return false;
    }
    bool some = p > *s;
    *s = p + 1;
    return some;
}

/* BUS:DEVICE.FUNCTION, hexadecimal, of segment 0. */
static bool take_bdf(struct com_option *o, const struct word *w, const char *s)
{
    u32 bus, device, function;

    if (!com_hex_field(&s, 0xff, ':', &bus) || !com_hex_field(&s, 0x1f, '.', &device) || !com_hex_field(&s, 7, 0, &function))
        return false;
    *(u16 *)((u8 *)o + w->at) = (u16)(bus << 8 | device << 3 | function);
    *(bool *)((u8 *)o + w->max) = true;
    return true;
}

/* The first ones by position, all of them by name; '-' in a name may be '_'. */
#define NR_POSITIONS 6
#define AT(field) offsetof(struct com_option, field)
static const struct word words[] = {
    { "baud", take_baud, 0, ~0u },
    { "", take_dps, 0, 0 },
    { "io-base", take_place, 0, MAX_ADDRESS },
    { "irq", take_irq, AT(place.irq), 255 },
    { "port", take_bdf, AT(place.bdf), AT(place.on_card) },
    { "bridge", take_bdf, AT(bridge), AT(has_bridge) },
    { "dev", take_place, 0, 0 },                     /* by name only */
    { "clock-hz", take_number, AT(base_baud), ~0u }, /* "multiplied by 16" is the clock */
    { "data-bits", take_format, 0, 0 },
    { "parity", take_format, 1, 0 },
    { "stop-bits", take_format, 2, 0 },
    { "reg-shift", take_number, AT(place.shift), 8 },
    { "reg-width", take_width, AT(place.width), 4 },
};

static bool take_named(struct com_option *o, char *name, const char *value)
{
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (*name && !strcmp(words[i].name, name))
            return words[i].take(o, &words[i], value);
    return false;
}

static bool place_makes_sense(const struct uart_place *p)
{
    if (!uart_in_memory(p))
        return uart_ports_sound(p->base);
    return !(p->base & (p->width - 1u)) && p->width <= 1u << p->shift;
}

/* A UART follows a sender that is 5 percent off, no more. */
static bool speed_makes_sense(const struct com_option *o)
{
    u64 divisor = com_divisor(o), real;

    if (!divisor || divisor > 0xffff)
        return !o->baud;
    real = o->base_baud / divisor;
    return (real > o->baud ? real - o->baud : o->baud - real) * 20 <= o->baud;
}

int com_option_parse(struct com_option *o, const char *value)
{
    char word[40];
    bool named = false;

    if (!*value)
        return -EINVAL;
    o->given = true;
    for (u32 position = 0; list_next(&value, word, sizeof(word)); position++) {
        char *equals = strchr(word, '=');
        bool good;

        if (equals) {
            *equals = 0;
            named = true;
            good = take_named(o, word, equals + 1);
        } else {
            good = !word[0] || (!named && position < NR_POSITIONS && words[position].take(o, &words[position], word));
        }
        if (!good)
            return -EINVAL;
    }
    return *value || !place_makes_sense(&o->place) || !speed_makes_sense(o) ? -EINVAL : 0;
}

static struct com_option com1 = { .baud = 115200, .base_baud = 115200, .lcr = LCR_8N1, .place = { .base = 0x3f8, .width = 1, .irq = 4 } };
static struct com_option com2 = { .baud = 115200, .base_baud = 115200, .lcr = LCR_8N1, .place = { .base = 0x2f8, .width = 1, .irq = 3 } };

static int parse_com(const char *value, void *var) { return com_option_parse(var, value); }
OPTION("com1", parse_com, com1,
       "the first serial line: `BAUD[/BASE][,DPS[,IOBASE|pci|amt|acpi[,IRQ|msi[,PORT-BDF[,BRIDGE-BDF]]]]]` as in Xen; see "
       "`consoles.md`",
       "`115200,8n1,0x3f8,4`; without a UART there, what ACPI's SPCR names");
OPTION("com2", parse_com, com2, "the second serial line, in the same words; used if `console=` names it", "`115200,8n1,0x2f8,3`");

struct com_option *com_option(u32 n) { return n ? &com2 : &com1; }
