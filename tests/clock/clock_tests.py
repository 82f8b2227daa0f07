# SPDX-License-Identifier: MIT
"""The TSC's rate on machines that lack one clock or another, with this machine busy meanwhile: as it is, or a refusal in words."""
import ctypes
import re
import subprocess

from harness import ELF, OUT, bundle, clean, machine, need, once, run_machine, test

RATE = r"""
#include <time.h>
#include <x86intrin.h>
/* Hz, over a second; the shortest of several readings at both ends. */
static double pair(unsigned long long *tsc)
{
    struct timespec t;
    unsigned long long best = ~0ULL, a, b;
    double at = 0;

    for (int i = 0; i < 64; i++) {
        a = __rdtsc();
        clock_gettime(CLOCK_MONOTONIC, &t);
        b = __rdtsc();
        if (b - a < best) {
            best = b - a;
            *tsc = a + best / 2;
            at = t.tv_sec + t.tv_nsec * 1e-9;
        }
    }
    return at;
}
double tsc_hz(void)
{
    unsigned long long a, b;
    double from = pair(&a), to;
    struct timespec second = { 1, 0 };

    nanosleep(&second, 0);
    to = pair(&b);
    return (b - a) / (to - from);
}
"""


@once
def host_rate():
    """A function that measures this machine's TSC, whose ticks the emulator's are: Hz."""
    path = f"{OUT}/rate.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=RATE, text=True, check=True)
    rate = ctypes.CDLL(path).tsc_hz
    rate.restype = ctypes.c_double
    return rate


def boot(kind, extra, **how):
    """A machine of another kind than q35, with the smallest kernel."""
    args = [kind if a == "q35" else a for a in machine.command(("direct", ELF, bundle("memory"), "noreboot"), mem="256M")]
    return run_machine(args + extra, 60, **how)


# source: those that are left, of which the one counts that this machine disturbed least. The PIT is read far too slowly to be that one.
MACHINES = [
    {"title": "all clocks", "kind": "q35", "extra": [], "source": "HPET|PM timer", "boots": 3},
    {"title": "no PIT", "kind": "q35", "extra": ["-machine", "pit=off"], "source": "HPET|PM timer", "boots": 1},
    {"title": "no HPET", "kind": "q35", "extra": ["-no-hpet"], "source": "PM timer", "boots": 2},
    {"title": "neither ACPI nor HPET", "kind": "pc", "extra": ["-no-acpi", "-no-hpet"], "source": "PIT", "boots": 3},
    {"title": "microvm, hardware-reduced ACPI", "kind": "microvm", "extra": [], "source": "PIT", "boots": 1},
    {"title": "microvm with a real-time clock alone", "kind": "microvm", "extra": ["-machine", "pit=off,pic=off,rtc=on"], "source": "RTC",
     "boots": 1},
]


@test("clock: {title}", each=MACHINES)
def rate(title, kind, extra, source, boots):
    """It is right within 200 ppm, whatever else this machine does."""
    measure = host_rate()
    true = [measure() / 1e6]
    busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        for _ in range(boots):
            r = boot(kind, extra)
            need("test kernel: PASS" in r.output, "the test kernel did not pass", r)
            found = re.search(r"TSC: ([\d.]+) MHz \((.*)\)", r.output)
            need(found and re.fullmatch(source, found[2]), f"{title}: the rate is by {found and found[2]}, not by {source}", r)
            true.append(measure() / 1e6)  # again: this machine's own clock may be on its way to the right time
            off = min(((float(found[1]) / t - 1) * 1e6 for t in true), key=abs)
            need(abs(off) < 200, f"{found[1]} MHz for {true}: {off:.0f} ppm", r)
            clean(r)
    finally:
        busy.kill()
        busy.wait()


@test("clock: none at all is refused in words")
def no_clock():
    """No wrong rate is used instead."""
    r = boot("microvm", ["-machine", "pit=off,pic=off,rtc=off"], until="Halted (noreboot)")
    need("PANIC CAI-B05" in r.output and "no HPET, PM timer, PIT or RTC counts" in r.output and "Halted (noreboot)" in r.output,
         "not refused", r)
