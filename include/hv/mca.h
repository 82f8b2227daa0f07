/* SPDX-License-Identifier: MIT */
/* Contained machine checks: who is told, and the records for dom0. */
#ifndef HV_MCA_H
#define HV_MCA_H

void mca_init(void);          /* boot */
void mca_start_polling(void); /* when clocks and the APIC timer run */

#endif
