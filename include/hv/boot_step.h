/* SPDX-License-Identifier: MIT */
/*
 * What a step of the boot needs and gives, declared beside its function:
 *     BOOT_STEP(tsc_init, NEEDS(consoles, acpi_tables), GIVES(clock), EVERYWHERE);
 * Facts are words: what one step gives, later ones need. tools/gen_boot_order.py reads these lines and the lists in arch/x86/setup.c: the build
 * fails where a need is met by nothing earlier on one of the platforms, and docs/boot-order.md is made of them. Compiled, they are nothing.
 */
#pragma once

#define BOOT_STEP(step, needs, gives, platforms) \
    _Static_assert(sizeof(&step) == sizeof(void *) && sizeof(needs) && sizeof(gives) && (platforms), #step)
#define NEEDS(...) #__VA_ARGS__
#define GIVES(...) #__VA_ARGS__
#define EVERYWHERE 1
#define ONLY_UEFI(reason) sizeof(reason) /* what it is for exists there alone */
