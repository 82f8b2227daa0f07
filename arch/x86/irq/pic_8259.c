/* SPDX-License-Identifier: MIT */
/* The 8259 pair: moved out of the exception vectors, then masked for good. */
#include <hv/x86/pic_8259.h>
#include <hv/x86/processor.h>
#include <hv/x86/vectors.h>

void pic_init(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, VECTOR_PIC_BASE);
    outb(0xa1, VECTOR_PIC_BASE + 8);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}
