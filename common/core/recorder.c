/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder. The head is sealed with a CRC whenever it changes; the log behind it is
 * written byte by byte, and what the next boot shows of it is cut to printable lines.
 */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/version.h>

#define RECORD_MAGIC 0x3153494143435246ULL /* "FRCCAIS1" in memory */
#define FAILED_BOOTS_MAX 2
#define LINES_SHOWN 40

enum record_state { RECORD_RUNNING, RECORD_REPORTED, RECORD_ENDED, RECORD_GUEST_CRASHED };

struct record_head {
    u64 magic;
    u32 size;         /* of this head */
    u32 failed_boots; /* boots in a row that ended before a guest ran, this one included until then */
    u32 state, phase;
    char version[16];
    char code[4], phase_name[12];
    u32 cpu, nr_frames;
    u64 rip, address;
    char why[128];
    u64 frames[8];
    u32 reserved;
    u32 crc; /* of all before */
};
CHECK_SIZE(struct record_head, 280);

#define LOG_SIZE (RECORDER_SIZE - sizeof(struct record_head) - sizeof(u64))
struct record {
    struct record_head head;
    u64 log_end; /* bytes ever written */
    char log[LOG_SIZE];
};
CHECK_SIZE(struct record, RECORDER_SIZE);

static bool opt_recorder = true;
OPTION("recorder", option_bool, opt_recorder,
       "the flight recorder: what happened before a reset, told at the next boot; after two failed boots the "
       "third stops and shows it",
       "on");

static struct record *record; /* NULL: nothing is kept */
static bool quoting;
static struct record_head previous;
static char previous_text[160], previous_log[4096];

/* CRC-32 as in Ethernet and zlib, without a table. */
static u32 crc32(const void *data, size_t n)
{
    u32 crc = ~0u;

    for (const u8 *p = data; n; n--, p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/*
 * A reset may come at any instruction. This boot (A) changes the head, then seals it; the next one (B) checks the seal: in between B finds no
 * record, where it could otherwise show half of a new one. One CPU writes the head at a time: the one that boots, or the one that reports.
 */
static void recorder_seal(void) { record->head.crc = crc32(&record->head, offsetof(struct record_head, crc)); }

static bool head_valid(const struct record_head *h)
{
    return h->magic == RECORD_MAGIC && h->size == sizeof(*h) && h->crc == crc32(h, offsetof(struct record_head, crc)) &&
           h->phase < PHASE_COUNT;
}

/* The log's last bytes, oldest first, printable. */
static void copy_log_tail(const struct record *r)
{
    u64 n = MIN(MIN(r->log_end, (u64)LOG_SIZE), (u64)sizeof(previous_log) - 1);

    for (u64 i = 0; i < n; i++)
        previous_log[i] = log_char(r->log[(r->log_end - n + i) % LOG_SIZE]);
    previous_log[n] = 0;
}

static void describe_previous(void)
{
    const struct record_head *p = &previous;

    if (p->state == RECORD_REPORTED)
        hv_snprintf(previous_text, sizeof(previous_text), "Previous boot ended in phase %s on CPU %u: CAI-%s %s", p->phase_name, p->cpu,
                    p->code, p->why);
    else if (p->state == RECORD_GUEST_CRASHED)
        hv_snprintf(previous_text, sizeof(previous_text), "Previous boot ended with a crash of dom0: %s", p->why);
    else if (p->state == RECORD_RUNNING)
        hv_snprintf(previous_text, sizeof(previous_text),
                    "Previous boot ended in phase %s without a report: a reset from outside, or a fault of the hardware", p->phase_name);
}

static void name_phase(enum phase phase)
{
    record->head.phase = phase;
    strlcpy(record->head.phase_name, system_phase_name(), sizeof(record->head.phase_name));
}

void recorder_look(void *place)
{
    struct record *r = place;

    if (!head_valid(&r->head))
        return;
    /* It is told once, also if the next records are kept elsewhere or nowhere. */
    struct record_head head = r->head;
    r->head.magic = 0;
    if (previous.magic)
        return;
    previous = head;
    previous.code[3] = previous.phase_name[11] = previous.why[127] = 0;
    copy_log_tail(r);
    describe_previous();
}

void recorder_init(void *place)
{
    record = place;
    memset(&record->head, 0, sizeof(record->head));
    record->log_end = 0;
    record->head.magic = RECORD_MAGIC;
    record->head.size = sizeof(record->head);
    record->head.failed_boots = previous.failed_boots + 1; /* active brings it back to 0 */
    strlcpy(record->head.version, CAISSON_VERSION, sizeof(record->head.version));
    name_phase(PHASE_EARLY_BOOT);
    recorder_seal();
}

/* The last lines, each marked as another boot's. */
static void print_previous_log(void)
{
    const char *p = previous_log + strlen(previous_log);
    unsigned lines = 0;

    while (p > previous_log && lines <= LINES_SHOWN)
        if (*--p == '\n')
            lines++;
    if (*p == '\n')
        p++;
    quoting = true; /* another boot's lines are not this one's */
    while (*p) {
        const char *end = strchr(p, '\n');
        int n = end ? (int)(end - p) : (int)strlen(p);
        char line[120];

        if (!strncmp(p, "(CAI) ", 6)) {
            p += 6;
            n -= 6;
        }
        copy_bounded(line, sizeof(line), p, MIN((size_t)n, sizeof(line) - 1));
        printk(LOG_WARN "| %s\n", line);
        p += n + (end != NULL);
    }
    quoting = false;
}

void recorder_print_previous(void)
{
    if (record && !opt_recorder) {
        record->head.magic = 0;
        record = NULL;
        return;
    }
    if (!previous_text[0])
        return;
    print_previous_log();
    printk(LOG_WARN "%s\n", previous_text);
    if (previous.failed_boots >= FAILED_BOOTS_MAX) {
        /* The next reset is a person's: it counts from the beginning. */
        record->head.failed_boots = 0;
        opt_noreboot = true;
        panic(PANIC_BOOT_LOOP, "%u boots in a row have failed. %s", previous.failed_boots, previous_text);
    }
}
BOOT_STEP(recorder_print_previous, NEEDS(recorder, consoles), GIVES(NOTHING), EVERYWHERE);

const char *recorder_previous(void) { return previous_text; }

const char *recorder_previous_log(void) { return previous_text[0] ? previous_log : ""; }

void recorder_log(const char *s, size_t n)
{
    for (; record && !quoting && n; n--, s++)
        if (*s != '\r')
            record->log[record->log_end++ % LOG_SIZE] = *s;
}

void recorder_phase(enum phase phase)
{
    if (!record)
        return;
    name_phase(phase);
    if (phase == PHASE_ACTIVE)
        record->head.failed_boots = 0;
    recorder_seal();
}

static void record_end(enum record_state state, const char *why)
{
    if (!record)
        return;
    record->head.state = state;
    strlcpy(record->head.why, why, sizeof(record->head.why));
    recorder_seal();
}

void recorder_orderly_end(void) { record_end(RECORD_ENDED, ""); }

void recorder_guest_end(const char *why) { record_end(RECORD_GUEST_CRASHED, why); }

void recorder_report(const struct recorder_report *r)
{
    if (!record)
        return;
    struct record_head *h = &record->head;
    h->state = RECORD_REPORTED;
    if (opt_noreboot)
        h->failed_boots = 0; /* the reset that follows is a person's */
    strlcpy(h->code, panic_code_name(r->code), sizeof(h->code));
    strlcpy(h->phase_name, r->phase, sizeof(h->phase_name));
    strlcpy(h->why, r->why, sizeof(h->why));
    h->cpu = r->cpu;
    h->rip = r->rip;
    h->address = r->address;
    h->nr_frames = r->nr_frames;
    memcpy(h->frames, r->frames, sizeof(h->frames));
    recorder_seal();
}
