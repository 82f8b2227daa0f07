/* Offsets that assembler needs, extracted from this file's assembler output by the Makefile. */
#include <hv/x86/percpu.h>

#define DEFINE(name, value) __asm__ volatile("\n.ascii \"->" #name " %c0\"" ::"i"(value))

void asm_offsets(void);
void asm_offsets(void)
{
    DEFINE(STACK_TOP_SIZE, sizeof(struct stack_top));
    DEFINE(STACK_TOP_CPU, offsetof(struct stack_top, cpu));
    DEFINE(PERCPU_TSS, offsetof(struct percpu, tss));
    DEFINE(PERCPU_RSP0, offsetof(struct percpu, tss.rsp[0]));
    DEFINE(REGS_VECTOR, offsetof(struct cpu_user_regs, entry_vector));
    DEFINE(REGS_RIP, offsetof(struct cpu_user_regs, rip));
    DEFINE(REGS_CS, offsetof(struct cpu_user_regs, cs));
    DEFINE(REGS_RSP, offsetof(struct cpu_user_regs, rsp));
    DEFINE(REGS_SS, offsetof(struct cpu_user_regs, ss));
    DEFINE(REGS_ES, offsetof(struct cpu_user_regs, es));
}
