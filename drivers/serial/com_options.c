/*
 * com1= and com2=, in Xen's syntax (4.17): BAUD[/BASE][,DPS[,IOBASE|pci|amt|acpi[,IRQ|msi[,PORT-BDF[,BRIDGE-BDF]]]]], where each
 * of them may be left empty or be given as NAME=VALUE. "acpi" is this hypervisor's own.
 */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/serial.h>

#define LCR_8N1 3
#define MAX_ADDRESS (1ULL << 46)

static bool number(const char *s, u64 max, u64 *v)
{
    const char *end;

    *v = parse_u64(s, &end);
    return end > s && !*end && *v <= max;
}

static bool take_baud(struct com_option *o, const char *s)
{
    const char *end;

    if (!strcmp(s, "auto")) {
        o->baud = 0;
        return true;
    }
    u64 baud = parse_u64(s, &end), base = o->base_baud;

    if (!baud || baud > ~0u || (*end && (*end != '/' || !number(end + 1, ~0u, &base))))
        return false;
    o->baud = (u32)baud;
    o->base_baud = (u32)base;
    return true;
}

static bool take_clock(struct com_option *o, const char *s)
{
    u64 v;

    if (!number(s, ~0u, &v))
        return false;
    o->base_baud = (u32)v; /* "multiplied by 16" is the clock */
    return true;
}

static bool set_lcr(struct com_option *o, u8 mask, u8 bits)
{
    o->lcr = (u8)((o->lcr & ~mask) | bits);
    o->lcr_given = true;
    return true;
}

static bool take_data_bits(struct com_option *o, const char *s)
{
    return s[0] >= '5' && s[0] <= '8' && !s[1] && set_lcr(o, 3, (u8)(s[0] - '5'));
}

static bool take_parity(struct com_option *o, const char *s)
{
    static const struct {
        char name;
        u8 bits;
    } kinds[] = { { 'n', 0 << 3 }, { 'o', 1 << 3 }, { 'e', 3 << 3 }, { 'm', 5 << 3 }, { 's', 7 << 3 } };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (s[0] == kinds[i].name && !s[1])
            return set_lcr(o, 0x38, kinds[i].bits);
    return false;
}

static bool take_stop_bits(struct com_option *o, const char *s)
{
    return (s[0] == '1' || s[0] == '2') && !s[1] && set_lcr(o, 4, s[0] == '2' ? 4 : 0);
}

static bool take_dps(struct com_option *o, const char *s)
{
    const char d[2] = { s[0] }, p[2] = { d[0] ? s[1] : 0 };

    return strlen(s) == 3 && take_data_bits(o, d) && take_parity(o, p) && take_stop_bits(o, s + 2);
}

/* The ISA interrupts of the four usual ports. */
static u8 usual_irq(paddr_t base)
{
    return base == 0x3f8 || base == 0x3e8 ? 4 : base == 0x2f8 || base == 0x2e8 ? 3 : 0;
}

static bool take_dev(struct com_option *o, const char *s)
{
    static const char *const names[] = { [UART_PCI] = "pci", [UART_AMT] = "amt", [UART_ACPI] = "acpi" };

    for (u32 i = UART_PCI; i < ARRAY_SIZE(names); i++)
        if (!strcmp(s, names[i])) {
            o->where = i;
            o->place.irq = 0;
            return true;
        }
    return false;
}

static bool take_base(struct com_option *o, const char *s)
{
    u64 v;

    if (!number(s, MAX_ADDRESS, &v) || !v)
        return false;
    o->where = UART_AT_BASE;
    o->place.base = v;
    o->place.irq = usual_irq(v);
    return true;
}

static bool take_place(struct com_option *o, const char *s)
{
    return take_dev(o, s) || take_base(o, s);
}

static bool take_irq(struct com_option *o, const char *s)
{
    u64 v;

    /* Cards are polled: which interrupt theirs is, only dom0 learns, from the firmware's AML. */
    if (!strcmp(s, "msi"))
        s = "0";
    if (!number(s, 255, &v))
        return false;
    o->place.irq = (u8)v;
    return true;
}

static bool hex_field(const char **s, u32 max, char end, u32 *v)
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
static bool take_bdf(const char *s, bool *has, u16 *bdf)
{
    u32 bus, device, function;

    if (!hex_field(&s, 0xff, ':', &bus) || !hex_field(&s, 0x1f, '.', &device) || !hex_field(&s, 7, 0, &function))
        return false;
    *has = true;
    *bdf = (u16)(bus << 8 | device << 3 | function);
    return true;
}

static bool take_port(struct com_option *o, const char *s)
{
    return take_bdf(s, &o->place.on_card, &o->place.bdf);
}

static bool take_bridge(struct com_option *o, const char *s)
{
    return take_bdf(s, &o->has_bridge, &o->bridge);
}

static bool take_shift(struct com_option *o, const char *s)
{
    u64 v;

    if (!number(s, 8, &v))
        return false;
    o->place.shift = (u8)v;
    return true;
}

static bool take_width(struct com_option *o, const char *s)
{
    u64 v;

    if (!number(s, 4, &v) || (v != 1 && v != 4))
        return false;
    o->place.width = (u8)v;
    return true;
}

/* The first ones by position, all of them by name; '-' in a name may be '_'. */
#define NR_POSITIONS 6
static const struct {
    const char *name;
    bool (*take)(struct com_option *o, const char *value);
} words[] = {
    { "baud", take_baud }, { "", take_dps }, { "io-base", take_place }, { "irq", take_irq }, { "port", take_port },
    { "bridge", take_bridge }, { "dev", take_dev }, { "clock-hz", take_clock }, { "data-bits", take_data_bits },
    { "parity", take_parity }, { "stop-bits", take_stop_bits }, { "reg-shift", take_shift }, { "reg-width", take_width },
};

static bool take_named(struct com_option *o, char *name, const char *value)
{
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (*name && !strcmp(words[i].name, name))
            return words[i].take(o, value);
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
            good = !word[0] || (!named && position < NR_POSITIONS && words[position].take(o, word));
        }
        if (!good)
            return -EINVAL;
    }
    return *value || !place_makes_sense(&o->place) || !speed_makes_sense(o) ? -EINVAL : 0;
}

static struct com_option com1 = { .baud = 115200, .base_baud = 115200, .lcr = LCR_8N1, .place = { .base = 0x3f8, .width = 1, .irq = 4 } };
static struct com_option com2 = { .baud = 115200, .base_baud = 115200, .lcr = LCR_8N1, .place = { .base = 0x2f8, .width = 1, .irq = 3 } };

static int parse_com(const char *value, void *var)
{
    return com_option_parse(var, value);
}
OPTION("com1", parse_com, com1,
       "the first serial line: `BAUD[/BASE][,DPS[,IOBASE|pci|amt|acpi[,IRQ|msi[,PORT-BDF[,BRIDGE-BDF]]]]]` as in Xen; see "
       "`consoles.md`",
       "`115200,8n1,0x3f8,4`; without a UART there, what ACPI's SPCR names");
OPTION("com2", parse_com, com2, "the second serial line, in the same words; used if `console=` names it", "`115200,8n1,0x2f8,3`");

struct com_option *com_option(u32 n)
{
    return n ? &com2 : &com1;
}
