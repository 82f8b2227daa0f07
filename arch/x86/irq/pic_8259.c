/* SPDX-License-Identifier: MIT */
/* The 8259 pair: moved out of the exception vectors, then masked for good. */
#include <hv/x86/pic_8259.h>
#include <hv/x86/processor.h>
#include <hv/x86/vectors.h>

void pic_init(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    outb(0x20, 0x11); /* ICW1: edge-triggered, a pair, ICW4 follows */
    outb(0xa0, 0x11);
    outb(0x21, VECTOR_PIC_BASE); /* ICW2: first vector */
    outb(0xa1, VECTOR_PIC_BASE + 8);
    outb(0x21, 4); /* ICW3: the second one is at input 2 */
    outb(0xa1, 2);
    outb(0x21, 1); /* ICW4: 8086 mode */
    outb(0xa1, 1);
    outb(0x21, 0xff); /* OCW1: all masked */
    outb(0xa1, 0xff);
}
