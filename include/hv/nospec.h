/* SPDX-License-Identifier: MIT */
/*
 * Indices that a guest chooses (Spectre v1). A processor that predicts a bounds check wrongly runs on for a while with an index of the
 * guest's making; what a second load then does with the word it finds there can be measured. So the index itself is bounded, by
 * instructions whose results are not predicted. The check before it stays: it decides what the guest is told.
 */
#pragma once

#include <hv/types.h>

/* The index, if it is below count; else 0. Only the processor ever sees the latter, where it is wrong about the check. */
static force_inline u64 index_nospec(u64 index, u64 count)
{
    u64 below;

    __asm__("cmp %2, %1\n   sbb %0, %0" : "=r"(below) : "r"(index), "rme"(count) : "cc");
    return index & below;
}
