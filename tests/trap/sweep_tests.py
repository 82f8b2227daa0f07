"""A sample of the sweeps for every run of the tests, at places that change with the hour; tools/sweep does all."""
import random
import time

from harness import OUT, direct, need, test, test_kernel
from caisson import images
from trap import sweep

SEED = int(time.time()) // 3600


def register():
    rng = random.Random(SEED)

    for kernel in ("sweep_nmi", "debug_registers"):
        @test(f"sweep: {kernel}", kernel=kernel)
        def _(kernel):
            bundle = images.bundle(f"{OUT}/{kernel}.cpio", test_kernel(kernel))
            r = direct(bundle, "noreboot", timeout=120, machine={"mem": "256M", "extra": ["-icount", "shift=0", "-global", "hpet.msi=on"]})
            need("test kernel: PASS" in r.output and "PANIC" not in r.output, "the test kernel did not pass", r)

    periods = [rng.randrange(90, 400) for _ in range(4)]

    @test(f"sweep: NMIs from the first 64-bit instruction on, every {', '.join(str(p * 10) for p in periods)} instructions")
    def _():
        for n, period in enumerate(periods):
            need(len(sweep.boot_under_nmis(period, n, f"boot{n}")) > 1000, "too few NMIs came")

    window = sweep.instructions(sweep.WINDOWS)
    for vector, name, count in ((2, "NMI", 900), (18, "#MC", 300)):
        @test(f"sweep: {name} at {count} instructions of the critical paths (seed {SEED})", vector=vector, name=name, count=count,
              places=sorted(rng.sample(window, count)))
        def _(vector, name, count, places):
            hit, latched, run = sweep.inject(places, vector, name.strip("#"))
            sweep.check_injected(hit, latched, run, vector, name)
            need(len(hit) + len(latched) > count // 4, f"only {len(hit)} places were reached")

    @test(f"sweep: fatal #MC on the critical paths, 12 places (seed {SEED})", places=rng.sample(window, 30))
    def _(places):
        reached = 0
        for n, place in enumerate(places):
            reached += sweep.fatal_at(place, "fatal")
            if reached == 12:
                break
        need(reached >= 6, f"only {reached} places were reached")
