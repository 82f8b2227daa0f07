/* SPDX-License-Identifier: MIT */
/* Steps of boot that bring the consoles up (arch/x86/start_consoles.c). */
#pragma once

void consoles_start_serial(void); /* after the options and the memory map */
void consoles_start_video(void);  /* after boot_alloc_init(): a framebuffer may need tables */
void consoles_start_acpi(void);   /* after acpi_init(): UARTs that only it names */
void consoles_go_async(void);     /* before dom0 runs: output waits no longer, there is input */
