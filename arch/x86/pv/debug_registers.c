/* SPDX-License-Identifier: MIT */
/*
 * Debug registers of guests. The processor would let a breakpoint on I/O watch the hypervisor's own ports, so it never
 * gets one: a guest's every IN and OUT is emulated, and the emulation looks for them (pv_io_breakpoints()). Intel SDM
 * vol. 3, 18.2.
 */
#include <hv/guest_access.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/trap.h>
#include <hv/x86/vectors.h>

#define TYPE_IO 2
#define NO_REGISTER 8

static u64 fields_of(u64 dr7, unsigned n) { return dr7 >> (16 + 4 * n) & 15; }

static bool is_io(u64 dr7, unsigned n) { return (fields_of(dr7, n) & 3) == TYPE_IO; }

/* I/O breakpoints never reach the processor. With CR4.DE clear their type is not even defined. */
static u64 without_io(u64 dr7)
{
    for (unsigned n = 0; n < 4; n++)
        if (is_io(dr7, n))
            dr7 &= ~(15UL << (16 + 4 * n) | 3UL << (2 * n));
    return dr7;
}

void pv_load_debug_registers(const struct vcpu *v)
{
    __asm__ volatile("mov %0, %%dr7" ::"r"(DR7_RESERVED_1));
    __asm__ volatile("mov %0, %%dr0" ::"r"(v->pv.dr[0]));
    __asm__ volatile("mov %0, %%dr1" ::"r"(v->pv.dr[1]));
    __asm__ volatile("mov %0, %%dr2" ::"r"(v->pv.dr[2]));
    __asm__ volatile("mov %0, %%dr3" ::"r"(v->pv.dr[3]));
    __asm__ volatile("mov %0, %%dr7" ::"r"(without_io(v->pv.dr[7])));
}

/* DR4 and DR5 are other names of DR6 and DR7 while CR4.DE is clear, else they do not exist. */
static unsigned by_name(const struct vcpu *v, u64 n)
{
    if (n == 4 || n == 5)
        return v->pv.cr4 & CR4_DE ? NO_REGISTER : (unsigned)n + 2;
    return n < NO_REGISTER ? (unsigned)n : NO_REGISTER;
}

/* Breakpoints in the hypervisor's range would be ours to suffer (XSA-444). None is longer than eight aligned bytes. */
static bool breakpoint_ok(u64 address) { return guest_range_ok(address & ~7UL, 7); }

static int check_dr7(u64 cr4, u64 val)
{
    if (val >> 32)
        return -EINVAL;
    if (val & DR7_GD) /* would trap our own accesses */
        return -EPERM;
    if ((val & DR7_ENABLES) && !(cr4 & CR4_DE) && without_io(val) != val)
        return -EPERM;
    return 0;
}

long pv_set_debugreg(struct vcpu *v, u64 reg, u64 val)
{
    unsigned n = by_name(v, reg);
    int rc;

    switch (n) {
    case 0 ... 3:
        if (!breakpoint_ok(val))
            return -EPERM;
        break;
    case 6:
        if (val >> 32)
            return -EINVAL;
        v->pv.dr[6] = (val & DR6_WRITABLE) | DR6_RESERVED_1;
        return 0;
    case 7:
        rc = check_dr7(v->pv.cr4, val);
        if (rc)
            return rc;
        val = (val & DR7_WRITABLE) | DR7_RESERVED_1;
        break;
    default: return -ENODEV;
    }
    v->pv.dr[index_nospec(n, ARRAY_SIZE(v->pv.dr))] = val;
    if (v == current)
        pv_load_debug_registers(v);
    return 0;
}

bool pv_debugregs_ok(const u64 dr[8], u64 cr4)
{
    for (unsigned n = 0; n < 4; n++)
        if (!breakpoint_ok(dr[n]))
            return false;
    return !(dr[6] >> 32) && !check_dr7(cr4, dr[7]);
}

void pv_write_debugregs(struct vcpu *v, const u64 dr[8])
{
    memcpy(v->pv.dr, dr, 4 * sizeof(*dr));
    v->pv.dr[6] = (dr[6] & DR6_WRITABLE) | DR6_RESERVED_1;
    v->pv.dr[7] = (dr[7] & DR7_WRITABLE) | DR7_RESERVED_1;
}

long pv_get_debugreg(const struct vcpu *v, u64 reg, u64 *val)
{
    unsigned n = by_name(v, reg);

    if (n == NO_REGISTER)
        return -ENODEV;
    *val = v->pv.dr[index_nospec(n, ARRAY_SIZE(v->pv.dr))];
    return 0;
}

u64 pv_find_io_breakpoints(const struct vcpu *v, u16 port, unsigned bytes)
{
    static const u8 lengths[4] = { 1, 2, 8, 4 };
    u64 dr7 = v->pv.dr[7], hit = 0;

    if (!(v->pv.cr4 & CR4_DE))
        return 0;
    for (unsigned n = 0; n < 4; n++) {
        u64 length = lengths[fields_of(dr7, n) >> 2], first = v->pv.dr[n] & ~(length - 1);

        if (is_io(dr7, n) && (dr7 >> (2 * n) & 3) && first < port + bytes && port < first + length)
            hit |= 1UL << n;
    }
    return hit;
}

void pv_raise_debug(struct vcpu *v, struct cpu_user_regs *regs, u64 dr6)
{
    v->pv.dr[6] |= dr6;
    pv_inject(regs, VEC_DB, 0);
}
