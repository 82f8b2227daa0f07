/* SPDX-License-Identifier: MIT */
/*
 * A plugin of QEMU's TCG that counts the instructions which the machine executes: the hypervisor's for each block of code, those of
 * kernels and of programs in sum. Whoever runs in the machine, however far down, marks a moment by an instruction of probe.c's mark();
 * then a line
 * "mark NUMBER" is written to the file that is given as out=FILE, and "KIND hex-address count" of each count that has changed since the
 * last mark.
 *
 * A block is counted when it is entered. One that a fault leaves early counts for all its instructions: kernels' and programs' page
 * faults, some thousandths of their sum; the hypervisor takes next to none. Each round of a repeated string instruction counts, as it
 * does for -icount.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* QEMU's plugin interface, as far as it is used here; Debian has no package with its header. Version 1: QEMU 4.2 to 8. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS, INLINE_ADD = 0 };
typedef void (*executed_fn)(unsigned vcpu, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter, uint64_t n);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn fn, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* The addresses that Xen's ABI keeps for a hypervisor: on this one and on Xen all of it runs there. */
#define HYPERVISOR_BEGIN 0xffff800000000000u
#define HYPERVISOR_END 0xffff880000000000u

struct count {
    struct count *next;
    uint64_t address, executed, told;
    char kind; /* h: hypervisor, k: kernels, u: programs */
};
static struct count *blocks[1 << 14], kernels = { .kind = 'k' }, programs = { .kind = 'u' };
static const uint8_t mark_code[] = { 0x0f, 0x1f, 0x80, 'C', 'A', 'I' }; /* and the number */
static FILE *out;

static struct count *block_at(uint64_t address)
{
    struct count **at = &blocks[address >> 2 & ((1 << 14) - 1)];

    while (*at && (*at)->address != address)
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof(**at));
        if (!*at)
            abort();
        (*at)->address = address;
        (*at)->kind = 'h';
    }
    return *at;
}

static void tell(struct count *c)
{
    if (c->executed != c->told)
        fprintf(out, "%c %" PRIx64 " %" PRIu64 "\n", c->kind, c->address, c->executed - c->told);
    c->told = c->executed;
}

static void marked(unsigned vcpu, void *data)
{
    (void)vcpu;
    fprintf(out, "mark %u\n", (unsigned)(uintptr_t)data);
    tell(&kernels);
    tell(&programs);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        for (struct count *c = blocks[i]; c; c = c->next)
            tell(c);
    fflush(out);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct count *c = address >= HYPERVISOR_BEGIN && address < HYPERVISOR_END ? block_at(address) : address >> 63 ? &kernels : &programs;

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD, &c->executed, n);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *code = qemu_plugin_insn_data(insn);

        if (qemu_plugin_insn_size(insn) == sizeof(mark_code) + 1 && !memcmp(code, mark_code, sizeof(mark_code)))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, NO_REGISTERS, (void *)(uintptr_t)code[sizeof(mark_code)]);
    }
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    out = argc == 1 && !strncmp(argv[0], "out=", 4) ? fopen(argv[0] + 4, "w") : NULL;
    if (!out) {
        fprintf(stderr, "counter: give out=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
