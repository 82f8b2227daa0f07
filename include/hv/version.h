/* SPDX-License-Identifier: MIT */
#pragma once

#include <hv/types.h>

#define CAISSON_VERSION "0.1"

/* Of Xen, whose ABI guests and the toolstack see: major << 16 | minor. Set at boot (xen-version=). */
extern u32 abi_version;
