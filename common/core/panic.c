/* SPDX-License-Identifier: MIT */
/* Codes of ends that are not a guest's, and their words. The report itself is arch/x86/trap/fatal.c. */
#include <hv/cmdline.h>
#include <hv/lib.h>
#include <hv/panic.h>

bool opt_noreboot;
OPTION("noreboot", option_bool, opt_noreboot, "after a panic or dom0's crash, halt and keep the screen", "off");

static const struct {
    const char *name, *cause, *advice;
} codes[PANIC_CODE_COUNT + 1] = {
#define X(name, code, cause, advice) { code, cause, advice },
    PANIC_CODE_LIST(X)
#undef X
    /* Exceptions. */
    { NULL, "The hypervisor's own code raised an exception that has no continuation.",
      "Report the lines of this screen. loglvl=all shows more before it; noreboot keeps it." },
};

const char *panic_code_name(enum panic_code code)
{
    static char trap[4];

    if (code < PANIC_CODE_COUNT)
        return codes[code].name;
    hv_snprintf(trap, sizeof(trap), "T%02X", MIN((u32)code - PANIC_TRAP(0), 0x20u)); /* T20: an interrupt */
    return trap;
}

const char *panic_code_cause(enum panic_code code) { return codes[MIN(code, PANIC_CODE_COUNT)].cause; }

const char *panic_code_advice(enum panic_code code) { return codes[MIN(code, PANIC_CODE_COUNT)].advice; }
