/*
 * The flight recorder: a record in RAM that survives a warm reset, at a fixed place below 1 MiB
 * that neither the hypervisor nor a guest uses otherwise. The next boot reads it, tells of the
 * previous boot's end, and stops when boots fail one after the other. docs/flight-recorder.md
 * has the layout. Everything here may be called in any phase and context.
 */
#ifndef HV_RECORDER_H
#define HV_RECORDER_H

#include <hv/panic_codes.h>
#include <hv/system_state.h>

#define RECORDER_PHYS 0x50000
#define RECORDER_SIZE 0x10000

/* Reads what is there and starts a new record. Early boot, before anything else is logged. */
void recorder_init(void *region);
/* After the options are known. Prints how the previous boot ended, if it did not end in order; panics after too many failures. */
void recorder_tell(void);
/* The previous boot's end, as text; "" if it ended in order or is not known. */
const char *recorder_previous(void);

void recorder_log(const char *s, size_t n);
void recorder_phase(enum phase phase);
void recorder_orderly_end(void);
void recorder_guest_end(const char *why); /* dom0 crashed */

struct recorder_report {
    enum panic_code code;
    const char *phase;
    u32 cpu;
    u64 rip, address; /* address: CR2 or a machine address, where the code has one */
    char why[128];
    u32 nr_frames;
    u64 frames[8];
};
void recorder_report(const struct recorder_report *r);

#endif
