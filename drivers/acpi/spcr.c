/* SPDX-License-Identifier: MIT */
/* Serial Port Console Redirection table (Microsoft, revisions 1 to 4): where the firmware has its serial console. */
#include <hv/acpi.h>
#include <hv/printk.h>
#include <hv/serial.h>

enum { SPCR_KIND = 36, SPCR_ADDRESS = 40, SPCR_BAUD = 58, SPCR_LENGTH = 80 };
enum { KIND_16550 = 0, KIND_16450 = 1, KIND_16550_GAS = 0x12 };
enum { ACCESS_DWORD = 3 };

static u32 baud_of(u8 code)
{
    switch (code) {
    case 3: return 9600;
    case 4: return 19200;
    case 6: return 57600;
    case 7: return 115200;
    default: return 0; /* as it is */
    }
}

int acpi_parse_spcr(struct acpi_spcr *s, const void *table, u32 length)
{
    const u8 *t = table;
    struct acpi_gas address;

    if (length < SPCR_LENGTH)
        return -EINVAL;
    memcpy(&address, t + SPCR_ADDRESS, sizeof(address));
    if (!address.address) /* the firmware's console is off */
        return 0;
    if (t[SPCR_KIND] != KIND_16550 && t[SPCR_KIND] != KIND_16450 && t[SPCR_KIND] != KIND_16550_GAS) {
        printk(LOG_INFO "ACPI: SPCR names a serial line of kind %#x, which is no 16550\n", t[SPCR_KIND]);
        return 0;
    }
    bool io = address.space == 1;
    if (address.space > 1 || (io ? !uart_ports_sound(address.address) : address.address < 0x10000 || address.address & 3))
        return -EINVAL;
    *s = (struct acpi_spcr){
        .present = true,
        .address = address.address,
        .shift = !io && address.width == 32 ? 2 : 0,
        .width = !io && address.width == 32 && address.access == ACCESS_DWORD ? 4 : 1,
        .baud = baud_of(t[SPCR_BAUD]),
    };
    return 0;
}
