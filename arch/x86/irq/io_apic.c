/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs, found through the MADT. GSIs are numbered across them.
 *
 * Lock: io_apic_lock (a leaf).
 */
#include <hv/acpi.h>
#include <hv/printk.h>
#include <hv/x86/apic.h>
#include <hv/x86/page_table.h>
#include <hv/x86/percpu.h>

struct io_apic {
    paddr_t base;
    volatile u32 *registers; /* [0] select, [4] window */
    u32 gsi_base, pins;
};
static struct io_apic io_apics[ACPI_MAX_IO_APICS];
static u32 nr_io_apics;
static spinlock_t io_apic_lock = SPINLOCK_INIT(LOCK_LEAF);

#define REDIR_MASKED 0x10000u
#define REDIR_MODE 0x700u
#define REDIR_SMI 0x200u
#define REDIR_NMI 0x400u
#define REDIR_LEVEL 0x8000u
#define REDIR_ACTIVE_LOW 0x2000u

static u32 read_reg(struct io_apic *a, u32 reg)
{
    a->registers[0] = reg;
    return a->registers[4];
}

static void write_reg(struct io_apic *a, u32 reg, u32 v)
{
    a->registers[0] = reg;
    a->registers[4] = v;
}

static struct io_apic *apic_for(u32 gsi, u32 *pin)
{
    for (u32 i = 0; i < nr_io_apics; i++)
        if (gsi - io_apics[i].gsi_base < io_apics[i].pins) {
            *pin = gsi - io_apics[i].gsi_base;
            return &io_apics[i];
        }
    return NULL;
}

static bool shares_gsis(const struct io_apic *a)
{
    for (u32 i = 0; i < nr_io_apics; i++)
        if (a->gsi_base < io_apics[i].gsi_base + io_apics[i].pins && io_apics[i].gsi_base < a->gsi_base + a->pins)
            return true;
    return false;
}

/* Why it cannot be used, or NULL. */
static const char *io_apic_examine(struct io_apic *a)
{
    u32 version = read_reg(a, 1);

    if (version == 0xffffffff || !(version & 0xff))
        return "does not answer";
    a->pins = ((version >> 16) & 0xff) + 1;
    if (a->gsi_base > MAX_GSIS - a->pins)
        return "has GSIs beyond all that machines have";
    return shares_gsis(a) ? "has GSIs of another one" : NULL;
}

/* Pins that raise SMIs are the firmware's. */
static void mask_all(struct io_apic *a)
{
    for (u32 pin = 0; pin < a->pins; pin++)
        if ((read_reg(a, 0x10 + 2 * pin) & REDIR_MODE) != REDIR_SMI)
            write_reg(a, 0x10 + 2 * pin, REDIR_MASKED);
}

void io_apic_init(void)
{
    for (u32 i = 0; i < acpi.nr_io_apics; i++) {
        struct io_apic *a = &io_apics[nr_io_apics];

        a->base = acpi.io_apics[i].address;
        a->gsi_base = acpi.io_apics[i].gsi_base;
        a->registers = hv_ioremap(a->base, PAGE_SIZE);
        const char *why = a->registers ? io_apic_examine(a) : "cannot be mapped";
        if (why) {
            printk(LOG_WARN "I/O APIC at %lx %s; it is left out\n", a->base, why);
            continue;
        }
        mask_all(a);
        nr_io_apics++;
        printk(LOG_INFO "I/O APIC: %lx, GSI %u to %u\n", a->base, a->gsi_base, a->gsi_base + a->pins - 1);
    }
    if (!nr_io_apics)
        printk(LOG_WARN "No I/O APIC: of all devices only those with MSI can interrupt. Update the firmware, or switch ACPI on there.\n");
}

u32 io_apic_gsi_count(void)
{
    u32 n = 0;

    for (u32 i = 0; i < nr_io_apics; i++)
        n = MAX(n, io_apics[i].gsi_base + io_apics[i].pins);
    return n;
}

bool io_apic_owns_frame(u64 mfn)
{
    for (u32 i = 0; i < nr_io_apics; i++)
        if (io_apics[i].base >> PAGE_SHIFT == mfn)
            return true;
    return false;
}

int io_apic_route(u32 gsi, const struct gsi_route *r)
{
    u32 pin;
    struct io_apic *a = apic_for(gsi, &pin);

    if (!a)
        return -ENODEV;
    spin_lock_scope(&io_apic_lock);
    /* Edge-triggered in between: that clears Remote IRR if another CPU has accepted a level, whose EOI will not match the new entry. */
    write_reg(a, 0x10 + 2 * pin, REDIR_MASKED);
    write_reg(a, 0x11 + 2 * pin, (u32)r->apic_id << 24);
    write_reg(a, 0x10 + 2 * pin,
              (r->nmi ? REDIR_NMI : r->vector) | (r->level ? REDIR_LEVEL : 0) | (r->active_low ? REDIR_ACTIVE_LOW : 0) |
                  (r->masked ? REDIR_MASKED : 0));
    return 0;
}

void io_apic_mask(u32 gsi, bool masked)
{
    u32 pin;
    struct io_apic *a = apic_for(gsi, &pin);

    if (!a)
        return;
    spin_lock_scope(&io_apic_lock);
    u32 low = read_reg(a, 0x10 + 2 * pin);
    write_reg(a, 0x10 + 2 * pin, masked ? low | REDIR_MASKED : low & ~REDIR_MASKED);
}

u32 io_apic_read_guest(u64 base, u32 reg, bool *ok)
{
    *ok = false;
    for (u32 i = 0; i < nr_io_apics; i++)
        if (io_apics[i].base == base && reg < 0x10 + 2 * io_apics[i].pins) {
            *ok = true;
            spin_lock_scope(&io_apic_lock);
            return read_reg(&io_apics[i], reg);
        }
    return 0;
}
