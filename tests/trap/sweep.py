# SPDX-License-Identifier: MIT
"""
NMIs and machine checks at every instruction, from outside the machine.

Two ways. An HPET timer that sends NMIs as MSIs, programmed through gdb's physical-memory mode before
the first 64-bit instruction, under -icount: thousands a second, at places that move with the
period. And gdb breakpoints: at each one the error is injected through the monitor, then the
machine goes on; so that every instruction of a function is hit, and by machine checks too.
"""
import os
import re
import socket
import subprocess
import time

from harness import ELF, HV, OUT, SOCKETS, command, log_machine, need, run_machine, symbols, test_kernel
from caisson import images, machine

HPET = 0xFED00000
PATIENCE = 1500 # stops without a new place
DEBUG = f"{HV}/caisson.debug"
# Where a mistake would show: entries, exits, the switch of stacks and address spaces, the console lock.
WINDOWS = """trampoline_page entry_common entry_general from_guest exit_to_guest exit_sysret iret_to_guest guest_iretq iret_guest_fault
from_hypervisor return_to_hypervisor return_nmis_blocked entry_ist ist_from_hypervisor syscall_entry syscall_general switch_stack
vcpu_first_entry trap_from_guest trap_from_hypervisor nmi_unblock prepare_guest_return push_frame
pv_bounce syscall_from_guest pv_hypercall do_iret pv_toggle_mode pv_load_address_space arch_vcpu_load arch_vcpu_save schedule schedule_tail
softirq_process guest_copy_raw_to guest_copy_raw_from console_write serial_write spin_lock spin_unlock irq_dispatch guest_trap_inject
pv_emulate_exception page_fault general_protection""".split()


class Gdb:
    """The little of gdb's remote protocol that is needed."""

    def __init__(self, path):
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        self.socket.settimeout(30)

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def receive(self):
        while True:
            m = re.search(rb"\$([^#]*)#..", self.buffer)
            if m:
                self.buffer = self.buffer[m.end():]
                self.socket.sendall(b"+")
                return m.group(1).decode()
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self.buffer += chunk

    def ask(self, text):
        self.send(text)
        return self.receive()

    def monitor(self, text):
        """A command of QEMU's monitor; output packets come before the answer."""
        self.send("qRcmd," + text.encode().hex())
        while self.receive() not in ("OK", "E01", ""):
            pass

    def break_at(self, address, on=True):
        self.ask(f"{'Z' if on else 'z'}1,{address:x},1")

    def registers(self):
        """rsp and rip."""
        data = bytes.fromhex(self.ask("g"))
        return int.from_bytes(data[56:64], "little"), int.from_bytes(data[128:136], "little")

    def write_physical(self, address, value):
        self.ask(f"M{address:x},4:{value.to_bytes(4, 'little').hex()}")


def start(kernel, words, extra, name):
    """QEMU, stopped before its first instruction, and a Gdb to it. The console goes to a file."""
    bundle = images.bundle(f"{OUT}/sweep-{kernel}.cpio", test_kernel(kernel))
    path, console, log = f"{SOCKETS}/{name}.gdb", f"{OUT}/sweep-{name}.console", f"{OUT}/sweep-{name}.int"
    for old in (path, console, log):
        if os.path.exists(old):
            os.unlink(old)
    args = machine.command(("direct", ELF, bundle, words), mem="256M", extra=extra)
    q = subprocess.Popen(args + ["-serial", f"file:{console}", "-chardev", f"socket,id=gdb,path={path},server=on,wait=off",
                                 "-gdb", "chardev:gdb", "-S", "-d", "int", "-D", log],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gdb = Gdb(path)
    gdb.ask("?")
    return q, gdb, console, log


class Run:
    """What is left of a machine that has ended."""

    def __init__(self, q, console, log, timeout):
        self.hung = False
        try:
            q.wait(timeout)
        except subprocess.TimeoutExpired:
            self.hung = True
            q.kill()
            q.wait()
        self.output = open(console, errors="replace").read().replace("\r", "")
        log_machine(q.args, self.output)
        text = open(log, errors="replace").read()
        self.places = {vector: [int(ip, 16) for ip in re.findall(rf"v={vector:02x} .* IP=\w+:(\w+)", text)] for vector in (2, 18)}
        os.unlink(log)


def check(run, what):
    need(not run.hung, f"{what}: the machine hangs", run)
    need("PANIC" not in run.output, f"{what}: a report", run)
    need("test kernel: PASS" in run.output, f"{what}: the guest did not end well", run)


# ---- NMIs from the HPET ----

def boot_under_nmis(period, delay, name="boot", kernel="memory"):
    """period in ticks of 10 instructions; delay: instructions before the timer starts. The places that were hit."""
    q, gdb, console, log = start(kernel, "noreboot nmi=ignore", ["-icount", "shift=0", "-global", "hpet.msi=on"], name)
    first = symbols()["long_mode_high"]
    gdb.break_at(first)
    gdb.ask("c")
    gdb.break_at(first, False)
    gdb.ask("Qqemu.PhyMemMode:1")
    for offset, value in ((0x10, 0), (0xF0, 0), (0xF4, 0), (0x100, 0x404C), (0x110, 0x400), (0x114, 0xFEE00000),
                          (0x108, 1 + delay), (0x10C, 0), (0x108, period), (0x10C, 0), (0x10, 1)):
        gdb.write_physical(HPET + offset, value)
    gdb.ask("Qqemu.PhyMemMode:0")
    gdb.send("D")
    run = Run(q, console, log, 120)
    check(run, f"NMI every {period * 10} instructions from the first")
    return run.places[2]


def executed(kernel="memory"):
    """The hypervisor's instructions that a boot to that kernel's end runs, from the first 64-bit one at its virtual address."""
    log = f"{OUT}/executed.asm"
    bundle = images.bundle(f"{OUT}/sweep-{kernel}.cpio", test_kernel(kernel))
    args = machine.command(("direct", ELF, bundle, "noreboot nmi=ignore"), mem="256M", extra=["-d", "in_asm", "-D", log])
    need("test kernel: PASS" in run_machine(args, 60).output, "the boot did not end well")
    text = open(log).read()
    os.unlink(log)
    return {int(a, 16) for a in re.findall(r"^0x(ffff82d04\w+):", text, re.M)}


# ---- injection at breakpoints ----

def instructions(functions, kind=r"\w"):
    """Addresses of all instructions of the functions (of a kind: a pattern), in order; padding left out."""
    text = command("objdump", "-d", "--no-show-raw-insn", DEBUG)
    found, name = [], None
    for line in text.splitlines():
        m = re.match(r"\w+ <([^>]+)>:", line)
        if m:
            name = re.sub(r"\.(part|isra|constprop|cold).*", "", m.group(1))
        m = re.match(r"\s*(\w+):\t(\w+)(.*)", line)
        if m and name in functions and re.match(kind, m.group(2)) \
                and not re.match(r"(nop|xchg +%ax,%ax|data16|cs nop|int3)", m.group(2) + m.group(3)):
            found.append(int(m.group(1), 16))
    return found


def trampoline_at(gdb):
    """The trampoline page is run where it is mapped: at the start of the vCPU's stack block."""
    return gdb.registers()[0] & ~0x7FFF


def inject(addresses, vector, name, kernel="trap_rounds", after="do_xen_version"):
    """
    NMI or recoverable machine check before each instruction the first time it is reached. Returns
    (places hit, places where it could only be latched behind one in progress, the run).
    """
    q, gdb, console, log = start(kernel, "noreboot nmi=ignore", [], name)
    table = symbols()
    ready, page = table[after], table["trampoline_page"]
    nmi_stack, mc_stack = (range(table["boot_ist_stacks"] + (n << 15), table["boot_ist_stacks"] + (n + 1 << 15)) for n in (1, 2))
    gdb.break_at(ready)
    gdb.ask("c")
    gdb.break_at(ready, False)
    block = trampoline_at(gdb)
    waiting = {a - page + block if page <= a < page + 4096 else a for a in addresses}
    # A machine check during another resets the machine: places in the handler wait until its end.
    ends = {table["exit_to_guest"], table["return_to_hypervisor"]} if vector == 18 else set()
    for a in waiting | ends:
        gdb.break_at(a)
    hit, latched, later, busy, idle = [], [], [], False, 0
    try:
        while True:
            idle += 1
            if idle > PATIENCE and not busy:
                gdb.send("D") # what has not come by now does not come
                break
            gdb.send("c")
            if not gdb.receive().startswith("T05"):
                break
            sp, at = gdb.registers()
            gdb.break_at(at, False)
            if at in ends and (busy or at not in waiting):
                for a in later:
                    gdb.break_at(a)
                busy, later = False, []
                gdb.ask("s")
                gdb.break_at(at)
            elif busy or (vector == 18 and sp - 1 in mc_stack):
                later.append(at) # on its stack until the IRETQ: a second one there is a report (docs/traps.md)
            elif vector == 2:
                idle = 0
                waiting.remove(at)
                (latched if sp - 1 in nmi_stack else hit).append(at)
                gdb.monitor("nmi")
            else:
                idle = 0
                waiting.remove(at)
                hit.append(at)
                busy = True
                gdb.monitor(MCE_OPTIONAL)
                if at in ends:
                    gdb.break_at(at)
    except (EOFError, OSError):
        pass
    return hit, latched, Run(q, console, log, 30)


MCE_OPTIONAL = "mce 0 3 0xb100000000000000 0x5 0 0"
MCE_FATAL = "mce 0 3 0xb200000000000000 0x5 0 0"


def check_injected(hit, latched, run, vector, what):
    check(run, what)
    taken = len(run.places[vector])
    need(len(hit) <= taken <= len(hit) + len(latched), f"{what}: {len(hit)} and {len(latched)} latched injected, {taken} taken", run)


def fatal_at(address, name="fatal"):
    """A fatal machine check at one place: exactly one report, and a halt. False: the place was not reached."""
    q, gdb, console, log = start("trap_rounds", "noreboot recorder=off", [], name)
    table = symbols()
    gdb.break_at(table["do_xen_version"])
    gdb.ask("c")
    gdb.break_at(table["do_xen_version"], False)
    page = table["trampoline_page"]
    if page <= address < page + 4096:
        address += trampoline_at(gdb) - page
    gdb.break_at(address)
    gdb.send("c")
    try:
        if not gdb.receive().startswith("T05"):
            raise EOFError
        gdb.break_at(address, False)
        gdb.monitor(MCE_FATAL)
        gdb.send("D")
    except (EOFError, OSError):
        Run(q, console, log, 1)
        return False
    for _ in range(400):
        if "Halted (noreboot)." in open(console, errors="replace").read():
            break
        time.sleep(0.01)
    q.kill()
    run = Run(q, console, log, 5)
    reports = re.findall(r"PANIC CAI-(\w+)", run.output)
    need(reports == ["M02"] and "Halted (noreboot)." in run.output, f"fatal #MC at {address:#x}: reports {reports}", run)
    need("second fault" not in run.output, f"fatal #MC at {address:#x}: a second fault", run)
    return True
