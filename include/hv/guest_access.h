/*
 * Memory of the running guest, by its own virtual addresses on the address space that is
 * loaded. Faults and addresses in the hypervisor's range are errors, never traps.
 */
#ifndef HV_GUEST_ACCESS_H
#define HV_GUEST_ACCESS_H

#include <hv/lib.h>
#include <hv/x86/layout.h>

/* The whole range lies outside the hypervisor's hole and is canonical. */
static inline bool guest_range_ok(u64 va, u64 len)
{
    u64 end = va + len;

    if (end < va)
        return false;
    return end <= 0x0000800000000000ULL || va >= HV_VIRT_END;
}

/* Bytes that could not be copied. */
u64 guest_copy_raw_to(void *guest, const void *src, u64 n);
u64 guest_copy_raw_from(void *dst, const void *guest, u64 n);

/* 0 or -EFAULT. */
static inline int __must_check copy_to_guest(void *guest, const void *src, u64 n)
{
    return guest_range_ok((u64)guest, n) && !guest_copy_raw_to(guest, src, n) ? 0 : -EFAULT;
}
static inline int __must_check copy_from_guest(void *dst, const void *guest, u64 n)
{
    return guest_range_ok((u64)guest, n) && !guest_copy_raw_from(dst, guest, n) ? 0 : -EFAULT;
}

/*
 * Writes to a guest-kernel virtual address of a vCPU whose address space may not be loaded:
 * walks its tables. False if it is not mapped writable.
 */
struct vcpu;
bool guest_kernel_write(struct vcpu *v, u64 va, const void *src, u64 n);

#endif
