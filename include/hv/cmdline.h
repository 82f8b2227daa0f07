/* Command-line options, declared where they are used: OPTION_BOOL(noreboot, opt_noreboot). */
#ifndef HV_CMDLINE_H
#define HV_CMDLINE_H

#include <hv/types.h>

struct option {
    const char *name;
    /* 0, or -EINVAL for a value that makes no sense. value is "" for a bare word. */
    int (*parse)(const char *value, void *var);
    void *var;
};

#define OPTION(opt_name, parser, variable)                                        \
    static const struct option __option_##parser##_##variable __used __section(".options") \
        __attribute__((aligned(8))) = { opt_name, parser, &variable }

int option_bool(const char *value, void *var);
int option_u32(const char *value, void *var);

/* Applies every known option; names each unknown or malformed one and goes on. */
void cmdline_parse(const char *line);
/* The part of the line before and after " -- ". */
const char *cmdline_dom0_part(const char *line);

#endif
