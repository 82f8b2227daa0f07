# SPDX-License-Identifier: MIT
"""QEMU command lines, and running one until it ends, says what was awaited, or time is up."""
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import cli

OVMF = "/usr/share/OVMF/OVMF_CODE.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS.fd"


def command(boot, cpu="max", smp=1, mem="512M", extra=(), flash=None):
    """boot: ("direct", elf, bundle or None, args) | ("bios", iso) | ("uefi", iso). flash: the file of UEFI's variables, or None."""
    args = ["qemu-system-x86_64", "-machine", "q35", "-cpu", cpu, "-smp", str(smp), "-m", str(mem), "-display", "none",
            "-no-reboot", "-nic", "none",
            # Backed lazily, so that machines larger than this one's memory can be tried.
            "-object", f"memory-backend-ram,id=ram,size={mem},reserve=off", "-machine", "memory-backend=ram"]
    if boot[0] == "direct":
        args += ["-kernel", boot[1], "-append", boot[3]]
        if boot[2]:
            args += ["-initrd", boot[2]]
    else:
        args += ["-cdrom", boot[1], "-boot", "d"]
        if boot[0] == "uefi":
            args += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}",
                     "-drive", f"if=pflash,format=raw,file={value(flash or _fresh_vars())}"]
    streams = os.environ.get("CAISSON_COVERAGE")
    if streams:
        args += ["-debugcon", f"file:{tempfile.mkstemp(dir=streams)[1]}"]
    return args + list(extra)


def value(path):
    """A path as the value of one of QEMU's options, where commas separate. Behind `-serial file:` and the like nothing does."""
    return path.replace(",", ",,")


def monitor_word(path):
    """A path as a word of a command for QEMU's monitor, where blanks separate."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fresh_vars():
    f = tempfile.NamedTemporaryFile(prefix="caisson-vars-", suffix=".fd", delete=False)
    f.close()
    shutil.copy(OVMF_VARS, f.name)
    _temporary.append(f.name)
    return f.name


_temporary = []


def cleanup(args):
    """Removes the files that command() made for this machine; others may be starting meanwhile."""
    for name in [n for n in _temporary if any(n in a for a in args)]:
        _temporary.remove(name)
        os.unlink(name)


class Result:
    def __init__(self, output, status, seconds, timed_out):
        self.output, self.status, self.seconds, self.timed_out = output, status, seconds, timed_out


def run_to_file(args, timeout, path):
    """As run() without its options; the console goes through a file, which loses nothing however busy this machine is."""
    start, timed_out = time.monotonic(), False
    q = subprocess.Popen(args + ["-serial", f"file:{path}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        q.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        cli.end(q)
    cleanup(args)
    return Result(open(path, errors="replace").read(), q.returncode, time.monotonic() - start, timed_out)


def run_on_terminal(args, timeout):
    """The serial line is this process's terminal, raw while the machine runs: Ctrl-C and Ctrl-A belong to it. None if the time was up."""
    with cli.terminal_kept():
        q = subprocess.Popen(args)
        try:
            return q.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            cli.end(q)
            cleanup(args)


OUT_OF_TIME = "# out of time; what the hypervisor says now:"

# Domains and vCPUs, run queues, timers, event channels, interrupts.
STATE_KEYS = "qraei"


def ask_why(q, monitor):
    """What the hypervisor says of itself, twice, in a machine that stands still, and where QEMU says that its processors are."""
    said = f"\n{OUT_OF_TIME}\n".encode()
    try:
        for key in "\1\1\1" + STATE_KEYS + STATE_KEYS:
            q.stdin.write(key.encode())
            q.stdin.flush()
            said += _read_while_it_comes(q.stdout)
        said += b"\n# where QEMU says that the processors are:\n"
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(monitor)
            s.sendall(b"info registers -a\n")
            registers = _read_while_it_comes(s)
            said += b"".join(line + b"\n" for line in registers.splitlines() if line.startswith((b"CPU#", b"RIP=", b"RSP=", b"CR0=")))
    except OSError as e:
        said += f"# no more of it: {e}\n".encode()
    return said


def _read_while_it_comes(stream):
    said, end = b"", time.monotonic() + 5
    while time.monotonic() < end and select.select([stream], [], [], 0.5)[0]:
        chunk = os.read(stream.fileno(), 65536)
        if not chunk:
            break
        said += chunk
    return said


def run(args, timeout, until=None, echo=None, log=None, typed=()):
    """
    Serial output is collected (and echoed, logged). until: text after which QEMU is ended.
    typed: (text to wait for, text to send) pairs, in order.
    """
    start = time.monotonic()
    directory = tempfile.mkdtemp(prefix="caisson-")
    monitor = f"{directory}/monitor"
    q = subprocess.Popen(args + ["-serial", "stdio", "-monitor", f"unix:{monitor},server=on,wait=off"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, timed_out, typed, searched = b"", False, list(typed), 0
    try:
        while True:
            left = timeout - (time.monotonic() - start)
            if left <= 0:
                timed_out = True
                if log:
                    why = ask_why(q, monitor)
                    log.write(why)
                    output += why
                break
            ready, _, _ = select.select([q.stdout], [], [], min(left, 1))
            if not ready:
                continue
            chunk = os.read(q.stdout.fileno(), 65536)
            if not chunk:
                break
            output += chunk
            for sink in (echo, log):
                if sink:
                    sink.write(chunk)
                    sink.flush()
            while typed and typed[0][0].encode() in output[searched:]:
                searched = output.index(typed[0][0].encode(), searched) + len(typed[0][0])
                time.sleep(0.3)  # a person's pace: programs tell Escape from a key sequence by time
                q.stdin.write(typed.pop(0)[1].encode())
                q.stdin.flush()
            if until and until.encode() in output:
                if "CAISSON_COVERAGE" in os.environ:
                    time.sleep(0.3)  # the counters are on their way
                break
    finally:
        if q.poll() is None:
            try:
                q.wait(2 if not timed_out and not until else 0.01)
            except subprocess.TimeoutExpired:
                q.send_signal(signal.SIGKILL)
        q.wait()
        cleanup(args)
        shutil.rmtree(directory)
    return Result(output.decode(errors="replace"), q.returncode, time.monotonic() - start, timed_out)
