/* SPDX-License-Identifier: MIT */
/* FIFO lets a domain have more ports than the 2-level ABI can name: after a reset none of them is left. */
#include "guest.h"

static long op(u32 cmd, void *arg) { return HYPERCALL2(__HYPERVISOR_event_channel_op, cmd, arg); }

/* Binds up to n ports; the last one's number. */
static u32 fill(u32 n, long ends_with)
{
    u32 last = 0;
    long rc = 0;

    for (u32 i = 0; i < n && !rc; i++) {
        struct evtchn_bind_ipi b = { 0, 0 };

        rc = op(EVTCHNOP_bind_ipi, &b);
        last = rc || b.port < last ? last : b.port;
    }
    CHECK_EQ(rc, ends_with);
    return last;
}

void test_main(void)
{
    struct evtchn_init_control c = { .control_gfn = va_to_mfn(page_new()) };
    struct evtchn_reset r = { .dom = DOMID_SELF };

    events_mask();
    for (u32 i = 0; i < 2; i++) {
        CHECK_EQ(op(EVTCHNOP_init_control, &c), 0);
        CHECK(fill(17000, 0) >= 16999);
        CHECK_EQ(op(EVTCHNOP_reset, &r), 0);
        CHECK_EQ(fill(17000, -28), EVTCHN_2L_NR_CHANNELS - 1); /* ENOSPC */
        /* The frames behind shared_info are not the guest's. */
        for (u32 port = EVTCHN_2L_NR_CHANNELS; port < 17000; port++) {
            struct evtchn_send s = { port };
            struct evtchn_unmask u = { port };

            CHECK(op(EVTCHNOP_send, &s) < 0 && op(EVTCHNOP_unmask, &u) < 0);
        }
        CHECK_EQ(op(EVTCHNOP_reset, &r), 0);
    }
}
