/* SPDX-License-Identifier: MIT */
/*
 * The one list of exception vectors. Assembler (stubs, IDT), the policy table, the tests
 * and the documentation read it. Intel SDM vol. 3, table 6-1.
 *
 * X(vector, mnemonic, dpl, ist, has_error_code, what)
 *
 * dpl: 3 only where the ABI lets guest software raise the vector with INT n.
 * ist: index of the TSS stack, 0 for the stack of the running vCPU.
 * What each means, by phase and context: arch/x86/trap/matrix.tbl.
 */
#pragma once

#define IST_NONE 0
#define IST_DF 1
#define IST_NMI 2
#define IST_MC 3
#define IST_DB 4
#define IST_COUNT 4

#define VECTOR_LIST(X)                                    \
    X(0, DE, 0, IST_NONE, 0, "divide error")              \
    X(1, DB, 0, IST_DB, 0, "debug exception")             \
    X(2, NMI, 0, IST_NMI, 0, "non-maskable interrupt")    \
    X(3, BP, 3, IST_NONE, 0, "breakpoint")                \
    X(4, OF, 3, IST_NONE, 0, "overflow")                  \
    X(5, BR, 0, IST_NONE, 0, "bound range exceeded")      \
    X(6, UD, 0, IST_NONE, 0, "invalid opcode")            \
    X(7, NM, 0, IST_NONE, 0, "device not available")      \
    X(8, DF, 0, IST_DF, 1, "double fault")                \
    X(9, CSO, 0, IST_NONE, 0, "coprocessor overrun")      \
    X(10, TS, 0, IST_NONE, 1, "invalid TSS")              \
    X(11, NP, 0, IST_NONE, 1, "segment not present")      \
    X(12, SS, 0, IST_NONE, 1, "stack fault")              \
    X(13, GP, 0, IST_NONE, 1, "general protection")       \
    X(14, PF, 0, IST_NONE, 1, "page fault")               \
    X(15, SPV, 0, IST_NONE, 0, "PIC spurious interrupt")  \
    X(16, MF, 0, IST_NONE, 0, "x87 error")                \
    X(17, AC, 0, IST_NONE, 1, "alignment check")          \
    X(18, MC, 0, IST_MC, 0, "machine check")              \
    X(19, XM, 0, IST_NONE, 0, "SIMD exception")           \
    X(20, VE, 0, IST_NONE, 0, "virtualisation exception") \
    X(21, CP, 0, IST_NONE, 1, "control protection")       \
    X(22, R22, 0, IST_NONE, 0, "reserved vector 22")      \
    X(23, R23, 0, IST_NONE, 0, "reserved vector 23")      \
    X(24, R24, 0, IST_NONE, 0, "reserved vector 24")      \
    X(25, R25, 0, IST_NONE, 0, "reserved vector 25")      \
    X(26, R26, 0, IST_NONE, 0, "reserved vector 26")      \
    X(27, R27, 0, IST_NONE, 0, "reserved vector 27")      \
    X(28, HV, 0, IST_NONE, 0, "hypervisor injection")     \
    X(29, VC, 0, IST_NONE, 1, "VMM communication")        \
    X(30, SX, 0, IST_NONE, 1, "security exception")       \
    X(31, R31, 0, IST_NONE, 0, "reserved vector 31")

#ifndef __ASSEMBLER__
#define X(v, name, dpl, ist, err, what) VEC_##name = v,
enum { VECTOR_LIST(X) };
#undef X
#endif

#define VECTOR_FIRST_EXTERNAL 0x20
#define VECTOR_PIC_BASE 0x20 /* 16 vectors; the PIC stays masked, only spurious ones arrive */
#define VECTOR_GUEST_INT80 0x80
#define VECTOR_FIRST_DYNAMIC 0x30
#define VECTOR_LAST_DYNAMIC 0xef
#define VECTOR_TIMER 0xf0
#define VECTOR_SERIAL 0xf1
#define VECTOR_KICK 0xf2
#define VECTOR_FLUSH 0xf3
#define VECTOR_LAPIC_ERROR 0xfe
#define VECTOR_SPURIOUS 0xff
