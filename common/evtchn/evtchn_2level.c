/* SPDX-License-Identifier: MIT */
/* The 2-level ABI: bitmaps in shared_info, a selector word per vCPU. Ports that the bitmaps have no bit for are passed over. */
#include <hv/evtchn.h>

/*
 * An event sets three bits, from the port outwards; the guest looks at them from the vCPU inwards.
 *
 *   CPU A (here):         the port's pending bit; unless it is masked, the selector's bit of its word; evtchn_upcall_pending; then vcpu_kick()
 *   CPU B (the guest):    clears evtchn_upcall_pending; takes the selector; looks at the words that it names
 *
 * If A set an outer bit first, B could take it, find nothing inside, and the event would wait for the next one. A bit that is set already needs
 * nothing more: whoever set it goes on outwards.
 */
void evtchn_2l_set_pending(struct vcpu *v, u32 port)
{
    struct shared_info *s = v->domain->shared_info;

    if (port >= EVTCHN_2L_NR_CHANNELS || !v->info || atomic_test_and_set_bit(port, s->evtchn_pending))
        return;
    if (!test_bit(port, s->evtchn_mask) && !atomic_test_and_set_bit(port / 64, &v->info->evtchn_pending_sel))
        vcpu_mark_events_pending(v);
}

/* True if the port is pending: the caller raises it again, now unmasked. */
bool evtchn_2l_unmask(struct domain *d, u32 port)
{
    struct shared_info *s = d->shared_info;

    if (port >= EVTCHN_2L_NR_CHANNELS || !atomic_test_and_clear_bit(port, s->evtchn_mask))
        return false;
    /* set_pending() acts on the 0 to 1 transition */
    return atomic_test_and_clear_bit(port, s->evtchn_pending);
}

bool evtchn_2l_is_pending(struct domain *d, u32 port)
{
    return port < EVTCHN_2L_NR_CHANNELS && test_bit(index_nospec(port, EVTCHN_2L_NR_CHANNELS), d->shared_info->evtchn_pending);
}

bool evtchn_2l_clear_pending(struct domain *d, u32 port)
{
    return port < EVTCHN_2L_NR_CHANNELS && atomic_test_and_clear_bit(port, d->shared_info->evtchn_pending);
}
