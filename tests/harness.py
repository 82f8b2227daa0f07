# SPDX-License-Identifier: MIT
"""What the tests share: their registry, checks, what machines boot, machines, and the QEMU monitor."""
import atexit
import functools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))
from caisson import bochs, images, machine, packages  # noqa: E402

BUILD = os.path.join(TOP, "build")
COVERAGE = os.environ.get("CAISSON_COVERAGE")
HV = os.path.join(BUILD, "coverage") if COVERAGE else BUILD  # the hypervisor that is tested
ELF = os.path.join(HV, "caisson.elf")
OUT = os.path.join(BUILD, "check")
REACHED = "caisson: userspace reached"
# A socket's path has 107 characters at most: not below the tree, which may lie anywhere.
SOCKETS = tempfile.mkdtemp(prefix="caisson-")
atexit.register(shutil.rmtree, SOCKETS, ignore_errors=True)
tests = []  # all that are registered, in the order of modules and of lines in them


class Failed(Exception):
    pass


class Test:
    """
    A test: its title, the function, which fails by raising, and what was declared. minutes: it takes that long, so it starts before the
    shorter ones. alone: nothing else runs beside it. full: only with --full.
    """

    def __init__(self, title, function, minutes, alone, full):
        self.title, self.function, self.minutes, self.alone, self.full = title, function, minutes, alone, full


def test(title, each=({},), minutes=0, alone=False, full=False, **parameters):
    """Registers a function as a test, or as one for each set of parameters, which the title then names as {parameter}."""
    def register(f):
        for row in each:
            tests.append(Test(title.format(**row) if row else title, functools.partial(f, **parameters, **row), minutes, alone, full))
        return f
    return register


def once(f):
    """What several tests need: the first that asks makes it, others wait. Failing fails each of them."""
    lock, results = threading.Lock(), {}

    @functools.wraps(f)
    def made(*args):
        with lock:
            if args not in results:
                try:
                    results[args] = f(*args), None
                except Exception as e:
                    results[args] = None, e
        value, error = results[args]
        if error:
            raise error
        return value
    return made


def need(condition, what, result=None):
    """
    result: a machine's. What a test kernel found wrong is shown first, then the console's end, and of a machine that stood still what it
    said about that; all of it is in the test's log.
    """
    if condition:
        return
    console, marker, why = result.output.partition(machine.OUT_OF_TIME) if result else ("", "", "")
    lines = console.splitlines()
    found = [line for line in lines if "check failed:" in line][:10]
    end = [line for line in lines[-25:] if line not in found]
    if end:
        end.insert(0, "The console ends:")
    raise Failed("\n".join([what] + found + end + ([marker + why[-12000:]] if marker else [])))


def command(*args, **kw):
    """What the command prints; the end of that is the failure if it fails."""
    r = subprocess.run(args, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    need(r.returncode == 0, f"{' '.join(args)} failed\n{r.stdout[-3000:]}")
    return r.stdout


def tree(*words):
    """Files of the tree, those that git is yet to be told of too; words: folders or patterns of git's."""
    named = command("git", "ls-files", "--cached", "--others", "--exclude-standard", *words).splitlines()
    return [f for f in named if os.path.exists(f"{TOP}/{f}")]


def symbols(image=f"{HV}/caisson.debug"):
    """Name to address, of a linked image."""
    rows = (line.split() for line in command("nm", image).splitlines())
    return {name: int(value, 16) for value, _, name in rows}


# ---- logs ----

class Log:
    """The log of a test: of each machine that it runs, the command line and the whole console; and what the test prints."""

    def __init__(self, title):
        self.path, self.written, self.file = f"{OUT}/{re.sub(r'[^A-Za-z0-9_.]+', '-', title).strip('-')}.log", False, None
        if os.path.exists(self.path):
            os.unlink(self.path)

    def write(self, data):
        if not self.file:
            self.file = open(self.path, "wb", buffering=0)
            self.written = True
        self.file.write(data.encode() if isinstance(data, str) else data)

    def flush(self):
        pass

    def machine(self, args):
        """The head of a machine's console: it can be given to a shell."""
        self.write(f"{'' if not self.written else chr(10)}# {shlex.join(args)}\n\n")


_running = threading.local()


def start_log(title):
    """The log of the test that this thread runs from here on."""
    _running.log = Log(title)
    return _running.log


def end_log():
    if _running.log.file:
        _running.log.file.close()
    _running.log = None


def current_log():
    """None outside of a test."""
    return getattr(_running, "log", None)


# ---- what machines boot: made when the first test asks for it ----

@once
def test_kernel(name):
    """The test kernel tests/kernels/NAME.c, compiled."""
    command("make", "-s", "-C", "tests/kernels", f"../../build/kernels/{name}.elf")
    return f"{BUILD}/kernels/{name}.elf"


@once
def debug_elf():
    """The hypervisor that checks the order of locks and more; when coverage is measured, the one that counts."""
    if COVERAGE:
        return ELF
    command("make", "-s", "-j2", "O=build/debug", "DEBUG=1")
    return f"{BUILD}/debug/caisson.elf"


@once
def trap_test_elf():
    """The hypervisor that raises traps in itself."""
    if not COVERAGE:
        # Relative, as by hand: dependency files name their objects as make was told to.
        command("make", "-s", "-j2", "O=build/traptest", "TRAP_TEST=1")
    return f"{HV}/traptest/caisson.elf"


@once
def linux(version="6.1"):
    """Debian's kernel, downloaded."""
    return packages.download_kernel(f"{BUILD}/cache", version)


@once
def initramfs():
    """The initrd that reports from dom0."""
    return images.initramfs(f"{OUT}/initramfs.cpio")


@once
def bundle(name):
    """A test kernel as the one module that a direct boot takes."""
    return images.bundle(f"{OUT}/{name}.cpio", test_kernel(name))


@once
def linux_bundle():
    """Debian's kernel and the initrd that reports."""
    return images.bundle(f"{OUT}/linux.cpio", linux(), initramfs())


# ---- machines: each has its console in the test's log ----

def run_machine(args, timeout, **how):
    """machine.run()."""
    log = current_log()
    if log:
        log.machine(args)
    return machine.run(args, timeout, log=log, **how)


def run_machine_to_file(args, timeout, path):
    """machine.run_to_file()."""
    r = machine.run_to_file(args, timeout, path)
    log_machine(args, r.output)
    return r


def run_bochs(iso, stem, *args, **how):
    """bochs.run()."""
    r = bochs.run(iso, stem, *args, **how)
    log_machine(["bochs-bin", "-q", "-f", stem + ".bochsrc", "-rc", stem + ".debugger"], r.output)
    return r


def log_machine(args, output):
    """The console of a machine that has ended."""
    log = current_log()
    if log:
        log.machine(args)
        log.write(output)


def direct(module, args, **kw):
    """A machine that QEMU starts itself, without a loader: module, the hypervisor's words; machine= has machine.command()'s words."""
    return run_machine(machine.command(("direct", ELF, module, args), **kw.pop("machine", {})), **kw)


def run_linux(boot, timeout, smp=1, **machine_words):
    """run_machine(machine.command(boot, ...)) for a Linux."""
    return run_patching(machine.command(boot, smp=smp, **machine_words), timeout, smp)


def run_patching(args, timeout, smp):
    """
    run_machine() for a machine with Linux. With several CPUs it runs on a newer emulator: QEMU before 8.1 translates code without holding
    its page, and Linux patches its code while it runs. A CPU could keep what stood there for a moment: such a run says nothing. Nor does
    one whose emulator fails an assertion of its own, as the newer one does now and then where memory is mapped anew.
    """
    if smp > 1:
        args = packages.download_qemu(f"{BUILD}/cache") + args[1:]
    for _ in range(3):
        r = run_machine(args, timeout)
        if r.status != -signal.SIGABRT or not re.search(r"^qemu-system-x86_64: .*Assertion .* failed", r.output, re.M):
            break
        print("the emulator failed an assertion of its own; once more", flush=True)
    return r


def clean(r):
    """No complaint of the hypervisor about itself."""
    need("PANIC" not in r.output and "suppressed" not in r.output, "the hypervisor complained", r)


class Seen:
    """A sink for machine.run(echo=...): knows when a text has been printed."""

    def __init__(self, text):
        self.text, self.output, self.event = text.encode(), b"", threading.Event()

    def write(self, chunk):
        self.output += chunk
        if self.text in self.output:
            self.event.set()

    def flush(self):
        pass


class Dialogue:
    """A sink for machine.run(echo=...): on each text, in order, sends commands to QEMU's monitor."""

    def __init__(self, name, steps):
        """steps: (text to wait for, list of commands (numbers: seconds to wait), or a function from
        the output so far to one)"""
        self.path, self.steps, self.output, self.from_ = f"{SOCKETS}/{name[:60]}.sock", list(steps), "", 0
        self.pending = ""
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = None
        self.arguments = ["-monitor", f"unix:{self.path},server,nowait"]

    def write(self, chunk):
        self.pending += chunk.decode(errors="replace")
        whole, newline, self.pending = self.pending.rpartition("\n")
        self.output += whole + newline
        while self.steps and self.steps[0][0] in self.output[self.from_:]:
            text, commands = self.steps.pop(0)
            self.from_ = self.output.index(text, self.from_) + len(text)
            self.send(commands(self.output) if callable(commands) else commands)

    def send(self, commands):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(self.path)
        for c in commands:
            if isinstance(c, str):
                self.socket.sendall(c.encode() + b"\n")
            else:
                time.sleep(c)

    def flush(self):
        pass


def monitor(path, commands, interval, after, until_gone=False, said=None):
    """A thread that sends the commands, one each `interval` seconds, once `after` (Seen) has happened. said: a list for the answers."""
    def feed():
        s = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                s.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        after.event.wait(60)
        try:
            while True:
                for c in commands:
                    time.sleep(interval)
                    s.sendall(c.encode() + b"\n")
                while not until_gone:
                    answer = s.recv(4096)
                    if not answer:
                        break  # QEMU forgets what it has not read yet when the line drops
                    if said is not None:
                        said.append(answer.decode(errors="replace"))
        except OSError:
            pass  # the machine has ended

    if os.path.exists(path):
        os.unlink(path)
    t = threading.Thread(target=feed, daemon=True)
    t.start()
    return ["-monitor", f"unix:{path},server,nowait"]


_ports = iter(range(20000 + os.getpid() % 10000, 65000))


def provoke(at, damage, until, bundle=None, words="noreboot", timeout=60, mem="256M", boot=None, extra=()):
    """Stops the machine (boot; else directly) at a function, does damage through gdb (a command, or a list), and lets it run into it."""
    port = next(_ports)
    steps = [f'symbol-file "{HV}/caisson.debug"', f"target remote :{port}", f"hbreak *{symbols()[at]:#x}", "continue",
             *([damage] if isinstance(damage, str) else damage), "delete", "detach"]
    args = machine.command(boot or ("direct", ELF, bundle, words), mem=mem, extra=extra)
    gdb = subprocess.Popen(["gdb", "-batch", "-nx", "-ex", "set tcp connect-timeout 20"] +
                           [a for s in steps for a in ("-ex", s)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    r = run_machine(args + ["-gdb", f"tcp::{port}", "-S"], timeout, until=until)
    gdb.wait(20)
    return r
