/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <hv/efi.h>
#include <hv/x86/cet.h>
#include <hv/x86/percpu.h>
#include <hv/x86/processor.h>
#include <hv/x86/trap.h>

static u64 redirected_from, redirected_to;

void shadow_stack_redirect(u64 from, u64 to)
{
    redirected_from = from;
    redirected_to = to;
}
const char efi_abort[] = "";

__asm__(".text\nfaults: nop\ncontinues: ret\n"
        ".pushsection .ex_table, \"a\"\n.balign 4\n.long faults - ., continues - .\n.popsection\n");
extern char faults[], continues[];

/* Where a trap at rip goes on; 0: nowhere. */
static u64 goes_on_at(u64 rip, u32 inside)
{
    struct cpu_user_regs regs = { .rip = rip };

    redirected_from = redirected_to = 0;
    boot_percpu.inside = inside;
    boot_percpu.firmware_faulted = false;
    if (!extable_fixup(&regs)) {
        assert_int_equal(regs.rip, rip);
        assert_int_equal(redirected_from, 0);
        return 0;
    }
    assert_int_equal(redirected_from, rip); /* the return address on the shadow stack goes with it */
    assert_int_equal(redirected_to, regs.rip);
    return regs.rip;
}

static void entries(void **state)
{
    (void)state;
    assert_int_equal(goes_on_at((u64)faults, 0), (u64)continues);
    assert_int_equal(goes_on_at((u64)faults + 1, 0), 0);
    assert_int_equal(goes_on_at(0, 0), 0);
    assert_int_equal(goes_on_at((u64)faults, INSIDE_NMI), (u64)continues);
}

/* A fault of the firmware ends its call; one of a handler that has interrupted it does not: it would go on with the wrong stack. */
static void firmware(void **state)
{
    (void)state;
    assert_int_equal(goes_on_at(0x7fff12345678, INSIDE_FIRMWARE), (u64)efi_abort);
    assert_true(boot_percpu.firmware_faulted);
    assert_int_equal(boot_percpu.firmware_fault, 0x7fff12345678);
    static const u32 handlers[] = { INSIDE_NMI, INSIDE_MC, INSIDE_NMI | INSIDE_MC };

    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        assert_int_equal(goes_on_at(0x1234, INSIDE_FIRMWARE | handlers[i]), 0);
        assert_false(boot_percpu.firmware_faulted);
        /* What may fault by design still may. */
        assert_int_equal(goes_on_at((u64)faults, INSIDE_FIRMWARE | handlers[i]), (u64)continues);
        assert_false(boot_percpu.firmware_faulted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(entries), cmocka_unit_test(firmware) };

    return cmocka_run_group_tests_name("extable", tests, NULL, NULL);
}
