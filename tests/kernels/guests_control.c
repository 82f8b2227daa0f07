/* SPDX-License-Identifier: MIT */
/* What a toolstack does with a guest while it lives: clocks, triggers, suspend and resume, the state of its FPU, answers about it. */
#include "domu.h"

static struct domu g;

static void wait_for(u32 word, u64 value)
{
    for (u64 end = smp_time(0) + 60000000000UL; g.box->words[word] != value && smp_time(0) < end;)
        smp_sleep_until(0, smp_time(0) + 1000000);
    CHECK_EQ(g.box->words[word], value);
}

static void wait_in_guest(u32 word, u64 value)
{
    while (((volatile u64 *)domu_box.words)[word] != value)
        HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

static struct xen_domctl_getvcpuinfo vcpu_info(u32 vcpu)
{
    domctl_op.u.getvcpuinfo.vcpu = vcpu;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuinfo, g.id), 0);
    return domctl_op.u.getvcpuinfo;
}

static long trigger(u32 what, u32 vcpu)
{
    domctl_op.u.sendtrigger = (struct xen_domctl_sendtrigger){ what, vcpu };
    return domctl(XEN_DOMCTL_sendtrigger, g.id);
}

static void nmi(struct frame *f)
{
    (void)f;
    domu_box.words[10]++;
}

static long suspend(void) { return HYPERCALL2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &(struct sched_shutdown){ SHUTDOWN_suspend }); }

static void lives(u64 arg)
{
    (void)arg;
    trap_handlers[2] = nmi;
    domu_box.words[0] = 1;
    wait_in_guest(10, 1);
    domu_box.words[1] = (u64)suspend();
    domu_box.words[0] = 2;
    domu_box.words[2] = (u64)suspend();
    domu_box.words[0] = 3;
    wait_in_guest(3, 1);
}

static void resume_with(u64 rax)
{
    struct vcpu_guest_context *c = &domu_context;

    domctl_op.u.vcpucontext = (struct xen_domctl_vcpucontext){ 0, (u64)c };
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpucontext, g.id), 0);
    c->user_regs.rax = rax;
    CHECK_EQ(domu_set_context(&g, 0), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, g.id), 0);
}

static void life(void)
{
    domu_new(&g, 2, lives, 0);
    CHECK_EQ(vcpu_info(0).online, 1);
    CHECK_EQ(vcpu_info(1).online, 0);
    CHECK_EQ(vcpu_info(0).cpu_time, 0);
    domctl_op.u.getvcpuinfo.vcpu = 2;
    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuinfo, g.id), -22);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, g.id), 0); /* it has not ended: nothing happens */
    CHECK_EQ(domu_unpause(&g), 0);
    wait_for(0, 1);
    CHECK(vcpu_info(0).cpu_time > 0);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_INIT, 0), -38);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_RESET, 0), -38);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_POWER, 0), -22);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 2), -3);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 64), -22);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 0), 0);
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_suspend);
    CHECK_EQ(g.box->words[10], 1);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, g.id), 0);
    wait_for(0, 2);
    CHECK_EQ(g.box->words[1], 0);
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_suspend);
    resume_with(1); /* as toolstacks tell a guest that it is the same one still */
    wait_for(0, 3);
    CHECK_EQ(g.box->words[2], 1);
    CHECK_EQ(domu_wait(&g, 0), DOMU_RUNS);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, DOMID_SELF), -22);
    g.box->words[3] = 1;
    CHECK_EQ(domu_wait(&g, 60000), SHUTDOWN_poweroff);
    domu_destroy(&g);
}

/* ---- clocks ---- */

#define GUEST_KHZ 100000U /* ten ns a tick */

static u64 time_now(void) { return smp_time(0); }

static bool has_rdtscp(void)
{
    u32 eax = 0x80000001, ebx, ecx, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return edx >> 27 & 1;
}

static void reads_clocks(u64 emulated)
{
    static const u8 code[] = { 0x0f, 0x31, 0x48, 0xc1, 0xe2, 32, 0x48, 0x09, 0xd0, 0x48, 0x89, 0xc3, 0x0f, 0x05 }; /* RDTSC, whole in RBX */
    u64 before = time_now(), tsc = rdtsc(), aux = 0;

    while (time_now() - before < 20000000)
        ;
    u64 ns = time_now() - before, ticks = rdtsc() - tsc;

    domu_box.words[1] = ns;
    domu_box.words[2] = ticks;
    domu_box.words[3] = ((volatile struct shared_info *)shared_info)->wc_sec;
    user_mode_setup();
    CHECK_EQ(user_run(user_text_page(code, sizeof(code)), user_stack(), 0x200), 257);
    CHECK(last_trap.rbx > tsc && rdtsc() > last_trap.rbx);
    if (emulated) {
        if (has_rdtscp())
            __asm__ volatile("rdtscp" : "=c"(aux)::"eax", "edx");
        CHECK_EQ(aux, 0);
        __asm__ volatile("mov %%cr4, %%rax; or $4, %%rax; mov %%rax, %%cr4" ::: "rax"); /* TSD, the guest's own */
        CHECK_EQ(user_run(user_text_page(code, sizeof(code)), user_stack(), 0x200), 13);
        CHECK(rdtsc() > tsc);
    }
}

static long set_tsc(u32 mode, u32 khz, u64 elapsed)
{
    domctl_op.u.tsc_info = (struct xen_domctl_tsc_info){ mode, khz, 5, 0, elapsed };
    return domctl(XEN_DOMCTL_settscinfo, g.id);
}

static void clocks(u32 mode, u32 khz, u64 elapsed, bool emulated)
{
    int64_t offset = 1000000;

    domu_new(&g, 1, reads_clocks, emulated);
    CHECK_EQ(set_tsc(3, 0, 0), -22);
    CHECK_EQ(set_tsc(0, 10, 0), -22);
    CHECK_EQ(set_tsc(mode, khz, elapsed), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_gettscinfo, g.id), 0);
    CHECK_EQ(domctl_op.u.tsc_info.tsc_mode, mode);
    CHECK_EQ(domctl_op.u.tsc_info.incarnation, 6);
    CHECK(!khz || domctl_op.u.tsc_info.gtsc_khz == khz);
    CHECK(!emulated || domctl_op.u.tsc_info.elapsed_nsec >= elapsed);
    domctl_op.u.settimeoffset.time_offset_seconds = offset;
    CHECK_EQ(domctl(XEN_DOMCTL_settimeoffset, g.id), 0);
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    u64 ns = g.box->words[1], expected = ns / (1000000 / GUEST_KHZ), ticks = g.box->words[2];

    if (khz)
        CHECK(ticks > expected / 2 && ticks < expected * 2); /* they are not read at the same time */
    CHECK_EQ(g.box->words[3], shared_info->wc_sec + offset);
    domu_destroy(&g);
}

/* ---- answers ---- */

static long address_size(u32 size)
{
    domctl_op.u.address_size.size = size;
    return domctl(XEN_DOMCTL_set_address_size, g.id);
}

static void nothing(u64 arg) { (void)arg; }

static void answers(void)
{
    static u8 page[PAGE_SIZE] __attribute__((aligned(4096)));
    u64 map = 1, own = *pte_of(page, 1);

    domu_new(&g, 1, nothing, 0);
    CHECK_EQ(address_size(64), 0);
    CHECK_EQ(address_size(32), -95);
    CHECK_EQ(address_size(16), -22);
    CHECK_EQ(domctl(XEN_DOMCTL_get_address_size, g.id), 0);
    CHECK_EQ(domctl_op.u.address_size.size, 64);
    domctl_op.u.nodeaffinity.nodemap = (struct xenctl_bitmap){ (u64)&map, 64 };
    CHECK_EQ(domctl(XEN_DOMCTL_setnodeaffinity, g.id), 0);
    map = 2;
    CHECK_EQ(domctl(XEN_DOMCTL_setnodeaffinity, g.id), -22);
    CHECK_EQ(domctl(XEN_DOMCTL_getnodeaffinity, g.id), 0);
    CHECK_EQ(map, 1);
    domctl_op.u.shadow_op = (struct xen_domctl_shadow_op){ .op = XEN_DOMCTL_SHADOW_OP_OFF };
    CHECK_EQ(domctl(XEN_DOMCTL_shadow_op, g.id), -22);
    domctl_op.u.shadow_op.op = 3; /* translate */
    CHECK_EQ(domctl(XEN_DOMCTL_shadow_op, g.id), -95);
    CHECK_EQ(domctl(79, g.id), -38); /* soft_reset */
    domctl_op.u.setdebugging.enable = 1;
    CHECK_EQ(domctl(XEN_DOMCTL_setdebugging, g.id), 0);
    CHECK_EQ(domain_info(g.id) & XEN_DOMINF_debugged, XEN_DOMINF_debugged);
    domctl_op.u.hypercall_init.gmfn = g.mfn[g.l4_pfn]; /* a page table */
    CHECK_EQ(domctl(XEN_DOMCTL_hypercall_init, g.id), -22);
    domctl_op.u.hypercall_init.gmfn = va_to_mfn(page); /* ours */
    CHECK_EQ(domctl(XEN_DOMCTL_hypercall_init, g.id), -22);
    domctl_op.u.hypercall_init.gmfn = g.mfn[g.start_info_pfn];
    CHECK_EQ(domctl(XEN_DOMCTL_hypercall_init, g.id), 0);
    CHECK_EQ(domu_map(page, &g, g.mfn[g.start_info_pfn], false), 0);
    CHECK_EQ(((u64 *)page)[0], 0x00000000b8534151); /* PUSH RCX; PUSH R11; MOV EAX, 0 */
    domu_unmap(page, own);
    domu_destroy(&g);
}

/* ---- extended state ---- */

static u64 state[1024];

static long xstate(u32 cmd, u64 mask, u64 size, void *buffer)
{
    domctl_op.u.vcpuextstate = (struct xen_domctl_vcpuextstate){ 0, mask, size, (u64)buffer };
    return domctl(cmd, g.id);
}

/* The word at this place of the header is changed: what comes is refused, and nothing has changed. */
static long set_with(u64 size, u32 word, u64 value)
{
    u64 was = state[word];

    state[word] = value;
    long rc = xstate(XEN_DOMCTL_setvcpuextstate, 0, size, state);

    state[word] = was;
    return rc;
}

static void extended_state(void)
{
    domu_new(&g, 1, nothing, 0);
    CHECK_EQ(xstate(XEN_DOMCTL_getvcpuextstate, 0, 0, 0), 0);
    u64 mask = domctl_op.u.vcpuextstate.xfeature_mask, size = domctl_op.u.vcpuextstate.size;
    u32 header = 2 + 512 / 8;

    if (!mask) { /* no XSAVE here */
        CHECK_EQ(size, 0);
        CHECK_EQ(xstate(XEN_DOMCTL_setvcpuextstate, 0, 592, state), -22);
    } else {
        CHECK(size >= 16 + 576 && size <= sizeof(state) && (mask & 3) == 3);
        CHECK_EQ(xstate(XEN_DOMCTL_getvcpuextstate, mask, size - 8, state), -22);
        CHECK_EQ(xstate(XEN_DOMCTL_getvcpuextstate, mask, size, (void *)0xffff830000001000), -14);
        CHECK_EQ(xstate(XEN_DOMCTL_getvcpuextstate, mask, size, state), 0);
        CHECK_EQ(state[0], 1);
        state[0] = mask & 7;
        state[header] = 3;
        state[2 + 160 / 8] = 0x77;
        CHECK_EQ(xstate(XEN_DOMCTL_setvcpuextstate, 0, 16, state), -22);
        CHECK_EQ(xstate(XEN_DOMCTL_setvcpuextstate, 0, size + 8, state), -22);
        CHECK_EQ(set_with(size, 0, 0), -22); /* no x87 */
        CHECK_EQ(set_with(size, 0, mask | 1UL << 62), -22);
        CHECK_EQ(set_with(size, 1, 1), -22);                  /* less than there is */
        CHECK_EQ(set_with(size, header, 1UL << 9), -22);      /* a component that is not ours */
        CHECK_EQ(set_with(size, header + 1, 1UL << 63), -22); /* compacted */
        CHECK_EQ(set_with(size, header + 2, 1), -22);
        CHECK_EQ(set_with(size, 2 + 24 / 8, ~0UL), -22); /* MXCSR */
        fail_allocation(1);
        CHECK_EQ(xstate(XEN_DOMCTL_setvcpuextstate, 0, 16 + 576, state), -12);
        fail_allocation(0);
        CHECK_EQ(xstate(XEN_DOMCTL_setvcpuextstate, 0, 16 + 576, state), 0);
        memory_set(state, 0xff, sizeof(state));
        CHECK_EQ(xstate(XEN_DOMCTL_getvcpuextstate, mask, size, state), 0);
        CHECK_EQ(state[0], mask & 7);
        CHECK_EQ(state[header], 3);
        CHECK_EQ(state[2 + 160 / 8], 0x77);
    }
    CHECK_EQ(domu_run(&g), SHUTDOWN_poweroff);
    domu_destroy(&g);
}

void test_main(void)
{
    life();
    clocks(TSC_MODE_DEFAULT, 0, 0, false);
    clocks(TSC_MODE_NEVER_EMULATE, 0, 1000000000UL, false);
    clocks(TSC_MODE_DEFAULT, GUEST_KHZ, 5000, true);
    clocks(TSC_MODE_ALWAYS_EMULATE, GUEST_KHZ, 1UL << 50, true); /* since long before this machine's boot */
    answers();
    extended_state();
}
