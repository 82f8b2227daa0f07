# SPDX-License-Identifier: MIT
"""What a person sees and types: the debug keys, and the screen of a machine that could not start."""
import os
import re
import subprocess

from caisson import images, machine
from harness import ELF, OUT, SOCKETS, Seen, clean, direct, linux_bundle, monitor, need, run_machine, test


@test("console: a person types into dom0 and the debug keys")
def typing():
    """A shell, an editor, and every debug key that only prints."""
    typed = [("dom0#", "echo four $((2+2))\n"), ("four 4", "vi /root/f\n"), ("[K- /root/f", "ihello\x1b"),
             ("hello", ":wq\n"), ("dom0#", "cat /root/f; top -b -n 1 | head -3\n"),
             ("Load average", "\x01\x01\x01h\x01\x01\x01"), # in one go
             ("=> this list", ""), ("Input goes to dom0", "\x01\x01\x01"), ("Input goes to Caisson", "d"),
             ("registers of dom0", "q"), ("domains and their", "e"), ("event channels", "a"), ("timers", "g"), ("grants: what", "i"),
             ("interrupts", "w"), ("page-table walks", "l"), ("the log:", "m"), ("audit ok", "\x01\x01\x01"),
             ("Input goes to dom0", "poweroff\n")]
    r = direct(linux_bundle(), "-- console=hvc0", timeout=150, typed=typed)
    need("audit ok" in r.output and "FAILED" not in r.output, "the memory audit failed or was not reached", r)
    need(not r.timed_out, "what was typed did not get through", r)
    clean(r)


@test("console: the refusal is on the screen ({how})", each=[{"how": how} for how in ("bios", "uefi", "direct")])
def screen(how):
    """Words on it, and a QR code that a telephone reads."""
    shot = f"{OUT}/screen-{how}.ppm"
    if os.path.exists(shot):
        os.unlink(shot)
    boot = (how, images.iso(f"{OUT}/nothing-{how}.iso", ELF, None, None, "noreboot", "")) if how != "direct" else \
        ("direct", ELF, None, "noreboot")
    halted = Seen("Halted (noreboot).")
    r = run_machine(machine.command(boot) + monitor(f"{SOCKETS}/screen-{how}.sock", [f"screendump {machine.monitor_word(shot)}", "quit"], 1,
                                                    halted), 60,
                    echo=halted)
    need(os.path.exists(shot), "no screenshot was made", r)
    data = open(shot, "rb").read().split(b"\n", 3)
    lit = sum(1 for b in data[3][::3] if b > 0x60)
    need(lit > 5000, f"only {lit} pixels are lit", r)
    # What a telephone would read.
    seen = subprocess.run(["zbarimg", "-q", "--raw", shot], capture_output=True, text=True).stdout.strip()
    need(re.fullmatch(r"CAI-K01/0\.\d+/SMP-BOOT/0/IP:[0-9A-F]{16}/A:0/BT:[0-9A-F.]+", seen), f"the QR code says '{seen}'", r)
