/* SPDX-License-Identifier: MIT */
/* The i8042's output buffer, asked for "any key" in a panic; dom0 drives the keyboard otherwise. */
#include <hv/console.h>
#include <hv/x86/processor.h>

#define I8042_DATA 0x60
#define I8042_STATUS 0x64
#define STATUS_FULL 1
#define NO_CONTROLLER 0xff

bool keyboard_key_pressed(void)
{
    u8 status = inb(I8042_STATUS);

    if (status == NO_CONTROLLER || !(status & STATUS_FULL))
        return false;
    inb(I8042_DATA);
    return true;
}
