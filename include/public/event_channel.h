/* SPDX-License-Identifier: MIT */
/* event_channel_op and the FIFO event ABI */
#pragma once

#include "xen.h"

typedef uint32_t evtchn_port_t;

#define EVTCHNOP_bind_interdomain 0
#define EVTCHNOP_bind_virq 1
#define EVTCHNOP_bind_pirq 2
#define EVTCHNOP_close 3
#define EVTCHNOP_send 4
#define EVTCHNOP_status 5
#define EVTCHNOP_alloc_unbound 6
#define EVTCHNOP_bind_ipi 7
#define EVTCHNOP_bind_vcpu 8
#define EVTCHNOP_unmask 9
#define EVTCHNOP_reset 10
#define EVTCHNOP_init_control 11
#define EVTCHNOP_expand_array 12
#define EVTCHNOP_set_priority 13

struct evtchn_alloc_unbound {
    domid_t dom, remote_dom;
    evtchn_port_t port;
};
struct evtchn_bind_interdomain {
    domid_t remote_dom;
    evtchn_port_t remote_port, local_port;
};
struct evtchn_bind_virq {
    uint32_t virq, vcpu;
    evtchn_port_t port;
};
struct evtchn_bind_pirq {
    uint32_t pirq, flags;
    evtchn_port_t port;
};
struct evtchn_bind_ipi {
    uint32_t vcpu;
    evtchn_port_t port;
};
struct evtchn_close {
    evtchn_port_t port;
};
struct evtchn_send {
    evtchn_port_t port;
};
struct evtchn_status {
    domid_t dom;
    evtchn_port_t port;
    uint32_t status, vcpu;
    union {
        struct {
            domid_t dom;
        } unbound;
        struct {
            domid_t dom;
            evtchn_port_t port;
        } interdomain;
        uint32_t pirq, virq;
    } u;
};
enum { EVTCHNSTAT_closed, EVTCHNSTAT_unbound, EVTCHNSTAT_interdomain, EVTCHNSTAT_pirq, EVTCHNSTAT_virq, EVTCHNSTAT_ipi };
struct evtchn_bind_vcpu {
    evtchn_port_t port;
    uint32_t vcpu;
};
struct evtchn_unmask {
    evtchn_port_t port;
};
struct evtchn_reset {
    domid_t dom;
};
struct evtchn_init_control {
    uint64_t control_gfn;
    uint32_t offset, vcpu;
    uint8_t link_bits, _pad[7];
};
struct evtchn_expand_array {
    uint64_t array_gfn;
};
struct evtchn_set_priority {
    evtchn_port_t port;
    uint32_t priority;
};

#define EVTCHN_2L_NR_CHANNELS 4096
#define EVTCHN_FIFO_NR_CHANNELS (1 << 17)
#define EVTCHN_FIFO_PENDING 31
#define EVTCHN_FIFO_MASKED 30
#define EVTCHN_FIFO_LINKED 29
#define EVTCHN_FIFO_BUSY 28
#define EVTCHN_FIFO_LINK_BITS 17
#define EVTCHN_FIFO_LINK_MASK ((1u << EVTCHN_FIFO_LINK_BITS) - 1)
#define EVTCHN_FIFO_MAX_QUEUES 16
#define EVTCHN_FIFO_PRIORITY_DEFAULT 7

struct evtchn_fifo_control_block {
    uint32_t ready, _rsvd;
    uint32_t head[EVTCHN_FIFO_MAX_QUEUES];
};
