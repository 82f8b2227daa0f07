/* SPDX-License-Identifier: MIT */
/* Included before everything: no symbol leaves the image, so the compiler needs no GOT. */
#pragma GCC visibility push(hidden)
