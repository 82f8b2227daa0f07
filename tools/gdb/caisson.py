# SPDX-License-Identifier: MIT
"""
Commands for gdb on a machine that runs Caisson: domain, vcpu, pte, frame mfn. docs/debugging.md shows what they print.

gdb -x tools/gdb/caisson.py build/caisson.debug -ex 'target remote :1234', as `tools/run --gdb` says it. Names of bits come
from the headers, and all else from the image's debug information: nothing here is to be changed with the hypervisor but
the names of fields.
"""
import contextlib
import os
import re

import gdb

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def definitions(header, pattern):
    with open(os.path.join(TOP, "include", "hv", header)) as f:
        return re.findall(pattern, f.read(), re.M)


PLACES = {name: int(value, 16) for name, value in definitions("x86/layout.h", r"^#define (\w+)_VIRT_START _VA\((0x\w+)\)")}
FRAME_BITS = [(name, int(bit)) for header in ("mm.h", "x86/page_type.h")
              for name, bit in definitions(header, r"^#define (PG[RT]_\w+) \(1ULL << (\d+)\)")]
PAUSES = [(name.lower(), int(bit)) for name, bit in definitions("domain.h", r"^#define PAUSE_(\w+) (\d+)u")]
TYPE_SHIFT = int(definitions("x86/page_type.h", r"^#define PGT_TYPE_SHIFT (\d+)")[0])
STACK_BLOCK_SIZE = 1 << int(definitions("x86/layout.h", r"^#define STACK_BLOCK_SHIFT (\d+)")[0])
LOW_32 = 0xffffffff


def value(expression):
    return gdb.parse_and_eval(expression)


def at(kind, address):
    """The object of that type (of C) at an address of the hypervisor's."""
    return gdb.Value(address).cast(gdb.lookup_type(kind).pointer()).dereference()


def domains():
    """By number."""
    link = value("'common/domain/domain_table.c'::by_id")
    while link:
        yield link.dereference()
        link = link["next_by_id"]


def vcpus(d):
    for i in range(int(d["max_vcpus"])):
        if d["vcpu"][i]:
            yield d["vcpu"][i].dereference()


def find_domain(number):
    for d in domains():
        if int(d["id"]) == number:
            return d
    raise gdb.GdbError(f"there is no domain {number}; 'domain' lists them")


def words(argument, usage, most):
    """The values of an argument's words, of which there are at most that many; a single one may have blanks in it."""
    found = gdb.string_to_argv(argument) if most > 1 else [argument] if argument else []
    if len(found) > most:
        raise gdb.GdbError(f"usage: {usage}")
    return [int(value(w)) & (1 << 64) - 1 for w in found]


class Command(gdb.Command):
    """One of this file's; a fault of the target's memory is explained."""

    def __init__(self):
        super().__init__(self.usage.split(" [")[0].rsplit(" ADDRESS")[0].rsplit(" MFN")[0], gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        try:
            self.run(argument)
        except gdb.MemoryError as e:
            raise gdb.GdbError(f"{e}. The CPU may run on page tables without the hypervisor's memory (before long mode; in a guest, "
                               "with xpti): stop it inside the hypervisor, as with 'break do_xen_version'")


def sched_state(v):
    """What the scheduler says of a vCPU."""
    text = str(v["sched"]["state"]).replace("SCHED_", "").lower()
    reasons = [name for name, bit in PAUSES if int(v["pause_flags"]) & bit and name != "one"]
    pauses = int(v["pause_flags"]) // dict(PAUSES).get("one", 1 << 32)
    reasons += [f"paused {pauses} times"] if pauses else []
    return f"{text} on CPU {int(v['cpu']['id'])}" + (f" ({', '.join(reasons)})" if reasons else "")


class Domain(Command):
    """domain [ID]: the domains, or one with its frames, channels and vCPUs."""
    usage = "domain [ID]"

    def run(self, argument):
        numbers = words(argument, self.usage, 1)
        for d in [find_domain(n) for n in numbers] or domains():
            reason = f" ({d['crash_reason'].string()})" if d["crash_reason"][0] else ""
            state = str(d["state"]).replace("DOMAIN_", "").lower().replace("_", " ") + reason
            print(f"d{int(d['id'])}: {state}, {int(d['max_vcpus'])} vCPUs, {int(d['tot_pages'])} frames, "
                  f"{int(d['refs'])} references, (struct domain *) {int(d.address):#x}")
            if numbers:
                print(f"  event channels: {int(d['nr_ports'])} with a structure, {'FIFO' if d['fifo'] else '2-level'}")
                print(f"  grant frames: {int(d['nr_grant_frames'])}; "
                      f"vm_assist {int(d['vm_assist']):#x}; weight {int(d['sched']['weight'])}, cap {int(d['sched']['cap'])}")
                for v in vcpus(d):
                    print(f"  v{int(v['id'])}: {sched_state(v)}")


class Vcpu(Command):
    """vcpu [DOMAIN [NUMBER]]: where vCPUs are; of one also its registers and page tables."""
    usage = "vcpu [DOMAIN [NUMBER]]"

    def run(self, argument):
        numbers = words(argument, self.usage, 2)
        for d in [find_domain(n) for n in numbers[:1]] or domains():
            for v in vcpus(d):
                if len(numbers) < 2 or int(v["id"]) == numbers[1]:
                    print(f"d{int(d['id'])}:v{int(v['id'])}: {sched_state(v)}, (struct vcpu *) {int(v.address):#x}")
                    if len(numbers) == 2:
                        self.registers(v)

    def registers(self, v):
        pv = v["pv"]
        print(f"  L4 of the kernel: frame {int(pv['base'][0]):#x}, of user mode: {int(pv['base'][1]):#x}; "
              f"{'kernel' if pv['guest_kernel_mode'] else 'user'} mode; NMIs pending: {int(v['nmi_pending'])}")
        top = at("struct stack_top", int(v["stack_block"]) + STACK_BLOCK_SIZE - gdb.lookup_type("struct stack_top").sizeof)
        regs = top["guest_regs"]
        print("  As it last came into the hypervisor:")
        for row in (("rip", "rsp", "rflags", "rax"), ("rbx", "rcx", "rdx", "rsi"), ("rdi", "rbp", "r8", "r9"), ("r10", "r11", "r12", "r13"),
                    ("r14", "r15")):
            print("  " + "  ".join(f"{name:>6} {int(regs[name]):016x}" for name in row))


@contextlib.contextmanager
def physical_memory():
    """QEMU takes gdb's addresses for physical ones meanwhile."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        yield
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


class Pte(Command):
    """pte ADDRESS [CR3]: the page-table entries that lead to a virtual address, from the CPU's CR3 or another."""
    usage = "pte ADDRESS [CR3]"
    BITS = (("P", 0), ("RW", 1), ("US", 2), ("PWT", 3), ("PCD", 4), ("A", 5), ("D", 6), ("PS/PAT", 7), ("G", 8), ("NX", 63))

    def run(self, argument):
        numbers = words(argument, self.usage, 2)
        if not numbers:
            raise gdb.GdbError(f"usage: {self.usage}")
        address, table = numbers[0], numbers[1] if len(numbers) > 1 else int(value("$cr3"))
        for level in (4, 3, 2, 1):
            shift = 3 + 9 * level
            index, table = address >> shift & 511, table & 0x000ffffffffff000
            with physical_memory():
                entry = int.from_bytes(gdb.selected_inferior().read_memory(table + 8 * index, 8), "little")
            print(f"L{level}[{index:#05x}] = {entry:016x} {' '.join(name for name, bit in self.BITS if entry >> bit & 1) or 'not present'}")
            if not entry & 1:
                return
            table = entry
            if level == 1 or level < 4 and entry >> 7 & 1:
                break
        low = (1 << shift) - 1
        physical = (entry & 0x000ffffffffff000 & ~low) | (address & low)
        print(f"{address:#x} is at {physical:#x}, frame {physical >> 12:#x}")


class Frame(Command):
    """frame mfn MFN: what the hypervisor knows of a machine frame: references, type, owner."""
    usage = "frame mfn MFN"

    def run(self, argument):
        numbers = words(argument, self.usage, 1)
        if not numbers:
            raise gdb.GdbError(f"usage: {self.usage}")
        mfn, page = numbers[0], gdb.lookup_type("struct page_info")
        if mfn > int(value("max_mfn")) or not value("frame_chunks")[mfn * page.sizeof >> 21]:
            raise gdb.GdbError(f"frame {mfn:#x} is no RAM: the highest is {int(value('max_mfn')):#x}")
        pg = at("struct page_info", PLACES["FRAMETABLE"] + mfn * page.sizeof)
        infos = {"PGR": int(pg["ref_info"]), "PGT": int(pg["type_info"])}
        free = infos["PGR"] >> dict(FRAME_BITS)["PGR_FREE"] & 1
        names = " ".join(name for name, bit in FRAME_BITS if infos[name[:3]] >> bit & 1 and not (free and name[:3] == "PGT"))
        if free:
            print(f"frame {mfn:#x}: free, {names}")
            return
        kinds = {f.enumval: f.name for f in gdb.lookup_type("enum page_type").fields()}
        owner = int(pg["owner"])
        address = PLACES["DIRECTMAP"] + (owner << 12)
        owners = [f"d{int(d['id'])}" for d in domains()
                  if int(d.address) == address] + [f"(struct domain *) {address:#x}" if owner else "nobody"]
        print(f"frame {mfn:#x}: {infos['PGR'] & LOW_32} references, {kinds[infos['PGT'] >> TYPE_SHIFT]} {infos['PGT'] & LOW_32} times, "
              f"owner {owners[0]}")
        print(f"  {names or 'no flags'}; (struct page_info *) {int(pg.address):#x}")


for command in (Domain, Vcpu, Pte, Frame):
    command()
