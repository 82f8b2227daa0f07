#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/boot-order.md, from the lists in arch/x86/setup.c and the BOOT_STEP() lines of the code; fails where they contradict each other."""
import os
import re
import sys

from caisson import cli
from caisson.cli import TOP

PLATFORMS = ("BIOS", "UEFI", "PVH")
LISTS = ("early_boot", "protect", "boot")  # of setup.c, in the order that boot_main() calls them
NO_STEPS = {"panic", "printk", "page_free_count", "rdtsc", "system_time_ns", "this_cpu", "trap_test_phase", "if", "idle_loop"} | set(LISTS)
DECLARATION = re.compile(r"^BOOT_STEP\((\w+),\s*NEEDS\(([\w,\s]+)\),\s*GIVES\(([\w,\s]+)\),\s*(EVERYWHERE|ONLY_UEFI\(\"([^\"]+)\"\))\);",
                         re.M)


class Step:
    def __init__(self, found, path):
        name, needs, gives, where, reason = found
        self.name, self.path, self.reason = name, path, reason
        self.needs, self.gives = (set(re.findall(r"\w+", words)) - {"NOTHING"} for words in (needs, gives))
        self.platforms = PLATFORMS if where == "EVERYWHERE" else ("UEFI",)


def declared(top):
    steps, errors = {}, []
    for folder in ("arch", "boot", "common", "drivers"):
        for root, _, files in os.walk(f"{top}/{folder}"):
            for path in (os.path.join(root, f) for f in files if f.endswith(".c")):
                text = open(path).read()
                found = DECLARATION.findall(text)
                if len(found) != len(re.findall(r"^BOOT_STEP\(", text, re.M)):
                    errors.append(f"{os.path.relpath(path, top)}: a BOOT_STEP() that cannot be read")
                for match in found:
                    if match[0] in steps:
                        errors.append(f"{match[0]} is declared twice")
                    steps[match[0]] = Step(match, os.path.relpath(path, top))
    return steps, errors


def ordered(top):
    """(name, phase, reason) of each step, as boot_main() comes to it."""
    text = open(f"{top}/arch/x86/setup.c").read()
    bodies = {name: re.search(rf"^(?:static )?void {name}\([^)]*\)\n{{\n(.*?)^}}", text, re.M | re.S)[1] for name in LISTS + ("boot_main",)}
    phase, steps = "early_boot", []

    def walk(body):
        nonlocal phase
        for line in body.splitlines():
            comment = re.search(r"/\* (.*?) \*/", line)
            code = re.sub(r'"[^"]*"|/\*.*?\*/', "", line)
            for name in re.findall(r"\b(\w+)\(", code):
                if name in LISTS:
                    walk(bodies[name])
                elif name == "system_phase_advance":
                    phase = re.search(r"PHASE_(\w+)", code)[1].lower()
                elif name not in NO_STEPS:
                    steps.append((name, phase, comment[1] if comment else ""))
    walk(bodies["boot_main"])
    return steps


def cycle_through(fact, givers, seen=()):
    """The facts of a circle of needs that contains this one, or None."""
    if fact in seen:
        return seen[seen.index(fact):] + (fact,)
    return next((c for step in givers.get(fact, ()) for need in sorted(step.needs) if (c := cycle_through(need, givers, seen + (fact,)))),
                None)


def check(steps, order):
    errors = [f"{name}: a step without a BOOT_STEP()" for name, _, _ in order if name not in steps]
    errors += [f"{name}: declared as a step, but in no list of setup.c" for name in steps if name not in {n for n, _, _ in order}]
    givers = {}
    for step in steps.values():
        for fact in step.gives:
            givers.setdefault(fact, []).append(step)
    circles = {frozenset(c): c for fact in givers if (c := cycle_through(fact, givers))}
    errors += ["a circle: " + " needs ".join(c) for c in circles.values()]
    for platform in PLATFORMS:
        have = set()
        for name, _, _ in order:
            step = steps.get(name)
            if not step or platform not in step.platforms:
                continue
            for need in sorted(step.needs - have):
                late = ", ".join(g.name for g in givers.get(need, ()) if platform in g.platforms)
                errors.append(f"{name} needs {need}, which nothing gives before it on {platform}"
                              + (f" ({late} gives it later)" if late else ""))
            have |= step.gives
    needed = set().union(*(s.needs for s in steps.values()))
    errors += [f"{step.name} gives {fact}, which nothing needs" for step in steps.values() for fact in sorted(step.gives - needed)]
    return list(dict.fromkeys(errors))


def page(steps, order):
    yield """# The order of the boot

Made by `tools/gen_boot_order.py` from the lists in `arch/x86/setup.c` and the `BOOT_STEP()` lines beside the steps: change those, then
`make docs`. The build fails where a step needs what nothing before it gives on one of the platforms (BIOS, UEFI, PVH), where needs go
in a circle, and where a step declares nothing.
"""
    phase = None
    for name, now, reason in order:
        if now != phase:
            phase = now
            yield f"\n## Phase `{phase}`\n\n| step | where | needs | gives | why here |\n|---|---|---|---|---|"
        s = steps[name]
        why = ". ".join(filter(None, (reason, s.reason and f"UEFI only: {s.reason}")))
        yield f"| `{name}` | `{s.path}` | {', '.join(sorted(s.needs))} | {', '.join(sorted(s.gives))} | {why} |"


def main():
    args = cli.Words(__doc__)
    args.add_argument("--check", action="store_true", help="only say what is wrong")
    args.add_argument("--tree", default=TOP, help="the source to read")
    options = args.parse_args()
    steps, errors = declared(options.tree)
    order = ordered(options.tree)
    errors += check(steps, order)
    for error in errors:
        print(f"boot order: {error}", file=sys.stderr)
    if errors:
        return 1
    if not options.check:
        print("\n".join(page(steps, order)))
    return 0


if __name__ == "__main__":
    cli.start(main)
