/* SPDX-License-Identifier: MIT */
/* Interrupts that have reached this CPU: arch/x86/irq/irq_dispatch.c. */
#pragma once

#include <hv/types.h>

void irq_init(void); /* boot: 8259, I/O APICs, PIRQs */
/* From the trap entry, interrupts off: serves the vector and ends it at the local APIC. Takes irq_lock and event_lock for a PIRQ. */
void irq_dispatch(u32 vector);
void irq_print(void); /* debug key: PIRQs, and interrupts on vectors that nobody has */
