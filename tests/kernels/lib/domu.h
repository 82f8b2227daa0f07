/* SPDX-License-Identifier: MIT */
/*
 * Guests of a test kernel that is its own toolstack: copies of it, that start in a function of the test. So a guest has all of guest.h and
 * smp.h; its data are as dom0 had them when it was loaded, its shared_info, page pool and checks are its own, and what it prints and how its
 * checks went is told to dom0 through a page that both see (struct domu_box).
 *
 *     static void in_guest(u64 arg) { domu_box.words[0] = arg + 1; }
 *     struct domu g;
 *
 *     domu_new(&g, 1, in_guest, 41);
 *     CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);    what it ended with
 *     CHECK_EQ(g.box->words[0], 42);
 *     domu_destroy(&g);
 */
#ifndef DOMU_H
#define DOMU_H

#include "domains.h"

#define DOMU_MAX 4    /* at a time */
#define DOMU_POOL 32  /* pages that page_new() gives a guest */
#define DOMU_PFNS 768 /* it has frames for some of them only */

/* A page of the guest's that dom0 has mapped. */
struct domu_box {
    void (*main)(u64 arg); /* runs in the guest; when it returns, the guest powers off, or crashes if a check has failed */
    u64 arg;
    u64 words[128]; /* the test's */
    u32 text_used;  /* what it printed, which dom0 shows when it destroys it */
    char text[2048];
};
extern struct domu_box domu_box; /* in the guest: its own */

struct domu {
    domid_t id;
    u32 vcpus;
    volatile struct domu_box *box; /* as dom0 sees it */
    u64 mfn[DOMU_PFNS];            /* by pfn; 0: none */
    u32 l4_pfn, start_info_pfn, nr_frames;
    u64 own_box_pte;
};

/* The steps of domu_new(). Each checks that it succeeds. */
void domu_create(struct domu *g, u32 vcpus);                    /* paused, with vCPUs */
void domu_load(struct domu *g, void (*main)(u64 arg), u64 arg); /* memory, page tables, pinned */
extern struct vcpu_guest_context domu_context;                  /* of vCPU 0, for domu_set_context() */
void domu_make_context(struct domu *g);                         /* online, at the guest's entry */
long domu_set_context(struct domu *g, u32 vcpu);                /* what the hypervisor answers */
void domu_new(struct domu *g, u32 vcpus, void (*main)(u64 arg), u64 arg);

long domu_unpause(struct domu *g);
#define DOMU_RUNS ~0u
/* Until it has ended, or so many ms are over: the reason (SHUTDOWN_*), or DOMU_RUNS. */
u32 domu_wait(struct domu *g, u32 ms);
u32 domu_run(struct domu *g); /* unpause and wait, a minute at most */
void domu_destroy(struct domu *g);
/* One page of dom0's at `window` shows the guest's frame, and its own again. */
int domu_map(void *window, struct domu *g, u64 mfn, bool writable);
void domu_unmap(void *window, u64 own_pte);

/* The guest's own side. */
void domu_entry(u64 unused, struct start_info *si) __attribute__((noreturn));
void domu_say(const char *line, u32 n);

#endif
