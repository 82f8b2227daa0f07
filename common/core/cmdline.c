/* Command-line parsing. Words are separated by blanks; double quotes keep blanks in a value. */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/printk.h>

extern const struct option __options_start[], __options_end[];

int option_bool(const char *value, void *var)
{
    static const char *const yes[] = { "", "1", "yes", "on", "true", "enable" };
    static const char *const no[] = { "0", "no", "off", "false", "disable" };

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        if (!strcmp(value, yes[i])) {
            *(bool *)var = true;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        if (!strcmp(value, no[i])) {
            *(bool *)var = false;
            return 0;
        }
    return -EINVAL;
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

static void apply_option(char *word)
{
    char *value = strchr(word, '=');
    static char on[] = "", off[] = "no";
    const char *name = word;
    const struct option *o;

    if (value)
        *value++ = 0;
    else
        value = on;
    for (int negated = 0; negated < 2; negated++) {
        for (o = __options_start; o < __options_end; o++) {
            if (strcmp(o->name, name))
                continue;
            if (o->parse(value, o->var))
                printk(LOG_WARN "Option '%s': value '%s' makes no sense; the default stays in force.\n", word, value);
            return;
        }
        /* "no-smep" is "smep=no" */
        if (strncmp(name, "no-", 3) || value != on)
            break;
        name += 3;
        value = off;
    }
    printk(LOG_WARN "Option '%s' is not known and has no effect. docs/options.md lists all options.\n", word);
}

void cmdline_parse(const char *line)
{
    char word[128];

    for (;;) {
        size_t n = 0;
        bool quoted = false;

        while (*line == ' ' || *line == '\t')
            line++;
        if (!*line || (!strncmp(line, "--", 2) && (line[2] == ' ' || !line[2])))
            return;
        for (; *line && (quoted || (*line != ' ' && *line != '\t')); line++) {
            if (*line == '"')
                quoted = !quoted;
            else if (n < sizeof(word) - 1)
                word[n++] = *line;
        }
        word[n] = 0;
        apply_option(word);
    }
}

const char *cmdline_dom0_part(const char *line)
{
    const char *sep = strstr(line, " -- ");

    if (sep)
        return sep + 4;
    return strncmp(line, "-- ", 3) ? "" : line + 3;
}
