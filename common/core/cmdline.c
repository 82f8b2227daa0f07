/* SPDX-License-Identifier: MIT */
/*
 * Command-line parsing. Words are separated by blanks; quotes, single or double, keep blanks in a value. GRUB puts a
 * backslash before quotes and backslashes that came through its own shell: it goes.
 */
#include <hv/boot_info.h>
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/printk.h>

extern const struct option __options_start[], __options_end[];

#define SHOWN 60 /* characters of a word in a message */

int option_bool(const char *value, void *var)
{
    static const char *const yes[] = { "", "1", "yes", "on", "true", "enable" };
    static const char *const no[] = { "0", "no", "off", "false", "disable" };

    *(bool *)var = word_index(value, yes, ARRAY_SIZE(yes)) >= 0;
    return *(bool *)var || word_index(value, no, ARRAY_SIZE(no)) >= 0 ? 0 : -EINVAL;
}

int option_u32(const char *value, void *var)
{
    const char *end;
    u64 v = parse_u64(value, &end);

    if (end == value || *end || v > ~0u)
        return -EINVAL;
    *(u32 *)var = (u32)v;
    return 0;
}

int option_count(const char *value, void *var)
{
    int rc = option_u32(value, var);

    return rc ? rc : *(u32 *)var ? 0 : -EINVAL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/*
 * Copies the next word of *line to word, without its quotes, and moves *line behind it. false: there is none, or *line is at
 * the word "--". *whole: it fitted. A quote that nothing closes is a character like any other.
 */
static bool next_word(const char **line, char *word, size_t size, bool *whole)
{
    const char *p = *line;
    size_t n = 0;
    char quote = 0;

    while (is_blank(*p))
        p++;
    *line = p;
    if (!*p || (!strncmp(p, "--", 2) && (!p[2] || is_blank(p[2]))))
        return false;
    for (; *p && (quote || !is_blank(*p)); p++) {
        bool backslash = p[0] == '\\' && p[1] == '\\';

        if (*p == '\\' && p[1] && strchr("\\\"'", p[1]))
            p++;
        if (!backslash && *p == quote)
            quote = 0;
        else if (!backslash && !quote && (*p == '"' || *p == '\'') && strchr(p + 1, *p))
            quote = *p;
        else if (n++ < size - 1)
            word[n - 1] = *p;
    }
    word[MIN(n, size - 1)] = 0;
    *whole = n < size;
    *line = p;
    return true;
}

static const struct option *find_option(const char *name)
{
    for (const struct option *o = __options_start; o < __options_end; o++)
        if (!strcmp(o->name, name))
            return o;
    return NULL;
}

static bool apply(const struct option *o, const char *value)
{
    static u64 copy[OPTION_MAX_SIZE / sizeof(u64)];

    memcpy(copy, o->var, o->size);
    if (o->parse(value, copy))
        return false;
    memcpy(o->var, copy, o->size);
    return true;
}

static void say_absent(const char *name, const char *reason)
{
    if (!reason)
        printk(LOG_WARN "Option '%.*s' is not known and has no effect. docs/options.md lists all options.\n", SHOWN, name);
    else if (reason[0])
        printk(LOG_WARN "Option '%.*s' is not offered: %s.\n", SHOWN, name, reason);
}

static void apply_word(char *word)
{
    char *equals = strchr(word, '=');
    const char *value = equals ? equals + 1 : "";
    /* "no-smep" is "smep=no" */
    const char *positive = !equals && !strncmp(word, "no-", 3) ? word + 3 : NULL;

    if (equals)
        *equals = 0;
    const struct option *o = find_option(word);
    const char *reason = option_absence(word);
    if (!o && positive) {
        o = find_option(positive);
        value = "no";
        reason = reason ? reason : option_absence(positive);
    }
    if (!o)
        say_absent(word, reason);
    else if (!apply(o, value))
        printk(LOG_WARN "Option '%.*s': value '%.*s' makes no sense; the default stays in force.\n", SHOWN, word, SHOWN, value);
}

void cmdline_parse(const char *line)
{
    static char word[BOOT_CMDLINE_SIZE];
    bool whole;

    while (next_word(&line, word, sizeof(word), &whole)) {
        if (whole && word[0])
            apply_word(word);
        else if (!whole)
            printk(LOG_WARN "Option '%.*s...' is longer than %zu characters and has no effect.\n", SHOWN, word, sizeof(word) - 1);
    }
}
BOOT_STEP(cmdline_parse, NEEDS(loader_information), GIVES(options), EVERYWHERE);

const char *cmdline_dom0_part(const char *line)
{
    char none[1];
    bool whole;

    while (next_word(&line, none, sizeof(none), &whole))
        ;
    if (*line) /* at "--" */
        line += 2;
    while (is_blank(*line))
        line++;
    return line;
}
