/* SPDX-License-Identifier: MIT */
/* The two 8259 interrupt controllers: arch/x86/irq/pic_8259.c. */
#pragma once

void pic_init(void); /* boot: all inputs masked, spurious interrupts on VECTOR_PIC_BASE and up */
