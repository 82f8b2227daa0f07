/* SPDX-License-Identifier: MIT */
/* The vectors of device interrupts, a space for each CPU: arch/x86/irq/vector_alloc.c. irq_lock held where nothing else is said. */
#pragma once

#include <hv/types.h>

struct percpu;

/* Where a device interrupt goes. */
struct irq_vector {
    u8 cpu, vector; /* number of the CPU, not its APIC id */
};
/* On the vector `preferred` if one of the CPUs has it free (0: any). 0, -ENOSPC. */
int vector_alloc(u32 pirq, u32 preferred, struct irq_vector *at) __must_check;
void vector_free(struct irq_vector at); /* nothing can come on it any more */
/* Frees the vector; what is on its way to it still finds the PIRQ until the vector is given away again. */
void vector_leave(struct irq_vector at);
/* The PIRQ of a vector of this CPU; false: none. No lock, interrupts off. */
bool vector_pirq(u32 vector, u32 *pirq);
void vectors_close(const struct percpu *c);  /* the CPU gets no more vectors */
void vectors_open(const struct percpu *c);   /* it may get vectors again */
void vectors_forget(const struct percpu *c); /* frees all vectors of a closed CPU */
bool irq_reaches(const struct percpu *c);    /* can devices address this CPU? No lock */
