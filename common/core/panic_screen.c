/* SPDX-License-Identifier: MIT */
/*
 * The screen of a panic: what happened, what to try, registers and call chain, and the compact
 * record as a QR code. Drawn last, over whatever was there. The code comes from libqrcodegen,
 * which needs no memory but the two buffers here.
 */
#include <hv/console.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/recorder.h>
#include <hv/version.h>
#include <hv/x86/processor.h>
#include <qrcodegen/qrcodegen.h>

#define QR_VERSION 4 /* 33 modules, 114 characters of the alphanumeric kind */
#define QR_BUFFER qrcodegen_BUFFER_LEN_FOR_VERSION(QR_VERSION)

const struct console_screen *console_screen;

/* What the library needs of a C library beside memory and strings. */
void __assert_fail(const char *what, const char *file, unsigned line, const char *function) __noreturn;
void *__memset_chk(void *dst, int c, size_t n, size_t room);

void __assert_fail(const char *what, __unused const char *file, __unused unsigned line, __unused const char *function)
{
    panic(PANIC_ASSERT, "%s", what); /* inside a report: one more line, and the end */
}

void *__memset_chk(void *dst, int c, size_t n, size_t room) { return memset(dst, c, MIN(n, room)); }

static u8 qr[QR_BUFFER], qr_scratch[QR_BUFFER];
static u32 row, columns;
static bool shown;

bool qr_module(u32 x, u32 y) { return qrcodegen_getModule(qr, (int)x, (int)y); }

/* Writes the text from `row` on, broken between words. */
static void screen_wrapped(u32 indent, const char *text)
{
    while (*text && row < console_screen->rows) {
        size_t n = strnlen(text, columns - indent), cut = n;
        char line[128];

        if (text[n])
            while (cut && text[cut] != ' ')
                cut--;
        if (cut)
            n = cut;
        copy_bounded(line, sizeof(line), text, MIN(n, sizeof(line) - 1));
        console_screen->text(row++, indent, line);
        text += n;
        while (*text == ' ')
            text++;
    }
}

static void __printf(1, 2) screen_linef(const char *fmt, ...)
{
    char line[128];
    va_list ap;

    va_start(ap, fmt);
    hv_vsnprintf(line, MIN(sizeof(line), (size_t)columns + 1), fmt, ap);
    va_end(ap);
    if (row < console_screen->rows)
        console_screen->text(row++, 0, line);
}

/* "CAI-T0E/0.1/ACTIVE/0/IP:.../A:.../BT:1A2B3.4C5D6": upper case, offsets into the image. */
static void report_compact(const struct recorder_report *r, char *out, size_t size)
{
    int n = hv_snprintf(out, size, "CAI-%s/%s/%s/%u/IP:%lX/A:%lX/BT:", panic_code_name(r->code), CAISSON_VERSION, r->phase, r->cpu, r->rip,
                        r->address);

    for (u32 i = 0; i < r->nr_frames && n < (int)size - 8; i++)
        n += hv_snprintf(out + n, size - (size_t)n, "%s%lX", i ? "." : "", (r->frames[i] - IMAGE_VIRT_START) & 0xffffff);
    for (char *c = out; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c == '_' ? '-' : *c;
}

static bool make_qr(const struct recorder_report *r)
{
    static u64 canary[8]; /* the library reads its stack canary at FS:28h */
    char text[100];

    report_compact(r, text, sizeof(text));
    __asm__ volatile("clts"); /* and uses SSE registers */
    wrmsr(MSR_FS_BASE, (u64)canary);
    return qrcodegen_encodeText(text, qr_scratch, qr, qrcodegen_Ecc_LOW, 1, QR_VERSION, qrcodegen_Mask_0, true);
}

/* "function+0x12" alone, or the address. */
static const char *symbol_name(u64 address, char *buf, size_t size)
{
    const char *symbol = strchr(symbol_describe(address, buf, size), ' ');

    return symbol ? symbol + 1 : buf;
}

static void show_registers(const struct cpu_user_regs *r)
{
    screen_linef("IP  %016lx FL  %016lx", r->rip, r->rflags);
    screen_linef("rax %016lx rbx %016lx", r->rax, r->rbx);
    screen_linef("rcx %016lx rdx %016lx", r->rcx, r->rdx);
    screen_linef("rsi %016lx rdi %016lx", r->rsi, r->rdi);
    screen_linef("rbp %016lx rsp %016lx", r->rbp, r->rsp);
    screen_linef("cr2 %016lx cr3 %016lx", read_cr2(), read_cr3());
}

/* The library is compiled for aligned stacks; a trap comes at any. */
__attribute__((force_align_arg_pointer)) void panic_screen_show(const struct recorder_report *r, const struct cpu_user_regs *regs)
{
    char name[96];

    if (!console_screen)
        return;
    console_release_video();
    shown = true;
    console_screen->clear();
    columns = MIN(console_screen->columns, (u32)sizeof(name));
    if (make_qr(r)) {
        u32 side = (u32)qrcodegen_getSize(qr);

        columns = MIN(columns, console_screen->squares(side) - 1);
    }
    row = 0;
    screen_linef("Caisson %s has stopped: CAI-%s", CAISSON_VERSION, panic_code_name(r->code));
    row++;
    screen_wrapped(0, r->why);
    screen_wrapped(0, panic_code_cause(r->code));
    screen_linef("Phase %s, CPU %u", r->phase, r->cpu);
    screen_linef("Try:");
    screen_wrapped(2, panic_code_advice(r->code));
    screen_linef("At %s", symbol_name(r->rip, name, sizeof(name)));
    if (regs)
        show_registers(regs);
    for (u32 i = 0; i < r->nr_frames && row + 1 < console_screen->rows; i++)
        screen_linef("  %s", symbol_name(r->frames[i], name, sizeof(name)));
}

void panic_screen_last_line(const char *line)
{
    if (shown)
        console_screen->text(console_screen->rows - 1, 0, line);
}
