/* SPDX-License-Identifier: MIT */
/* Parts of platform_op. */
#pragma once

#include <public/platform.h>

long efi_firmware_info(u32 index, struct xenpf_efi_info *info);
long efi_runtime_call(struct xenpf_efi_runtime_call *c) __may_preempt;
