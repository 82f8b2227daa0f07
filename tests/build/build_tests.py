# SPDX-License-Identifier: MIT
"""The build itself: compilers, layers, documents and ABI that must agree with the code."""
import os
import re

from caisson import packages
from harness import BUILD, TOP, command, debug_elf, need, test, tree


@test("build: clang 14, warning-free")
def clang():
    """The whole hypervisor with the other compiler."""
    command("make", "-s", "O=build/clang", "CC=clang")


@test("build: debug variant")
def debug_variant():
    """The variant that checks the order of locks, which other tests run."""
    debug_elf()


@test("build: image, gates, W^X")
def image():
    """What is in the image, byte by byte where it matters."""
    command("python3", "tests/build/image.py")


@test("build: C is formatted as .clang-format says")
def formatted():
    """Whoever changes C runs 'make format'."""
    command("make", "-s", "format-check")


@test("build: each file names its licence")
def licences():
    """The SPDX line is the first, or the second behind an interpreter's."""
    without = [f for f in tree() if not f.endswith((".md", ".png")) and f not in ("LICENSE", ".gitignore")
               and "SPDX-License-Identifier: MIT" not in "".join(open(f"{TOP}/{f}", errors="replace").readlines()[:2])]
    need(not without, f"no SPDX-License-Identifier: {', '.join(without)}")


@test("build: layers")
def layers():
    """No file uses a layer above its own, but for the exceptions."""
    command("tools/check-layers")


@test("build: generated documents are those that the tables give")
def generated_documents():
    """Somebody who changes a table runs 'make docs'."""
    for tool, name in (("gen_trap_matrix.py markdown", "trap-matrix"), ("gen_panic_codes.py", "panic-codes"), ("gen_options.py", "options"),
                       ("gen_debug_keys.py", "debug-keys"), ("gen_boot_order.py", "boot-order"),
                       ("gen_hypercalls.py hypercalls", "hypercalls"),
                       ("gen_hypercalls.py unsupported", "unsupported")):
        text = command("python3", *f"tools/{tool}".split())
        need(text == open(f"{TOP}/docs/{name}.md").read(), f"docs/{name}.md is stale: run 'make docs'")


@test("build: ABI layouts against libxen-dev {version}", each=[{"version": "4.17"}, {"version": "4.20"}])
def abi_layouts(version):
    """Our public headers and those of Debian 12 and 13 have the same sizes and offsets."""
    command("python3", "tests/build/abi_layout.py", version)


# In Xen's headers: the constants that are a hypercall's operations. Those of machines that are gone, those that Xen asks of itself, and
# words of one operation's own are none.
OPERATIONS = {
    "memory_op": ("memory", "XENMEM_"), "sched_op": ("sched", "SCHEDOP_"), "vcpu_op": ("vcpu", "VCPUOP_"),
    "xen_version": ("version", "XENVER_"), "grant_table_op": ("grant_table", "GNTTABOP_"), "callback_op": ("callback", "CALLBACKOP_"),
    "event_channel_op": ("event_channel", "EVTCHNOP_"), "physdev_op": ("physdev", "PHYSDEVOP_"), "domctl": ("domctl", "XEN_DOMCTL_"),
    "sysctl": ("sysctl", "XEN_SYSCTL_"), "platform_op": ("platform", "XENPF_"), "hypfs_op": ("hypfs", "XEN_HYPFS_OP_"),
}
NO_OPERATION = re.compile("real_mode_area|set_opt_feature|.*_cont|(paging|access|sharing)_op_.*|resource_.*|vmtrace_(?!op).*|"
                          "cpu_(featureset|policy)_.*")


@test("build: each operation of Xen {version} is offered, or in docs/unsupported.md", each=[{"version": "4.17"}, {"version": "4.20"}])
def operations(version):
    """Whoever calls one that is not offered finds the reason."""
    there, absent = (open(f"{TOP}/docs/{page}.md").read() for page in ("hypercalls", "unsupported"))
    offered = {(call, op) for call, ops in re.findall(r"^\| \d+ \| `(\w+)` \|.*\| ([^|]*) \| `", there, re.M) for op in ops.split(", ")}
    offered |= set(re.findall(r"^\| `(\w+)` \| (\w+) \| \d+ \|", there, re.M))
    named = {(call, n) for call, first, last in re.findall(r"^\| `(\w+)` \| (\d+)(?: to (\d+))? \|", absent, re.M)
             for n in range(int(first), int(last or first) + 1)}
    headers = packages.download_headers(f"{BUILD}/cache") if version == "4.20" else "/usr/include"
    defined = [(call, op, int(n)) for call, (header, prefix) in OPERATIONS.items()
               for op, n in re.findall(rf"^#define {prefix}([a-z]\w*)\s+\(?(\d+)\b", open(f"{headers}/xen/{header}.h").read(), re.M)
               if not NO_OPERATION.fullmatch(op)]
    missing = [f"{call} {op} ({n})" for call, op, n in defined if (call, op) not in offered and (call, n) not in named]
    need(not missing and len(defined) > 200, f"of {len(defined)} operations neither offered nor named: {', '.join(missing)}")


@test("build: every header compiles alone")
def headers_alone():
    """A header includes what it uses."""
    for root, _, files in os.walk(os.path.join(TOP, "include")):
        for f in files:
            if not f.endswith("_asm.h"):
                command("gcc", "-fsyntax-only", "-std=gnu11", "-Iinclude", "-Ibuild/include", "-ffreestanding", "-Wall", "-Werror",
                        "-mgeneral-regs-only", "-include", os.path.join(root, f), "-x", "c", "/dev/null")


@test("build: documented options are those that exist")
def documented_options():
    """docs/options.md and the declarations name the same options; none is called absent that is there."""
    declared = set(re.findall(r'^OPTION\("([\w-]+)"', command("grep", "-rhE", r'^OPTION\("', "common", "arch", "drivers"), re.M))
    rows = open(f"{TOP}/docs/options.md").read().partition("## Options of Xen")
    documented = set(re.findall(r"^\| `([\w-]+)", rows[0], re.M))
    need(declared == documented, f"docs/options.md and the code differ: {declared ^ documented}")
    both = declared & set(re.findall(r"`([\w.-]+)`", rows[2]))
    need(not both, f"offered, and in the list of those that are not: {both}")


@test("build: each file and function that docs/walks.md names is there")
def walks():
    """Each `file: function()` is defined in that file, as a function, label or macro; a `function()` alone in one of its line."""
    page = open(f"{TOP}/docs/walks.md").read()
    need(page.count("\n## ") == 7, f"{page.count('## ')} walks")
    lost, stops = [], 0
    for line in page.splitlines():
        files = re.findall(r"`(\w+/[\w/.]+\.\w+)\b", line)
        lost += [path for path in files if not os.path.exists(f"{TOP}/{path}")]
        for path, name in re.findall(r"`(?:([\w/.]+): )?(\w+)\(\)`", line):
            stops += 1
            if not any(os.path.exists(f"{TOP}/{f}") and defines(f, name) for f in ([path] if path else files)):
                lost.append(f"{path or ' or '.join(files)}: {name}()")
    need(stops > 60 and not lost, f"of {stops} functions docs/walks.md names these where they are not: {', '.join(lost)}")


def defines(path, name):
    """Whether the file has a definition of this name, which begins a line."""
    c = rf"^(?!\s|#|//|\*|return)[^;={{}}]*?\b{name}\([^;]*?\)[^;]*?\{{|^#define {name}\("
    pattern = {".S": rf"^{name}:|^\.macro {name}\b", "py": rf"^def {name}\("}.get(path[-2:], c)
    return bool(re.search(pattern, open(f"{TOP}/{path}").read(), re.M))
