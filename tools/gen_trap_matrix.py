#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The trap matrix, from arch/x86/trap/matrix.tbl and include/hv/x86/vectors.h. Imported by the tests for the list of
cells.
"""
import collections
import html
import os
import re
import shlex

from caisson import cli
from caisson.cli import TOP, Trouble

TABLE = os.path.join(TOP, "arch/x86/trap/matrix.tbl")
VECTORS = os.path.join(TOP, "include/hv/x86/vectors.h")
IRQ = 32  # the row of all interrupt vectors

Phase = collections.namedtuple("Phase", "name kind what")
Outcome = collections.namedtuple("Outcome", "name colour may what")
Cell = collections.namedtuple("Cell", "vector phase context outcome why")


class Matrix:
    def __init__(self, table=TABLE, vectors=VECTORS):
        self.vectors = {int(n): name for n, name in re.findall(r"X\((\d+), (\w+),", open(vectors).read())}
        self.vectors[IRQ] = "IRQ"
        self.phases, self.contexts, self.outcomes = {}, {}, {}
        self.sets, self.rules = {}, []
        for number, line in enumerate(open(table), 1):
            self.where = f"{os.path.basename(table)}:{number}"
            words = shlex.split(line, comments=True)
            if words:
                getattr(self, "read_" + words[0], self.unknown)(*words[1:])
        self.cells = [self.decide(v, p, c) for p in self.phases for c in self.contexts for v in self.vectors]
        for rule in self.rules:
            if not rule["used"]:
                raise Trouble(f"{rule['where']}: this rule decides no cell")

    def unknown(self, *_):
        raise Trouble(f"{self.where}: unknown word")

    def read_phase(self, name, kind, what):
        self.phases[name] = Phase(name, kind, what)

    def read_context(self, name, what):
        self.contexts[name] = what

    def read_outcome(self, name, colour, may, what):
        self.outcomes[name] = Outcome(name, colour, may, what)

    def read_set(self, name, members):
        self.sets[name] = members

    def pick(self, text, known):
        chosen = list(known) if text == "*" else self.sets.get(text, text).split(",")
        for name in chosen:
            if name not in known:
                raise Trouble(f"{self.where}: {name} is not known")
        return set(chosen)

    def read_rule(self, vectors, phases, contexts, outcome, why=""):
        self.pick(outcome, self.outcomes)
        self.rules.append({"vectors": self.pick(vectors, self.vectors.values()), "phases": self.pick(phases, self.phases),
                           "contexts": self.pick(contexts, self.contexts), "outcome": outcome, "why": why,
                           "where": self.where, "used": False})

    def decide(self, vector, phase, context):
        for r in self.rules:
            if self.vectors[vector] in r["vectors"] and phase in r["phases"] and context in r["contexts"]:
                r["used"] = True
                return Cell(vector, phase, context, r["outcome"], r["why"])
        raise Trouble(f"no rule decides vector {self.vectors[vector]}, phase {phase}, context {context}")

    def real(self):
        """The cells that can be: each must be seen by a test."""
        return [c for c in self.cells if c.outcome != "none"]

    def name(self, vector):
        return "IRQ" if vector == IRQ else "#" + self.vectors[vector]


def header(m):
    out = ["/* Made by tools/gen_trap_matrix.py from arch/x86/trap/matrix.tbl. */"]
    phases = [p for p in m.phases.values() if p.kind == "c"]
    for prefix, names in (("TRAP_PHASE_", [p.name for p in phases]), ("TRAP_CONTEXT_", m.contexts), ("OUTCOME_", m.outcomes)):
        names = list(names)
        out.append(f"enum {{ {', '.join(prefix + n.upper() for n in names)}, {prefix}COUNT }};")
    out.append("#define TRAP_PHASE_NAMES { " + ", ".join(f'"{p.name}"' for p in phases) + " }")
    out.append("#define TRAP_CONTEXT_NAMES { " + ", ".join(f'"{c}"' for c in m.contexts) + " }")
    out.append("#define OUTCOME_MAY { " + ", ".join(
        "{ %d, %d, %d }" % tuple(letter in o.may for letter in "cla") for o in m.outcomes.values()) + " }")
    out.append("#define TRAP_MATRIX { \\")
    for p in phases:
        out.append("    { \\")
        for c in m.contexts:
            row = ", ".join("OUTCOME_" + x.outcome.upper() for x in m.cells if (x.phase, x.context) == (p.name, c))
            out.append(f"        {{ {row} }}, \\")
        out.append("    }, \\")
    out.append("}")
    return "\n".join(out)


def columns(m):
    return [(p, c) for p in m.phases for c in m.contexts if any(x.phase == p and x.context == c and x.outcome != "none" for x in m.cells)]


def summary(m):
    real = m.real()
    return f"{len(m.cells)} cells: {len(real)} that can be, {len(m.cells) - len(real)} that cannot"


def markdown(m):
    out = ["# The trap matrix", "",
           "Made by `tools/gen_trap_matrix.py` from `arch/x86/trap/matrix.tbl`: change that file, then `make docs`. `traps.md` explains.",
           "",
           summary(m) + ".", "", "## Outcomes", "", "| outcome | handler may | what happens |", "|---|---|---|"]
    may = {"-": "nothing", "c": "`current`", "l": "locks", "a": "allocate"}
    for o in m.outcomes.values():
        out.append(f"| `{o.name}` | {', '.join(may[x] for x in o.may)} | {o.what} |")
    out += ["", "## Phases", ""] + [f"* `{p.name}`: {p.what}" for p in m.phases.values()]
    out += ["", "## Contexts", ""] + [f"* `{c}`: {what}" for c, what in m.contexts.items()]
    for p in m.phases:
        shown = [c for q, c in columns(m) if q == p]
        out += ["", f"## {p}", "", "| vector | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
        for v in m.vectors:
            row = {x.context: x.outcome for x in m.cells if x.phase == p and x.vector == v}
            out.append(f"| {m.name(v)} | " + " | ".join(row[c] if row[c] != "none" else "-" for c in shown) + " |")
        for why in sorted({f"`{x.outcome}` for {m.name(x.vector) if x.outcome != 'none' else 'any vector'} in {x.context}: {x.why}"
                           for x in m.cells if x.phase == p and x.why}):
            out += ["", why + "."]
    return "\n".join(out)


def page(m):
    colours = {"red": "#f4b6b0", "orange": "#f8d3a8", "yellow": "#f7eeb0", "green": "#c4e6c0", "blue": "#bcd6f2", "grey": "#e6e6e6"}
    out = ["<!DOCTYPE html><meta charset='utf-8'><title>Caisson: the trap matrix</title><style>",
           "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #999;padding:2px 6px}",
           "th.up{writing-mode:vertical-rl;transform:rotate(180deg)}", "</style><h1>The trap matrix</h1>", f"<p>{summary(m)}.</p><table>"]
    for o in m.outcomes.values():
        out.append(f"<tr><td style='background:{colours[o.colour]}'>{o.name}<td>{html.escape(o.what)}")
    out.append("</table><table><tr><th>")
    shown = columns(m)
    out += [f"<th class=up>{p} / {c}" for p, c in shown]
    index = {(x.vector, x.phase, x.context): x for x in m.cells}
    for v in m.vectors:
        out.append(f"<tr><th>{m.name(v)}")
        for p, c in shown:
            x = index[v, p, c]
            o = m.outcomes[x.outcome]
            out.append(f"<td style='background:{colours[o.colour]}' title='{html.escape(x.why or o.what, True)}'>{x.outcome}")
    out.append("</table>")
    return "\n".join(out)


FORMS = {"header": header, "markdown": markdown, "html": page}


def main():
    p = cli.Words(__doc__)
    p.add_argument("form", choices=FORMS, help="header: the C table; markdown: docs/trap-matrix.md; html: the same in colours")
    print(FORMS[p.parse_args().form](Matrix()))


if __name__ == "__main__":
    cli.start(main)
