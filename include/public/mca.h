/* SPDX-License-Identifier: MIT */
/* mca: machine-check records for dom0 and error injection. */
#pragma once

#include <public/xen.h>

#define XEN_MCA_INTERFACE_VERSION 0x01ecc003

#define XEN_MC_fetch 1
#define XEN_MC_physcpuinfo 3
#define XEN_MC_msrinject 4
#define XEN_MC_mceinject 5
#define XEN_MC_inject_v2 6

/* flags of a fetch: in */
#define XEN_MC_NONURGENT 1
#define XEN_MC_URGENT 2
#define XEN_MC_ACK 4
/* out */
#define XEN_MC_OK 0
#define XEN_MC_NODATA 2

#define MC_TYPE_GLOBAL 0
#define MC_TYPE_BANK 1
#define MC_TYPE_RECOVERY 3
#define MC_FLAG_CORRECTABLE (1 << 0)
#define MC_FLAG_UNCORRECTABLE (1 << 1)
#define MC_FLAG_RECOVERABLE (1 << 2)
#define MC_FLAG_MCE (1 << 6)
#define REC_ACTION_RECOVERED (1 << 0)
#define MC_ACTION_PAGE_OFFLINE (1 << 0)

struct mcinfo_common {
    uint16_t type, size;
};
struct mcinfo_global {
    struct mcinfo_common common;
    uint16_t mc_domid, mc_vcpuid;
    uint32_t mc_socketid;
    uint16_t mc_coreid, mc_core_threadid;
    uint32_t mc_apicid, mc_flags;
    uint64_t mc_gstatus;
};
struct mcinfo_bank {
    struct mcinfo_common common;
    uint16_t mc_bank, mc_domid;
    uint64_t mc_status, mc_addr, mc_misc, mc_ctrl2, mc_tsc;
};
struct mcinfo_recovery {
    struct mcinfo_common common;
    uint16_t mc_bank;
    uint8_t action_flags, action_types;
    union {
        struct {
            uint64_t mfn, status;
        } page_retire;
        uint8_t pad[16];
    } action_info;
};
#define MCINFO_MAXSIZE 768
struct mc_info {
    uint32_t mi_nentries, flags;
    uint64_t mi_data[(MCINFO_MAXSIZE - 1) / 8];
};

struct mcinfo_msr {
    uint64_t reg, value;
};
#define MC_NCAPS 7
struct mcinfo_logical_cpu {
    uint32_t mc_cpunr, mc_chipid;
    uint16_t mc_coreid, mc_threadid;
    uint32_t mc_apicid, mc_clusterid, mc_ncores, mc_ncores_active, mc_nthreads;
    int32_t mc_cpuid_level;
    uint32_t mc_family, mc_vendor, mc_model, mc_step;
    char mc_vendorid[16], mc_brandid[64];
    uint32_t mc_cpu_caps[MC_NCAPS], mc_cache_size, mc_cache_alignment;
    int32_t mc_nmsrvals;
    struct mcinfo_msr mc_msrvalues[8];
};

struct xen_mc_fetch {
    uint32_t flags, _pad0;
    uint64_t fetch_id;
    XEN_GUEST_HANDLE_64(struct mc_info) data;
};
struct xen_mc_physcpuinfo {
    uint32_t ncpus, _pad0;
    XEN_GUEST_HANDLE_64(struct mcinfo_logical_cpu) info; /* [ncpus], or 0 to ask for the number */
};
#define MC_MSRINJ_MAXMSRS 8
#define MC_MSRINJ_F_INTERPOSE 1
struct xen_mc_msrinject {
    uint32_t mcinj_cpunr, mcinj_flags, mcinj_count;
    domid_t mcinj_domid;
    uint16_t _pad0;
    struct mcinfo_msr mcinj_msr[MC_MSRINJ_MAXMSRS];
};
struct xen_mc_mceinject {
    uint32_t mceinj_cpunr;
};
#define XEN_MC_INJECT_TYPE_MASK 7
#define XEN_MC_INJECT_TYPE_MCE 0
#define XEN_MC_INJECT_TYPE_CMCI 1
#define XEN_MC_INJECT_CPU_BROADCAST 8
struct xen_mc_inject_v2 {
    uint32_t flags;
    struct xenctl_bitmap cpumap;
};

struct xen_mc {
    uint32_t cmd, interface_version;
    union {
        struct xen_mc_fetch mc_fetch;
        struct xen_mc_physcpuinfo mc_physcpuinfo;
        struct xen_mc_msrinject mc_msrinject;
        struct xen_mc_mceinject mc_mceinject;
        struct xen_mc_inject_v2 mc_inject_v2;
    } u;
};
