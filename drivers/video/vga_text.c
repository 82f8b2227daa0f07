/* VGA text mode, 80x25 at B8000h. The CRTC cursor is left alone. */
#include <hv/console.h>
#include <hv/mm.h>

#define COLUMNS 80
#define ROWS 25
#define ATTRIBUTE 0x0700

static unsigned col, row;

static u16 *cells(void)
{
    return phys_to_virt(0xb8000);
}

static void new_line(void)
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

static void vga_write(const char *s, size_t n)
{
    for (; n; n--, s++) {
        if (*s == '\n')
            new_line();
        else if (*s == '\r')
            col = 0;
        else if (*s >= ' ' || *s == '\t') {
            WRITE_ONCE(cells()[row * COLUMNS + col], (u16)(ATTRIBUTE | (*s == '\t' ? ' ' : (u8)*s)));
            if (++col == COLUMNS)
                new_line();
        }
    }
}

static struct console_sink vga_sink = { .name = "vga", .write = vga_write };

void vga_text_init(bool usable)
{
    if (!usable)
        return;
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        cells()[i] = ATTRIBUTE | ' ';
    vga_sink.enabled = true;
    console_register_sink(&vga_sink);
}
