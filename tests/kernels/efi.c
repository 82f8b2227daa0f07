/* SPDX-License-Identifier: MIT */
/*
 * The firmware as platform_op shows it: what is said of it, and its runtime services. On a machine that
 * was not started through UEFI each of them says so, and no more.
 */
#include "guest.h"
#include <public/platform.h>

#define EFI_NOT_FOUND 0x800000000000000eULL
#define EFI_BUFFER_TOO_SMALL 0x8000000000000005ULL
#define NON_VOLATILE_BOOT_RUNTIME 7

static struct xen_platform_op op;
static struct xenpf_efi_runtime_call *const call = &op.u.efi_runtime_call;
static const struct xenpf_efi_guid ours = { 0xca155044, 0x1234, 0x5678, { 1, 2, 3, 4, 5, 6, 7, 8 } };
static u16 name[] = { 'C', 'a', 'i', 's', 's', 'o', 'n', 0 };
static u16 buffer[2048];

static long firmware(u32 index)
{
    op.cmd = XENPF_firmware_info;
    op.interface_version = XENPF_INTERFACE_VERSION;
    op.u.firmware_info.type = XEN_FW_EFI_INFO;
    op.u.firmware_info.index = index;
    return HYPERCALL1(__HYPERVISOR_platform_op, &op);
}

static long service(u32 function, u32 misc)
{
    op.cmd = XENPF_efi_runtime_call;
    op.interface_version = XENPF_INTERFACE_VERSION;
    call->function = function;
    call->misc = misc;
    return HYPERCALL1(__HYPERVISOR_platform_op, &op);
}

static long variable(u32 function, u32 attributes, u16 *n, void *data, u64 size)
{
    call->u.variable.name = (u64)n;
    call->u.variable.data = (u64)data;
    call->u.variable.size = size;
    call->u.variable.vendor_guid = ours;
    return service(function, attributes);
}

static void about(void)
{
    CHECK_EQ(firmware(XEN_FW_EFI_VERSION), 0);
    CHECK(op.u.firmware_info.u.efi_info.u.version >= 2 << 16);
    CHECK_EQ(firmware(XEN_FW_EFI_RT_VERSION), 0);
    CHECK_EQ(firmware(XEN_FW_EFI_CONFIG_TABLE), 0);
    u64 tables = op.u.firmware_info.u.efi_info.u.cfg.addr;

    CHECK(tables && op.u.firmware_info.u.efi_info.u.cfg.nent > 2);
    op.u.firmware_info.u.efi_info.u.mem.addr = tables;
    op.u.firmware_info.u.efi_info.u.mem.size = 1ULL << 40;
    CHECK_EQ(firmware(XEN_FW_EFI_MEM_INFO), 0);
    CHECK(op.u.firmware_info.u.efi_info.u.mem.type == 6 && op.u.firmware_info.u.efi_info.u.mem.attr >> 63);
    CHECK(op.u.firmware_info.u.efi_info.u.mem.size < 1ULL << 30);
    op.u.firmware_info.u.efi_info.u.mem.addr = ~0ULL - 4096;
    op.u.firmware_info.u.efi_info.u.mem.size = 1 << 20;
    CHECK_EQ(firmware(XEN_FW_EFI_MEM_INFO), -22);
    for (u32 room = 0; room <= 2 * sizeof(u16); room += sizeof(u16)) {
        buffer[0] = buffer[1] = buffer[2] = 0xffff;
        op.u.firmware_info.u.efi_info.u.vendor.name = (u64)buffer;
        op.u.firmware_info.u.efi_info.u.vendor.bufsz = room;
        CHECK_EQ(firmware(XEN_FW_EFI_VENDOR), 0);
        CHECK_EQ(buffer[room / 2], 0xffff);    /* nothing behind what there is room for, */
        CHECK(!room || !buffer[room / 2 - 1]); /* and always an end */
    }
    op.u.firmware_info.u.efi_info.u.vendor.name = 0xffff830000000000;
    op.u.firmware_info.u.efi_info.u.vendor.bufsz = 64;
    CHECK_EQ(firmware(XEN_FW_EFI_VENDOR), -14);
    CHECK_EQ(firmware(99), -61);
}

static void clocks(void)
{
    CHECK_EQ(service(XEN_EFI_get_time, 0), 0);
    CHECK_EQ(call->status, 0);
    CHECK(call->u.get_time.time.year >= 2020 && call->u.get_time.time.month >= 1 && call->u.get_time.time.month <= 12);
    struct xenpf_efi_time t = call->u.get_time.time;

    call->u.set_time = t;
    CHECK_EQ(service(XEN_EFI_set_time, 0), 0);
    CHECK_EQ(call->status, 0);
    CHECK_EQ(service(XEN_EFI_get_wakeup_time, 0), 0);
    CHECK_EQ(service(XEN_EFI_set_wakeup_time, 0), 0);
    CHECK_EQ(service(XEN_EFI_set_wakeup_time, 4), -22);
    CHECK_EQ(service(XEN_EFI_get_next_high_monotonic_count, 0), 0);
    u32 count = call->misc;

    CHECK_EQ(service(XEN_EFI_get_next_high_monotonic_count, 0), 0);
    CHECK(call->status || call->misc == count + 1);
}

static void variables(void)
{
    static u8 value[3000], back[sizeof(value)];
    u32 seen = 0;

    for (u32 i = 0; i < sizeof(value); i++)
        value[i] = (u8)(i * 7);
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, back, sizeof(back)), 0);
    print("the variable %s\n", call->status == EFI_NOT_FOUND ? "is new" : call->status ? "cannot be read" : "is there from before");
    CHECK_EQ(variable(XEN_EFI_set_variable, NON_VOLATILE_BOOT_RUNTIME, name, value, sizeof(value)), 0);
    CHECK_EQ(call->status, 0);
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, back, 16), 0);
    CHECK_EQ(call->status, EFI_BUFFER_TOO_SMALL);
    CHECK_EQ(call->u.variable.size, sizeof(value));
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, back, sizeof(back)), 0);
    CHECK_EQ(call->status, 0);
    CHECK_EQ(call->misc, NON_VOLATILE_BOOT_RUNTIME);
    for (u32 i = 0; i < sizeof(value); i++)
        if (value[i] != back[i]) {
            CHECK_EQ(back[i], value[i]);
            break;
        }
    /* A name that does not end, which older firmware would read on from. */
    memory_set(buffer, 'x', sizeof(buffer));
    call->u.next_name.name = (u64)buffer;
    call->u.next_name.size = sizeof(buffer);
    CHECK_EQ(service(XEN_EFI_get_next_variable_name, 0), -22);
    /* All names, ours among them. */
    call->u.next_name.vendor_guid = (struct xenpf_efi_guid){ 0 };
    buffer[0] = 0;
    for (u32 n = 0; n < 500; n++) {
        call->u.next_name.name = (u64)buffer;
        call->u.next_name.size = sizeof(buffer);
        CHECK_EQ(service(XEN_EFI_get_next_variable_name, 0), 0);
        if (call->status)
            break;
        seen += call->u.next_name.vendor_guid.data1 == ours.data1 && buffer[0] == 'C' && buffer[6] == 'n';
    }
    CHECK_EQ(call->status, EFI_NOT_FOUND);
    CHECK_EQ(seen, 1);
    call->u.variable_info.attr = NON_VOLATILE_BOOT_RUNTIME;
    CHECK_EQ(service(XEN_EFI_query_variable_info, 0), 0);
    CHECK(call->u.variable_info.max_store_size > call->u.variable_info.remain_store_size);
}

static void nonsense(void)
{
    static u16 endless[4096];

    for (u32 i = 0; i < 4096; i++)
        endless[i] = 'x';
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, endless, buffer, 16), -22);
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, (u16 *)0xffff830000000000, buffer, 16), -22);
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, (void *)0xffff830000000000, 4096), -14);
    CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, buffer, ~0ULL), 0); /* no more is written than the variable has */
    CHECK_EQ(variable(XEN_EFI_get_variable, 1, name, buffer, 16), -22);
    CHECK_EQ(variable(XEN_EFI_set_variable, NON_VOLATILE_BOOT_RUNTIME, name, buffer, ~0ULL), -7);
    CHECK_EQ(variable(XEN_EFI_set_variable, NON_VOLATILE_BOOT_RUNTIME, name, (void *)0xffff830000000000, 16), -14);
    CHECK_EQ(service(11, 0), -95); /* capsules */
    CHECK_EQ(service(~0u, 0), -95);
}

void test_main(void)
{
    if (firmware(XEN_FW_EFI_VERSION) == -38) {
        CHECK_EQ(service(XEN_EFI_get_time, 0), -38);
        CHECK_EQ(variable(XEN_EFI_get_variable, 0, name, buffer, 16), -38);
        print("no UEFI\n");
        return;
    }
    if (firmware(XEN_FW_EFI_RT_VERSION) == -95) {
        CHECK_EQ(service(XEN_EFI_get_time, 0), -38);
        print("no runtime services\n");
        return;
    }
    about();
    clocks();
    variables();
    nonsense();
    print("UEFI and its runtime services\n");
}
