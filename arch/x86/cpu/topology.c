/* SPDX-License-Identifier: MIT */
/* Threads, cores and sockets, from the bits of APIC ids. All CPUs of a machine split theirs alike. */
#include <hv/lib.h>
#include <hv/x86/cpu.h>

static u32 bits_for(u32 n) { return n > 1 ? bit_last(n - 1) + 1u : 0; }

/* Widths of what numbers threads in a core, and of what numbers all threads of a socket: SDM vol. 3, 9.9.3; APM vol. 3, appendix E.4.7 and E.4.15. */
void cpu_find_topology(void)
{
    struct cpuid_regs one = cpuid_count(1, 0);

    cpu.thread_bits = 0;
    if (cpu.max_leaf >= 0xb && (cpuid_count(0xb, 0).ebx & 0xffff)) {
        cpu.thread_bits = cpuid_count(0xb, 0).eax & 31;
        cpu.socket_bits = cpuid_count(0xb, 1).eax & 31;
    } else if (cpu.amd && cpu.max_ext_leaf >= 0x80000008) {
        u32 cores = cpuid_count(0x80000008, 0).ecx;

        cpu.socket_bits = cores >> 12 & 15 ? cores >> 12 & 15 : bits_for((cores & 0xff) + 1);
        if (cpu.max_ext_leaf >= 0x8000001e && cpuid_count(0x80000001, 0).ecx >> 22 & 1)
            cpu.thread_bits = bits_for((cpuid_count(0x8000001e, 0).ebx >> 8 & 0xff) + 1);
    } else {
        cpu.socket_bits = one.edx >> 28 & 1 ? bits_for(one.ebx >> 16 & 0xff) : 0;
        cpu.thread_bits = cpu.socket_bits - MIN(cpu.socket_bits, cpu.max_leaf >= 4 ? bits_for((cpuid_count(4, 0).eax >> 26) + 1) : 0);
    }
}

struct cpu_place cpu_place(u32 apic_id)
{
    return (struct cpu_place){ (apic_id & ((1u << cpu.socket_bits) - 1)) >> cpu.thread_bits, apic_id >> cpu.socket_bits };
}
