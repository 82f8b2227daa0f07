/* SPDX-License-Identifier: MIT */
/* The boot order: one list of steps per phase. */
#include <hv/acpi.h>
#include <hv/boot_step.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/dom0.h>
#include <hv/efi.h>
#include <hv/pirq.h>
#include <hv/printk.h>
#include <hv/recorder.h>
#include <hv/serial.h>
#include <hv/smp.h>
#include <hv/trap_test.h>
#include <hv/version.h>
#include <hv/watchdog.h>
#include <hv/x86/cet.h>
#include <hv/x86/cpu.h>
#include <hv/x86/apic.h>
#include <hv/x86/machine_check.h>
#include <hv/x86/pv/emulate.h>
#include <hv/x86/pv/mmu.h>
#include <hv/x86/trap.h>

static u64 first_tsc; /* at the first C line */
static u32 boot_protocol;
static paddr_t boot_information;

static void refuse_efi(u64 status)
{
    if (status == EFI_NOT_FOUND)
        panic(PANIC_LOADER, "the boot loader names no UEFI system table or no image handle. Use GRUB 2 (multiboot2).");
    if (status == EFI_NOT_STARTED)
        panic(PANIC_LOADER,
              "the boot loader has ended the UEFI boot services, which is for the hypervisor to do. Use GRUB 2 (multiboot2).");
    if (status == EFI_BUFFER_TOO_SMALL)
        panic(PANIC_EFI_EXIT, "the UEFI firmware's memory map is longer than %lu KiB. Update it, or boot in BIOS mode.",
              sizeof(efi_boot_data.map) >> 10);
    panic(PANIC_EFI_EXIT, "the UEFI firmware refused to end its boot services (status %lx). Update it, or boot in BIOS mode.", status);
}

/* One function, so that every protocol ends in the same state. What it refuses is told once there are options and consoles. */
static int read_boot_information(void)
{
    struct boot_info *bi = &boot_info;
    int rc;

    bi->image_phys = boot_image_phys;
    if (boot_protocol == BOOT_PROTO_PVH) {
        bi->platform = PLATFORM_PVH;
        return pvh_parse(bi, boot_information);
    }
    bool efi = boot_protocol == BOOT_PROTO_MULTIBOOT2_EFI;
    bi->platform = efi ? PLATFORM_EFI : PLATFORM_BIOS;
    rc = multiboot2_parse(bi, phys_to_virt(boot_information), MBI_MAX_SIZE);
    if (rc)
        return rc;
    bi->info_start = boot_information;
    bi->info_end = boot_information + *(u32 *)phys_to_virt(boot_information);
    if (bi->rsdp)
        bi->rsdp += boot_information; /* the parser gives the offset of the copy */
    if (efi && !efi_boot_data.status) {
        efi_add_memory_map(bi);
        bi->efi_system_table = efi_boot_data.system_table;
        bi->rsdp = efi_find_rsdp(phys_to_virt(bi->efi_system_table), phys_to_virt);
    }
    return 0;
}
BOOT_STEP(read_boot_information, NEEDS(trap_stacks, panic_console, cpu_features), GIVES(loader_information), EVERYWHERE);

/* An image outside RAM would not be in the direct map, and its frames could not be freed. */
static void refuse_bad_place(void)
{
    u32 type = boot_info_memory_type(&boot_info, boot_info.image_phys);

    if (!type || type == E820_RESERVED || type == E820_UNUSABLE)
        panic(PANIC_LOADER,
              "the memory map has no RAM at %lx, where the boot loader has put the hypervisor. Update the firmware, or use GRUB 2.",
              boot_info.image_phys);
}

static void refuse_bad_information(int rc)
{
    if (boot_protocol == BOOT_PROTO_MULTIBOOT2_EFI && efi_boot_data.status)
        refuse_efi(efi_boot_data.status);
    if (rc)
        panic(PANIC_LOADER, "the boot loader's information cannot be used. Use GRUB 2 (multiboot2) or qemu -kernel.");
    refuse_bad_place();
}
BOOT_STEP(refuse_bad_information, NEEDS(options, serial_console), GIVES(sound_information), EVERYWHERE);

static void start_recorder(void)
{
    static const paddr_t places[] = RECORDER_PLACES;
    paddr_t chosen = 0;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (!boot_info_place_is_free(&boot_info, places[i], places[i] + RECORDER_SIZE, boot_info.nr_modules))
            continue;
        recorder_look(phys_to_virt(places[i]));
        if (!chosen)
            chosen = places[i];
    }
    if (!chosen) {
        printk(LOG_INFO "Flight recorder: off, all of its places are taken\n");
        return;
    }
    boot_alloc_reserve(chosen, chosen + RECORDER_SIZE);
    recorder_init(phys_to_virt(chosen));
    console_for_logged(recorder_log);
}
BOOT_STEP(start_recorder, NEEDS(options, memory_map, sound_information), GIVES(recorder), EVERYWHERE);

static void print_memory_map(void)
{
    static const char *const types[] = { "?", "RAM", "reserved", "ACPI", "NVS", "unusable" };

    for (u32 i = 0; i < boot_info.nr_ranges; i++)
        printk(LOG_INFO "  %016lx - %016lx %s\n", boot_info.ranges[i].start, boot_info.ranges[i].end, types[boot_info.ranges[i].type]);
}

/* In pieces: it is longer than what one call can print. */
static void print_command_line(const char *line)
{
    enum { PIECE = 500 };

    printk(LOG_INFO "Command line: %.*s", PIECE, line);
    for (; strnlen(line, PIECE) == PIECE; line += PIECE)
        printk(LOG_INFO "%.*s", PIECE, line + PIECE);
    printk(LOG_INFO "\n");
}

static void print_banner(void)
{
    static const char *const platforms[] = { "BIOS", "UEFI", "PVH" };

    printk(LOG_INFO "Caisson %s, booted by %s (%s) at %lx\n", CAISSON_VERSION, boot_info.loader, platforms[boot_info.platform],
           boot_info.image_phys);
    print_command_line(boot_info.cmdline);
    print_memory_map();
}
BOOT_STEP(print_banner, NEEDS(consoles, memory_map), GIVES(NOTHING), EVERYWHERE);

/* The lists of steps: what each needs and gives stands beside its function (hv/boot_step.h), and here why it is where it is. */

/* No allocator, no `current`; the direct map appears as it is touched. */
static void early_boot(void)
{
    cpu_init_descriptors(this_cpu()); /* before anything may fault: IST stacks find this CPU */
    serial_register();                /* a panic finds com1, whatever was not done yet */
    cpu_identify();                   /* CPUID only; page sizes and address width for what follows */
    int rc = read_boot_information();
    cmdline_parse(boot_info.cmdline); /* before what it sets; what it says appears with the first console */
    boot_info_sort_memory(&boot_info);
    consoles_start_serial();
    refuse_bad_information(rc);
    start_recorder();
    boot_bundle_split(&boot_info, phys_to_virt);
    boot_alloc_init(); /* beside the modules, which dom0 is built of later */
    cpu_load_pat();    /* a framebuffer is written through write-combining buffers */
    consoles_start_video();
    console_sinks_complete();
    print_banner();
    recorder_print_previous(); /* after the consoles: it may be all that this boot does */
    trap_test_phase("early_boot");
    frame_table_init(); /* sets max_mfn */
    m2p_init();
    direct_map_init();    /* last user of early mappings */
    idle_init_boot_cpu(); /* `current` is valid from here on */
    machine_check_init(); /* this CPU's banks: errors have an owner from here on */
    system_phase_advance(PHASE_BOOT);
}

/* Memory and the processor's protections: all that boot_main() needs to go on with a shadow stack. */
static void protect(void)
{
    boot_alloc_finish();       /* the page allocator owns free memory now */
    cpu_enable_features();     /* patches code: needs vmap */
    stack_guard_boot_blocks(); /* after the decision on shadow stacks */
}

BOOT_STEP(shadow_stack_start, NEEDS(current, guarded_stacks), GIVES(NOTHING), EVERYWHERE);

static void boot(void)
{
    if (xpti_init_cpu(this_cpu())) /* after the decision of that */
        panic(PANIC_BOOT_MEMORY, "no memory for the page tables of XPTI (xpti=no needs none)");
    sched_init();                 /* softirqs have handlers before anything serves one: these six */
    domains_init();               /* events', pauses' and domains' ends */
    timers_init();                /* timers' */
    keyhandler_init();            /* the input's and the messages': keys count from here on */
    nmi_init();                   /* NMIs' */
    mca_init();                   /* machine checks'; polling starts below */
    acpi_init(boot_info.rsdp);    /* interrupt controllers and sleep registers are described there */
    consoles_start_acpi();        /* a UART that only its tables name */
    efi_runtime_init();           /* before other CPUs start: maps at low addresses for a moment */
    tsc_init();                   /* PM timer and HPET are in the tables; clocks and delays for what follows */
    irq_init();                   /* all lines masked, before the local APIC lets anything through */
    local_apic_init();            /* the tables name its inputs for NMIs; IPIs work from here on */
    local_apic_timer_calibrate(); /* against the TSC */
    wallclock_init();             /* needs system time */
    mca_start_polling();          /* needs the APIC timer */
    printk(LOG_INFO "Memory: %lu MiB RAM, %lu MiB free\n", total_ram_pages >> 8, page_free_count() >> 8);
    trap_test_phase("boot");
    system_phase_advance(PHASE_SMP_BOOT);
    smp_start_others(); /* dom0 gets a vCPU for each */
    trap_test_phase("smp_boot");
    pv_hide_ports();      /* all UARTs are known, no guest has run */
    build_dom0();         /* the last user of the loader's modules; it gets the memory that is left */
    image_release_init(); /* nothing below is __init */
    consoles_go_async();  /* after dom0's memory is taken: boot messages are synchronous */
    printk(LOG_INFO "Starting dom0 %lu ms after the hypervisor\n", system_time_ns() / 1000000);
    printk(LOG_DEBUG "TSC: %lu since the first C line, %lu in all\n", rdtsc() - first_tsc, rdtsc());
    watchdog_start(); /* boot runs no timers: not before */
    console_input_start();
    console_release_video();
    system_phase_advance(PHASE_ACTIVE);
    trap_test_phase("active");
    smp_use_others(); /* from here on dom0 may run, elsewhere too */
}

void boot_main(u32 protocol, paddr_t info) __noreturn;
void boot_main(u32 protocol, paddr_t info)
{
    first_tsc = rdtsc();
    boot_protocol = protocol;
    boot_information = info;
    early_boot();
    protect();
    shadow_stack_start(this_cpu(), boot_stack_block);
    boot();
    branch_tracking_start();
    idle_loop(); /* finds dom0's first vCPU, which goes to its guest by vcpu_first_entry (entry.S) */
}
