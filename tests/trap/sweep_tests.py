# SPDX-License-Identifier: MIT
"""A sample of the sweeps for every run of the tests, at places that change with the hour; tools/sweep does all."""
import random
import time

from harness import bundle, direct, need, once, test
from trap import sweep

SEED = int(time.time()) // 3600


def sample(name):
    """Random numbers of this hour, others for each test; the log has what they come from."""
    print(f"seed {SEED}")
    return random.Random(f"{SEED} {name}")


@once
def window():
    """The instructions of the critical paths."""
    return sweep.instructions(sweep.WINDOWS)


@test("sweep: {kernel}", each=[{"kernel": "sweep_nmi"}, {"kernel": "debug_registers"}])
def from_inside(kernel):
    """The test kernel programs the timer whose NMIs sweep over it."""
    r = direct(bundle(kernel), "noreboot", timeout=120, machine={"mem": "256M", "extra": ["-icount", "shift=0", "-global", "hpet.msi=on"]})
    need("test kernel: PASS" in r.output and "PANIC" not in r.output, "the test kernel did not pass", r)


@test("sweep: NMIs from the first 64-bit instruction on, at four periods")
def boot():
    """Of 900 to 4,000 instructions."""
    rng = sample("boot")
    for n in range(4):
        need(len(sweep.boot_under_nmis(rng.randrange(90, 400), n, f"boot{n}")) > 1000, "too few NMIs came")


@test("sweep: {name} at {count} instructions of the critical paths", each=[
    {"name": "NMI", "vector": 2, "count": 900}, {"name": "#MC", "vector": 18, "count": 300}])
def injected(name, vector, count):
    """Exactly as many are taken as were sent."""
    hit, latched, run = sweep.inject(sorted(sample(name).sample(window(), count)), vector, name.strip("#"))
    sweep.check_injected(hit, latched, run, vector, name)
    need(len(hit) + len(latched) > count // 4, f"only {len(hit)} places were reached")


@test("sweep: fatal #MC on the critical paths, 12 places")
def fatal():
    """Exactly one report each."""
    reached = 0
    for place in sample("fatal").sample(window(), 30):
        reached += sweep.fatal_at(place, "fatal")
        if reached == 12:
            break
    need(reached >= 6, f"only {reached} places were reached")
