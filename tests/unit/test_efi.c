/* SPDX-License-Identifier: MIT */
/* A UEFI firmware that the test plays: what is read of it, what dom0 is told and may ask, and what it may not spoil. */
#include "fakes.h"

#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <hv/efi.h>
#include <hv/mm.h>
#include <hv/watchdog.h>
#include <hv/x86/fpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/pv/mmu.h>
#include <public/platform.h>
#include "../../common/control/control.h"

#define RUNTIME (1ULL << 63)
#define MAX_DATA MiB(1)
#define AT(x) ((guest_ptr_t){ (u64)(x) })

struct nmi_watchdog nmi_watchdog;
static u8 *table, *services;

/* ---- the machine ---- */
static bool map_fails;
static u32 nr_mapped, fpu_kept;
static u64 mapped[8][3];
int hv_map(u64 va, paddr_t pa, u64 size, u64 flags)
{
    assert_true(va == pa);
    memcpy(mapped[nr_mapped++], (u64[3]){ va, size, flags }, sizeof(mapped[0]));
    return map_fails ? -ENOMEM : 0;
}
int direct_map_add(paddr_t pa, u64 size) { return pa + size > FAKE_FRAMES * PAGE_SIZE ? -ENOMEM : 0; }
#define OWN_TABLES 0x7000
static u64 cr3;
paddr_t image_to_phys(const void *p) { return p == hv_l4 ? OWN_TABLES : 0; }
u64 fake_read_cr3(void) { return cr3; }
void fake_write_cr3(u64 v) { cr3 = v; }
void fake_write_cr4(u64 v) { (void)v; }
u64 fake_rdmsr(u32 msr) { return msr * 0UL; }
void fake_wrmsr(u32 msr, u64 v) { assert_true(msr && !v); }
void arch_cpu_leave_guests(void) {}
void arch_vcpu_load(struct vcpu *v) { assert_true(v == current && fpu_kept == 0); }
void fpu_save(void *area)
{
    (void)area;
    fpu_kept++;
}
void fpu_restore(void *area, u64 xcr0)
{
    (void)area;
    (void)xcr0;
    fpu_kept--;
}

/* ---- the firmware ---- */
static u64 called;
static u64 (*firmware)(const u64 *args);
u64 efi_enter(u64 fn, const u64 args[5])
{
    assert_true(fpu_kept == 1 && (this_cpu()->inside & INSIDE_FIRMWARE) && cr3 != OWN_TABLES);
    called = fn - 0xf000;
    return firmware ? firmware(args) : 0;
}

static void put(u8 *at, u32 offset, u64 v) { memcpy(at + offset, &v, sizeof(v)); }

static void add_memory(u64 start, u64 pages, u64 attributes, u32 type)
{
    const u64 words[6] = { type, start, 0, pages, attributes, 0x1234 }; /* and 8 bytes that we do not know */

    memcpy(efi_boot_data.map + efi_boot_data.map_size, words, sizeof(words));
    efi_boot_data.map_size += efi_boot_data.desc_size = sizeof(words);
}

static int power_on(void **state)
{
    static const u16 vendor[] = { 'A', 'C', 'M', 'E', 0 };

    (void)state;
    fake_reset();
    fake_memory_init();
    fake_domain(0, true);
    cmdline_parse("efi=rs");
    memset(&efi_info, 0, sizeof(efi_info));
    efi_boot_data.map_size = 0;
    table = hv_alloc_page();
    services = hv_alloc_page();
    put(table, 8, 2 << 16 | 70);
    put(table, 24, virt_to_phys(table) + 0x800);
    memcpy(table + 0x800, vendor, sizeof(vendor));
    put(table, 32, 77);
    put(table, 88, virt_to_phys(services));
    put(table, 104, 5);
    put(table, 112, 0x5000);
    put(services, 8, 2 << 16 | 31);
    for (u32 i = 24; i < 136; i += 8)
        put(services, i, 0xf000 + i);
    boot_info.efi_system_table = virt_to_phys(table);
    map_fails = false;
    nr_mapped = fpu_kept = 0;
    called = 0;
    firmware = NULL;
    return 0;
}

/* ---- boot ---- */

static void memory_map(void **state)
{
    (void)state;
    struct efi_memory m;

    assert_false(efi_find_memory(0, &m)); /* no map */
    add_memory(0x1000, 4, RUNTIME | 8, 6);
    add_memory(0x8000, ~0ULL, 0, 7); /* up to the end of the addresses, not around it */
    assert_true(efi_find_memory(0x4fff, &m) && m.start == 0x1000 && m.size == 0x4000 && m.attributes == (RUNTIME | 8) && m.type == 6);
    assert_false(efi_find_memory(0x5000, &m));
    assert_false(efi_find_memory(0xfff, &m));
    assert_true(efi_find_memory(0x8000, &m) && m.start == 0x8000 && m.size && m.start + m.size > m.start);
    assert_false(efi_memory_map_entry(2, &m));
    efi_boot_data.map_size -= 20; /* the last one is cut */
    assert_false(efi_memory_map_entry(1, &m));
    efi_boot_data.map_size += 20;
    efi_boot_data.desc_size = ~0ULL / 2;
    assert_false(efi_memory_map_entry(0, &m) || efi_memory_map_entry(2, &m));
    efi_boot_data.desc_size = 8; /* smaller than a descriptor: it is not that */
    assert_true(efi_memory_map_entry(1, &m) && m.start != 0x1000);
}

static void start(void **state)
{
    (void)state;
    add_memory(0x1000, 1, RUNTIME | 8, 5);
    add_memory(0x2000, 1, 8, 7); /* not the firmware's while the machine runs */
    add_memory(0x3000, 2, RUNTIME, 11);
    add_memory(1ULL << 50, 1, RUNTIME, 11); /* no such address */
    hv_l4[0] = 0x1000;
    hv_l4[HV_SLOT_FIRST] = 0x2000;
    efi_runtime_init();
    assert_non_null(strstr(fake_log, "UEFI 2.7, runtime services for dom0\n"));
    assert_int_equal(nr_mapped, 2);
    assert_true(mapped[0][0] == 0x1000 && mapped[0][1] == 0x1000 && !(mapped[0][2] & (PTE_PCD | PTE_PWT | PTE_USER)));
    assert_true(mapped[1][0] == 0x3000 && mapped[1][1] == 0x2000 && (mapped[1][2] & PTE_PCD)); /* device registers */
    assert_true(!hv_l4[0] && hv_l4[HV_SLOT_FIRST] == 0x2000);                                  /* no longer in every address space */
    assert_true(efi_info.vendor_revision == 77 && efi_info.nr_config_tables == 5 && efi_info.config_tables == 0x5000);

    u64 status = 1;

    assert_int_equal(efi_call(EFI_SET_TIME, &status, (u64[5]){ 0 }), 0);
    assert_true(called == EFI_SET_TIME && status == 0 && !this_cpu()->inside && !fpu_kept && cr3 == OWN_TABLES);
    put(services, EFI_SET_TIME, 0xf100); /* it may move them */
    assert_true(!efi_call(EFI_SET_TIME, &status, (u64[5]){ 0 }) && called == 0x100);
}

static void without_services(void **state)
{
    (void)state;
    u64 status;

    boot_info.efi_system_table = 0;
    efi_runtime_init();
    assert_string_equal(fake_log, "");
    struct xenpf_efi_info info;

    assert_int_equal(efi_firmware_info(XEN_FW_EFI_VERSION, &info), -ENOSYS);
    for (int i = 0; i < 4; i++) {
        power_on(NULL);
        add_memory(0x1000, 1, RUNTIME, 5);
        if (i == 0)
            cmdline_parse("efi=no-rs");
        map_fails = i == 1;
        if (i == 2)
            put(table, 88, 0);
        if (i == 3)
            put(table, 88, GiB(3)); /* where nothing can be mapped */
        efi_runtime_init();
        assert_non_null(strstr(fake_log, "runtime services off"));
        assert_int_equal(!!strstr(fake_log, "no memory for the tables"), i == 1);
        assert_int_equal(efi_call(EFI_GET_TIME, &status, (u64[5]){ 0 }), -ENOSYS);
        assert_int_equal(efi_firmware_info(XEN_FW_EFI_RT_VERSION, &info), -EOPNOTSUPP);
        assert_true(called == 0);
    }
}

static u64 faults(const u64 *args)
{
    (void)args;
    this_cpu()->firmware_faulted = true;
    return EFI_DEVICE_ERROR;
}

static void a_fault_is_the_last_call(void **state)
{
    (void)state;
    u64 status;

    efi_runtime_init();
    firmware = faults;
    assert_int_equal(efi_call(EFI_GET_TIME, &status, (u64[5]){ 0 }), 0);
    assert_true(status == EFI_DEVICE_ERROR && !this_cpu()->firmware_faulted);
    assert_non_null(strstr(fake_log, "Runtime services are off from here on"));
    assert_int_equal(efi_call(EFI_GET_TIME, &status, (u64[5]){ 0 }), -ENOSYS);
}

/* ---- what dom0 asks ---- */

static void about_the_firmware(void **state)
{
    (void)state;
    struct xenpf_efi_info info = { 0 };
    u16 name[8];

    add_memory(0x1000, 4, 8, 6);
    efi_runtime_init();
    assert_true(!efi_firmware_info(XEN_FW_EFI_VERSION, &info) && info.u.version == (2 << 16 | 70));
    assert_true(!efi_firmware_info(XEN_FW_EFI_RT_VERSION, &info) && info.u.version == (2 << 16 | 31));
    assert_true(!efi_firmware_info(XEN_FW_EFI_CONFIG_TABLE, &info) && info.u.cfg.addr == 0x5000 && info.u.cfg.nent == 5);
    assert_int_equal(efi_firmware_info(99, &info), -ENODATA);
    for (u32 room = 0; room < 7; room++) { /* as much of the name as there is room for, with its end */
        const u16 whole[] = { 'A', 'C', 'M', 'E' };
        u32 n = MIN(room ? room - 1 : 0, 4u);

        memset(name, 0xff, sizeof(name));
        info.u.vendor.bufsz = 2 * room + 1;
        info.u.vendor.name = AT(name);
        assert_int_equal(efi_firmware_info(XEN_FW_EFI_VENDOR, &info), 0);
        assert_memory_equal(name, whole, 2 * n);
        assert_int_equal(name[n], room ? 0 : 0xffff);
        assert_int_equal(info.u.vendor.revision, 77);
    }
    info.u.vendor.name = AT(0);
    assert_int_equal(efi_firmware_info(XEN_FW_EFI_VENDOR, &info), -EFAULT);

    info.u.mem.addr = 0x2000;
    info.u.mem.size = 0x1000;
    assert_true(!efi_firmware_info(XEN_FW_EFI_MEM_INFO, &info) && info.u.mem.size == 0x1000 && info.u.mem.type == 6);
    info.u.mem.size = 0x9000;
    assert_true(!efi_firmware_info(XEN_FW_EFI_MEM_INFO, &info) && info.u.mem.size == 0x3000 && info.u.mem.attr == 8);
    info.u.mem.size = ~0ULL;
    assert_int_equal(efi_firmware_info(XEN_FW_EFI_MEM_INFO, &info), -EINVAL);
    info.u.mem.size = 0;
    info.u.mem.addr = 0x5000;
    assert_int_equal(efi_firmware_info(XEN_FW_EFI_MEM_INFO, &info), -EINVAL);
}

static struct xenpf_efi_runtime_call op;
static long ask(u32 function, u32 misc)
{
    op.function = function;
    op.misc = misc;
    op.status = 1;
    called = 0;
    return efi_runtime_call(&op);
}

static u64 clock(const u64 *args)
{
    if (called == EFI_GET_TIME)
        memcpy((void *)args[1], (u32[3]){ 11, 22, 1 }, 9);
    if (called == EFI_GET_WAKEUP_TIME)
        *(u8 *)args[0] = *(u8 *)args[1] = 1;
    if (called == EFI_SET_WAKEUP_TIME)
        return args[0] << 4 | (args[1] != 0);
    if (called == EFI_GET_NEXT_HIGH_MONOTONIC_COUNT)
        *(u32 *)args[0] = 0x1234;
    return 0;
}

static void times(void **state)
{
    (void)state;
    efi_runtime_init();
    firmware = clock;
    for (u32 f = XEN_EFI_get_time; f <= XEN_EFI_get_next_variable_name; f++) /* flags that do not exist */
        if (f != XEN_EFI_set_variable)
            assert_true(ask(f, 0x80) == -EINVAL && !called);
    assert_true(ask(99, 0) == -EOPNOTSUPP && !called && op.status == 0);
    assert_true(ask(XEN_EFI_get_time, 0) == 0 && called == EFI_GET_TIME && op.misc == XEN_EFI_GET_TIME_SET_CLEARS_NS);
    assert_true(op.u.get_time.resolution == 11 && op.u.get_time.accuracy == 22);
    assert_true(ask(XEN_EFI_set_time, 0) == 0 && called == EFI_SET_TIME);
    assert_true(ask(XEN_EFI_get_wakeup_time, 0) == 0);
    assert_int_equal(op.misc, XEN_EFI_GET_WAKEUP_TIME_ENABLED | XEN_EFI_GET_WAKEUP_TIME_PENDING);
    /* A time goes with it only where one is set. */
    assert_true(ask(XEN_EFI_set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE) == 0 && op.status == 0x11);
    assert_true(ask(XEN_EFI_set_wakeup_time, 0) == 0 && op.status == 0);
    assert_true(ask(XEN_EFI_set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE | XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY) == 0);
    assert_true(op.status == 0x10);
    assert_true(ask(XEN_EFI_get_next_high_monotonic_count, 1) == -EINVAL);
    assert_true(ask(XEN_EFI_get_next_high_monotonic_count, 0) == 0 && op.misc == 0x1234);
    firmware = NULL;
    assert_true(ask(XEN_EFI_get_time, 0) == 0 && op.misc == 0);
    assert_true(ask(XEN_EFI_get_wakeup_time, 0) == 0 && op.misc == 0);

    assert_int_equal(ask(XEN_EFI_query_variable_info, 2), -EINVAL);
    assert_int_equal(ask(XEN_EFI_query_variable_info, XEN_EFI_VARINFO_BOOT_SNAPSHOT), -EOPNOTSUPP);
    assert_true(ask(XEN_EFI_query_variable_info, 0) == 0 && called == EFI_QUERY_VARIABLE_INFO);
    efi_info.services_revision = 1 << 16 | 10; /* older than the service */
    assert_true(ask(XEN_EFI_query_variable_info, 0) == -EOPNOTSUPP && !called);
}

static u64 stored, answer;
static u64 variables(const u64 *args)
{
    u64 *size = (u64 *)(called == EFI_GET_VARIABLE ? args[3] : args[0]);

    if (called == EFI_SET_VARIABLE) {
        stored = args[3];
        return *(u16 *)args[0] != 'V' || (args[3] && *(u8 *)args[4] != 0x55);
    }
    if (called == EFI_GET_VARIABLE)
        *(u32 *)args[2] = 7;
    if (*size >= 4)
        memset((void *)(called == EFI_GET_VARIABLE ? args[4] : args[1]), 0x66, 4);
    *size = stored;
    return answer;
}

static void values(void **state)
{
    (void)state;
    u16 name[] = { 'V', 0 };
    static u16 endless[2049];
    static u8 data[64];

    efi_runtime_init();
    firmware = variables;
    memset(endless, 0xff, sizeof(endless));
    op.u.variable.name = AT(name);
    op.u.variable.data = AT(data);
    data[0] = 0x55;
    op.u.variable.size = sizeof(data);
    assert_true(ask(XEN_EFI_set_variable, 3) == 0 && op.status == 0 && stored == sizeof(data));
    op.u.variable.size = MAX_DATA + 1;
    assert_true(ask(XEN_EFI_set_variable, 3) == -E2BIG && !called);

    const struct {
        u64 room, size, answer, told;
        bool copied;
    } rows[] = {
        { 64, 4, 0, 4, true },           { 64, 4, EFI_NOT_FOUND, 4, false }, { 2, 4, EFI_BUFFER_TOO_SMALL, 4, false },
        { 64, 65, 0, 65, false }, /* more than there was room for is not there to be copied */
        { MAX_DATA + 5, 4, 0, 4, true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(data, 0, sizeof(data));
        stored = rows[i].size;
        answer = rows[i].answer;
        op.u.variable.size = rows[i].room;
        assert_int_equal(ask(XEN_EFI_get_variable, 0), 0);
        assert_true(op.status == answer && op.u.variable.size == rows[i].told && op.misc == 7);
        assert_int_equal(data[0], rows[i].copied ? 0x66 : 0);
    }
    stored = 4;
    answer = 0;
    op.u.variable.data = AT(0);
    op.u.variable.size = 64;
    assert_int_equal(ask(XEN_EFI_get_variable, 0), -EFAULT);
    op.u.variable.size = 64;
    assert_true(ask(XEN_EFI_set_variable, 0) == -EFAULT && !called);
    for (u32 i = 0; i < 2; i++) { /* a name without an end; none */
        op.u.variable.name = i ? AT(0) : AT(endless);
        assert_true(ask(XEN_EFI_get_variable, 0) == -EINVAL && !called);
        assert_true(ask(XEN_EFI_set_variable, 0) == -EINVAL && !called);
    }
}

static void names(void **state)
{
    (void)state;
    u16 name[8] = { 0 };

    efi_runtime_init();
    firmware = variables;
    stored = 6;
    answer = 0;
    op.u.next_name.name = AT(name);
    op.u.next_name.size = sizeof(name);
    assert_true(ask(XEN_EFI_get_next_variable_name, 0) == 0 && called == EFI_GET_NEXT_VARIABLE_NAME);
    assert_true(name[0] == 0x6666 && name[1] == 0x6666 && !name[2] && op.u.next_name.size == 6);
    op.u.next_name.size = 4; /* it does not end */
    assert_true(ask(XEN_EFI_get_next_variable_name, 0) == -EINVAL && !called);
    memset(name, 0, sizeof(name));
    op.u.next_name.size = 2;
    answer = EFI_BUFFER_TOO_SMALL;
    assert_true(ask(XEN_EFI_get_next_variable_name, 0) == 0 && op.status == answer && op.u.next_name.size == 6 && !name[0]);
    op.u.next_name.name = AT(0);
    assert_true(ask(XEN_EFI_get_next_variable_name, 0) == -EFAULT && !called);

    /* No memory: the firmware is not asked. */
    void *all = NULL, *page;

    while ((page = hv_alloc_page())) {
        *(void **)page = all;
        all = page;
    }
    op.u.next_name.name = AT(name);
    assert_true(ask(XEN_EFI_get_next_variable_name, 0) == -ENOMEM && !called);
    op.u.variable.name = AT(name);
    op.u.variable.size = PAGE_SIZE;
    for (u32 f = XEN_EFI_get_variable; f <= XEN_EFI_set_variable; f++)
        assert_true(ask(f, 0) == -EINVAL && !called);
    page = *(void **)all;
    hv_free_page(all); /* one, for the name alone */
    for (u32 f = XEN_EFI_get_variable; f <= XEN_EFI_set_variable; f++)
        assert_true(ask(f, 0) == -ENOMEM && !called);
    for (; page; page = all) {
        all = *(void **)page;
        hv_free_page(page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(memory_map, power_on),
        cmocka_unit_test_setup(start, power_on),
        cmocka_unit_test_setup(without_services, power_on),
        cmocka_unit_test_setup(a_fault_is_the_last_call, power_on),
        cmocka_unit_test_setup(about_the_firmware, power_on),
        cmocka_unit_test_setup(times, power_on),
        cmocka_unit_test_setup(values, power_on),
        cmocka_unit_test_setup(names, power_on),
    };

    return cmocka_run_group_tests_name("efi", tests, NULL, NULL);
}
