/* SPDX-License-Identifier: MIT */
/* Codes of ends that are not a guest's, and their words. The report itself is arch/x86/trap/fatal.c. */
#include <hv/cmdline.h>
#include <hv/panic.h>

bool opt_noreboot;
OPTION("noreboot", option_bool, opt_noreboot, "after a panic or dom0's crash, halt and keep the screen", "off");

static const struct {
    const char *name, *cause, *advice;
} codes[PANIC_CODE_COUNT] = {
#define X(name, code, cause, advice) { code, cause, advice },
    PANIC_CODE_LIST(X)
#undef X
};

const char *panic_code_name(enum panic_code code)
{
    static const char traps[32][4] = {
        "T00", "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T0A", "T0B", "T0C", "T0D", "T0E", "T0F",
        "T10", "T11", "T12", "T13", "T14", "T15", "T16", "T17", "T18", "T19", "T1A", "T1B", "T1C", "T1D", "T1E", "T1F",
    };

    u32 vector = (u32)code - PANIC_TRAP(0);
    if (code < PANIC_CODE_COUNT)
        return codes[code].name;
    return vector < 32 ? traps[vector] : "T20"; /* an interrupt */
}

const char *panic_code_cause(enum panic_code code)
{
    return code < PANIC_CODE_COUNT ? codes[code].cause : "The hypervisor's own code raised an exception that has no continuation.";
}

const char *panic_code_advice(enum panic_code code)
{
    return code < PANIC_CODE_COUNT ? codes[code].advice :
                                     "Report the lines of this screen. loglvl=all shows more before it; noreboot keeps it.";
}
