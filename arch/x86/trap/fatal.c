/*
 * The report. Takes no lock, allocates nothing, waits for nothing without a bound, and
 * survives being entered again: a fault inside it ends in one line and a halt.
 */
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/lib.h>
#include <hv/panic.h>
#include <hv/printk.h>
#include <hv/version.h>
#include <hv/x86/page_table.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

static u32 opt_panic_delay = 5;
OPTION("panic", option_u32, opt_panic_delay);

extern char __text_start[], __text_end[];

void registers_print(const struct cpu_user_regs *r, const char *level)
{
    char name[96];

    printk("%sRIP:    %04x:[%s]\n", level, r->cs, symbol_describe(r->rip, name, sizeof(name)));
    printk("%sRFLAGS: %016lx   error code: %08x   vector: %u\n", level, r->rflags, r->error_code,
           r->entry_vector & 0xff);
    printk("%srax: %016lx   rbx: %016lx   rcx: %016lx\n", level, r->rax, r->rbx, r->rcx);
    printk("%srdx: %016lx   rsi: %016lx   rdi: %016lx\n", level, r->rdx, r->rsi, r->rdi);
    printk("%srbp: %016lx   rsp: %016lx   r8:  %016lx\n", level, r->rbp, r->rsp, r->r8);
    printk("%sr9:  %016lx   r10: %016lx   r11: %016lx\n", level, r->r9, r->r10, r->r11);
    printk("%sr12: %016lx   r13: %016lx   r14: %016lx\n", level, r->r12, r->r13, r->r14);
    printk("%sr15: %016lx   cr0: %016lx   cr4: %016lx\n", level, r->r15, read_cr0(), read_cr4());
    printk("%scr3: %016lx   cr2: %016lx   ss:  %04x\n", level, read_cr3(), read_cr2(), r->ss);
}

/* Every word of the stack that points into the text: more than the call chain, never less. */
static void backtrace(u64 rsp)
{
    u64 top = (rsp | (STACK_BLOCK_SIZE - 1)) + 1;
    char name[96];
    unsigned shown = 0;

    printk(LOG_ERR "Call trace:\n");
    rsp &= ~7UL;
    if (!(hv_lookup(rsp) & PTE_PRESENT))
        return;
    for (u64 *p = (u64 *)rsp; (u64)p < top && shown < 24; p++)
        if (*p >= (u64)__text_start && *p < (u64)__text_end) {
            printk(LOG_ERR "   [%s]\n", symbol_describe(*p, name, sizeof(name)));
            shown++;
        }
}

static void delay_seconds(u32 s)
{
    /* The TSC may be uncalibrated: port 80h reads take about a microsecond everywhere. */
    for (u64 i = 0; i < (u64)s * 1000000; i++)
        inb(0x80);
}

static void __noreturn end_of_machine(void)
{
    if (opt_noreboot) {
        printk(LOG_ERR "Halted (noreboot).\n");
        machine_halt();
    }
    printk(LOG_ERR "Reboot in %u seconds (noreboot halts instead).\n", opt_panic_delay);
    delay_seconds(opt_panic_delay);
    machine_restart();
}

/* True for the one report; a nested or second entry prints one line and stops. */
static void enter_fatal(const char *why)
{
    static u32 entered;
    u32 depth = __atomic_fetch_add(&entered, 1, __ATOMIC_SEQ_CST);

    irq_disable();
    if (depth == 0) {
        console_force_unlock();
        return;
    }
    if (depth == 1)
        printk(LOG_ERR "A second fault while reporting: %s. Halted.\n", why);
    machine_halt();
}

static void report_head(const char *fmt, va_list ap)
{
    printk(LOG_ERR "\n");
    printk(LOG_ERR "****************************************\n");
    printk(LOG_ERR "PANIC: ");
    vprintk(fmt, ap);
    printk("\n");
    printk(LOG_ERR "Caisson %s, phase %s, CPU %u\n", CAISSON_VERSION, system_phase_name(), this_cpu()->id);
}

void panic(const char *fmt, ...)
{
    va_list ap;
    u64 rsp;

    enter_fatal(fmt);
    va_start(ap, fmt);
    report_head(fmt, ap);
    va_end(ap);
    __asm__("mov %%rsp, %0" : "=r"(rsp));
    backtrace(rsp);
    printk(LOG_ERR "****************************************\n");
    end_of_machine();
}

static void report_headf(const char *fmt, ...) __printf(1, 2);
static void report_headf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report_head(fmt, ap);
    va_end(ap);
}

void fatal_trap(const struct cpu_user_regs *regs, const char *why)
{
    u32 vector = regs->entry_vector & 0xff;

    enter_fatal(why);
    report_headf("%s (%s)", why, vector < 32 ? vector_policies[vector].mnemonic : "interrupt");
    registers_print(regs, LOG_ERR);
    if (vector == VEC_PF)
        page_walk_print(read_cr3(), read_cr2(), LOG_ERR);
    if (!regs_from_guest(regs))
        backtrace(regs->rsp);
    printk(LOG_ERR "****************************************\n");
    end_of_machine();
}

void machine_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}
