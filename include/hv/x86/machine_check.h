/* SPDX-License-Identifier: MIT */
/*
 * Machine checks (Intel SDM vol. 3, chapter 16; AMD APM vol. 2, chapter 9). trap/machine_check.c
 * decides in the handler what must end the machine; what can be contained becomes an event, and
 * common/control/mca.c deals with it in a softirq: on the CPU whose guest was hit before that guest
 * runs again, else on any.
 */
#pragma once

#include <hv/x86/regs.h>

void machine_check_init(void);     /* the first CPU's banks, before phase boot */
void machine_check_init_cpu(void); /* each other CPU's */
/* Makes events of what is logged but not signalled. Takes a lock of its own, a leaf. */
void machine_check_poll(void);
/* In the #MC handler: no lock, no `current`. */
void machine_check_handle(struct cpu_user_regs *regs);

#define MCG_STATUS_RIPV (1ULL << 0) /* the interrupted program can go on */
#define MCG_STATUS_EIPV (1ULL << 1) /* its instruction is the one that was hit */
#define MCG_STATUS_MCIP (1ULL << 2)
#define MCG_CAP_COUNT 0xffULL
#define MCG_CAP_CTL_P (1ULL << 8)
#define MCG_CAP_SER_P (1ULL << 24)

#define MCI_STATUS_VAL (1ULL << 63)
#define MCI_STATUS_OVER (1ULL << 62)
#define MCI_STATUS_UC (1ULL << 61)
#define MCI_STATUS_EN (1ULL << 60)
#define MCI_STATUS_MISCV (1ULL << 59)
#define MCI_STATUS_ADDRV (1ULL << 58)
#define MCI_STATUS_PCC (1ULL << 57)
#define MCI_STATUS_S (1ULL << 56)
#define MCI_STATUS_AR (1ULL << 55)               /* Intel; AMD: TCC, the thread's context is corrupt */
#define MCI_STATUS_DEFERRED (1ULL << 44)         /* AMD */
#define MCI_STATUS_POISON (1ULL << 43)           /* AMD: damaged data was used */
#define MCI_MISC_ADDR_LSB(misc) ((u32)(misc)&63) /* Intel: the address is exact from this bit on */
#define MCI_MISC_ADDR_MODE(misc) ((misc) >> 6 & 7)
#define MCI_MISC_ADDR_PHYSICAL 2

enum mc_severity {
    MC_NONE, /* no valid record, or one that is not enabled to signal */
    MC_CORRECTED,
    MC_DEFERRED, /* uncorrected, nobody has used the data yet; not signalled by itself */
    MC_OPTIONAL, /* uncorrected, found before use: recovery may be done */
    MC_REQUIRED, /* uncorrected and used: the instruction must not go on */
    MC_FATAL,
};

struct mc_event {
    u32 cpu, bank;
    enum mc_severity severity;
    bool in_guest;    /* a guest was interrupted: it is `current` on that CPU until the softirq has run */
    bool copy_failed; /* the hypervisor was copying from or to a guest, which gets an error */
    bool restartable;
    u32 nr_frames; /* damaged from address on, which is a machine address; 0: it names no memory */
    u64 mcg_status, status, address, misc, tsc, rip;
};

/* What a bank's status means; ser_p: the processor tells optional from required errors. */
enum mc_severity mc_classify(u64 status, bool ser_p, bool amd_recovers);
/*
 * How many frames a record's address is about. By kind of processor: Intel's MISC says what the address is and how exact (SDM vol. 3, 16.3.2.4);
 * scalable MCA's IPID (APM vol. 2, 9.3.2.1) says which unit's it is; older ones give addresses of the system.
 */
enum mc_addresses { MC_ADDRESSES_ANY, MC_ADDRESSES_SER, MC_ADDRESSES_SMCA };
#define MC_RANGE_SHIFT_MAX 21 /* an address that is exact to more than 2 MiB names no frames */
u32 mc_frames(enum mc_addresses kind, u64 status, u64 misc, u64 ipid);
const char *mc_severity_name(enum mc_severity severity);

/* Takes one event of the handlers; false: none left. On this CPU, interrupts off. */
bool mc_event_take(struct mc_event *e);

bool mc_recovery_supported(void); /* MCG_CAP.SER_P */
/* A value that the next #MC on the first CPU reads instead of the MSR's. One caller at a time. 0, -ENOSPC, -EINVAL. */
int mc_interpose(u32 msr, u64 value);

/* ---- common/control/mca.c: who is told of contained ones, and the records for dom0 ---- */
void mca_init(void);          /* boot */
void mca_start_polling(void); /* when clocks and the APIC timer run */
