/* SPDX-License-Identifier: MIT */
/*
 * The console: sinks that show the log, the log itself, and the input side, which Ctrl-A
 * pressed three times switches between dom0 and the hypervisor's debug keys.
 */
#pragma once

#include <hv/types.h>

enum { SINK_COM1 = 1, SINK_COM2 = 2, SINK_VGA = 4 }; /* of console= */

struct console_sink {
    const char *name;
    u32 which;
    void (*write)(struct console_sink *sink, const char *s, size_t n);
    void (*panic_prepare)(struct console_sink *sink); /* make the sink usable in any state; may be NULL */
    bool enabled;                                     /* the console's */
};

/* A panic uses every sink that is registered. At most CONSOLE_MAX_SINKS; called in early boot only. */
#define CONSOLE_MAX_SINKS 3
void console_register_sink(struct console_sink *sink);
/* It works: if console= names it, what was logged so far appears on it, and all that comes. */
void console_sink_ready(struct console_sink *sink);
bool console_wants(u32 which); /* console= names one of these SINK_* */
/* All sinks that can be had in this phase of boot are ready: where none of those that console= names is, the others speak. */
void console_sinks_complete(void);

/* To the log, raw, and to what `where` says. Takes the console lock. */
enum { CONSOLE_SINKS = 1, CONSOLE_MESSAGES = 2 };
void console_write(const char *s, size_t n, u32 where);
/*
 * What went to CONSOLE_MESSAGES (Xen: the console ring), of which the latest CONSOLE_MESSAGES_SIZE bytes are kept: those from *index on, or
 * from the first one on; how many. *index is behind them then. New ones raise SOFTIRQ_MESSAGES.
 */
#define CONSOLE_MESSAGES_SIZE 32768 /* a power of two */
size_t console_read_messages(bool from_first, u32 *index, char *buf, size_t size);
void console_forget_messages(u32 index); /* those before it */
/* dom0 has the screen now: video sinks stop until a panic. */
void console_release_video(void);
/*
 * For fatal paths: the lock is not waited for any more, output is synchronous. What was still
 * waiting in the transmit buffer comes with console_flush_late(), after the first urgent line.
 * video: on the screen, too (a panic draws its own, and slow video memory is not to hold it up).
 */
void console_force_unlock(bool video);
void console_flush_late(void); /* no lock: for fatal paths, and with other CPUs stopped */
void console_lock_again(void); /* test builds: a report is over and the machine goes on */
/* What has been logged so far, up to the size of the boot log. */
void console_for_logged(void (*fn)(const char *s, size_t n));

/* A key on the serial line or the keyboard, in a panic: nothing else reads them any more. */
void console_drain_keys(void);
bool console_key_pressed(void); /* and no key is left after it */

/* The screen, for a panic: cells of text, and a square picture in the upper right corner. */
struct console_screen {
    u32 columns, rows;
    void (*clear)(void);
    void (*text)(u32 row, u32 column, const char *s);
    /* Draws qr_module(x, y), 0 <= x, y < side, with its margin; returns the first column it covers. */
    u32 (*squares)(u32 side);
};
extern const struct console_screen *console_screen; /* NULL: none */
bool qr_module(u32 x, u32 y);                       /* true: dark */
struct recorder_report;
struct cpu_user_regs;
/* From here on the screen shows nothing else. regs: NULL if no exception led here. */
void panic_screen_show(const struct recorder_report *r, const struct cpu_user_regs *regs);
void panic_screen_last_line(const char *line); /* nothing if the screen was not shown */

/* Shows the boot log and what the ring still holds, on the sinks only; what is no text as blanks. */
void console_replay(void);

/* ---- console_input.c. Each takes a lock of its own, a leaf. ---- */
void console_rx(char c);        /* one character from a terminal; in interrupts */
void console_input_start(void); /* dom0 exists: input goes to it, and can be switched */
/* dom0's half: characters waiting for console_io read. */
size_t console_read_dom0(char *buf, size_t size);
bool console_waits_for_dom0(void);
/* The hypervisor's half, in SOFTIRQ_CONSOLE_RX: the next key; 0: none is left. CONSOLE_SWITCH: input goes elsewhere now, which has been said. */
#define CONSOLE_SWITCH 0x01
char console_next_key(void);

/* Debug keys. Handlers run in softirq context, where they may print at length. */
struct keyhandler {
    char key;
    const char *what;
    void (*run)(void);
};
/*
 * Under a global name that is the key's: assembler and linker refuse a second handler of the same key. text: its line in the list of
 * keys, and in docs/debug-keys.md (tools/gen_debug_keys.py), where reading, which is not compiled, says how to read what it prints.
 */
#define KEYHANDLER(k, fn, text, reading)                                               \
    _Static_assert(sizeof(reading), "");                                               \
    __asm__(".globl \"debug_key_" #k "\"\n\t.equiv \"debug_key_" #k "\", __key_" #fn); \
    static const struct keyhandler __key_##fn __used __section(".keyhandlers") __attribute__((aligned(8))) = { k, text, fn }
void keyhandler_run(char key); /* softirq context: no lock held */
void keyhandler_init(void);    /* boot */

bool keyboard_key_pressed(void); /* i8042.c: takes what the keyboard has sent; in a panic only */
void vga_text_init(void);        /* boot; nothing without a text screen */
struct boot_framebuffer;
void framebuffer_init(const struct boot_framebuffer *fb);

/* ---- arch/x86/start_consoles.c: steps of boot that bring the consoles up ---- */
void consoles_start_serial(void); /* after the options and the memory map */
void consoles_start_video(void);  /* after boot_alloc_init(): a framebuffer may need tables */
void consoles_start_acpi(void);   /* after acpi_init(): UARTs that only it names */
void consoles_go_async(void);     /* before dom0 runs: output waits no longer, there is input */

extern bool opt_sync_console;
