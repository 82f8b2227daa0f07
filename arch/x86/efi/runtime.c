/* SPDX-License-Identifier: MIT */
/*
 * Calling the firmware. Its code and data keep their physical addresses: a call runs on page tables that map what the memory map
 * marks for runtime where it lies, beside the hypervisor's part of every address space, and no guest's. That is the one place where pages
 * are writable and executable: the firmware mixes both, and its pages are mapped during a call only.
 *
 * The vCPU keeps its stack, and its FPU registers are put away. Interrupts are off. An exception in the firmware ends the call and
 * all later ones (percpu.inside, extable.c).
 */
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/efi.h>
#include <hv/printk.h>
#include <hv/watchdog.h>
#include <hv/x86/cet.h>
#include <hv/x86/fpu.h>
#include <hv/x86/pv/mmu.h>

/* Offsets into EFI_SYSTEM_TABLE (UEFI 2.9, 4.3). */
#define TABLE_REVISION 8
#define TABLE_VENDOR 24
#define TABLE_VENDOR_REVISION 32
#define TABLE_SERVICES 88
#define TABLE_NR_CONFIG 104
#define TABLE_CONFIG 112

struct efi_info efi_info;
static paddr_t services;
static pte_t *efi_l4;
static bool busy;

static bool opt_rs = true;
static int parse_efi(const char *value, void *var)
{
    if (!strncmp(value, "rs=", 3))
        return option_bool(value + 3, var);
    *(bool *)var = !strcmp(value, "rs");
    return strcmp(value, "rs") && strcmp(value, "no-rs") ? -EINVAL : 0;
}
OPTION("efi", parse_efi, opt_rs, "`no-rs`: the firmware's runtime services are not called; `rs`; also `rs=BOOLEAN`", "`rs`");

static bool read_firmware(void *to, paddr_t at, u64 n)
{
    if (!at || direct_map_add(at, n))
        return false;
    memcpy(to, phys_to_virt(at), n);
    return true;
}

static u64 word(paddr_t at)
{
    u64 v = 0;

    return read_firmware(&v, at, sizeof(v)) ? v : 0;
}

static void read_vendor(paddr_t at)
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(efi_info.vendor) && read_firmware(&efi_info.vendor[i], at + 2 * i, 2); i++)
        if (!efi_info.vendor[i])
            return;
}

/* In the lower half of the hypervisor's own tables, for the moment; nothing else is there. */
static int map_services(void)
{
    struct efi_memory m;
    int rc = 0;

    for (u32 i = 0; efi_memory_map_entry(i, &m) && !rc; i++)
        if (m.attributes & EFI_MEMORY_RUNTIME && m.start + m.size <= DIRECTMAP_VIRT_END - DIRECTMAP_VIRT_START)
            rc = hv_map(m.start, m.start, m.size,
                        PTE_PRESENT | PTE_RW | PTE_ACCESSED | PTE_DIRTY | (m.attributes & EFI_MEMORY_WB ? 0 : PTE_PCD | PTE_PWT));
    for (unsigned i = 0; i < HV_SLOT_FIRST; i++) {
        efi_l4[i] = hv_l4[i];
        hv_l4[i] = 0;
    }
    for (unsigned i = HV_SLOT_FIRST; i <= HV_SLOT_LAST; i++)
        efi_l4[i] = hv_l4[i];
    write_cr3(read_cr3());
    return rc;
}

void efi_runtime_init(void)
{
    paddr_t table = boot_info.efi_system_table;

    if (!table)
        return;
    efi_info.revision = (u32)word(table + TABLE_REVISION);
    efi_info.vendor_revision = (u32)word(table + TABLE_VENDOR_REVISION);
    efi_info.config_tables = word(table + TABLE_CONFIG);
    efi_info.nr_config_tables = (u32)word(table + TABLE_NR_CONFIG);
    read_vendor(word(table + TABLE_VENDOR));
    services = word(table + TABLE_SERVICES);
    if (opt_rs && services) {
        efi_l4 = hv_alloc_page();
        if (!efi_l4 || map_services())
            printk(LOG_WARN "UEFI: no memory for the tables of runtime services; dom0 has none\n");
        else
            efi_info.services_revision = (u32)word(services + TABLE_REVISION);
    }
    printk(LOG_INFO "UEFI %u.%u, runtime services %s\n", efi_info.revision >> 16, (efi_info.revision & 0xffff) / 10,
           efi_info.services_revision ? "for dom0" : "off");
}
BOOT_STEP(efi_runtime_init, NEEDS(options, sound_information, page_allocator), GIVES(NOTHING),
          ONLY_UEFI("no other firmware has runtime services"));

static u64 call_firmware(struct vcpu *v, u64 fn, const u64 args[5])
{
    u32 mxcsr = MXCSR_INIT;

    fpu_save(v->pv.fpu_area);
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
    arch_cpu_leave_guests();
    write_cr3(virt_to_phys(efi_l4));
    this_cpu()->inside |= INSIDE_FIRMWARE;
    u64 cet = cet_suspend(); /* its exceptions do not return to where it was */
    u64 status = efi_enter(fn, args);
    cet_resume(cet);
    if (!this_cpu()->id)
        WRITE_ONCE(nmi_watchdog.last_beat, rdtsc()); /* the timers come soon */
    this_cpu()->inside &= ~INSIDE_FIRMWARE;
    write_cr3(image_to_phys(hv_l4));
    fpu_restore(v->pv.fpu_area, v->pv.xcr0);
    arch_vcpu_load(v);
    return status;
}

long efi_call(enum efi_service service, u64 *status, const u64 args[5])
{
    while (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
        preempt_point();
    /* Read anew each time: a firmware may move its functions. */
    u64 fn = efi_info.services_revision ? word(services + service) : 0;
    if (fn) {
        *status = call_firmware(current, fn, args);
        if (this_cpu()->firmware_faulted) {
            printk(LOG_WARN "UEFI: the firmware's service at %lx raised an exception at %lx. Runtime services are off from here on.\n", fn,
                   this_cpu()->firmware_fault);
            this_cpu()->firmware_faulted = false;
            efi_info.services_revision = 0;
        }
    }
    __atomic_store_n(&busy, false, __ATOMIC_RELEASE);
    return fn ? 0 : -ENOSYS;
}
