/* SPDX-License-Identifier: MIT */
#pragma once

#define CAISSON_VERSION "0.1"

/* The ABI that guests and the toolstack see: Xen 4.17. */
#define ABI_MAJOR 4
#define ABI_MINOR 17
