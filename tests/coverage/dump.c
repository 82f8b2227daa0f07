/* SPDX-License-Identifier: MIT */
/*
 * Coverage builds (make COVERAGE=1): gcov's counters leave through the debug console, port e9h,
 * when the machine ends. One record a source file: "GCDA", the lengths of the name and of the data
 * (u32 each), the name, and the contents of the .gcda file. tools/coverage adds them up.
 *
 * The compiler's structures are those of GCC 12 (gcc/gcov-io.h, libgcc/libgcov.h).
 */
#include <hv/lib.h>
#include <hv/trap_test.h>
#include <hv/x86/processor.h>

#if __GNUC__ != 12
#error "the layout of gcov's structures is that of GCC 12: check it for this compiler"
#endif

#define DEBUG_CONSOLE 0xe9
#define GCDA_MAGIC 0x67636461u
#define TAG_FUNCTION 0x01000000u
#define TAG_ARCS 0x01a10000u
#define COUNTER_KINDS 8

struct gcov_counters {
    u32 num;
    u64 *values;
};
struct gcov_function {
    const void *key;
    u32 ident, lineno_checksum, cfg_checksum;
    struct gcov_counters arcs; /* the only kind that -fprofile-arcs makes */
};
struct gcov_info {
    u32 version;
    struct gcov_info *next;
    u32 stamp, checksum;
    const char *filename;
    void *merge[COUNTER_KINDS];
    u32 n_functions;
    const struct gcov_function *const *functions;
};
extern const struct gcov_info *const __gcov_info_start[], *const __gcov_info_end[];

/* The compiler's records name these; counters are added up outside. */
void __gcov_merge_add(u64 *counters, u32 n);
void __gcov_merge_add(u64 *counters, u32 n)
{
    (void)counters;
    (void)n;
}

static void out(const void *p, u64 n)
{
    for (const u8 *b = p; n; n--, b++)
        outb(DEBUG_CONSOLE, *b);
}

static void out_u32(u32 v) { out(&v, sizeof(v)); }

static u32 data_size(const struct gcov_info *i)
{
    u32 size = 5 * 4;

    for (u32 f = 0; f < i->n_functions; f++)
        if (i->functions[f] && i->functions[f]->key == i)
            size += 7 * 4 + i->functions[f]->arcs.num * 8;
    return size;
}

static void dump(const struct gcov_info *i)
{
    out("GCDA", 4);
    out_u32((u32)strlen(i->filename));
    out_u32(data_size(i));
    out(i->filename, strlen(i->filename));
    out_u32(GCDA_MAGIC);
    out_u32(i->version);
    out_u32(i->stamp);
    out_u32(i->checksum);
    for (u32 n = 0; n < i->n_functions; n++) {
        const struct gcov_function *f = i->functions[n];

        if (!f || f->key != i) /* an inline function that another file counts */
            continue;
        out_u32(TAG_FUNCTION);
        out_u32(12);
        out_u32(f->ident);
        out_u32(f->lineno_checksum);
        out_u32(f->cfg_checksum);
        out_u32(TAG_ARCS);
        out_u32(f->arcs.num * 8);
        out(f->arcs.values, f->arcs.num * 8UL);
    }
    out_u32(0);
}

void coverage_dump(void)
{
    for (const struct gcov_info *const *i = __gcov_info_start; i < __gcov_info_end; i++)
        dump(*i);
}
