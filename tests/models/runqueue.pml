/* SPDX-License-Identifier: MIT */
/*
 * Run queues: vCPUs that block, are woken, moved, stolen, evicted and switched (docs/scheduler.md).
 *
 * Stands for:
 *   common/sched/schedule.c: schedule, look_elsewhere, call_for_queued, schedule_tail, put_prev, pop_unpaused, get_next, place_evicted, vcpu_wake, sched_set_affinity, idle_loop
 *   common/sched/runqueue.c: rq_lock_of, rq_insert, rq_pop, rq_choose_cpu, claim_idle, rq_add_vcpu, rq_call_idle, set_out, sched_enqueue, sched_place, rq_take_waiting, sched_steal
 *   common/domain/vcpu.c: vcpu_pause_flag_set, vcpu_pause_flag_clear, vcpu_kick
 *   common/hypercall/sched_op.c: op_block
 *   common/core/softirq.c: softirq_raise_on, softirq_process
 *
 * Three CPUs, two vCPUs; at most two CPUs are inside the hypervisor at a time. A queue is a set: any order, any
 * preemption. Slices end at any time. Affinity is hard, only vCPU 0's changes. Pauses by others: pause.pml. atomic: what
 * one queue's lock guards, with its taking (a vCPU's flag is looked at once there); else one locked operation.
 *
 * Holds: a CPU takes a vCPU only when its registers are whole; at rest a vCPU sleeps only when it is blocked and has no
 * event pending, none is lost between queues, and none waits in one while a CPU is idle that may run it; the CPUs that are
 * idle are those known as idle; locks are released.
 *
 * Never reached: 7 steps. An evicted vCPU's affinity cannot change before it is placed, so it never stays; one that has to
 * leave its queue does not come back to it; there is no vCPU 2.
 *
 * Faults: EARLY_UNLOCK (the queue's lock goes before the stacks are switched), EVENT_UNSEEN (op_block() does not look for
 * events once it has set the flag), IDLE_UNSAID (a CPU whose vCPUs have all gone sleeps without having said that it is idle),
 * LATE_CPU (vcpu.cpu changes when the vCPU arrives on its new queue), LEFT_BEHIND (a switch leaves a vCPU in the queue and
 * calls nobody), NO_THIEF (nobody calls idle CPUs)
 */
#define CPUS 3
#define VCPUS 2
#define AT_ONCE 2
#define NONE 7 /* or the idle vCPU */

mtype = { ASLEEP, QUEUED, RUNNING, MOVING }; /* ASLEEP: SCHED_BLOCKED */
mtype place[VCPUS] = ASLEEP; /* vcpu.sched.state */
byte cpu[VCPUS], affinity = 7;              /* vcpu.cpu; of vCPU 0 */
bit blocked[VCPUS] = 1, event[VCPUS], whole[VCPUS] = 1; /* PAUSE_BLOCKED, upcall pending, registers saved */
byte queue[CPUS], curr[CPUS] = NONE, evicted[CPUS] = NONE;
bit locked[CPUS], running[CPUS], softirq[CPUS];
byte idle = 7, at_it;                       /* cpus_idle; CPUs inside the hypervisor */

#define BIT(i) (1 << (i))
#define AFFINE(v) (v == 0 -> affinity : 7)
#define ANY_OF(x, set) if :: (set) & 1 -> x = 0 :: (set) & 2 -> x = 1 :: (set) & 4 -> x = 2 fi

#ifdef NO_THIEF
#define CALL(i, v) skip
#else
#define CALL(i, v) softirq[i] = softirq[i] | ((idle & AFFINE(v)) >> i & 1)
#endif
#define CALL_IDLE(v) /* rq_call_idle() */ CALL(0, v); CALL(1, v); CALL(2, v)

#define ENQUEUE(v) cpu[v] = to; queue[to] = queue[to] | BIT(v); place[v] = QUEUED; if :: preempt = 1 :: running[to] -> preempt = 0 fi

/* The lock of v's queue is held; it is released. */
inline sched_place(v)
{
    do /* rq_choose_cpu() */
    :: atomic { idle & AFFINE(v) -> ANY_OF(to, idle & AFFINE(v)); idle = idle & ~BIT(to); break } /* claim_idle() */
    :: atomic { !(idle & AFFINE(v)) -> ANY_OF(to, AFFINE(v)); break }
    od;
    if
    :: atomic { to == cpu[v] -> locked[to] = 0; ENQUEUE(v) }
    :: atomic {
           to != cpu[v] -> place[v] = MOVING; locked[cpu[v]] = 0;
#ifndef LATE_CPU
           cpu[v] = to; /* set_out() */
#endif
           skip
       }
       atomic { !locked[to] -> ENQUEUE(v) }
    fi;
    notify(v)
}

inline notify(v)
{
    if :: preempt -> softirq[to] = 1 :: atomic { !preempt -> CALL_IDLE(v) } fi;
    atomic { to = 0; preempt = 0 }
}

inline lock_queue_of(v)
{
    do
    :: o = cpu[v]; atomic { !locked[o] -> if :: o == cpu[v] -> locked[o] = 1; break :: else fi }
    od;
    skip
}

inline vcpu_wake(v)
{
    lock_queue_of(v);
    if
    :: !blocked[v] && place[v] == ASLEEP -> sched_place(v)
    :: else -> locked[o] = 0
    fi;
    o = 0
}

inline steal()
{
    o = (me + 1) % CPUS;
    do
    :: o != me ->
       if
       :: queue[o] ->
          atomic {
              !locked[o] -> v = NONE;
              if
              :: queue[o] & 1 && (affinity & BIT(me)) -> v = 0
              :: queue[o] & 2 -> v = 1
              :: else
              fi;
              if
              :: v != NONE -> queue[o] = queue[o] & ~BIT(v); place[v] = MOVING;
#ifndef LATE_CPU
                 cpu[v] = me
#endif
              :: else
              fi
          }
          if :: v != NONE -> atomic { !locked[me] -> to = me; ENQUEUE(v) } notify(v); break :: else fi
       :: else
       fi;
       o = (o + 1) % CPUS
    :: else -> break
    od;
    o = 0; v = 0
}

inline schedule()
{
    prev = curr[me];
    if /* look_elsewhere() */
    :: queue[me]
    :: !queue[me] ->
       if :: prev == NONE || blocked[prev] -> idle = idle | BIT(me); known = 1; steal() :: else -> if :: steal() :: skip fi fi
    fi;
    atomic {
        !locked[me] -> locked[me] = 1;
        if
        :: prev == NONE
        :: else ->
           running[me] = 0;
           if
           :: blocked[prev] -> place[prev] = ASLEEP
           :: !blocked[prev] && !(AFFINE(prev) & BIT(me)) -> place[prev] = MOVING; evicted[me] = prev
           :: else -> place[prev] = QUEUED; queue[me] = queue[me] | BIT(prev)
           fi
        fi;
        do /* pop_unpaused() */
        :: !queue[me] -> v = NONE; break
        :: queue[me] ->
           ANY_OF(v, queue[me]);
           queue[me] = queue[me] & ~BIT(v);
           if :: blocked[v] -> place[v] = ASLEEP :: else -> break fi
        od;
        if :: v != NONE -> idle = idle & ~BIT(me); running[me] = 1; place[v] = RUNNING; cpu[v] = me :: else fi;
#ifndef IDLE_UNSAID
        if :: v == NONE && !known -> softirq[me] = 1 :: else fi;
#endif
        known = 0
    }
#ifndef LEFT_BEHIND
    /* call_for_queued() */
    atomic { if :: queue[me] & 1 -> CALL_IDLE(0) :: else fi; if :: queue[me] & 2 -> CALL_IDLE(1) :: else fi }
#endif
    if
    :: atomic { v == prev -> locked[me] = 0 }
    :: v != prev ->
#ifdef EARLY_UNLOCK
       locked[me] = 0;
#endif
       atomic { /* switch_stack() */
           if :: prev != NONE -> whole[prev] = 1 :: else fi;
           if :: v != NONE -> assert(whole[v]); whole[v] = 0 :: else fi;
           curr[me] = v; v = evicted[me]; evicted[me] = NONE;
           if :: v == NONE -> locked[me] = 0 :: else fi /* schedule_tail() */
       }
       if :: v != NONE -> sched_place(v) :: else fi
    fi;
    atomic { v = 0; prev = 0 }
}

proctype Cpu(byte me)
{
    byte v, o, to, prev;
    bit preempt, known;

end:
    do
    :: atomic { softirq[me] && at_it < AT_ONCE -> softirq[me] = 0; at_it++ }
       schedule(); at_it--
    :: atomic { curr[me] != NONE && at_it < AT_ONCE -> at_it++ }
       if
       :: atomic { !softirq[me] -> softirq[me] = 1 } /* its slice ends */
       :: atomic { event[curr[me]] -> event[curr[me]] = 0 } /* handles its events */
       :: blocked[curr[me]] = 1; softirq[me] = 1; /* op_block() */
#ifndef EVENT_UNSEEN
          if :: event[curr[me]] -> blocked[curr[me]] = 0 :: else fi /* vcpu_wake() finds it running */
#endif
       :: ANY_OF(v, 3 & ~BIT(curr[me])); /* evtchn_send() */
          if
          :: atomic { event[v] -> skip }
          :: atomic { !event[v] -> event[v] = 1 }
             atomic { prev = blocked[v]; blocked[v] = 0 }
             if :: prev -> vcpu_wake(v) :: else fi
          fi
       :: true -> lock_queue_of(0); /* sched_set_affinity(): all, or CPU 1 */
          affinity = 9 - affinity;
          if
          :: place[0] == QUEUED && !(affinity & BIT(o)) -> queue[o] = queue[o] & ~1; sched_place(0)
          :: place[0] == QUEUED && (affinity & BIT(o)) -> atomic { CALL_IDLE(0); locked[o] = 0 }
          :: place[0] == RUNNING && !(affinity & BIT(o)) -> locked[o] = 0; softirq[o] = 1
          :: else -> locked[o] = 0
          fi;
          o = 0
       fi;
       atomic { v = 0; prev = 0; at_it-- }
    od
}

active proctype Rest()
{
    byte v;
end:
    do
    :: d_step {
           !at_it && !softirq[0] && !softirq[1] && !softirq[2] ->
           for (v : 0 .. VCPUS - 1) {
               assert(place[v] != MOVING && (place[v] == ASLEEP) == blocked[v] && !(blocked[v] && event[v]));
               assert(place[v] != QUEUED || !(idle & AFFINE(v)))
           }
           for (v : 0 .. CPUS - 1) { assert((curr[v] == NONE) == (idle >> v & 1) && !locked[v]) }
           v = 0
       }
    od
}

init { atomic { blocked[0] = 0; place[0] = QUEUED; queue[0] = 1; softirq[0] = 1; run Cpu(0); run Cpu(1); run Cpu(2) } }
