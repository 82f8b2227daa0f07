/* printk: levels, timestamps, rate limit for what guests can cause. */
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/lib.h>
#include <hv/printk.h>
#include <hv/system_state.h>
#include <hv/time.h>

#define PREFIX "(CAI) "

/* A message is shown when its level is at or below the threshold: 0 error .. 3 debug, -1 none. */
static int hv_threshold = 2, guest_threshold = 1;

static int parse_level(const char *value, void *var)
{
    static const struct {
        const char *name;
        int level;
    } names[] = { { "none", -1 }, { "error", 0 }, { "warning", 1 }, { "info", 2 }, { "debug", 3 }, { "all", 3 } };
    /* Xen's "lower/upper" form: the part after the slash is the rate-limited one; the first counts here. */
    size_t n = 0;

    while (value[n] && value[n] != '/')
        n++;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i].name) == n && !strncmp(names[i].name, value, n)) {
            *(int *)var = names[i].level;
            return 0;
        }
    return -EINVAL;
}
OPTION("loglvl", parse_level, hv_threshold);
OPTION("guest_loglvl", parse_level, guest_threshold);

static bool opt_timestamps;
OPTION("console_timestamps", option_bool, opt_timestamps);

/* Guest messages: a burst of GUEST_BURST, then one for each GUEST_INTERVAL_NS (XSA-152, 169). */
#define GUEST_BURST 40
#define GUEST_INTERVAL_NS 50000000ULL

static bool guest_message_allowed(void)
{
    static u32 tokens = GUEST_BURST, dropped;
    static u64 refilled;
    u64 now = system_time_ns(), add = (now - refilled) / GUEST_INTERVAL_NS;

    if (add) {
        tokens = (u32)MIN((u64)GUEST_BURST, tokens + add);
        refilled = now;
        if (dropped && tokens > 1) {
            u32 n = dropped;

            dropped = 0;
            printk(LOG_WARN "%u messages about guests were suppressed\n", n);
        }
    }
    if (!tokens) {
        dropped++;
        return false;
    }
    tokens--;
    return true;
}

void vprintk(const char *fmt, va_list ap)
{
    static bool at_line_start = true;
    char buf[1024];
    size_t n = 0;
    bool guest = false, show = true, leveled = fmt[0] == 1 || fmt[0] == 2;

    if (leveled) {
        int level = fmt[1] - '0';

        guest = fmt[0] == 2;
        show = level <= (guest ? guest_threshold : hv_threshold);
        fmt += 2;
        if (guest && !show)
            return;
        if (guest && !guest_message_allowed())
            return;
    }
    if (at_line_start) {
        n = strlcpy(buf, PREFIX, sizeof(buf));
        if (opt_timestamps) {
            u64 us = system_time_ns() / 1000;

            n += (size_t)hv_snprintf(buf + n, sizeof(buf) - n, "[%5lu.%06lu] ", us / 1000000, us % 1000000);
        }
    }
    n += (size_t)hv_vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
    n = MIN(n, sizeof(buf) - 1);
    if (n)
        at_line_start = buf[n - 1] == '\n';
    console_write(buf, n, show);
}

void printk(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintk(fmt, ap);
    va_end(ap);
}
