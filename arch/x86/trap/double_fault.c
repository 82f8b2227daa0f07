/* #DF: always the end, on its own stack. */
#include <hv/panic.h>
#include <hv/x86/trap.h>

void double_fault_handle(struct cpu_user_regs *regs)
{
    fatal_trap(regs, "double fault (a stack overflow, if RSP is just below a stack's guard page)");
}
