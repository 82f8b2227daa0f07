/* SPDX-License-Identifier: MIT */
/* Address to name, from a table that tools/gen_symbols.py makes of the linked image. */
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/x86/layout.h>

struct symbol {
    u32 offset; /* from IMAGE_VIRT_START */
    u32 name;   /* offset into symbol_names */
};
extern const struct symbol symbol_table[];
extern const u32 symbol_count;
extern const char symbol_names[];

const char *symbol_describe(u64 addr, char *buf, size_t size)
{
    u64 off = addr - IMAGE_VIRT_START;
    u32 lo = 0, hi;

    if (off >= IMAGE_MAX_SIZE || !(hi = symbol_count) || off < symbol_table[0].offset) {
        hv_snprintf(buf, size, "%016lx", addr);
        return buf;
    }
    while (hi - lo > 1) {
        u32 mid = (lo + hi) / 2;

        if (symbol_table[mid].offset <= off)
            lo = mid;
        else
            hi = mid;
    }
    hv_snprintf(buf, size, "%016lx %s+%#lx", addr, symbol_names + symbol_table[lo].name, off - symbol_table[lo].offset);
    return buf;
}
