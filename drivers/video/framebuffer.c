/* SPDX-License-Identifier: MIT */
/* Linear framebuffer console, 8x16 glyphs. The font is made from the distribution's at build time. */
#include <hv/boot_info.h>
#include <hv/console.h>
#include <hv/printk.h>
#include <hv/x86/cpu.h>
#include <hv/x86/page_table.h>

#define GLYPH_W 8
#define GLYPH_H 16
#define GREY 0xc0

extern const u8 font_glyphs[96][GLYPH_H]; /* 20h to 7fh */

static u8 *pixels; /* write-combining: written in words, never read */
static u32 pitch, bytes_per_pixel, width, height, columns, rows, col, row, foreground;

/* Words of eight bytes; n is a multiple of that, as eight pixels of any size are. */
static void store_words(u8 *to, const u64 *from, u64 n)
{
    for (u64 i = 0; i < n / sizeof(u64); i++)
        ((volatile u64 *)to)[i] = from ? from[i] : 0;
}

static u8 *line_at(u32 y) { return pixels + (u64)y * pitch; }

static void draw_glyph(u32 c, u32 r, const u8 *glyph)
{
    for (u32 y = 0; y < GLYPH_H; y++) {
        u64 line[GLYPH_W * sizeof(u32) / sizeof(u64) + 1]; /* the last pixel of fewer bytes is stored as four, too */

        for (u32 x = 0; x < GLYPH_W; x++) {
            u32 color = glyph[y] & (0x80 >> x) ? foreground : 0;

            memcpy((u8 *)line + x * bytes_per_pixel, &color, sizeof(color));
        }
        store_words(line_at(r * GLYPH_H + y) + c * GLYPH_W * bytes_per_pixel, line, GLYPH_W * bytes_per_pixel);
    }
}

/* Reading video memory back is slow: the screen is not scrolled but started over, with a cleared line ahead. */
static void fb_new_line(void)
{
    col = 0;
    row = (row + 1) % rows;
    for (u32 y = 0; y < GLYPH_H; y++)
        store_words(line_at(row * GLYPH_H + y), NULL, (u64)columns * GLYPH_W * bytes_per_pixel);
}

static void framebuffer_write(__unused struct console_sink *sink, const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (*s == '\n')
            fb_new_line();
        else if (*s == '\r')
            col = 0;
        else if (*s >= ' ') {
            draw_glyph(col, row, font_glyphs[*s - ' ']);
            if (++col == columns)
                fb_new_line();
        }
    }
}

/* ---- the panic screen ---- */

static struct console_screen screen;

static void put_pixel(u8 *at, u32 color)
{
    if (bytes_per_pixel == sizeof(u32))
        *(volatile u32 *)at = color;
    else
        memcpy(at, &color, bytes_per_pixel);
}

static void fb_screen_clear(void)
{
    for (u32 y = 0; y < height; y++) {
        store_words(line_at(y), NULL, (u64)columns * GLYPH_W * bytes_per_pixel);
        for (u32 x = columns * GLYPH_W; x < width; x++)
            put_pixel(line_at(y) + x * bytes_per_pixel, 0);
    }
}

static void fb_screen_text(u32 r, u32 c, const char *s)
{
    for (; *s && c < columns; s++)
        draw_glyph(c++, r, font_glyphs[(*s >= ' ' && *s < 127 ? *s : '?') - ' ']);
}

static u32 fb_screen_squares(u32 side)
{
    u32 all = side + 8, scale = MAX(1u, MIN(width / 3, height / 2) / all), left = width - all * scale;

    for (u32 y = 0; y < all * scale && y < height; y++)
        for (u32 x = 0; x < all * scale; x++) {
            u32 mx = x / scale - 4, my = y / scale - 4;
            bool dark = mx < side && my < side && qr_module(mx, my);

            put_pixel(line_at(y) + (left + x) * bytes_per_pixel, dark ? 0 : foreground);
        }
    return left / GLYPH_W;
}

static struct console_sink framebuffer_sink = { .name = "vga", .which = SINK_VGA, .write = framebuffer_write };

/* GREY, in a channel of any number of bits. */
static u32 framebuffer_channel(u8 pos, u8 size) { return (size > 8 ? (u32)GREY << (size - 8) : (u32)GREY >> (8 - size)) << pos; }

static bool channel_fits(u8 pos, u8 size, u32 bpp) { return size && pos < bpp && size <= bpp - pos; }

/* The parser has looked at depth and sides; the smallest screen is one that a report fits on. */
static bool framebuffer_makes_sense(const struct boot_framebuffer *fb)
{
    u64 end = fb->base + (u64)fb->pitch * fb->height;

    return fb->valid && fb->width >= 320 && fb->height >= 200 && fb->pitch <= FRAMEBUFFER_MAX_SIDE * sizeof(u32) && fb->base &&
           end <= 1ULL << cpu.phys_bits && fb->base < end && !boot_info_has_ram(&boot_info, fb->base, end) &&
           channel_fits(fb->red_pos, fb->red_size, fb->bpp) && channel_fits(fb->green_pos, fb->green_size, fb->bpp) &&
           channel_fits(fb->blue_pos, fb->blue_size, fb->bpp);
}

void framebuffer_init(const struct boot_framebuffer *fb)
{
    if (framebuffer_makes_sense(fb))
        pixels = hv_map_bulk(fb->base, (u64)fb->pitch * fb->height);
    if (!pixels) {
        printk(LOG_WARN "Framebuffer: %ux%u, %u bits, %u bytes a line at %#lx: %s; nothing is shown on it\n", fb->width, fb->height,
               fb->bpp, fb->pitch, fb->base, framebuffer_makes_sense(fb) ? "no memory for its page tables" : "makes no sense");
        return;
    }
    pitch = fb->pitch;
    bytes_per_pixel = (fb->bpp + 7u) / 8;
    width = fb->width;
    height = fb->height;
    columns = fb->width / GLYPH_W;
    rows = fb->height / GLYPH_H;
    foreground = framebuffer_channel(fb->red_pos, fb->red_size) | framebuffer_channel(fb->green_pos, fb->green_size) |
                 framebuffer_channel(fb->blue_pos, fb->blue_size);
    screen = (struct console_screen){ columns, rows, fb_screen_clear, fb_screen_text, fb_screen_squares };
    console_screen = &screen;
    console_register_sink(&framebuffer_sink);
    console_sink_ready(&framebuffer_sink);
    printk(LOG_INFO "Framebuffer: %ux%u, %u bits\n", fb->width, fb->height, fb->bpp);
}
