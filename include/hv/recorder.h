/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: a record in RAM that survives a warm reset, at one of a few fixed places
 * that firmware and loaders leave alone. The next boot finds it there, tells of the previous
 * boot's end, and stops when boots fail one after the other. docs/flight-recorder.md has the
 * layout. Everything here may be called in any phase and context.
 */
#pragma once

#include <hv/panic_codes.h>
#include <hv/system_state.h>

#define RECORDER_SIZE 0x10000
/* Not lower: SeaBIOS clears the first MiB, OVMF uses 8 to 24 MiB, GRUB puts modules above the image. */
/* clang-format off */
#define RECORDER_PLACES { MiB(160), MiB(96), MiB(28), MiB(320) }
/* clang-format on */

/* A place that may hold the previous boot's record, in free RAM: taken over and wiped. */
void recorder_look(void *place);
/* Starts a new record there. Early boot, when the memory map is known. */
void recorder_init(void *place);
/* After the options are known. Prints how the previous boot ended, if it did not end in order; panics after too many failures. */
void recorder_print_previous(void);
/* The previous boot's end, as text; "" if it ended in order or is not known. */
const char *recorder_previous(void);
const char *recorder_previous_log(void); /* its last messages */

void recorder_log(const char *s, size_t n); /* into the log, '\r' left out */
void recorder_phase(enum phase phase);      /* seals the head: the phase has begun */
void recorder_orderly_end(void);            /* the next boot has nothing to tell */
void recorder_guest_end(const char *why);   /* dom0 crashed */

struct recorder_report {
    enum panic_code code;
    const char *phase;
    u32 cpu;
    u64 rip, address; /* address: CR2 or a machine address, where the code has one */
    char why[128];
    u32 nr_frames;
    u64 frames[8];
};
void recorder_report(const struct recorder_report *r); /* a panic's */
