# SPDX-License-Identifier: MIT
"""Processors as emulators make them: with less than there ever was, or with what the emulator itself does not get right."""
from harness import bundle, clean, direct, need, test


@test("processors: AVX without the compact forms of XSAVE, with which the emulator stops")
def no_compact_xsave():
    """They run without XSAVE."""
    r = direct(bundle("memory"), "noreboot", timeout=60, machine={"mem": "256M", "cpu": "Opteron_G4"})
    need("test kernel: PASS" in r.output and "no XSAVE" in r.output, "not started without XSAVE", r)
    clean(r)
