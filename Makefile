# Caisson. `make help` lists the targets.
CC ?= gcc
O := build
LD ?= ld
PYTHON ?= python3
FONT ?= /usr/share/grub/unicode.pf2
LIBDIR ?= /usr/lib/x86_64-linux-gnu

SUBDIRS := boot arch/x86 arch/x86/trap arch/x86/cpu arch/x86/mm arch/x86/irq arch/x86/time arch/x86/smp arch/x86/speculation arch/x86/efi arch/x86/pv arch/x86/pv/mmu arch/x86/pv/emulate arch/x86/dom0 \
	common/core common/lib common/mm common/time common/sched common/domain common/evtchn common/grant \
	common/hypercall common/control common/debug drivers/serial drivers/video drivers/input drivers/acpi drivers/pci

ifneq ($(TRAP_TEST),)
SUBDIRS += tests/trap
EXTRA_CFLAGS += -DTRAP_TEST
EXTRA_ASFLAGS += -DTRAP_TEST
endif

ifneq ($(COVERAGE),)
SUBDIRS += tests/coverage
EXTRA_CFLAGS += -DCOVERAGE
COVER := -fprofile-arcs -ftest-coverage -fprofile-info-section -fprofile-update=single
endif

C_SRC := $(filter-out arch/x86/asm_offsets.c,$(foreach d,$(SUBDIRS),$(wildcard $(d)/*.c)))
S_SRC := $(filter-out arch/x86/hypervisor.lds.S boot/page_tables.S,$(foreach d,$(SUBDIRS),$(wildcard $(d)/*.S)))
OBJ := $(C_SRC:%.c=$(O)/%.o) $(S_SRC:%.S=$(O)/%.S.o) $(O)/font.o
LIBS := $(LIBDIR)/libqrcodegen.a $(LIBDIR)/liblzma.a $(LIBDIR)/libzstd.a $(LIBDIR)/libz.a $(LIBDIR)/liblz4.a

INCLUDES := -Iinclude -I$(O)/include
WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
COMMON := $(INCLUDES) -include include/hv/visibility.h -g -m64 -fpie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=branch -fno-asynchronous-unwind-tables -fno-common -MMD -MP
# Indirect branches go through arch/x86/speculation/harden.S.
ifneq ($(findstring clang,$(CC)),)
COMMON += -mretpoline -mretpoline-external-thunk
else
COMMON += -mindirect-branch=thunk-extern -mindirect-branch-register
endif
COMMON += -fno-jump-tables
CFLAGS := $(COMMON) -std=gnu11 -O2 -ffreestanding -fno-strict-aliasing -fno-delete-null-pointer-checks $(WARN) $(EXTRA_CFLAGS)
ASFLAGS := $(INCLUDES) -Iboot -g -m64 -D__ASSEMBLER__ -MMD -MP $(EXTRA_ASFLAGS)
LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --build-id=none --gc-sections

# zstd's decoders of its formats before 1.0 are not linked: their entry points refuse; tracing is off.
ZSTD_LEGACY := $(foreach v,5 6 7,$(foreach f,createDCtx freeDCtx decompress_usingDict findFrameSizeInfoLegacy getFrameParams,ZSTDv0$(v)_$(f)) \
	$(foreach f,createDCtx freeDCtx decompressInitDictionary decompressContinue,ZBUFFv0$(v)_$(f))) ZSTD_trace_decompress_begin ZSTD_trace_decompress_end
LDFLAGS += $(foreach s,$(ZSTD_LEGACY),--defsym=$(s)=zstd_legacy_refused)

ifneq ($(DEBUG),)
CFLAGS += -DDEBUG
endif

all: $(O)/caisson.elf

$(O)/include/asm_offsets.h: arch/x86/asm_offsets.c include/hv/x86/percpu.h include/hv/x86/regs.h include/hv/x86/layout.h include/hv/domain.h include/hv/hypercall.h include/hv/x86/speculation.h
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -S -o $(O)/asm_offsets.s $<
	@sed -n 's/.*\.ascii[[:space:]]*"->\([A-Z0-9_]*\) \([0-9]*\)".*/#define \1 \2/p' $(O)/asm_offsets.s > $@

$(O)/include/trap_matrix.h: tools/gen_trap_matrix.py arch/x86/trap/matrix.tbl include/hv/x86/vectors.h
	@mkdir -p $(@D)
	@$(PYTHON) $< header > $@.new && mv $@.new $@
$(O)/arch/x86/trap/policy.o $(O)/arch/x86/trap/dispatch.o $(O)/tests/trap/trap_test.o: $(O)/include/trap_matrix.h

$(OBJ): Makefile
$(O)/tests/%.o: COVER :=
$(O)/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(COVER) -c -o $@ $<

$(O)/%.S.o: %.S $(O)/include/asm_offsets.h
	@mkdir -p $(@D)
	@$(CC) $(ASFLAGS) -c -o $@ $<

$(O)/font.o: tools/gen_font.py
	@$(PYTHON) $< $(FONT) > $(O)/font.c
	@$(CC) $(CFLAGS) -c -o $@ $(O)/font.c

$(O)/hypervisor.lds: arch/x86/hypervisor.lds.S include/hv/x86/layout.h
	@mkdir -p $(@D)
	@$(CC) $(ASFLAGS) -E -P -o $@ $<

# Linked twice: the symbol table is made of the first image. It lies behind the text, which does not move.
$(O)/caisson.elf: $(OBJ) $(O)/hypervisor.lds tools/gen_symbols.py
	@$(PYTHON) tools/gen_symbols.py < /dev/null > $(O)/symbols.S
	@$(CC) -c -o $(O)/symbols.o $(O)/symbols.S
	@$(LD) $(LDFLAGS) -T $(O)/hypervisor.lds -o $(O)/pass1.elf $(OBJ) $(O)/symbols.o $(LIBS)
	@nm $(O)/pass1.elf | $(PYTHON) tools/gen_symbols.py > $(O)/symbols.S
	@$(CC) -c -o $(O)/symbols.o $(O)/symbols.S
	@$(LD) $(LDFLAGS) -T $(O)/hypervisor.lds -o $(O)/caisson.debug $(OBJ) $(O)/symbols.o $(LIBS)
	@objcopy --strip-all $(O)/caisson.debug $@
	@gzip -9 -n -c $@ > $(O)/caisson.gz
	@echo "built $@ ($$(stat -c %s $@) bytes, $$(stat -c %s $(O)/caisson.gz) compressed)"

run:
	@tools/run
check:
	@tools/check
unit:
	@$(MAKE) --no-print-directory -C tests/unit
coverage:
	@tools/coverage
docs:
	@$(PYTHON) tools/gen_trap_matrix.py markdown > docs/trap-matrix.md
	@$(PYTHON) tools/gen_panic_codes.py > docs/panic-codes.md
	@$(PYTHON) tools/gen_options.py > docs/options.md
	@mkdir -p $(O)
	@$(PYTHON) tools/gen_trap_matrix.py html > $(O)/trap-matrix.html
gdb:
	@tools/run --gdb
clean:
	rm -rf $(O)
help:
	@echo "make [all]   build/caisson.elf     make run     boot Debian's kernel in QEMU"
	@echo "make check   every test            make unit    unit tests on this machine"
	@echo "make gdb     run, waiting for gdb  make clean   remove build/"
	@echo "make coverage  lines and branches that the tests run"
	@echo "make docs    what is generated of docs/, and build/trap-matrix.html"
	@echo "With make all: O=DIR builds there, DEBUG=1 with checks of lock order and more, CC=clang with clang"

.PHONY: all run check unit coverage docs gdb clean help
-include $(shell find $(O) -type f -name '*.d' 2>/dev/null)
