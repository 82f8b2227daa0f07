/* SPDX-License-Identifier: MIT */
/*
 * What of the machine's devices a domain may use: dom0 all, others what the toolstack gives them. The hypervisor's own devices are
 * nobody's, whatever stands here (iomem_permitted(), port_hidden()). What is taken away from a domain that uses it already stays in
 * its page tables and bound to its event channels.
 */
#pragma once

#include <hv/lib.h>
#include <hv/spinlock.h>

#define MAX_PIRQS 4096
#define NR_PORTS 65536
#define MAX_IOMEM_RANGES 32
#define MAX_IOMEM ((1ULL << 40) - 1) /* frames that page-table entries can name */

struct io_rights {
    spinlock_t lock; /* iomem[]; a leaf */
    u32 nr_iomem;
    struct iomem_range {
        mfn_t first, last;
    } iomem[MAX_IOMEM_RANGES];                       /* they neither touch nor overlap */
    u64 ports[NR_PORTS / 64], pirqs[MAX_PIRQS / 64]; /* bits, changed atomically */
};

void io_rights_init(struct io_rights *r, bool all); /* all: dom0's, else none */
/* 0; -EINVAL: no such numbers; -ENOSPC: more than MAX_IOMEM_RANGES ranges, nothing is changed then. */
int io_rights_iomem(struct io_rights *r, mfn_t first, mfn_t last, bool allow) __must_check;
/* First and count: ports. No lock: each is one bit. */
int io_rights_ports(struct io_rights *r, u32 first, u32 count, bool allow) __must_check;
int io_rights_pirq(struct io_rights *r, u32 pirq, bool allow) __must_check; /* no lock: one bit */

/*
 * CPU A takes a right away (io_rights_pirq(), io_rights_ports()), CPU B has just seen it here: B's one operation still goes through, as if it had
 * come before. Each right is one bit, so there is no state in between. A range of iomem[] is several words, hence the lock.
 */
/* All frames from first to last lie in one range. Takes r->lock. */
bool io_rights_has_iomem(struct io_rights *r, mfn_t first, mfn_t last);
static inline bool io_rights_has_port(const struct io_rights *r, u16 port) { return READ_ONCE(r->ports[port / 64]) >> port % 64 & 1; }
static inline bool io_rights_has_pirq(const struct io_rights *r, u32 pirq)
{
    return pirq < MAX_PIRQS && READ_ONCE(r->pirqs[index_nospec(pirq / 64, MAX_PIRQS / 64)]) >> pirq % 64 & 1;
}
/* A domain with device memory may choose the caching of its mappings, and flush caches. */
static inline bool io_rights_caching(const struct io_rights *r) { return READ_ONCE(r->nr_iomem); }
