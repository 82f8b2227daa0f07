#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What a guest chooses may not steer a processor that predicts a check wrongly (docs/security.md, Spectre v1): guests' memory is reached
by the functions that mask its addresses (the compiler says so of a guest_ptr_t), and tables are indexed by what index_nospec() has
bounded. This lists the places that do otherwise; each must be in the lists below, with the reason why it may.
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Where guests' values arrive.
FOLDERS = ("common/hypercall common/control common/evtchn common/grant common/domain arch/x86/pv arch/x86/pv/mmu arch/x86/pv/emulate "
           "arch/x86/mm arch/x86/irq arch/x86/smp").split()

# Files that may access memory so that a fault is expected (EXTABLE), or lift SMAP's ban: they mask, or it is no guest's address.
ACCESSES = {
    "include/hv/guest_access.h": "masks", "arch/x86/mm/guest_copy.S": "masks",
    "arch/x86/pv/fast_paths.S": "masks: CMOV behind each comparison of a guest's RSP; other addresses were checked when they were set",
    "include/hv/x86/percpu_asm.h": "defines it", "include/hv/x86/processor.h": "MSRs",
    "arch/x86/hypervisor.lds.S": "collects it", "arch/x86/cpu/features.c": "patches it", "arch/x86/trap/entry.S": "IRETQ",
    "arch/x86/pv/pv_vcpu.c": "selectors", "arch/x86/pv/segments.c": "selectors", "include/hv/x86/regs.h": "defines it",
}
# Callers of the copy routines themselves, for part of a range.
RAW_COPIES = {"include/hv/guest_access.h", "arch/x86/mm/guest_copy.S", "arch/x86/pv/emulate/operand.c"}
# Files that make guest_ptr_t of numbers.
MAKERS = {
    "include/hv/guest_access.h": "defines it", "arch/x86/pv/emulate/operand.c": "linear addresses of operands and code",
    "arch/x86/pv/mmu/pt_update.c": "the flags of update_va_mapping hold one", "arch/x86/pv/bounce_frame.c": "RSP",
    "arch/x86/pv/iret.c": "RSP", "arch/x86/pv/guest_report.c": "RIP, RSP", "arch/x86/pv/emulate/privileged.c": "RIP",
}

# (file, table[index]) of indices that are no guest's, or are bounded before.
BOUNDED = "bounded by index_nospec() just before"
OURS = "the hypervisor's own number"
NARROW = "the type or a mask has no values outside"
INDICES = {
    "arch/x86/pv/emulate/cpuid.c words[hidden[i].word]": OURS,
    "common/hypercall/not_offered.c told[r - rows]": OURS,
    "common/hypercall/vcpu_op.c cpu_table[cpuset_first(hard)]": OURS,
    "common/domain/domain_watchdog.c watchdog[i]": BOUNDED,
    "common/evtchn/event_channel.c evtchn_pages[port / EVTCHNS_PER_PAGE]": BOUNDED,
    "common/evtchn/event_channel.c virq_port[value]": BOUNDED, "arch/x86/pv/segments.c ldt_frames[page]": BOUNDED,
    "arch/x86/pv/segments.c ldt_frames[selector >> PAGE_SHIFT]": NARROW,
    "common/grant/pin.h grant_frames[ref / REFS_PER_FRAME]": BOUNDED,
    "common/grant/pin.h grant_pins[ref / PINS_PER_PAGE]": BOUNDED,
    "common/grant/grant_table.c grant_pins[n * REFS_PER_FRAME / PINS_PER_PAGE]": OURS, "common/grant/grant_table.c grant_frames[n]": OURS,
    "common/grant/maptrack.c maptrack_frames[n]": OURS,
    "common/grant/maptrack.h maptrack_frames[handle / MAPPINGS_PER_PAGE]": BOUNDED,
    "common/control/hypfs.c path[path_size - 1]": BOUNDED,
    "common/hypercall/memory_exchange.c frames[i >> x->op.in.extent_order]": OURS,
    "common/control/efi_runtime.c vendor[n]": OURS, "common/control/domctl_life.c time[RUNSTATE_running]": OURS,
    "common/control/sysctl.c time[RUNSTATE_running]": OURS, "common/control/cpu_policy.c words[feature_words[n].word]": OURS,
    "common/control/sysctl.c cpu_table[last]": OURS,
    "common/control/domctl_sched.c time[RUNSTATE_running]": OURS,
    "common/control/mca.c records[nr_records]": OURS,
    "common/control/mca.c owners[kind]": OURS, "common/control/mca.c cpu_table[n]": OURS,
    "common/control/mca.c cpu_table[e->cpu]": OURS, "common/evtchn/event_channel.c evtchn_pages[first / EVTCHNS_PER_PAGE]": OURS,
    "common/evtchn/event_channel.c virq_port[virq]": OURS,
    "common/domain/domain.c vcpu_info[id]": OURS, "common/domain/domain.c vcpu[id]": OURS,
    "common/domain/domain_life.c names[reason]": "dom0's, for the log; its text goes nowhere else",
    "arch/x86/pv/guest_report.c vector_infos[vector]": OURS, "arch/x86/pv/guest_trap.c vector_infos[vector]": OURS,
    "arch/x86/pv/guest_trap.c traps[vector]": OURS, "arch/x86/pv/guest_trap.c vector_infos[fault->vector]": OURS,
    "arch/x86/pv/pv_hypercalls.c traps[t.vector]": NARROW, "arch/x86/pv/xpti.c l4[user]": NARROW,
    "arch/x86/pv/pv_vcpu.c base[user]": NARROW, "arch/x86/pv/mmu/address_space.c base[user]": NARROW,
    "arch/x86/pv/mmu/address_space.c run_l4[user]": NARROW,
    "arch/x86/pv/mmu/address_space.c run_l4[!v->pv.guest_kernel_mode]": NARROW,
    "arch/x86/pv/bounce_frame.c frame[n]": OURS, "arch/x86/pv/debug_registers.c lengths[fields_of(dr7, n) >> 2]": NARROW,
    "arch/x86/pv/emulate/insn.c attributes[in->opcode >= OP_0F]": NARROW,
    "arch/x86/pv/emulate/insn.c prefix[*b]": NARROW, "arch/x86/pv/emulate/insn.c first[rm]": NARROW,
    "arch/x86/smp/ap_bringup.c cpu_table[id]": OURS, "arch/x86/smp/ap_bringup.c vector_infos[vector]": OURS,
    "arch/x86/irq/io_apic.c io_apics[nr_io_apics]": OURS, "arch/x86/irq/pirq.c pirqs[gsi]": OURS,
    "arch/x86/irq/irq_dispatch.c unexpected[vector]": OURS,
    "arch/x86/irq/pirq.c cpu_table[p->at.cpu]": OURS, "arch/x86/irq/vector_alloc.c spaces[best->id]": OURS,
    "arch/x86/irq/vector_alloc.c owners[at.cpu]": OURS, "arch/x86/irq/vector_alloc.c spaces[at.cpu]": OURS,
    "arch/x86/irq/vector_alloc.c owners[this_cpu()->id]": OURS,
    "arch/x86/mm/page_table.c hv_l4[slot]": OURS, "arch/x86/mm/vmap.c map[i / 64]": OURS, "arch/x86/mm/vmap.c taken[i / 64]": OURS,
    "arch/x86/mm/vmap.c stale[i / 64]": OURS,
    "common/domain/io_rights.c iomem[--r->nr_iomem]": OURS, "common/domain/io_rights.c bits[n / 64]": BOUNDED,
}
# Indices of these forms need no entry: constants, what index_nospec() gives, counters of loops that append or take back, masks,
# and fields of the hypervisor's own structures (an event channel, a domain, a vCPU, a runstate, an instruction's bytes).
PLAIN = re.compile(r"[A-Z0-9_ +*/-]+|.*index_nospec.*|PT_INDEX\(.*|--\w+|\w+\+\+|.* [&%] \w+|"
                   r"(c|d|v|r|in)(->\w+|\.\w+)+(\+\+| / \w+| & \w+)?|"
                   r".*page_type_of\(.*|[a-z] \+ \d")


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def sources(folders, recursive):
    for folder in folders:
        for root, _, files in os.walk(os.path.join(TOP, folder)):
            for name in sorted(files):
                if name.endswith((".c", ".h", ".S")) and (recursive or os.path.samefile(root, os.path.join(TOP, folder))):
                    path = os.path.join(root, name)
                    yield os.path.relpath(path, TOP), without_comments(open(path).read())


def accesses(path, text):
    if path not in ACCESSES and re.search(r"\bEXTABLE|\bASM_STAC\b|GUEST_ACCESS_SITE|\bstac\b", text):
        yield "access with a fixup outside of the copy functions"
    if path not in RAW_COPIES and "guest_copy_raw_" in text:
        yield "guest_copy_raw_ outside of the copy functions"
    # A guest_ptr_t comes from the guest's registers or structures, by guest_ptr(); what it holds becomes no pointer of the hypervisor's.
    if path not in MAKERS and re.search(r"\bguest_ptr\(|\(guest_ptr_t\) ?\{", text):
        yield "a guest_ptr_t is made outside of the files that may"
    if re.search(r"\*\) ?\(?[\w.>-]+[.>]va\b", text):
        yield "the address of a guest_ptr_t is made a pointer"


def indices(path, text):
    loops = set(re.findall(r"for \((?:\w+ )?(\w+) = ", text))
    for line in text.splitlines():
        if re.match(r"\s*(static |const |extern |struct |u8 |u16 |u32 |u64 |char |bool |pte_t |mfn_t )[^=]*$",
                    line) or re.match(r"\s*\[", line):
            continue
        for table, index in re.findall(r"(\w+)\[([^\[\]]+(?:\[[^\]]*\])?[^\[\]]*)\]", line):
            if not PLAIN.fullmatch(index) and index not in loops:
                yield f"{path} {table}[{index}]"


def main():
    bad = []
    for path, text in sources(("arch", "common", "drivers", "include"), True):
        bad += [f"{path}: {what}" for what in accesses(path, text)]
    for path, text in sources(FOLDERS, False):
        for entry in indices(path, text):
            if entry not in INDICES:
                bad.append(f"{entry}: neither index_nospec() nor a reason in tests/build/guest_input.py")
    print("\n".join(bad))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
