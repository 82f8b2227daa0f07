/* SPDX-License-Identifier: MIT */
/* Contained machine checks: who is told, and the records for dom0. */
#pragma once

void mca_init(void);          /* boot */
void mca_start_polling(void); /* when clocks and the APIC timer run */
