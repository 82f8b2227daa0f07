/*
 * TLB flushing. A clock ticks whenever a frame's type count drops to zero; a CPU notes the
 * clock when it flushes. A frame may change its type only after every CPU has flushed since
 * the old type went (XSA-241).
 */
#include <hv/x86/page_table.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>

static u32 clock = 1;

u32 tlb_clock(void)
{
    return __atomic_load_n(&clock, __ATOMIC_ACQUIRE);
}

static void note_flush(void)
{
    this_cpu()->tlb_flush_time = __atomic_fetch_add(&clock, 1, __ATOMIC_ACQ_REL) + 1;
}

void tlb_flush_local(void)
{
    note_flush();
    write_cr3(read_cr3());
}

void tlb_flush_local_all(void)
{
    u64 cr4 = read_cr4();

    note_flush();
    write_cr4(cr4 & ~CR4_PGE);
    write_cr4(cr4);
}

void tlb_flush_all_cpus(void)
{
    /* One CPU is online; others will be told by IPI here. */
    tlb_flush_local();
}

void tlb_flush_for_page(const struct page_info *pg)
{
    for (u32 i = 0; i < nr_cpus; i++)
        if ((s32)(READ_ONCE(pg->tlb_stamp) - (u32)READ_ONCE(percpu_areas[i].tlb_flush_time)) >= 0) {
            tlb_flush_all_cpus();
            return;
        }
}
