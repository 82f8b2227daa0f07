/* SPDX-License-Identifier: MIT */
/*
 * The report. Takes no lock, allocates nothing, waits for nothing without a bound, and survives
 * being entered again: a fault inside it ends in one line. The first line leaves before anything
 * else is done; what comes later (other CPUs, the screen, the record) may fail without harm to it.
 */
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <hv/version.h>
#include <hv/x86/cet.h>
#include <hv/x86/trap.h>
#include <hv/x86/page_table.h>

static u32 opt_panic_delay = 5;
OPTION("panic", option_u32, opt_panic_delay, "seconds from a panic to the reboot; a key on the serial line or the keyboard ends the wait",
       "`5`");

extern char __text_start[], __text_end[];

u32 panic_reporter;
/* How far the report came: a fault in it must not begin again what it was doing. */
static enum { STAGE_TEXT, STAGE_RECORD, STAGE_SCREEN, STAGE_END } stage;
static struct recorder_report summary;
static u64 noted_address;

void fatal_note_address(u64 address) { noted_address = address; }

void registers_print(const struct cpu_user_regs *r, const char *loglvl)
{
    char name[96];

    printk("%sRIP:    %04x:[%s]\n", loglvl, r->cs, symbol_describe(r->rip, name, sizeof(name)));
    printk("%sRFLAGS: %016lx   error code: %08x   vector: %u\n", loglvl, r->rflags, r->error_code, r->entry_vector & 0xff);
    printk("%srax: %016lx   rbx: %016lx   rcx: %016lx\n", loglvl, r->rax, r->rbx, r->rcx);
    printk("%srdx: %016lx   rsi: %016lx   rdi: %016lx\n", loglvl, r->rdx, r->rsi, r->rdi);
    printk("%srbp: %016lx   rsp: %016lx   r8:  %016lx\n", loglvl, r->rbp, r->rsp, r->r8);
    printk("%sr9:  %016lx   r10: %016lx   r11: %016lx\n", loglvl, r->r9, r->r10, r->r11);
    printk("%sr12: %016lx   r13: %016lx   r14: %016lx\n", loglvl, r->r12, r->r13, r->r14);
    printk("%sr15: %016lx   cr0: %016lx   cr4: %016lx\n", loglvl, r->r15, read_cr0(), read_cr4());
    printk("%scr3: %016lx   cr2: %016lx   ss:  %04x\n", loglvl, read_cr3(), read_cr2(), r->ss);
}

/* A page that can be read without a fault; not the guard, nor the shadow stack in its place. */
static bool is_stack(u64 va) { return (hv_lookup(va) & (PTE_PRESENT | PTE_RW)) == (PTE_PRESENT | PTE_RW); }

/*
 * Every word of the stack that points into the text: more than the call chain, never less. After a stack overflow
 * RSP is in the guard page, and the chain begins on the next one.
 */
static void fatal_print_backtrace(u64 rsp)
{
    u64 top = (rsp | (STACK_BLOCK_SIZE - 1)) + 1;
    char name[96];
    unsigned shown = 0;

    printk("Call trace:\n");
    if (!is_canonical(rsp)) {
        printk("   none: RSP is not canonical\n");
        return;
    }
    rsp &= ~7UL;
    for (u64 va = rsp; va < top && shown < 24; va += sizeof(u64)) {
        if ((va == rsp || !(va & (PAGE_SIZE - 1))) && !is_stack(va)) {
            va |= PAGE_SIZE - sizeof(u64);
            continue;
        }
        u64 word = *(const u64 *)va;
        if (word < (u64)__text_start || word >= (u64)__text_end)
            continue;
        printk("   [%s]\n", symbol_describe(word, name, sizeof(name)));
        shown++;
        if (summary.nr_frames < ARRAY_SIZE(summary.frames))
            summary.frames[summary.nr_frames++] = word;
    }
}

static void __noreturn fatal_stop_cpu(void)
{
    smp_note_stopped();
    machine_halt();
}

void cpu_stop_if_panicking(void)
{
    if (READ_ONCE(panic_reporter) != this_cpu()->id + 1)
        fatal_stop_cpu();
}

static void wait_for_key_or_delay(void)
{
    console_drain_keys();
    /* The TSC may be uncalibrated: port 80h reads take about a microsecond everywhere. */
    for (u64 i = 0; i < (u64)opt_panic_delay * 1000000; i++) {
        inb(0x80);
        if (!(i & 0x3ff) && console_key_pressed())
            return;
    }
}

static void __noreturn fatal_end(void)
{
    stage = STAGE_END;
    char line[80];
    if (opt_noreboot)
        strlcpy(line, "Halted (noreboot).", sizeof(line));
    else
        hv_snprintf(line, sizeof(line), "Reboot in %u seconds, or at a key (noreboot halts instead).", opt_panic_delay);
    printk("%s\n", line);
    panic_screen_last_line(line);
    trap_test_report_over(&panic_reporter);
    if (!opt_noreboot)
        wait_for_key_or_delay();
    coverage_dump();
    if (opt_noreboot)
        machine_halt();
    machine_restart();
}

/* Ends the machine without printing anything: printing has faulted too often. */
static void __noreturn last_resort(void)
{
    if (!opt_noreboot)
        machine_restart();
    machine_halt();
}

static void show_screen(const struct cpu_user_regs *regs)
{
    stage = STAGE_SCREEN;
    branch_tracking_stop(); /* libqrcodegen comes compiled, with jump tables */
    panic_screen_show(&summary, regs);
}

void panic_nested(const struct cpu_user_regs *regs, const char *why)
{
    static u32 depth;
    char name[96];

    cpu_stop_if_panicking();
    if (__atomic_fetch_add(&depth, 1, __ATOMIC_SEQ_CST) > 2)
        last_resort();
    printk("A second fault while reporting: %s%s%s\n", why, regs ? " at " : "", regs ? symbol_describe(regs->rip, name, sizeof(name)) : "");
    trap_test_nested(&depth);
    if (stage < STAGE_RECORD) {
        stage = STAGE_RECORD;
        recorder_report(&summary);
    }
    if (stage < STAGE_SCREEN)
        show_screen(NULL);
    if (stage == STAGE_END)
        last_resort();
    fatal_end();
}

/*
 * CPUs A and B fail at the same time: the compare-and-exchange lets one of them report. The other stops here, before it writes a word into the
 * first one's report. The reporter itself, when it comes a second time, has faulted inside its report.
 */
static void fatal_begin_report(const struct cpu_user_regs *regs, enum panic_code code, const char *fmt, va_list ap)
{
    /* First of all: the report is a phase and a context of its own. */
    u32 nobody = 0, phase = trap_phase(), context = trap_context(regs);

    irq_disable();
    if (!__atomic_compare_exchange_n(&panic_reporter, &nobody, this_cpu()->id + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        cpu_stop_if_panicking();
        panic_nested(NULL, fmt);
    }
    stage = STAGE_TEXT;
    summary = (struct recorder_report){ .code = code, .cpu = this_cpu()->id, .phase = trap_phase_name(phase), .address = noted_address };
    console_force_unlock(false);
    hv_vsnprintf(summary.why, sizeof(summary.why), fmt, ap);
    printk("\n");
    printk("PANIC CAI-%s: %s\n", panic_code_name(summary.code), summary.why);
    trap_test_first_line();
    /* After the first line: where it happened. */
    console_flush_late();
    printk("****************************************\n");
    printk("Caisson %s, phase %s, context %s, CPU %u\n", CAISSON_VERSION, summary.phase, trap_context_name(context), this_cpu()->id);
    smp_stop_others();
}

static void __noreturn fatal_finish_report(const struct cpu_user_regs *regs)
{
    printk("%s\n", panic_code_cause(summary.code));
    printk("Try: %s\n", panic_code_advice(summary.code));
    printk("****************************************\n");
    stage = STAGE_RECORD;
    recorder_report(&summary);
    show_screen(regs);
    fatal_end();
}

void panic(enum panic_code code, const char *fmt, ...)
{
    va_list ap;
    u64 rsp;
    va_start(ap, fmt);
    fatal_begin_report(NULL, code, fmt, ap);
    va_end(ap);
    __asm__("mov %%rsp, %0" : "=r"(rsp));
    summary.rip = (u64)__builtin_return_address(0);
    fatal_print_backtrace(rsp);
    fatal_finish_report(NULL);
}

void fatal_trap(const struct cpu_user_regs *regs, enum panic_code code, const char *fmt, ...)
{
    u32 vector = regs->entry_vector & 0xff;
    va_list ap;

    va_start(ap, fmt);
    fatal_begin_report(regs, code, fmt, ap);
    va_end(ap);
    printk("Vector %s, error code %04x\n", vector < 32 ? vector_infos[vector].mnemonic : "IRQ", regs->error_code);
    summary.rip = regs->rip;
    if (vector == VEC_PF)
        summary.address = read_cr2();
    registers_print(regs, "");
    if (vector == VEC_PF)
        page_walk_print(read_cr3(), read_cr2(), "");
    if (!regs_from_guest(regs))
        fatal_print_backtrace(regs->rsp);
    fatal_finish_report(regs);
}

void machine_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}
