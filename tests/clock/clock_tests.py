"""The TSC's rate on machines that lack one clock or another, with this machine busy meanwhile: as it is, or a refusal in words."""
import ctypes
import re
import subprocess

from caisson import images
from harness import ELF, OUT, clean, machine, need, run_machine, test, test_kernel

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


def host_rate():
    """A function that measures this machine's TSC, whose ticks the emulator's are: Hz."""
    path = f"{OUT}/rate.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=RATE, text=True, check=True)
    rate = ctypes.CDLL(path).tsc_hz
    rate.restype = ctypes.c_double
    return rate


def boot(bundle, kind, extra, **how):
    args = [kind if a == "q35" else a for a in machine.command(("direct", ELF, bundle, "noreboot"), mem="256M")]
    return run_machine(args + extra, 60, **how)


def register():
    tsc_hz = host_rate()
    bundle = images.bundle(f"{OUT}/clock.cpio", test_kernel("memory"))
    # (title, machine, its options, the source that is left, boots)
    machines = (("all clocks", "q35", [], "HPET", 3),
                ("no PIT", "q35", ["-machine", "pit=off"], "HPET", 1),
                ("no HPET", "q35", ["-no-hpet"], "PM timer", 2),
                ("neither ACPI nor HPET", "pc", ["-no-acpi", "-no-hpet"], "PIT", 3),
                ("microvm, hardware-reduced ACPI", "microvm", [], "PIT", 1),
                ("microvm with a real-time clock alone", "microvm", ["-machine", "pit=off,pic=off,rtc=on"], "RTC", 1))

    for title, kind, extra, source, boots in machines:
        @test(f"clock: {title}", kind=kind, extra=extra, source=source, boots=boots)
        def _(kind, extra, source, boots):
            true = tsc_hz() / 1e6
            busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
            try:
                for _ in range(boots):
                    r = boot(bundle, kind, extra)
                    need("test kernel: PASS" in r.output, "the test kernel did not pass", r)
                    found = re.search(r"TSC: ([\d.]+) MHz \((.*)\)", r.output)
                    need(found and found[2] == source, f"the rate is not by {source}", r)
                    off = (float(found[1]) / true - 1) * 1e6
                    need(abs(off) < 200, f"{found[1]} MHz for {true:.3f}: {off:.0f} ppm", r)
                    clean(r)
            finally:
                busy.kill()
                busy.wait()

    @test("clock: none at all is refused in words")
    def _():
        r = boot(bundle, "microvm", ["-machine", "pit=off,pic=off,rtc=off"], until="Halted (noreboot)")
        need("PANIC CAI-B05" in r.output and "no HPET, PM timer, PIT or RTC counts" in r.output and "Halted (noreboot)" in r.output, "not refused", r)
