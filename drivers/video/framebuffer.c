/* Linear framebuffer console, 8x16 glyphs. The font is made from the distribution's at build time. */
#include <hv/boot_info.h>
#include <hv/console.h>
#include <hv/lib.h>
#include <hv/printk.h>
#include <hv/x86/page_table.h>

#define GLYPH_W 8
#define GLYPH_H 16
#define GREY 0xc0

extern const u8 font_glyphs[96][GLYPH_H]; /* 20h to 7fh */

static u8 *pixels;
static u32 pitch, bytes_per_pixel, width, height, columns, rows, col, row, foreground;

static void put_pixel(u8 *at, u32 color)
{
    memcpy(at, &color, bytes_per_pixel);
}

static void draw_glyph(u32 c, u32 r, const u8 *glyph)
{
    for (u32 y = 0; y < GLYPH_H; y++) {
        u8 *line = pixels + (u64)(r * GLYPH_H + y) * pitch + c * GLYPH_W * bytes_per_pixel;

        for (u32 x = 0; x < GLYPH_W; x++)
            put_pixel(line + x * bytes_per_pixel, glyph[y] & (0x80 >> x) ? foreground : 0);
    }
}

/* Reading video memory back is slow: the screen is not scrolled but started over, with a cleared line ahead. */
static void new_line(void)
{
    col = 0;
    row = (row + 1) % rows;
    for (u32 y = 0; y < GLYPH_H; y++)
        memset(pixels + (u64)(row * GLYPH_H + y) * pitch, 0, (u64)columns * GLYPH_W * bytes_per_pixel);
}

static void framebuffer_write(const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (*s == '\n')
            new_line();
        else if (*s == '\r')
            col = 0;
        else if (*s >= ' ') {
            draw_glyph(col, row, font_glyphs[*s - ' ']);
            if (++col == columns)
                new_line();
        }
    }
}

/* ---- the panic screen ---- */

static struct console_screen screen;

static void screen_clear(void)
{
    for (u32 y = 0; y < height; y++)
        memset(pixels + (u64)y * pitch, 0, (u64)width * bytes_per_pixel);
}

static void screen_text(u32 r, u32 c, const char *s)
{
    for (; *s && c < columns; s++)
        draw_glyph(c++, r, font_glyphs[(*s >= ' ' && *s < 127 ? *s : '?') - ' ']);
}

static u32 screen_squares(u32 side)
{
    u32 all = side + 8, scale = MAX(1u, MIN(width / 3, height / 2) / all), left = width - all * scale;

    for (u32 y = 0; y < all * scale && y < height; y++)
        for (u32 x = 0; x < all * scale; x++) {
            u32 mx = x / scale - 4, my = y / scale - 4;
            bool dark = mx < side && my < side && qr_module(mx, my);

            put_pixel(pixels + (u64)y * pitch + (left + x) * bytes_per_pixel, dark ? 0 : foreground);
        }
    return left / GLYPH_W;
}

static struct console_sink framebuffer_sink = { .name = "vga", .write = framebuffer_write, .enabled = true };

void framebuffer_init(const struct boot_framebuffer *fb)
{
    pixels = hv_ioremap(fb->base, (u64)fb->pitch * fb->height);
    if (!pixels)
        return;
    pitch = fb->pitch;
    bytes_per_pixel = fb->bpp / 8u;
    width = fb->width;
    height = fb->height;
    columns = fb->width / GLYPH_W;
    rows = fb->height / GLYPH_H;
    foreground = (u32)(GREY >> (8 - MIN(fb->red_size, 8))) << fb->red_pos |
                 (u32)(GREY >> (8 - MIN(fb->green_size, 8))) << fb->green_pos |
                 (u32)(GREY >> (8 - MIN(fb->blue_size, 8))) << fb->blue_pos;
    if (!columns || !rows)
        return;
    console_register_sink(&framebuffer_sink);
    screen = (struct console_screen){ columns, rows, screen_clear, screen_text, screen_squares };
    console_screen = &screen;
    printk(LOG_INFO "Framebuffer: %ux%u, %u bits\n", fb->width, fb->height, fb->bpp);
}
