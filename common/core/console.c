/* SPDX-License-Identifier: MIT */
/*
 * Console output: log memory and sinks.
 *
 * Lock: console_lock, a leaf. The fatal path does not take it (console_force_unlock).
 */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/serial.h>
#include <hv/softirq.h>

#define BOOT_LOG_SIZE 16384
#define RING_SIZE 16384

static spinlock_t console_lock = SPINLOCK_INIT(LOCK_CONSOLE);
static bool lock_broken;

static char boot_log[BOOT_LOG_SIZE]; /* the first BOOT_LOG_SIZE bytes, never overwritten */
static char ring[RING_SIZE];
static u64 ring_end; /* bytes ever written */

/* What the toolstack reads: the hypervisor's own messages that are shown. Characters are numbered for ever; its first and its end. */
static char messages[CONSOLE_MESSAGES_SIZE];
static u32 messages_first, messages_end;

static struct console_sink *sinks[CONSOLE_MAX_SINKS];
static unsigned nr_sinks;

static struct console_option {
    u32 wanted; /* SINK_... */
    bool none;
} opt_console = { .wanted = SINK_COM1 | SINK_VGA };

/* A word that is no sink is named, and the others count; without any, the value makes no sense. */
static int parse_console(const char *value, void *var)
{
    static const char *const names[] = { "com1", "com2", "vga", "none" };
    static const u8 which[] = { SINK_COM1, SINK_COM2, SINK_VGA, 0 };
    struct console_option *o = var;
    char word[16];
    u32 known = 0;

    *o = (struct console_option){ 0 };
    while (list_next(&value, word, sizeof(word))) {
        size_t n = strlen(word);
        /* Of Xen's: com1H and com1L share a line between two readers by the characters' highest bit. */
        bool half = n == 5 && !strncmp(word, "com", 3) && (word[4] == 'H' || word[4] == 'L');

        if (half) {
            printk(LOG_INFO "console=%s: the whole line is used, with all eight bits\n", word);
            word[4] = 0;
        }
        int i = word_index(word, names, ARRAY_SIZE(names));
        if (i < 0) {
            printk(LOG_WARN "console=: there is no '%s' here; com1, com2, vga and none are known\n", word);
            continue;
        }
        o->wanted |= which[i];
        known++;
    }
    o->none = !o->wanted;
    return known && !*value ? 0 : -EINVAL;
}
OPTION("console", parse_console, opt_console,
       "where messages go: a list of `com1`, `com2`, `vga` (text mode or framebuffer), or `none`; `com1H`, `com1L` are taken as `com1`; "
       "a panic is shown everywhere",
       "`com1,vga`");

bool opt_sync_console;
OPTION("sync_console", option_bool, opt_sync_console, "wait for each character to leave the UART: slow, loses nothing", "off");

void console_register_sink(struct console_sink *sink)
{
    if (nr_sinks < CONSOLE_MAX_SINKS)
        sinks[nr_sinks++] = sink;
}

static void sinks_write(const char *s, size_t n)
{
    for (unsigned i = 0; i < nr_sinks; i++)
        if (sinks[i]->enabled)
            sinks[i]->write(sinks[i], s, n);
}

static void start_sink(struct console_sink *sink)
{
    sink->enabled = true;
    sink->write(sink, boot_log, MIN(ring_end, (u64)BOOT_LOG_SIZE));
}

bool console_wants(u32 which) { return opt_console.wanted & which; }

void console_sink_ready(struct console_sink *sink)
{
    if (console_wants(sink->which))
        start_sink(sink);
}

void console_sinks_complete(void)
{
    u32 enabled = 0;

    for (unsigned i = 0; i < nr_sinks; i++)
        enabled += sinks[i]->enabled;
    if (enabled || opt_console.none)
        return;
    printk(LOG_WARN "console=: nothing that it names is there; messages go to what is\n");
    for (unsigned i = 0; i < nr_sinks; i++)
        start_sink(sinks[i]);
}
BOOT_STEP(console_sinks_complete, NEEDS(options, serial_console, video_console), GIVES(consoles), EVERYWHERE);

static void log_append(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ring_end < BOOT_LOG_SIZE)
            boot_log[ring_end] = s[i];
        ring[ring_end++ % RING_SIZE] = s[i];
    }
    recorder_log(s, n);
}

static void messages_append(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        messages[messages_end++ % CONSOLE_MESSAGES_SIZE] = s[i];
    if (messages_end - messages_first > CONSOLE_MESSAGES_SIZE)
        messages_first = messages_end - CONSOLE_MESSAGES_SIZE;
    softirq_raise(SOFTIRQ_MESSAGES);
}

size_t console_read_messages(bool from_first, u32 *index, char *buf, size_t size)
{
    size_t n = 0;

    spin_lock_scope(&console_lock);
    if (from_first || messages_end - *index > messages_end - messages_first)
        *index = messages_first; /* also where the place is gone, or was never there */
    while (n < size && *index != messages_end)
        buf[n++] = messages[(*index)++ % CONSOLE_MESSAGES_SIZE];
    return n;
}

void console_forget_messages(u32 index)
{
    spin_lock_scope(&console_lock);
    if (messages_end - index < messages_end - messages_first)
        messages_first = index;
}

void console_write(const char *s, size_t n, u32 where)
{
    bool locked = !READ_ONCE(lock_broken);

    if (locked) {
        spin_lock(&console_lock);
        this_cpu()->inside |= INSIDE_CONSOLE;
    }
    log_append(s, n);
    if (where & CONSOLE_SINKS)
        sinks_write(s, n);
    if ((where & CONSOLE_MESSAGES) && locked) /* of a report no toolstack is left to read */
        messages_append(s, n);
    /* Also if another CPU has broken the lock meanwhile: console_force_unlock(). */
    if (locked) {
        this_cpu()->inside &= ~INSIDE_CONSOLE;
        spin_unlock(&console_lock);
    }
}

static bool is_video(const struct console_sink *sink) { return sink->which == SINK_VGA; }

/*
 *   CPU A (console_write()):    reads lock_broken; takes the lock; writes; releases it
 *   CPU B (here):               sets lock_broken; writes without the lock; stops the other CPUs
 *
 * A may be stopped in the middle of a line and never release the lock, so B does not wait for it; their characters may mix. Until B's NMI
 * arrives A runs on, and releases what it has taken although the lock is broken: it would keep it counted in percpu.locks_held otherwise.
 */
void console_force_unlock(bool video)
{
    WRITE_ONCE(lock_broken, true);
    serial_set_sync();
    for (unsigned i = 0; i < nr_sinks; i++) {
        if (sinks[i]->panic_prepare)
            sinks[i]->panic_prepare(sinks[i]);
        sinks[i]->enabled = video || !is_video(sinks[i]);
    }
}

void console_lock_again(void)
{
    console_lock = (spinlock_t)SPINLOCK_INIT(LOCK_CONSOLE);
    WRITE_ONCE(lock_broken, false);
}

void console_flush_late(void) { serial_flush(); }

void console_for_logged(void (*fn)(const char *s, size_t n)) { fn(boot_log, MIN(ring_end, (u64)BOOT_LOG_SIZE)); }

bool console_key_pressed(void)
{
    bool serial = serial_key_pressed(), keyboard = keyboard_key_pressed(); /* both, so that both are drained */

    return serial || keyboard;
}

void console_drain_keys(void)
{
    for (unsigned i = 0; i < 64 && console_key_pressed(); i++)
        ;
}

void console_release_video(void)
{
    for (unsigned i = 0; i < nr_sinks; i++)
        if (is_video(sinks[i]))
            sinks[i]->enabled = false;
}
BOOT_STEP(console_release_video, NEEDS(consoles, dom0), GIVES(NOTHING), EVERYWHERE);

/* dom0's output holds sequences that make a terminal answer, and the answers would come back as debug keys. */
static void console_replay_char(char c)
{
    c = log_char(c);
    sinks_write(&c, 1);
}

void console_replay(void)
{
    spin_lock_scope(&console_lock);
    u64 end = ring_end, start = end > RING_SIZE ? end - RING_SIZE : 0;
    for (u64 i = 0; i < MIN(end, (u64)BOOT_LOG_SIZE); i++)
        console_replay_char(boot_log[i]);
    /* What both hold is shown once. */
    start = MAX(start, (u64)BOOT_LOG_SIZE);
    for (; start < end; start++)
        console_replay_char(ring[start % RING_SIZE]);
}
