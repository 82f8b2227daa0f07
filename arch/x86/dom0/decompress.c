/* SPDX-License-Identifier: MIT */
/*
 * Decompression by liblzma, libzstd, zlib and liblz4, linked from the distribution's static
 * archives. docs/decompressors.md says how and why that is safe.
 */
#include <hv/dom0.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAX_UNPACKED MiB(512)
#define MAX_SMALL (PAGE_SIZE / 2)
#define LZ4_BLOCK MiB(8) /* of the legacy frame, unpacked */

enum compression compression_detect(const u8 *d, u64 size)
{
    if (size < 8)
        return COMPRESSION_UNKNOWN;
    if (!memcmp(d, "\177ELF", 4))
        return COMPRESSION_NONE;
    if (!memcmp(d, "\3757zXZ\0", 6))
        return COMPRESSION_XZ;
    if (!memcmp(d, "\x28\xb5\x2f\xfd", 4))
        return COMPRESSION_ZSTD;
    if (!memcmp(d, "\x1f\x8b\x08", 3))
        return COMPRESSION_GZIP;
    if (!memcmp(d, "\x02\x21\x4c\x18", 4))
        return COMPRESSION_LZ4;
    return COMPRESSION_UNKNOWN;
}

/* ---- what the libraries need of a C library ---- */

void *malloc(size_t n);
void free(void *p);
void *calloc(size_t n, size_t size);
void __stack_chk_fail(void) __noreturn;
size_t zstd_legacy_refused(void);

void *malloc(size_t n) { return n > MAX_SMALL ? scratch_alloc(n) : hv_alloc(n); }

void free(void *p)
{
    if (scratch_holds(p))
        scratch_free(p);
    else
        hv_free(p);
}

void *calloc(size_t n, size_t size)
{
    void *p = size && n > ~(size_t)0 / size ? NULL : malloc(n * size);

    return scratch_holds(p) ? memset(p, 0, n * size) : p; /* hv_alloc() zeroes */
}

void __stack_chk_fail(void) { panic(PANIC_DECOMPRESS, "a decompression library overran its stack: the kernel file is not to be trusted"); }

/* The linker resolves zstd's decoders of its pre-1.0 formats to this: an error code, or NULL. */
size_t zstd_legacy_refused(void) { return 0; }

/* ---- formats: 0, -ENOMEM, -EOPNOTSUPP for what is sound but not for us, -EIO for damage ---- */

static int unpack_xz(const u8 *data, u64 size, u8 *out, u64 out_size)
{
    uint64_t limit = MiB(256);
    size_t in_pos = 0, out_pos = 0;

    switch (lzma_stream_buffer_decode(&limit, 0, NULL, data, &in_pos, size, out, &out_pos, out_size)) {
    case LZMA_OK: return out_pos == out_size ? 0 : -EIO;
    case LZMA_MEM_ERROR: return -ENOMEM;
    case LZMA_MEMLIMIT_ERROR:
    case LZMA_OPTIONS_ERROR:
    case LZMA_UNSUPPORTED_CHECK: return -EOPNOTSUPP;
    default: return -EIO;
    }
}

static int unpack_zstd(const u8 *data, u64 size, u8 *out, u64 out_size)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    size_t n;
    if (!ctx)
        return -ENOMEM;
    n = ZSTD_decompressDCtx(ctx, out, out_size, data, size);
    ZSTD_freeDCtx(ctx);
    switch (ZSTD_getErrorCode(n)) {
    case ZSTD_error_no_error: return n == out_size ? 0 : -EIO;
    case ZSTD_error_memory_allocation: return -ENOMEM;
    case ZSTD_error_frameParameter_unsupported:
    case ZSTD_error_frameParameter_windowTooLarge:
    case ZSTD_error_version_unsupported: return -EOPNOTSUPP;
    default: return -EIO;
    }
}

static int unpack_gzip(const u8 *data, u64 size, u8 *out, u64 out_size)
{
    z_stream z = { .next_in = (u8 *)(u64)data /* zlib only reads */, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)out_size };
    int rc = inflateInit2(&z, 16 + MAX_WBITS);
    if (rc == Z_OK)
        rc = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return rc == Z_MEM_ERROR ? -ENOMEM : rc == Z_STREAM_END && z.total_out == out_size ? 0 : -EIO;
}

/* The legacy frame of lz4 -l: a magic number, then blocks of at most 8 MiB with their lengths. */
static int unpack_lz4(const u8 *data, u64 size, u8 *out, u64 out_size)
{
    u64 in = 4, done = 0;

    while (in + 4 <= size && done < out_size) {
        u32 block = read_u32(data + in);

        in += 4;
        if (block > size - in || block > LZ4_COMPRESSBOUND(LZ4_BLOCK))
            return -EIO;
        int n = LZ4_decompress_safe((const char *)data + in, (char *)out + done, (int)block, (int)MIN(out_size - done, LZ4_BLOCK));
        if (n <= 0)
            return -EIO;
        in += block;
        done += (u64)n;
    }
    return done == out_size ? 0 : -EIO;
}

/* The libraries were compiled for user space: they use SSE and look for a stack canary at FS:28h. */
static int run_library(int (*unpack)(const u8 *, u64, u8 *, u64), const u8 *data, u64 size, u8 *out, u64 out_size)
{
    static u64 tls[8] = { [5] = 0x0ddba11ca55e7700 };

    wrmsr(MSR_FS_BASE, (u64)tls);
    int rc = unpack(data, size, out, out_size);
    wrmsr(MSR_FS_BASE, 0);
    return rc;
}

static const char *decompress_describe(int rc)
{
    return rc == -ENOMEM     ? "too little memory to unpack the kernel: give the machine more" :
           rc == -EOPNOTSUPP ? "the kernel's compression needs a filter, check or window that is not offered: rebuild it" :
                               "the kernel's compressed data is damaged: copy the file again";
}

int decompress(const u8 *data, u64 size, u64 unpacked_size, u8 **out, const char **why)
{
    static int (*const formats[])(const u8 *, u64, u8 *, u64) = {
        [COMPRESSION_XZ] = unpack_xz,
        [COMPRESSION_ZSTD] = unpack_zstd,
        [COMPRESSION_GZIP] = unpack_gzip,
        [COMPRESSION_LZ4] = unpack_lz4,
    };
    enum compression c = compression_detect(data, size);
    *out = NULL;
    if (c == COMPRESSION_UNKNOWN || c == COMPRESSION_NONE)
        return refuse_kernel(why, -EOPNOTSUPP, "the kernel's compression is not one of xz, zstd, gzip, lz4: rebuild it with one of these");
    if (unpacked_size < 4096 || unpacked_size > MAX_UNPACKED)
        return refuse_kernel(why, -EIO, "the kernel's unpacked size makes no sense: the file is damaged, copy it again");
    *out = scratch_alloc(unpacked_size);
    int rc = *out ? run_library(formats[c], data, size, *out, unpacked_size) : -ENOMEM;
    if (rc) {
        scratch_free(*out);
        *out = NULL;
        *why = decompress_describe(rc);
    }
    return rc;
}
