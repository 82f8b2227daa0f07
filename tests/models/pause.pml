/* SPDX-License-Identifier: MIT */
/*
 * A pause takes effect at the exit to the guest, and who pauses waits for that (docs/locking.md, Pausing).
 *
 * Stands for:
 *   common/sched/schedule.c: held_by, sched_is_outside, vcpu_wake, put_prev, pop_unpaused, schedule_tail
 *   common/domain/domain_life.c: vcpu_pause, vcpu_unpause, pause_begin, pause_wait, domain_wait_point
 *   common/domain/vcpu.c: vcpu_pause_flag_set, vcpu_pause_flag_clear
 *   common/core/softirq.c: softirq_due, preempt_point, preempt_wait
 *   arch/x86/mm/page_type.c: wait_while_busy, acquire_first, put_last_type
 *
 * Four vCPUs on three CPUs. Each pins frames, which are BUSY meanwhile, one while it holds another of a higher level;
 * blocks and is woken; pauses another one, works on the frames while that one is paused, reads its registers. The
 * scheduler is what it promises (runqueue.pml): who is not held gets a CPU. Who waits has left its CPU, and comes back
 * when what it waits for is there. atomic: what one lock guards, one exchange, or one locked operation.
 *
 * Holds: a vCPU that somebody has paused and waited for does nothing, and its registers are those of an instruction
 * boundary; nobody waits for ever but who is blocked and nobody wakes.
 *
 * Faults: PAUSE_INSIDE (a pause holds a vCPU in the middle of an operation), NO_WAIT (vcpu_pause() does not wait),
 * NO_GIVING_UP (vcpu_pause() waits although its caller is to stop, too)
 */
#define VCPUS 4
#define CPUS 3
#define FRAMES 2

#define BLOCKED 1
#define PAUSE_ONE 2

byte flags[VCPUS], idle_cpus = CPUS;
bit mid[VCPUS], runs[VCPUS];  /* vcpu.mid_operation, SCHED_RUNNING */
bit inside[VCPUS];            /* its registers are not those of an instruction boundary */
bit busy[FRAMES];

#ifdef PAUSE_INSIDE
#define HELD(v) (flags[v])
#else
#define HELD(v) (flags[v] && !mid[v])
#endif
#define OUTSIDE(v) (!runs[v] && !mid[v])

inline leave_cpu() { atomic { runs[me] = 0; idle_cpus++ } }
inline come_back(reason) { atomic { idle_cpus && !HELD(me) && (reason) -> idle_cpus--; runs[me] = 1 } }
/* preempt_wait(), until the reason is there. */
inline wait_for(reason) { mid[me] = 1; leave_cpu(); come_back(reason); mid[me] = 0 }

inline take(f)
{
    do
    :: atomic { !busy[f] -> busy[f] = 1; break }
    :: busy[f] -> wait_for(!busy[f])
    od
}

inline work()
{
    if
    :: true -> take(0); take(1); wait_for(1) /* preempt_point() */; busy[1] = 0; busy[0] = 0
    :: true -> take(1); busy[1] = 0
    fi
}

inline pause(other)
{
    atomic { flags[other] = flags[other] + PAUSE_ONE; ok = 1 }
#ifndef NO_WAIT
    do
    :: atomic { OUTSIDE(other) -> break }
#ifndef NO_GIVING_UP
    :: atomic { !OUTSIDE(other) && flags[me] -> flags[other] = flags[other] - PAUSE_ONE; ok = 0; break }
    :: !OUTSIDE(other) && !flags[me] -> wait_for(OUTSIDE(other) || flags[me])
#else
    :: !OUTSIDE(other) -> wait_for(OUTSIDE(other))
#endif
    od
#endif
}

proctype Vcpu(byte me)
{
    byte other = (me + 1) % VCPUS;
    bit ok;

end:
    come_back(1);
    do
    :: flags[me] -> leave_cpu(); /* SOFTIRQ_PAUSE, at the exit to the guest */
end_held:
       come_back(1)
    :: leave_cpu(); /* the end of its slice */
end_queued:
       come_back(1)
    :: inside[me] = 1; work(); inside[me] = 0
    :: atomic { flags[me] = flags[me] | BLOCKED } /* op_block() */
    :: atomic { flags[other] = flags[other] & ~BLOCKED } /* an event for it */
    :: inside[me] = 1;
       pause(other);
       if
       :: ok ->
          assert(OUTSIDE(other) && !inside[other]);
          work();
          atomic { assert(OUTSIDE(other) && !inside[other]); flags[other] = flags[other] - PAUSE_ONE }
       :: else
       fi;
       atomic { inside[me] = 0; ok = 0 }
    od
}

init { atomic { run Vcpu(0); run Vcpu(1); run Vcpu(2); run Vcpu(3) } }
