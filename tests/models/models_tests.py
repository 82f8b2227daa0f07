# SPDX-License-Identifier: MIT
"""Models of the protocols between CPUs (Promela, Debian's spin): searched through whole, and each with faults that must be found."""
import os
import re

from harness import OUT, TOP, command, need, test

HERE = os.path.dirname(os.path.abspath(__file__))
# Deeper than any of the models is; Mbytes that a search may take.
DEPTH, MEMORY = 20000000, 3500

# What a model's head says that it stands for, "path: functions".
STANDS_FOR = re.compile(r"^ \*   (\S+\.[ch]): ([\w, ]+)$", re.M)


def model(name):
    """Its text."""
    with open(f"{HERE}/{name}.pml") as f:
        return f.read()


def faults(text):
    """The macros that the code of a model asks for: its head explains each."""
    return sorted(set(re.findall(r"^#ifn?def (\w+)$", text, re.M)))


def is_defined(function, text):
    """A function's definition: its name and parameters, no semicolon, a brace."""
    return re.search(rf"^[\w \*]*\b{function}\([^;{{]*\)\s*\{{", text, re.M) is not None


def search(name, fault=None):
    """What the verifier says: of the whole model, or up to the first error."""
    where = f"{OUT}/model-{name}{'-' + fault if fault else ''}"
    os.makedirs(where, exist_ok=True)
    path = f"{HERE}/{name}.pml"
    run = ["sh", "-c", 'cd "$0" && exec "$@"', where]
    command(*run, "spin", *([f"-D{fault}"] if fault else []), "-a", path)
    command(*run, "gcc", "-w", "-O1" if fault else "-O2", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY}", "-o", "pan", "pan.c")
    return command(*run, "./pan", f"-m{DEPTH if not fault else DEPTH // 4}", timeout=600)


NAMES = sorted(f[:-4] for f in os.listdir(HERE) if f.endswith(".pml"))
EACH = [{"name": name} for name in NAMES]


@test("model: {name}: what it stands for exists", each=EACH)
def stands_for(name):
    """A model of functions that have gone is of no use."""
    text = model(name)
    head = text[:text.index("\n */")]  # the licence is a comment of one line
    rows = STANDS_FOR.findall(head)
    need(rows, "the head names no functions")
    for path, functions in rows:
        with open(f"{TOP}/{path}") as f:
            code = f.read()
        for function in functions.split(", "):
            need(is_defined(function, code), f"{path} defines no {function}(): the model stands for code that has changed")
    for fault in faults(text):
        need(fault in head, f"the head does not explain {fault}")
    need(sum(1 for line in text[len(head):].splitlines() if line.strip()) <= 200, "longer than can be seen through at once")


@test("model: {name}: holds in every state", each=EACH, minutes=2)
def holds(name):
    """The verifier visits every state, and every step of the model."""
    output = search(name)
    need("errors: 0" in output, f"the model does not hold\n{output[-1500:]}")
    for incomplete in ("search depth too small", "out of memory", "Search not completed"):
        need(incomplete not in output, f"not all states were visited: {incomplete}\n{output[-1500:]}")
    # What is never reached proves nothing, unless the head says why; the ends of endless loops are not.
    unreached = {(at, step) for at, step in re.findall(r'^\t\S+:(\d+, state \d+), "(.*)"$', output, re.M) if step != "-end-"}
    said = re.search(r"Never reached: (\d+) steps", model(name))
    need(len({at for at, _ in unreached}) == (int(said[1]) if said else 0), f"never reached: {sorted(unreached)}")


@test("model: {name}: finds {fault}", each=[{"name": name, "fault": fault} for name in NAMES for fault in faults(model(name))])
def finds(name, fault):
    """With that fault it does not hold: the model can see it."""
    output = search(name, fault)
    need(re.search(r"^pan:\d+: (assertion violated|invalid end state)", output, re.M), f"the fault was not found\n{output[-1500:]}")
