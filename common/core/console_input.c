/* SPDX-License-Identifier: MIT */
/*
 * One character from a terminal to its reader: dom0 or the debug keys. Ctrl-A three times switches between them, from when dom0 is there.
 *
 * Lock: rx_lock, a leaf, for all of this. console_rx() runs in interrupts, the rest in softirqs and hypercalls.
 */
#include <hv/boot_step.h>
#include <hv/console.h>
#include <hv/printk.h>
#include <hv/softirq.h>

#define SWITCH_COUNT 3
#define ESC 0x1b
#define RX_SIZE 1024

static char rx[RX_SIZE], keys[16];
static u32 rx_head, rx_tail, keys_head, keys_tail;
static spinlock_t rx_lock = SPINLOCK_INIT(LOCK_LEAF);
static bool dom0_reads;
static bool to_dom0, said_to_dom0; /* what follows a switch may be here before the switch is announced */
static u32 switch_seen;            /* held back until it is clear that no third one follows */

static void say_where_input_goes(bool dom0)
{
    printk("Input goes to %s. Ctrl-A three times switches.\n", dom0 ? "dom0" : "Caisson ('h' lists the keys)");
}

void console_input_start(void)
{
    spin_lock(&rx_lock);
    to_dom0 = said_to_dom0 = dom0_reads = true;
    spin_unlock(&rx_lock);
    say_where_input_goes(true);
}
BOOT_STEP(console_input_start, NEEDS(consoles, dom0, debug_keys), GIVES(NOTHING), EVERYWHERE);

/*
 * rx_lock held. Is this part of what a terminal sends by itself, an answer or a special key? ESC [ or ESC O and what ends that, or a
 * string up to BEL or ESC \ (ECMA-48). A control character ends it, too: nothing locks the keys out.
 */
static bool in_sequence(char c)
{
    static enum { NONE, AFTER_ESC, ONE_MORE, PARAMETERS, STRING } at;
    bool inside = at != NONE || c == ESC;
    if (c == ESC)
        at = AFTER_ESC;
    else if (at == AFTER_ESC)
        at = c == '[' ? PARAMETERS : c == 'O' || c == 'N' ? ONE_MORE : c && strchr("P]^_X", c) ? STRING : NONE;
    else if ((u8)c < ' ' || at == ONE_MORE || (at == PARAMETERS && c >= '@'))
        at = NONE;
    return inside;
}

/* rx_lock held. */
static void add_key(char c)
{
    if (keys_tail - keys_head < sizeof(keys))
        keys[keys_tail++ % sizeof(keys)] = c;
}

/* rx_lock held. */
static void add_character(char c)
{
    if (to_dom0) {
        if (rx_tail - rx_head < RX_SIZE)
            rx[rx_tail++ % RX_SIZE] = c;
    } else if (c && c != CONSOLE_SWITCH && !in_sequence(c)) {
        add_key(c);
    }
}

void console_rx(char c)
{
    spin_lock(&rx_lock);
    if (c != CONSOLE_SWITCH) {
        for (; switch_seen; switch_seen--)
            add_character(CONSOLE_SWITCH);
        add_character(c);
    } else if (++switch_seen == SWITCH_COUNT) {
        switch_seen = 0;
        if (dom0_reads) {
            to_dom0 = !to_dom0;
            add_key(CONSOLE_SWITCH);
        }
    }
    spin_unlock(&rx_lock);
    softirq_raise(SOFTIRQ_CONSOLE_RX);
}

char console_next_key(void)
{
    spin_lock(&rx_lock);
    char key = keys_head != keys_tail ? keys[keys_head++ % sizeof(keys)] : 0;
    if (!key && said_to_dom0 != to_dom0) /* behind the last: a switch that found no room */
        key = CONSOLE_SWITCH;
    if (key == CONSOLE_SWITCH)
        said_to_dom0 = !said_to_dom0;
    bool dom0 = said_to_dom0;
    spin_unlock(&rx_lock);
    if (key == CONSOLE_SWITCH)
        say_where_input_goes(dom0);
    return key;
}

bool console_waits_for_dom0(void) { return READ_ONCE(rx_head) != READ_ONCE(rx_tail); }

size_t console_read_dom0(char *buf, size_t size)
{
    size_t n = 0;

    spin_lock_scope(&rx_lock);
    while (n < size && rx_head != rx_tail)
        buf[n++] = rx[rx_head++ % RX_SIZE];
    return n;
}
