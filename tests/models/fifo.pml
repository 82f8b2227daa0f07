/* SPDX-License-Identifier: MIT */
/*
 * FIFO event channels: the hypervisor appends events to the queues of two vCPUs, while these take events off
 * and mask and unmask them; no lock is between the two.
 *
 * Stands for:
 *   common/evtchn/evtchn_fifo.c: replace_link, set_link, evtchn_fifo_set_pending, evtchn_fifo_unmask
 *   common/evtchn/event_channel.c: set_pending, op_bind_vcpu, op_unmask, vcpu_mark_events_pending
 *
 * Three CPUs: two run the guest's vCPUs, which do what Linux does (consume_one_event(), clear_masked_cond()), one
 * sends and binds port 1 to the other vCPU; port 2 is vCPU 0's, port 3 either's. vCPU 0 masks and unmasks port 1.
 * Words are whole words; atomic: one locked operation each, with what only the holder of event_lock sees. set_link()
 * tries for ever here once BUSY is set; in C, a guest that changes a word 64 times meanwhile loses its own event.
 *
 * Holds: when no CPU is at it, an event is pending only where it is masked, and nothing is linked; a queue's head is
 * always an event that was linked, and is read once; links never go in a circle.
 *
 * Faults: STALE_TAIL (an event that moves stays the tail of its old queue), LINK_UNSEEN (an event is appended to one
 * that may have left the queue), MASK_FIRST (evtchn_fifo_set_pending() looks at MASKED before it sets PENDING)
 */
#define PORTS 3 /* numbered from 1; 0: none */
#define VCPUS 2

#define PENDING 1
#define MASKED 2
#define LINKED 4
#define BUSY 8
#define LINK(w) ((w) >> 4)
#define WITH_LINK(w, p) (((w) & 15) | ((p) << 4))

byte word[PORTS + 1], head[VCPUS];                  /* the guest's memory: event words, control blocks */
bit ready[VCPUS], upcall[VCPUS];
byte tail[VCPUS], vcpu[PORTS + 1], last[PORTS + 1]; /* the hypervisor's: fifo_queue.tail, evtchn.vcpu, last_vcpu */
bit event_lock;
byte at_it;                                         /* CPUs in the middle of something */

/* event_lock is held; w, v, t, appended: of the caller. */
inline set_pending(p)
{
#ifdef MASK_FIRST
    w = word[p];
    word[p] = word[p] | PENDING;
#else
    word[p] = word[p] | PENDING;
    w = word[p];
#endif
    if
    :: w & (MASKED | LINKED)
    :: else ->
       if
       :: atomic { word[p] & LINKED -> skip }
       :: atomic {
              else -> word[p] = word[p] | LINKED;
              v = vcpu[p];
#ifndef STALE_TAIL
              if :: last[p] != v && tail[last[p]] == p -> tail[last[p]] = 0 :: else fi;
#endif
              last[p] = v; t = tail[v]; tail[v] = p; appended = 0
          }
          if :: t != p && t -> set_link(t, p) :: else fi;
          if
          :: appended
          :: else ->
             head[v] = p;
             if :: atomic { ready[v] -> skip } :: atomic { else -> ready[v] = 1 } upcall[v] = 1 fi
          fi
       fi
    fi;
    d_step { w = 0; v = 0; t = 0; appended = 0 }
}

inline set_link(t, p)
{
    do
    :: w = word[t];
#ifndef LINK_UNSEEN
       if :: !(w & LINKED) -> break :: else fi;
#endif
       atomic {
           if
           :: word[t] == w -> word[t] = WITH_LINK(w, p) & ~BUSY; appended = 1; break
           :: else -> word[t] = word[t] | BUSY
           fi
       }
    od;
    if :: !appended && (w & BUSY) -> word[t] = word[t] & ~BUSY :: else fi
}

active [VCPUS] proctype Guest()
{
    byte p, next, w, v, t;
    bit todo, appended;

end:
    do
    :: atomic { upcall[_pid] -> upcall[_pid] = 0; at_it++ }
       atomic { todo = ready[_pid]; ready[_pid] = 0 }
       do
       :: todo ->
          /* A head is gone once it is read, so that one that is read again is seen. */
          if :: next -> p = next :: else -> atomic { p = head[_pid]; head[_pid] = 0 } fi;
          assert(p);
          atomic { assert(word[p] & LINKED); next = LINK(word[p]); word[p] = word[p] & (PENDING | MASKED | BUSY); todo = (next != 0) }
          if
          :: (word[p] & (PENDING | MASKED)) == PENDING -> word[p] = word[p] & ~PENDING /* and handles it */
          :: else
          fi;
          atomic { todo = todo | ready[_pid]; ready[_pid] = 0; p = 0 }
       :: else -> break
       od;
       at_it--
    :: atomic { _pid == 0 -> p = 1; at_it++ }
       if
       :: word[p] = word[p] | MASKED
       :: w = word[p];
          if
          :: !(w & MASKED)
          :: (w & MASKED) && !(w & PENDING) -> /* by itself: fails if BUSY is set */
             atomic { if :: word[p] == (w & ~BUSY) -> word[p] = w & ~(MASKED | BUSY) :: else fi }
          :: (w & MASKED) && (w & PENDING) -> /* by hypercall */
             atomic { !event_lock -> event_lock = 1; w = word[p] & PENDING; word[p] = word[p] & ~MASKED }
             if :: w -> set_pending(p) :: else fi;
             event_lock = 0
          fi
       fi;
       d_step { p = 0; w = 0; at_it-- }
    od
}

active proctype Sender()
{
    byte p, w, v, t;
    bit appended;

    if :: vcpu[3] = 0 :: vcpu[3] = 1 fi;
end:
    do
    :: atomic { !event_lock -> event_lock = 1; at_it++; if :: p = 1 :: p = 2 :: p = 3 fi }
       if
       :: set_pending(p)
       :: p == 1 -> vcpu[p] = 1 - vcpu[p] /* op_bind_vcpu() */
       fi;
       d_step { /* along the links: an end */
           do :: LINK(word[p]) -> p = LINK(word[p]); w++; assert(w < PORTS) :: else -> break od;
           event_lock = 0; p = 0; w = 0; at_it--
       }
    :: d_step { /* everybody rests */
           !at_it && !upcall[0] && !upcall[1] ->
           for (p : 1 .. PORTS) { assert(!(word[p] & (LINKED | BUSY)) && ((word[p] & MASKED) || !(word[p] & PENDING))) }
           p = 0
       }
    od
}
