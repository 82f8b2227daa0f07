/* SPDX-License-Identifier: MIT */
/* The two 8259 interrupt controllers: arch/x86/irq/pic_8259.c. */
#ifndef HV_X86_PIC_8259_H
#define HV_X86_PIC_8259_H

void pic_init(void); /* boot: all inputs masked, spurious interrupts on VECTOR_PIC_BASE and up */

#endif
