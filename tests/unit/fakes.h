/* SPDX-License-Identifier: MIT */
/* The world around a module under test. */
#ifndef FAKES_H
#define FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hv/domain.h>
#include <hv/lib.h>

#define FAKE_FRAMES 4096 /* 16 MiB of machine memory */

extern char fake_log[65536]; /* everything printed since fake_reset() */
extern u32 fake_tlb_flushes;
extern u64 fake_now; /* ns */
extern u64 fake_timer_deadline;
extern u32 fake_softirqs;

void fake_reset(void);
/* Memory with its frame table; frames [1, FAKE_FRAMES) go to the page allocator. */
void fake_memory_init(void);
/* A domain with one vCPU, which is `current`, owning no frames. */
struct domain *fake_domain(domid_t id, bool privileged);
/* A zeroed frame of the domain. */
struct page_info *fake_page(struct domain *d);

#endif
