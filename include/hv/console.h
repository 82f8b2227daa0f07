/*
 * The console: sinks that show the log, the log itself, and the input side, which Ctrl-A
 * pressed three times switches between dom0 and the hypervisor's debug keys.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <hv/types.h>

struct console_sink {
    const char *name;  /* as in console= */
    void (*write)(const char *s, size_t n);
    void (*panic_prepare)(void); /* make the sink usable in any state; may be NULL */
    bool enabled;
};

/* At most CONSOLE_MAX_SINKS; called in early boot only. */
#define CONSOLE_MAX_SINKS 3
void console_register_sink(struct console_sink *sink);
/* Applies console=. Sinks that are not named fall silent; earlier output is replayed to the rest. */
void console_select_sinks(void);

/* Log and sinks, raw. Takes the console lock. */
void console_write(const char *s, size_t n, bool to_sinks);
/* dom0 has the screen now: video sinks stop until a panic. */
void console_release_video(void);
/* For fatal paths: the lock is not waited for any more, output is synchronous. */
void console_force_unlock(void);

/* Shows the boot log and what the ring still holds, on the sinks only. */
void console_replay(void);

/* Input: one character from a terminal. */
void console_rx(char c);
/* dom0's half: characters waiting for console_io read. */
size_t console_read_dom0(char *buf, size_t size);
void console_input_start(void); /* dom0 exists: input goes to it */

/* Debug keys. Handlers run in softirq context, where they may print at length. */
struct keyhandler {
    char key;
    const char *what;
    void (*run)(char key);
};
#define KEYHANDLER(k, fn, text)                                                                 \
    static const struct keyhandler __key_##fn __used __section(".keyhandlers") __attribute__((aligned(8))) = \
        { k, text, fn }
void keyhandler_run(char key);
void keyhandler_init(void);

void serial_early_init(void);
void serial_init_async(void);
void serial_irq(void);
bool serial_owns_port(u16 port);
void serial_set_sync(void);
void vga_text_init(bool usable);
struct boot_framebuffer;
void framebuffer_init(const struct boot_framebuffer *fb);

extern bool opt_sync_console;

#endif
