/* SPDX-License-Identifier: MIT */
/*
 * Command-line options, declared where they are used:
 *     OPTION("noreboot", option_bool, opt_noreboot, "halt after a panic", "off");
 * The last two arguments are the option's row in docs/options.md (tools/gen_options.py), and nowhere else.
 */
#pragma once

#include <hv/types.h>

#define OPTION_MAX_SIZE 1024

struct option {
    const char *name;
    /*
     * 0, or -EINVAL for a value that makes no sense. value is "" for a bare word. var is a copy of the variable, which takes
     * its place if the value was accepted: a parser writes nothing else, so that a refused value changes nothing.
     */
    int (*parse)(const char *value, void *var);
    void *var;
    size_t size; /* of var, in bytes, at most OPTION_MAX_SIZE */
};

#define OPTION(opt_name, parser, variable, meaning, unless_given)                                                             \
    _Static_assert(sizeof(variable) <= OPTION_MAX_SIZE && sizeof(meaning unless_given), "an option's variable is too large"); \
    static const struct option __option_##parser##_##variable __used __section(".options")                                    \
        __attribute__((aligned(8))) = { opt_name, parser, &variable, sizeof(variable) }

int option_bool(const char *value, void *var);  /* bool: yes, on, true, enable, 1, or a bare word; no, off, false, disable, 0 */
int option_u32(const char *value, void *var);   /* u32, decimal or with 0x */
int option_count(const char *value, void *var); /* u32, at least 1 */

/* Applies every known option up to the word "--"; names each unknown, malformed or missing one and goes on. */
void cmdline_parse(const char *line);
/* What follows the word "--", or "". */
const char *cmdline_dom0_part(const char *line);

/* Why an option that Xen documents is not here; "": it needs no word; NULL: no option of Xen's. absent_options.c */
const char *option_absence(const char *name);
