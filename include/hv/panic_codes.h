/* SPDX-License-Identifier: MIT */
/*
 * Why the machine can end, each with a code that stays the same across versions. The codes are
 * shown as CAI-xxx; docs/panic-codes.md is made of this list (tools/gen_panic_codes.py).
 * Exceptions have codes of their own: CAI-T00 to CAI-T1F, the vector in hexadecimal.
 *
 * X(name, code, cause, what to try)
 */
#pragma once

#define PANIC_CODE_LIST(X)                                                                                                                 \
    X(ASSERT, "A01", "A check of the hypervisor's own state failed.", "Report the lines of this screen. loglvl=all shows more before it.") \
    X(MC_EARLY, "M01", "The hardware reported an error before its error banks were set up.",                                               \
      "Test the memory and the processor's cooling; the firmware's event log may name the part.")                                          \
    X(MC_CONTEXT, "M02", "The hardware reported an error that leaves the processor's state corrupt.",                                      \
      "Test the memory and the processor's cooling; the firmware's event log may name the part.")                                          \
    X(MC_FRAME, "M03", "Memory of the hypervisor itself is damaged.",                                                                      \
      "Boot with badpage= and the frame named above, then replace the memory module.")                                                     \
    X(MC_CONSUMED, "M04", "Damaged data reached the hypervisor.",                                                                          \
      "Boot with badpage= and the frame named above, then replace the memory module.")                                                     \
    X(MC_UNKNOWN, "M05", "An uncorrected hardware error whose place is not known.",                                                        \
      "Test the memory and the processor's cooling; the firmware's event log may name the part.")                                          \
    X(NMI_OPTION, "N01", "A non-maskable interrupt arrived, and nmi=fatal asks to stop then.",                                             \
      "This is what nmi=fatal is for. nmi=dom0 hands them to dom0, nmi=ignore drops them.")                                                \
    X(NMI_SERR, "N02", "A PCI device reported a system error (SERR).",                                                                     \
      "Check the cards' seats; the firmware's event log may name the device. nmi=dom0 goes on.")                                           \
    X(NMI_IOCHK, "N03", "The chipset reported an I/O channel check.",                                                                      \
      "Check the cards' seats; the firmware's event log may name the device. nmi=dom0 goes on.")                                           \
    X(WATCHDOG, "N04", "The hypervisor has been busy with one thing for too long.",                                                        \
      "Report the lines of this screen. watchdog_timeout= gives it more time, no-watchdog switches the watch off.")                        \
    X(LOADER, "B01", "What the boot loader handed over cannot be used.", "Start with GRUB 2 (multiboot2) or qemu -kernel.")                \
    X(EFI_EXIT, "B02", "The UEFI firmware refused to end its boot services.", "Update the firmware, or boot in BIOS mode.")                \
    X(BOOT_MEMORY, "B03", "There is too little memory for the hypervisor's own tables.",                                                   \
      "Give the machine more memory, or shorten the list of badpage=.")                                                                    \
    X(LOCAL_APIC, "B04", "The processor has no local APIC, or the firmware has switched it off.",                                          \
      "Enable the APIC in the firmware setup, or give the virtual machine one.")                                                           \
    X(TSC, "B05", "The TSC's rate cannot be measured.",                                                                                    \
      "Enable the HPET or the ACPI timer in the firmware's setup; a virtual machine needs one of them, a PIT or an RTC.")                  \
    X(BOOT_LOOP, "B06", "The last boots failed one after the other.",                                                                      \
      "Mend what the record above names, then switch the machine off and on, or boot with recorder=off.")                                  \
    X(MODULE_PLACE, "B07", "The boot loader put a module where the hypervisor cannot reach it.",                                           \
      "Load fewer or smaller modules, or start with GRUB 2 or qemu -kernel, which put them low.")                                          \
    X(APIC_TIMER, "B08", "The local APIC's timer does not count.",                                                                         \
      "Update the firmware; for a virtual machine, choose another machine type. Report the lines of this screen.")                         \
    X(NO_KERNEL, "K01", "No dom0 kernel was loaded.", "Add 'module2 /boot/vmlinuz-6.1.0 console=hvc0' to the GRUB entry.")                 \
    X(KERNEL, "K02", "The first module is a kernel, but none that can be dom0.",                                                           \
      "Use a 64-bit kernel with CONFIG_XEN_PV and CONFIG_XEN_DOM0, such as Debian's linux-image-amd64.")                                   \
    X(DOM0_MEMORY, "K03", "dom0's memory is too small for its kernel.", "Raise dom0_mem= or give the machine more memory.")                \
    X(DECOMPRESS, "K04", "A decompression library overran its stack.", "The kernel file is not to be trusted: install it again.")          \
    X(UNPACK_MEMORY, "K05", "There is too little memory to unpack the dom0 kernel.", "Give the machine more memory.")                      \
    X(NOT_A_KERNEL, "K06", "The first module is no Linux kernel.",                                                                         \
      "Name the kernel (vmlinuz) in the first module2 line of the GRUB entry, the initrd in the second.")                                  \
    X(KERNEL_DAMAGED, "K07", "The dom0 kernel's file is damaged.",                                                                         \
      "Install the kernel's package again; check the disk or network that it was read from.")                                              \
    X(KERNEL_FORMAT, "K08", "The dom0 kernel is compressed in a way that is not known.",                                                   \
      "Use a kernel compressed with xz, zstd, gzip or lz4 (CONFIG_KERNEL_XZ and so on), such as linux-image-amd64.")                       \
    X(BESIDE_DOM0, "K09", "There is too little memory beside dom0's own.",                                                                 \
      "Lower dom0_mem= or dom0_max_vcpus=, or give the machine more memory.")

#define X(name, code, cause, advice) PANIC_##name,
enum panic_code { PANIC_CODE_LIST(X) PANIC_CODE_COUNT };
#undef X
/* Codes from here on stand for exceptions. */
#define PANIC_TRAP(vector) ((enum panic_code)(0x100 + (vector)))
