/* SPDX-License-Identifier: MIT */
/* mmuext_op: pins, base pointers, flushes, descriptor tables, whole-page operations. */
#include <hv/hypercall.h>
#include <hv/pv.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/tlb.h>

static long op_flush_cache(void)
{
    if (!io_rights_caching(&current->domain->io))
        return -EPERM;
    wbinvd();
    return 0;
}

/* The page is only written while it is nothing else than writable. */
static long op_fill_page(struct domain *d, const struct mmuext_op *op)
{
    mfn_t dst = op->arg1.mfn, src = op->arg2.src_mfn;
    long rc = page_get_and_type(dst, d, PGT_WRITABLE);

    if (rc)
        return rc;
    if (op->cmd == MMUEXT_CLEAR_PAGE)
        memset(mfn_to_virt(dst), 0, PAGE_SIZE);
    else if (mfn_valid(src) && page_get(mfn_to_page(src), d)) {
        memcpy(mfn_to_virt(dst), mfn_to_virt(src), PAGE_SIZE);
        page_put(mfn_to_page(src));
    } else
        rc = -EINVAL;
    page_put_written(mfn_to_page(dst));
    return rc;
}

static long op_set_ldt(struct vcpu *v, u64 base, u32 entries)
{
    if (entries > 8192 || (base & (PAGE_SIZE - 1)) || !guest_range_ok(base, entries * 8ULL))
        return -EINVAL;
    pv_release_ldt(v);
    v->pv.ldt_base = base;
    v->pv.ldt_entries = entries;
    pv_load_ldt(v);
    return 0;
}

static long op_flush_named(const struct domain *d, const struct mmuext_op *op, u64 address)
{
    if (!op->arg2.vcpumask.va)
        return -EINVAL;
    return is_canonical(address) ? pv_flush_vcpus(d, op->arg2.vcpumask, address) : 0;
}

static long mmuext_apply_op(struct domain *d, const struct mmuext_op *op)
{
    struct vcpu *v = current;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE ... MMUEXT_PIN_L4_TABLE: return page_pin(d, op->arg1.mfn, PGT_L1 + op->cmd - MMUEXT_PIN_L1_TABLE);
    case MMUEXT_UNPIN_TABLE: return page_unpin(d, op->arg1.mfn);
    case MMUEXT_CLEAR_PAGE:
    case MMUEXT_COPY_PAGE: return op_fill_page(d, op);
    }
    /* The rest acts on the calling vCPU's own address space. */
    if (d != v->domain)
        return -EPERM;
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR: return pv_set_base(v, false, op->arg1.mfn);
    case MMUEXT_NEW_USER_BASEPTR: return pv_set_base(v, true, op->arg1.mfn);
    case MMUEXT_TLB_FLUSH_LOCAL: tlb_flush_local(); return 0;
    case MMUEXT_INVLPG_LOCAL:
        if (is_canonical(op->arg1.linear_addr))
            invlpg(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_ALL: return pv_flush_vcpus(d, GUEST_NULL, 0);
    case MMUEXT_TLB_FLUSH_MULTI: return op_flush_named(d, op, 0);
    case MMUEXT_INVLPG_ALL: return is_canonical(op->arg1.linear_addr) ? pv_flush_vcpus(d, GUEST_NULL, op->arg1.linear_addr) : 0;
    case MMUEXT_INVLPG_MULTI: return op_flush_named(d, op, op->arg1.linear_addr);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL: return op_flush_cache();
    case MMUEXT_SET_LDT: return op_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    default: return hypercall_not_offered(__HYPERVISOR_mmuext_op, op->cmd);
    }
}

/* A call that is continued has MMU_UPDATE_PREEMPTED in its count, and what has been done before stands at done_at. */
long do_mmuext_op(guest_ptr_t ops, u64 count, guest_ptr_t done_at, u64 domid)
{
    u32 nr_ops = (u32)count & ~MMU_UPDATE_PREEMPTED, done = 0, before = 0;
    struct domain *d __held_domain = NULL;
    long rc = domain_of_frames((domid_t)domid, &d);

    if (rc)
        return rc;
    if (((u32)count & MMU_UPDATE_PREEMPTED) && done_at.va && copy_from_guest(&before, done_at, sizeof(before)))
        return -EFAULT;
    for (; done < nr_ops && rc != -ERESTART; done++) {
        struct mmuext_op op;

        rc = copy_from_guest(&op, guest_ptr_index(ops, done, sizeof(op)), sizeof(op));
        if (!rc)
            rc = mmuext_apply_op(d, &op);
        if (rc)
            break;
        rc = done + 1 < nr_ops && (d != current->domain || (done & 15) == 15) ? domain_work_point() : 0; /* tables of others may be large */
    }
    const u64 rest[] = { guest_ptr_index(ops, done, sizeof(struct mmuext_op)).va, (nr_ops - done) | MMU_UPDATE_PREEMPTED };
    before += done;
    if (done_at.va && copy_to_guest(done_at, &before, sizeof(before)))
        return -EFAULT;
    return rc == -ERESTART ? hypercall_again(__HYPERVISOR_mmuext_op, rest, ARRAY_SIZE(rest)) : rc;
}
