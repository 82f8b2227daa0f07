# SPDX-License-Identifier: MIT
"""
Bochs: a second processor model, which keeps to the manuals where QEMU is lenient, and has what QEMU lacks (shadow stacks).
It boots a GRUB image by BIOS; the serial line goes to a file.
"""
import os
import pty
import select
import signal
import subprocess
import time

from .machine import Result

BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin"
CONFIGURATION = """\
display_library: term
romimage: file={bios}
vgaromimage: file={vga}
cpu: model={model}, count={cpus}, ips=50000000
memory: guest={mem}, host={mem}
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="{stem}.console"
log: "{stem}.log"
panic: action=fatal
error: action=ignore
info: action=ignore
"""


def run(iso, stem, timeout, until, model="tigerlake", cpus=1, mem=256, debugger=("c",)):
    """
    Until the console shows one of the texts of `until`. stem: of the files that this run makes. debugger: commands for Bochs' own,
    which starts before the first instruction.
    """
    with open(stem + ".bochsrc", "w") as f:
        f.write(CONFIGURATION.format(bios=BIOS, vga=VGA_BIOS, model=model, cpus=cpus, mem=mem, iso=iso, stem=stem))
    with open(stem + ".debugger", "w") as f:
        f.write("\n".join(debugger) + "\n")
    console = stem + ".console"
    if os.path.exists(console):
        os.unlink(console)
    start, timed_out, output = time.monotonic(), False, ""
    screen, terminal = pty.openpty()  # it draws the machine's screen on a terminal, or does not start
    q = subprocess.Popen(["bochs-bin", "-q", "-f", stem + ".bochsrc", "-rc", stem + ".debugger"], stdin=terminal, stdout=terminal,
                         stderr=terminal, env=dict(os.environ, TERM="linux"), start_new_session=True)
    os.close(terminal)
    try:
        while q.poll() is None and not any(text in output for text in until):
            if time.monotonic() - start > timeout:
                timed_out = True
                break
            if select.select([screen], [], [], 0.1)[0]:
                try:
                    os.read(screen, 65536)
                except OSError:
                    break  # it has ended
            if os.path.exists(console):
                with open(console, errors="replace") as f:
                    output = f.read()
    finally:
        if q.poll() is None:
            q.send_signal(signal.SIGKILL)
        q.wait()
        os.close(screen)
    return Result(output, q.returncode, time.monotonic() - start, timed_out)
