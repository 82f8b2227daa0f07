/* domctl: operations of the toolstack on domains. What is here is what the hypervisor answers. */
#ifndef PUBLIC_DOMCTL_H
#define PUBLIC_DOMCTL_H

#include <public/xen.h>

#define XEN_DOMCTL_INTERFACE_VERSION 0x00000015

#define XEN_DOMCTL_set_ext_vcpucontext 42
#define XEN_DOMCTL_get_ext_vcpucontext 43
#define XEN_DOMCTL_get_vcpu_msrs 72
#define XEN_DOMCTL_set_vcpu_msrs 73

struct hvm_vmce_vcpu {
    uint64_t caps, mci_ctl2_bank0, mci_ctl2_bank1, mcg_ext_ctl;
};
struct xen_domctl_ext_vcpucontext {
    uint32_t vcpu, size; /* size: bytes of this structure, in for set, out for get */
    uint64_t syscall32_callback_eip, sysenter_callback_eip;
    uint16_t syscall32_callback_cs, sysenter_callback_cs;
    uint8_t syscall32_disables_events, sysenter_disables_events;
    struct hvm_vmce_vcpu vmce;
};

struct xen_domctl_vcpu_msr {
    uint32_t index, reserved;
    uint64_t value;
};
struct xen_domctl_vcpu_msrs {
    uint32_t vcpu, msr_count; /* get: room in, number out */
    uint64_t msrs;            /* guest handle: struct xen_domctl_vcpu_msr; 0: ask for the number */
};

struct xen_domctl {
    uint32_t cmd, interface_version;
    domid_t domain;
    uint16_t _pad[3];
    union {
        struct xen_domctl_ext_vcpucontext ext_vcpucontext;
        struct xen_domctl_vcpu_msrs vcpu_msrs;
        uint8_t pad[128];
    } u;
};

#endif
