/* SPDX-License-Identifier: MIT */
/* The smallest guest there is: it blocks for good. Its notes are those that toolstacks ask for. */
    .section .note.xen, "a", @note
.macro NOTE type, what:vararg
    .balign 4
    .long   4, 2f - 1f, \type
    .asciz  "Xen"
1:  \what
2:
.endm
    NOTE 1, .quad start
    NOTE 3, .quad 0xffffffff80000000 /* where its addresses begin; in the file they begin at 0 */
    NOTE 4, .quad 0
    NOTE 5, .asciz "xen-3.0"
    NOTE 6, .asciz "linux"
    NOTE 8, .asciz "generic"

    .text
    .globl start
start:
    mov $29, %eax /* sched_op */
    mov $1, %edi  /* SCHEDOP_block */
    xor %esi, %esi
    syscall
    jmp start
