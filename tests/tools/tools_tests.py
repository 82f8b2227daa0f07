# SPDX-License-Identifier: MIT
"""The tools given wrong words and broken surroundings: a sentence and a status, no traceback, no success, the terminal as it was."""
import contextlib
import glob
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

from caisson import images, machine, packages
from harness import BUILD, ELF, OUT, SOCKETS, TOP, need, test, test_kernel

TOOLS = sorted(os.path.relpath(p, TOP) for p in glob.glob(f"{TOP}/tools/*") if os.path.isfile(p))

# Words for a tool, its status, and what it says.
WRONG = [
    ("tools/run guest", 2, "'guest' is not known here; did you mean --guest?"),
    ("tools/run --bacth", 2, "'--bacth' is not known here; did you mean --batch?"),
    ("tools/run shell", 2, "'shell' is not known here"),
    ("tools/run --smp 0", 2, "--smp: '0' is not a number from 1 on"),
    ("tools/run --mem 5X", 2, "'5X' is not an amount of memory"),
    ("tools/run --gdb x", 2, "--gdb: 'x' is not a number"),
    ("tools/run --gdb 65536", 2, "--gdb: '65536' is not a number from 1 to 65535"),
    ("tools/run --timeout -1", 2, "--timeout"),
    ("tools/run --uefi --direct", 2, "not allowed with"),
    ("tools/run --kernel /nonexistent", 2, "--kernel: there is no file /nonexistent"),
    ("tools/run --initrd /nonexistent", 2, "--initrd: there is no file /nonexistent"),
    ("tools/run --log /nonexistent/x", 2, "--log: /nonexistent/x: No such file or directory"),
    ("tools/run --log /", 2, "--log: /: Is a directory"),
    ("tools/check --ful", 2, "did you mean --full?"),
    ("tools/check nosuchname", 1, "no test's name contains 'nosuchname'"),
    ("tools/check unit nosuchname", 1, "no test's name contains 'nosuchname'"),
    ("tools/bench mirco", 2, "did you mean micro?"),
    ("tools/fuzz abc", 2, "OPERATIONS: 'abc' is not a number from 1 on"),
    ("tools/fuzz 0", 2, "OPERATIONS: '0' is not a number from 1 on"),
    ("tools/fuzz 10 xyz", 2, "FIRST_SEED: 'xyz' is not a hexadecimal number"),
    ("tools/fuzz --coverge", 2, "did you mean --coverage?"),
    ("tools/fuzz --coverage x", 2, "--coverage: 'x' is not a number"),
    ("tools/coverage nosuchname", 1, "no test's name contains 'nosuchname'"),
    ("tools/sweep now", 2, "'now' is not known here"),
    ("tools/check-layers --lits", 2, "did you mean --list?"),
    ("tools/gen_trap_matrix.py hedaer", 2, "did you mean header?"),
    ("tools/gen_font.py /nonexistent", 1, "/nonexistent: No such file or directory"),
    ("tools/gen_font.py /etc/passwd", 1, "is not a font of GRUB's"),
]


def run(words, env=None, timeout=120, **how):
    """A tool of the tree, or Python with other words: what it says, and its status."""
    r = subprocess.run([sys.executable] + (words.split() if isinstance(words, str) else words), cwd=TOP,
                       env=dict(os.environ, **(env or {})),
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **how)
    need("Traceback" not in r.stdout, f"{words}: a traceback\n{r.stdout[-2000:]}")
    return r.stdout, r.returncode


def expect(words, status, said, env=None):
    out, got = run(words, env)
    need(got == status and said in out, f"{words}: status {got}, not {status} with '{said}':\n{out[-1000:]}")


def driver(body):
    """A program whose main() is some lines on the tools' modules."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return f"import os, sys\nsys.path.insert(0, 'tools')\nfrom caisson import build, cli, packages\ndef main():\n{lines}\ncli.start(main)"


def driven(body, env=None):
    return run(["-c", driver(body)], env)


@contextlib.contextmanager
def programs(**scripts):
    """A folder for PATH with these programs, shell scripts; True: the machine's own."""
    with tempfile.TemporaryDirectory(prefix="caisson-path-") as folder:
        for name, script in scripts.items():
            path = os.path.join(folder, name.replace("_", "-") if script is True else name)
            if script is True:
                os.symlink(shutil.which(os.path.basename(path)), path)
            else:
                with open(path, "w") as f:
                    f.write("#!/bin/sh\n" + script + "\n")
                os.chmod(path, 0o755)
        yield folder


@test("tools: each has --help, and answers a typo with a hint")
def help_and_hints():
    """Status 0 and 2."""
    need(len(TOOLS) > 10, f"only {TOOLS}")
    for tool in TOOLS:
        expect(f"{tool} --help", 0, f"usage: {tool}")
        expect(f"{tool} --hlep", 2, "did you mean --help?")


@test("tools: wrong words are errors that name them")
def wrong_words():
    """None of them starts anything."""
    for words, status, said in WRONG:
        expect(words, status, said)


@test("tools: none works when it is imported")
def imported():
    """What a file defines can be used by others; the scripts of tests/, too."""
    scripts = sorted(os.path.relpath(p, TOP) for p in glob.glob(f"{TOP}/tests/**/*.py", recursive=True))
    silent = "import runpy, subprocess, sys\nsys.path[:0] = ['tools', 'tests']\n" \
             "def never(*a, **k): raise SystemExit('it starts a program')\n" \
             "subprocess.Popen = subprocess.run = never\nfor tool in sys.argv[1:]: runpy.run_path(tool, run_name='imported')\n"
    out, status = run(["-c", silent] + TOOLS + scripts)
    need(not status and not out, f"status {status}: {out}")


@test("tools: an interrupt and a request to end have their statuses")
def statuses():
    """Whoever started the tool learns why it ended."""
    for how, status in (("raise KeyboardInterrupt", 130), ("import signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()", 143),
                        ("raise cli.Trouble('so it is')", 1), ("open('/nonexistent')", 1), ("return 0", 0)):
        _, got = driven(how)
        need(got == status, f"{how}: status {got}, not {status}")


@test("tools: files that are closed or full, and a terminal that goes away")
def surroundings():
    """A status and a sentence; what was started ends, too."""
    for tool in ("check --list", "gen_trap_matrix.py markdown"):
        for how, status in ((">&-", 0), ("> /dev/full", 1), ("2>&- > /dev/null", 0), ("<&- > /dev/null", 0), ("| head -n 1", 0)):
            r = subprocess.run(["sh", "-c", f"{sys.executable} tools/{tool} {how}"], cwd=TOP, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, timeout=120)
            need(r.returncode == status and "Traceback" not in r.stderr, f"{tool} {how}: status {r.returncode}: {r.stderr}")
            need(how != "> /dev/full" or "cannot be written: No space left on device" in r.stderr, f"{tool} {how}: {r.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        body = "try:\n    print('started', flush=True)\n    import time; time.sleep(60)\n" \
               f"finally:\n    open({folder!r} + '/ended', 'w').close()"
        child, control = pty.fork()
        if not child:
            os.chdir(TOP)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
            os.execv(sys.executable, [sys.executable, "-c", driver(body)])
        os.read(control, 100)
        os.close(control)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        need(status == 129 and os.path.exists(f"{folder}/ended"), f"status {status}")


@test("tools: programs that are missing are named before anything is built")
def missing_programs():
    """With the package that has them."""
    installs = {"CAISSON_NO_INSTALL": ""}  # whatever this check was told
    with programs(dpkg_query=True) as path:
        expect("tools/run --batch", 1, "qemu-system-x86_64 (package qemu-system-x86)", {"PATH": path, **installs})
        expect("tools/bench micro", 1, "not found although installed", {"PATH": path, **installs})
        expect("tools/run --batch --no-install", 1, "missing: gcc (Debian's package gcc)", {"PATH": path})
    with programs() as path:
        expect("tools/run --batch", 1, "this is not a Debian", {"PATH": path, **installs})


@test("tools: a mirror that cannot be reached is named")
def no_mirror():
    """An old list of packages is no success."""
    with tempfile.TemporaryDirectory() as cache:
        with open(f"{cache}/apt.conf", "w") as f:
            f.write('Acquire::Retries "0";\n')
        dead = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "APT_CONFIG": f"{cache}/apt.conf"}
        out, status = driven(f"packages.download_kernel({cache!r})", dead)
        need(status == 1 and "Cannot reach http" in out and "127.0.0.1:9" in out and "--kernel FILE" in out, out)


@test("tools: what apt cannot install is to be installed by hand")
def apt_fails():
    """With the names of the packages."""
    said = "E: Failed to fetch http://mirror.example/debian/dists/x/InRelease  Could not connect\\n"
    for euid, apt, words in ((0, f"printf '{said}'; exit 100", "Cannot reach http://mirror.example: Could not connect"),
                             (0, "echo E: no space; exit 100", "Install these packages by hand: no-such-package"),
                             (1000, "exit 0", "there is no sudo. Install them as root: apt-get install no-such-package")):
        with programs(dpkg_query=True, **{"apt-get": apt}) as path:
            out, status = driven(f"os.geteuid = lambda: {euid}\npackages.ensure(['no-such-package'])", {"PATH": path})
            need(status == 1 and words in out, out)
            out, status = driven("os.geteuid = lambda: 1000\npackages.as_root(['mount', 'x'])", {"PATH": path})
            need(status == 1 and "this needs root, and there is no sudo. Run as root: mount x" in out, out)


@test("tools: a copied or moved cache of kernels is used where it is now, and no other's")
def cache_moved():
    """It names no absolute paths."""
    with tempfile.TemporaryDirectory() as top:
        def cache(name, marked):
            kernel = f"{top}/{name}/linux-image-1/boot/vmlinuz-1"
            os.makedirs(os.path.dirname(kernel))
            open(kernel, "w").close()
            body = f"os.makedirs({top!r} + '/x', exist_ok=True)\npackages._private_root = lambda *_: sys.exit('it is downloaded')\n" \
                   "print(packages.download_kernel(sys.argv[1]))"
            name = f"linux-image-amd64-bookworm-{packages.zlib.crc32(' '.join(packages.modules).encode()):08x}.path"
            with open(os.path.join(os.path.dirname(kernel), "..", "..", name), "w") as f:
                f.write(marked or kernel)
            return driven(body.replace("sys.argv[1]", repr(kernel.split("/linux-image-1")[0])))[0].strip(), os.path.realpath(kernel)
        for name, marked in (("relative", "linux-image-1/boot/vmlinuz-1"), ("absolute", None)):
            said, kernel = cache(name, marked)
            need(said == kernel, f"{name}: {said}")
        said, _ = cache("copied", f"{top}/relative/linux-image-1/boot/vmlinuz-1")
        need(said == "it is downloaded", f"another checkout's kernel is used: {said}")


@test("tools: blanks and commas in paths")
def odd_paths():
    """QEMU's options have their own rules for commas."""
    with tempfile.TemporaryDirectory(prefix="a b,c ") as folder:
        shot, console = f"{folder}/shot.ppm", f"{folder}/console"
        args = machine.command(("direct", ELF, None, "noreboot"), mem="256M",
                               extra=["-S", "-serial", f"file:{console}", "-monitor", "stdio"])
        subprocess.run(args, input=f"screendump {machine.monitor_word(shot)}\nquit\n".encode(), stdout=subprocess.DEVNULL, timeout=60)
        need(os.path.exists(shot) and os.path.exists(console), f"made: {os.listdir(folder)}")


def on_a_terminal(words, path):
    """Runs a tool on a terminal, with that folder before PATH: what it says, its status, and the terminal's settings before and after."""
    control, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        q = subprocess.Popen([sys.executable, *words.split()], cwd=TOP, stdin=terminal, stdout=terminal, stderr=terminal,
                             env=dict(os.environ, PATH=f"{path}:{os.environ['PATH']}"))
        status = q.wait(120)
        after, out = termios.tcgetattr(terminal), b""
        while select_ready(control):
            out += os.read(control, 65536)
        return out.decode(errors="replace"), status, before, after
    finally:
        os.close(terminal)
        os.close(control)


def select_ready(fd):
    import select
    return select.select([fd], [], [], 0.2)[0]


DIRECT = f"--direct --kernel {BUILD}/kernels/memory.elf --initrd {BUILD}/kernels/memory.elf".replace(TOP + "/", "")


@test("tools: tools/run puts the terminal back, however QEMU ends")
def terminal_kept():
    """Without one more word from the user."""
    test_kernel("memory")
    ended = f"{SOCKETS}/asked-to-end"
    for qemu, options, status, said in (
            ("stty raw -echo; kill -9 $$", "", -9, "starting QEMU"),
            (f"stty raw -echo; trap 'touch {ended}; exit' TERM; echo ready; while :; do sleep 0.1; done", "--timeout 2", 1,
             "ended after 2 s"),
            ("stty raw -echo; echo it does not know this; exit 1", "", 1, "it does not know this")):
        with programs(**{"qemu-system-x86_64": qemu}) as path:
            out, got, before, after = on_a_terminal(f"tools/run {DIRECT} {options}", path)
        need(before == after, f"{qemu}: the terminal was {before} and is {after}")
        need(got in (status, status & 0xff) and said in out and "Traceback" not in out, f"{qemu}: status {got}: {out}")
    need(os.path.exists(ended), "QEMU was not asked to end before it was killed")


@test("tools: tools/run says how far a machine without a terminal came")
def batch_report():
    """Its status says whether userspace was reached."""
    test_kernel("memory")
    for qemu, status, said in (
            ("echo no such CPU >&2; exit 1", 1, "QEMU did not start"),
            ("echo '(CAI) Starting dom0 1 ms after'; echo caisson: userspace reached", 0, "userspace reached after"),
            ("echo '(CAI) it ends early'", 1, "userspace NOT reached"),
            ("echo '(CAI)'; exec sleep 60", 1, "the machine was ended after")):
        with programs(**{"qemu-system-x86_64": qemu}) as path:
            out, got = run(f"tools/run --batch --timeout 3 {DIRECT}", {"PATH": f"{path}:{os.environ['PATH']}"})
        need(got == status and said in out, f"{qemu}: status {got}: {out[-1000:]}")


@test("tools: the one who waits for a build sees a count")
def count():
    """On a terminal only."""
    with tempfile.TemporaryDirectory() as tree:
        with open(f"{tree}/Makefile", "w") as f:
            f.write("all: a b\na b:\n\t@echo \"compiling $@\"\n\t@touch $@\n")
        body = f"build.TOP = {tree!r}\nbuild.hypervisor()\nbuild.hypervisor()"
        out, status = driven(body)
        need(not status and out.count("building: 2 files to compile") == 1 and "of 2" not in out, out)
        os.unlink(f"{tree}/a")
        out, status = driven(f"import pty\npty.spawn([sys.executable, '-c', {driver(body)!r}])")
        need("building: 1 files to compile" in out and "1 of 1" in out, out)


def make(*words, env=None, status=0):
    """make in the tree, which must end with that status: what it says."""
    r = subprocess.run(["make", "--no-print-directory", *words], cwd=TOP, env=dict(os.environ, MAKEFLAGS="", **(env or {})),
                       stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    need(r.returncode == status, f"make {' '.join(words)}: status {r.returncode}: {r.stdout[-1000:]}")
    return r.stdout


@test("tools: make builds what its variables ask for")
def make_variables():
    """Objects of other flags are not used."""
    folder = "build/check/variables"
    shutil.rmtree(f"{TOP}/{folder}", ignore_errors=True)
    target = f"{folder}/common/lib/parse_number.o"
    for words, env, compiler in (([], {}, "GCC"), ([], {}, None), (["DEBUG=1"], {}, "GCC"), (["DEBUG=0"], {}, "GCC"),
                                 (["CC=clang"], {}, "clang"),
                                 ([], {"CC": "clang"}, None), ([], {}, "GCC")):
        before = os.stat(f"{TOP}/{target}").st_mtime_ns if os.path.exists(f"{TOP}/{target}") else 0
        make("-s", f"O={folder}", *words, target, env=env)
        again = os.stat(f"{TOP}/{target}").st_mtime_ns != before
        need(again == bool(compiler), f"with {words} {env} it was {'' if again else 'not '}compiled")
        need(not compiler or compiler.encode() in open(f"{TOP}/{target}", "rb").read(), f"with {words} {env} {compiler} was not used")


@test("tools: make builds anew what a header changes")
def make_headers():
    """Objects, and what assembly code and the linker learn of headers, also by way of others."""
    folder = "build/check/headers"
    shutil.rmtree(f"{TOP}/{folder}", ignore_errors=True)
    for target, header in (("common/lib/parse_number.o", "types"), ("include/asm_offsets.h", "sched"), ("hypervisor.lds", "x86/layout")):
        words = ["-s", f"O={folder}", f"{folder}/{target}"]
        make(*words)
        need(not make("-n", *words), f"{target} is made again for nothing")
        need("-o " in make("-n", *words, "-W", f"include/hv/{header}.h"), f"{header}.h changes, and {target} stays")


@test("tools: make knows its variables, explains them, and says what it did")
def make_help():
    """And a wrong one is refused."""
    need("There is no variable DEBGU here" in make("DEBGU=1", status=2), "a wrong variable is taken")
    variables = re.search(r"^VARIABLES := (.*)$", open(f"{TOP}/Makefile").read(), re.M)[1].split()
    said = make("help")
    missing = [v for v in variables if v != "PROGRESS" and f"{v}=" not in said]
    need(not missing, f"'make help' does not explain {missing}")
    for v in ("O", "CC", "LD", "PYTHON", "FONT", "LIBDIR"):
        need(f"{v}= is empty" in make(f"{v}=", status=2), f"an empty {v}= is taken")
    os.makedirs(f"{OUT}/not-built", exist_ok=True)
    need("not-built: it stays" in make("clean", f"O={OUT}/not-built", status=2), "'make clean' removes any folder")
    need("is up to date" in make(), "make does not say that nothing was to be done")


@test("tools: make names a program, a font or a library that is missing")
def make_surroundings():
    """With the package that has it."""
    folder = "build/check/surroundings"  # the tree's own objects are not to be made anew: another compiler, or none, would have it so
    os.makedirs(f"{TOP}/{folder}", exist_ok=True)
    with programs(make=True, git=True, find=True, head=True) as path:
        for target in ("format", "format-check", "quick"):
            said = make(f"O={folder}", target, env={"PATH": path}, status=2)
            need("clang-format is not in PATH (Debian's package clang-format)" in said and "as .clang-format says" not in said, said)
    for word, target, said in (("FONT=/nonexistent", f"{folder}/font.o", "Debian's package grub-common has unicode.pf2"),
                               ("LIBDIR=/nonexistent", "/nonexistent/libz.a", "there is no /nonexistent/libz.a: LIBDIR= names the folder")):
        need(said in make("-s", f"O={folder}", word, target, status=2), f"make {word} does not say '{said}'")


@test("tools: make unit ends in a line that all is well, or shows what failed")
def make_unit():
    """What cmocka prints of assertions that are wanted is no part of it."""
    with programs(good="echo assertion x failed, as expected; echo '[  PASSED  ] 3 test(s).'",
                  bad="echo '[  FAILED  ] 1 test(s)'; exit 1") as folder:
        out, status = run(["tests/unit/run.py", f"{folder}/good", f"{folder}/good"])
        need(not status and out.endswith("unit tests: all is well, 6 tests in 2 programs passed\n") and "assertion" not in out, out)
        out, status = run(["tests/unit/run.py", f"{folder}/good", f"{folder}/bad"])
        need(status == 1 and "[  FAILED  ] 1 test(s)" in out and out.endswith("1 of 2 programs failed: bad\n"), out)


@test("tools: gdb's commands read a halted machine")
def gdb():
    """domain, vcpu, pte and frame."""
    bundle, socket = images.bundle(f"{OUT}/gdb.cpio", test_kernel("memory")), f"{SOCKETS}/gdb"
    q = subprocess.Popen(machine.command(("direct", ELF, bundle, "noreboot"), mem="256M") +
                         ["-serial", "null", "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb", "-S"],
                         stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if os.path.exists(socket):
                break
            time.sleep(0.05)
        steps = [f"target remote {socket}", "hbreak do_xen_version", "continue", "domain", "domain 0", "vcpu 0 0", "pte $rip",
                 "pte 0x1234567000",
                 "frame mfn hardware_domain->vcpu[0]->pv.base[0]", "frame mfn max_mfn + 1", "domain 7", "vcpu 1 2 3", "frame 0", "kill"]
        r = subprocess.run(["gdb", "-batch", "-nx", "-x", "tools/gdb/caisson.py", f"{os.path.dirname(ELF)}/caisson.debug"] +
                           [w for s in steps for w in ("-ex", s)], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT,
                           text=True, timeout=120)
    finally:
        q.kill()
        q.wait()
    for said in (r"^d0: running, 1 vCPUs, \d+ frames, \d+ references, \(struct domain \*\) 0xffff83",
                 r"^  event channels: \d+ with a structure, 2-level", r"^  grant frames: [1-9]\d*; vm_assist 0x",
                 r"^  v0: running on CPU 0", r"^d0:v0: running on CPU 0, \(struct vcpu", r"^  L4 of the kernel: frame 0x[1-9a-f]",
                 r"^     rip ffffffff80", r"^L4\[0x105\] = \w+ P ", r"^0xffff82d04\w+ is at 0x\w+, frame 0x",
                 r"^L4\[0x000\] = 0{16} not present",
                 r"^frame 0x\w+: \d+ references, PGT_L4 [1-9]\d* times, owner d0", r"PGT_PINNED PGT_VALIDATED",
                 r"is no RAM: the highest is 0x",
                 r"^there is no domain 7; 'domain' lists them", r"^usage: vcpu \[DOMAIN \[NUMBER\]\]", r"^#0 .*do_xen_version"):
        need(re.search(said, r.stdout, re.M), f"'{said}' is not in\n{r.stdout[-4000:]}")
