/* SPDX-License-Identifier: MIT */
/* Threads, cores and sockets, from the bits of APIC ids. All CPUs of a machine split theirs alike. */
#include <hv/lib.h>
#include <hv/x86/cpu.h>
#include <hv/x86/processor.h>

static u32 bits_for(u32 n) { return n > 1 ? bit_last(n - 1) + 1u : 0; }

/* Widths of what numbers threads in a core, and of what numbers all threads of a socket: SDM vol. 3, 9.9.3; APM vol. 3, appendix E.4.7 and E.4.15. */
static void id_widths(u32 *thread, u32 *socket)
{
    struct cpuid_regs one = cpuid_count(1, 0);

    *thread = 0;
    if (cpu.max_leaf >= 0xb && (cpuid_count(0xb, 0).ebx & 0xffff)) {
        *thread = cpuid_count(0xb, 0).eax & 31;
        *socket = cpuid_count(0xb, 1).eax & 31;
    } else if (cpu.amd && cpu.max_ext_leaf >= 0x80000008) {
        u32 cores = cpuid_count(0x80000008, 0).ecx;

        *socket = cores >> 12 & 15 ? cores >> 12 & 15 : bits_for((cores & 0xff) + 1);
        if (cpu.max_ext_leaf >= 0x8000001e && cpuid_count(0x80000001, 0).ecx >> 22 & 1)
            *thread = bits_for((cpuid_count(0x8000001e, 0).ebx >> 8 & 0xff) + 1);
    } else {
        *socket = one.edx >> 28 & 1 ? bits_for(one.ebx >> 16 & 0xff) : 0;
        *thread = *socket - MIN(*socket, cpu.max_leaf >= 4 ? bits_for((cpuid_count(4, 0).eax >> 26) + 1) : 0);
    }
}

struct cpu_place cpu_place(u32 apic_id)
{
    u32 thread, socket;

    id_widths(&thread, &socket);
    return (struct cpu_place){ (apic_id & ((1u << socket) - 1)) >> thread, apic_id >> socket };
}
