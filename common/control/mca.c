/* mca: dom0 asks for machine-check records; there are none to give yet. */
#include <hv/domain.h>
#include <hv/guest_access.h>
#include <hv/hypercall.h>

#define MCA_INTERFACE_VERSION 0x01ecc003
#define MCA_FETCH 1
#define MCA_FLAGS_OFFSET 8 /* u32 flags of xen_mc_fetch, after cmd and interface_version */
#define MCA_NO_DATA 2

HYPERCALL_HANDLER(do_mca)
{
    UNUSED_ARGS(a2, a3, a4, a5, a6);
    u32 head[3];

    if (!current->domain->privileged)
        return -EPERM;
    if (copy_from_guest(head, (void *)a1, sizeof(head)))
        return -EFAULT;
    if (head[1] != MCA_INTERFACE_VERSION)
        return -EACCES;
    if (head[0] != MCA_FETCH)
        return -ENOSYS;
    head[2] = MCA_NO_DATA;
    return copy_to_guest((char *)a1 + MCA_FLAGS_OFFSET, &head[2], sizeof(head[2]));
}
