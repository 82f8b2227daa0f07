/* SPDX-License-Identifier: MIT */
/* VGA text mode, 80x25 at B8000h. The CRTC cursor is left alone. */
#include <hv/console.h>
#include <hv/mm.h>

#define COLUMNS 80
#define ROWS 25
#define ATTRIBUTE 0x0700

static unsigned col, row;

static u16 *cells(void) { return phys_to_virt(0xb8000); }

static void vga_new_line(void)
{
    u16 *c = cells();

    col = 0;
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    for (unsigned i = 0; i < COLUMNS * (ROWS - 1); i++)
        c[i] = c[i + COLUMNS];
    for (unsigned i = COLUMNS * (ROWS - 1); i < COLUMNS * ROWS; i++)
        c[i] = ATTRIBUTE | ' ';
}

static void vga_write(__unused struct console_sink *sink, const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (*s == '\n')
            vga_new_line();
        else if (*s == '\r')
            col = 0;
        else if (*s >= ' ' || *s == '\t') {
            WRITE_ONCE(cells()[row * COLUMNS + col], (u16)(ATTRIBUTE | (*s == '\t' ? ' ' : (u8)*s)));
            if (++col == COLUMNS)
                vga_new_line();
        }
    }
}

/* ---- the panic screen ---- */

#define PANIC_ATTRIBUTE 0x1f00 /* white on blue */
#define WHITE_ON_BLACK 0x0f00

static void vga_screen_clear(void)
{
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        cells()[i] = PANIC_ATTRIBUTE | ' ';
}

static void vga_screen_text(u32 r, u32 c, const char *s)
{
    for (; *s && c < COLUMNS; s++)
        cells()[r * COLUMNS + c++] = (u16)(PANIC_ATTRIBUTE | (u8)*s);
}

/* Two modules to a cell, one above the other (code page 437), two more each side as the margin. */
static u32 vga_screen_squares(u32 side)
{
    static const u8 glyph[4] = { 0xdb, 0xdc, 0xdf, ' ' }; /* by dark upper (1) and lower (2) half */
    u32 all = side + 4, first = COLUMNS - all;

    for (u32 y = 0; y < all && y / 2 < ROWS; y += 2)
        for (u32 x = 0; x < all; x++) {
            u32 dark = 0;

            for (u32 half = 0; half < 2; half++)
                if (x - 2 < side && y + half - 2 < side && qr_module(x - 2, y + half - 2))
                    dark |= 1u << half;
            cells()[y / 2 * COLUMNS + first + x] = (u16)(WHITE_ON_BLACK | glyph[dark]);
        }
    return first;
}

static const struct console_screen screen = { COLUMNS, ROWS, vga_screen_clear, vga_screen_text, vga_screen_squares };

static struct console_sink vga_sink = { .name = "vga", .which = SINK_VGA, .write = vga_write };

void vga_text_init(void)
{
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        cells()[i] = ATTRIBUTE | ' ';
    console_screen = &screen;
    console_register_sink(&vga_sink);
    console_sink_ready(&vga_sink);
}
