"""What the tests share: their registry, checks, machines, the QEMU monitor, and the runner."""
import atexit
import concurrent.futures
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))
from caisson import images, machine  # noqa: E402

BUILD = os.path.join(TOP, "build")
COVERAGE = os.environ.get("CAISSON_COVERAGE")
HV = os.path.join(BUILD, "coverage") if COVERAGE else BUILD  # the hypervisor that is tested
ELF = os.path.join(HV, "caisson.elf")
OUT = os.path.join(BUILD, "check")
REACHED = "caisson: userspace reached"
# A socket's path has 107 characters at most: not below the tree, which may lie anywhere.
SOCKETS = tempfile.mkdtemp(prefix="caisson-")
atexit.register(shutil.rmtree, SOCKETS, ignore_errors=True)
tests = []


class Failed(Exception):
    pass


def test(title, **parameters):
    """Registers a function; it fails by raising."""
    def register(f):
        tests.append((title, lambda: f(**parameters)))
        return f
    return register


def need(condition, what, result=None):
    if not condition:
        tail = "\n".join(result.output.splitlines()[-25:]) if result else ""
        raise Failed(what + ("\n" + tail if tail else ""))


def command(*args, **kw):
    r = subprocess.run(args, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    need(r.returncode == 0, f"{' '.join(args)} failed\n{r.stdout[-3000:]}")
    return r.stdout


def symbols(image=f"{HV}/caisson.debug"):
    """Name to address, of a linked image."""
    rows = (line.split() for line in command("nm", image).splitlines())
    return {name: int(value, 16) for value, _, name in rows}


# ---- machines ----

def direct(module, args, **kw):
    return machine.run(machine.command(("direct", ELF, module, args), **kw.pop("machine", {})), **kw)


def run_linux(boot, timeout, **machine_words):
    """
    machine.run(machine.command(boot, ...)) for a Linux with several vCPUs. QEMU before 8.1 translates code without holding its page: Linux, which
    patches its code with INT3 for a moment, can meet one on another CPU after it is gone. Such a run says nothing.
    """
    for _ in range(3):
        r = machine.run(machine.command(boot, **machine_words), timeout)
        if not ("Oops: int3" in r.output or "] int3: 0000" in r.output):
            break
        print("     the emulator ran code that was patched meanwhile; once more", flush=True)
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
    steps = [f"symbol-file {HV}/caisson.debug", f"target remote :{port}", f"hbreak *{symbols()[at]:#x}", "continue",
             *([damage] if isinstance(damage, str) else damage), "delete", "detach"]
    args = machine.command(boot or ("direct", ELF, bundle, words), mem=mem, extra=extra)
    gdb = subprocess.Popen(["gdb", "-batch", "-nx", "-ex", "set tcp connect-timeout 20"] +
                           [a for s in steps for a in ("-ex", s)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    r = machine.run(args + ["-gdb", f"tcp::{port}", "-S"], timeout, until=until)
    gdb.wait(20)
    return r


# ---- running ----

def run_all(selected, workers):
    passed, failed, lock = 0, [], threading.Lock()

    def one(item):
        nonlocal passed
        name, f = item
        start = time.monotonic()
        try:
            f()
            error = None
        except Failed as e:
            error = str(e)
        except Exception as e:  # a broken test is a failed one
            error = f"{type(e).__name__}: {e}"
        with lock:
            if error:
                failed.append(name)
            else:
                passed += 1
            print(f"{'FAIL' if error else 'ok  '} {name} ({time.monotonic() - start:.1f} s)", flush=True)
            if error:
                print("     " + error.replace("\n", "\n     "), flush=True)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, selected))
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed")
    return not failed
