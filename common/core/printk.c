/* SPDX-License-Identifier: MIT */
/* printk: levels, timestamps, rate limit for what guests can cause. */
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/printk.h>
#include <hv/time.h>

#define PREFIX "(CAI) "

/* A message is shown when its level is at or below the threshold: 0 error .. 3 debug, -1 none. */
static int hv_threshold = 2, guest_threshold = 1;

static const char *const level_names[] = { "none", "error", "warning", "info", "debug", "all" };

/* Xen's "lower/upper" form: the part after the slash is the rate-limited one; the first counts here. */
static int parse_level(const char *value, void *var)
{
    const char *slash = strchr(value, '/');
    char first[16];

    copy_bounded(first, sizeof(first), value, slash ? (size_t)(slash - value) : strlen(value));
    int i = word_index(first, level_names, ARRAY_SIZE(level_names));
    if (i < 0 || (slash && word_index(slash + 1, level_names, ARRAY_SIZE(level_names)) < 0))
        return -EINVAL;
    *(int *)var = MIN(i, 4) - 1; /* "all" is "debug" */
    return 0;
}
OPTION("loglvl", parse_level, hv_threshold,
       "the hypervisor's messages: `none`, `error` (what it cannot do), `warning` (also what is wrong and was got round), `info` (also "
       "what was found and chosen), `debug` or `all` (also details, for a report)",
       "`info`");
OPTION("guest_loglvl", parse_level, guest_threshold, "the same for messages that guests cause (rate-limited)", "`warning`");

/* Guest messages: a burst of GUEST_BURST, then one for each GUEST_INTERVAL_NS (XSA-152, 169). */
#define GUEST_BURST 40
#define GUEST_INTERVAL_NS 50000000ULL

static u32 guest_tokens = GUEST_BURST, guest_dropped;
static u64 guest_refilled;

/* printk() is allowed under any lock, so the tokens have none: of two CPUs that see one token left, one gets it. */
static bool take_token(void)
{
    u32 left = READ_ONCE(guest_tokens);

    while (left && !__atomic_compare_exchange_n(&guest_tokens, &left, left - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return left;
}

static void refill_tokens(void)
{
    u64 now = system_time_ns(), then = READ_ONCE(guest_refilled);
    u64 add = now > then ? (now - then) / GUEST_INTERVAL_NS : 0; /* another CPU's refill may be later than our look at the clock */
    u32 left = READ_ONCE(guest_tokens), want;

    if (!add || !__atomic_compare_exchange_n(&guest_refilled, &then, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    do
        want = (u32)MIN((u64)GUEST_BURST, left + add);
    while (!__atomic_compare_exchange_n(&guest_tokens, &left, want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    u32 dropped = want > 1 ? __atomic_exchange_n(&guest_dropped, 0, __ATOMIC_RELAXED) : 0;
    if (dropped)
        printk(LOG_WARN "%u messages about guests were suppressed\n", dropped);
}

static bool guest_message_allowed(void)
{
    refill_tokens();
    if (take_token())
        return true;
    __atomic_fetch_add(&guest_dropped, 1, __ATOMIC_RELAXED);
    return false;
}

/* The severity prefix may come with the format or from a %s at its start. */
static bool take_level(const char **text, bool *guest, int *level)
{
    const char *p = *text;

    if ((p[0] != 1 && p[0] != 2) || p[1] < '0' || p[1] > '3')
        return false;
    *guest = p[0] == 2;
    *level = p[1] - '0';
    *text = p + 2;
    return true;
}

void vprintk(const char *fmt, va_list ap)
{
    static bool at_line_start = true;
    char body[1024], head[48];
    const char *text = body;
    bool guest = false, show = true;
    int level;

    if (hv_vsnprintf(body, sizeof(body), fmt, ap) >= (int)sizeof(body))
        memcpy(body + sizeof(body) - 5, "...\n", 5); /* the cut shows, and the next message begins a new line */
    if (take_level(&text, &guest, &level)) {
        show = level <= (guest ? guest_threshold : hv_threshold);
        if (guest && (!show || !guest_message_allowed()))
            return;
    }
    size_t n = strlen(text);
    u32 where = show ? CONSOLE_SINKS | CONSOLE_MESSAGES : 0;
    if (!n)
        return;
    if (at_line_start) {
        size_t h = strlcpy(head, PREFIX, sizeof(head));

        h += timestamp(head + h, sizeof(head) - h);
        console_write(head, h, where);
    }
    at_line_start = text[n - 1] == '\n';
    console_write(text, n, where);
}

void printk(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintk(fmt, ap);
    va_end(ap);
}
