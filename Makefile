# SPDX-License-Identifier: MIT
# Caisson. `make help` lists the targets.
# make itself has set CC and LD, so that ?= would change nothing.
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin LD),default)
LD := ld
endif
O := build
.DEFAULT_GOAL := all
PYTHON ?= python3
FONT ?= /usr/share/grub/unicode.pf2
LIBDIR ?= /usr/lib/x86_64-linux-gnu

# What may be said on the command line; `make help` explains those that are for people.
VARIABLES := O CC LD PYTHON FONT LIBDIR DEBUG TRAP_TEST COVERAGE EXTRA_CFLAGS EXTRA_ASFLAGS PROGRESS
$(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $(v))),$(if $(filter $(VARIABLES),$(v)),,$(error There is no variable $(v) here: \
	'make help' lists them))))
$(foreach v,O CC LD PYTHON FONT LIBDIR,$(if $(strip $($(v))),,$(error $(v)= is empty. Leave it out to have the default)))
on = $(filter-out 0 no,$(1))

SUBDIRS := boot arch/x86 arch/x86/trap arch/x86/cpu arch/x86/mm arch/x86/irq arch/x86/time arch/x86/smp arch/x86/speculation arch/x86/efi arch/x86/pv arch/x86/pv/mmu arch/x86/pv/emulate arch/x86/dom0 \
	common/core common/lib common/mm common/time common/sched common/domain common/evtchn common/grant \
	common/hypercall common/control common/debug drivers/serial drivers/video drivers/input drivers/acpi drivers/pci

ifneq ($(call on,$(TRAP_TEST)),)
SUBDIRS += tests/trap
EXTRA_CFLAGS += -DTRAP_TEST
EXTRA_ASFLAGS += -DTRAP_TEST
endif

ifneq ($(call on,$(COVERAGE)),)
SUBDIRS += tests/coverage
EXTRA_CFLAGS += -DCOVERAGE -Os # with its counters the image has to fit one L1 table
COVER := -fprofile-arcs -ftest-coverage -fprofile-info-section -fprofile-update=single
endif

C_SRC := $(filter-out arch/x86/asm_offsets.c,$(foreach d,$(SUBDIRS),$(wildcard $(d)/*.c)))
S_SRC := $(filter-out arch/x86/hypervisor.lds.S boot/page_tables.S,$(foreach d,$(SUBDIRS),$(wildcard $(d)/*.S)))
OBJ := $(C_SRC:%.c=$(O)/%.o) $(S_SRC:%.S=$(O)/%.S.o) $(O)/font.o
LIBS := $(LIBDIR)/libqrcodegen.a $(LIBDIR)/liblzma.a $(LIBDIR)/libzstd.a $(LIBDIR)/libz.a $(LIBDIR)/liblz4.a

INCLUDES := -Iinclude -I$(O)/include
WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wshadow -Wcast-qual -Wvla -Wundef -Wformat=2 -Wpointer-arith -Wwrite-strings -Wredundant-decls -Wnested-externs
COMMON := $(INCLUDES) -include include/hv/visibility.h -g -m64 -fpie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=branch -fno-asynchronous-unwind-tables -fno-common -MMD -MP
# Indirect branches go through arch/x86/speculation/spec_ctrl.S.
CC_VERSION := $(shell $(CC) --version 2>&1 | head -n 1)
ifneq ($(findstring clang,$(CC_VERSION)),)
COMMON += -mretpoline -mretpoline-external-thunk
else
COMMON += -mindirect-branch=thunk-extern -mindirect-branch-register
WARN += -Wconversion -Wsign-conversion # clang's also mind sums of small numbers
endif
COMMON += -fno-jump-tables
CFLAGS := $(COMMON) -std=gnu11 -O2 -ffreestanding -fno-strict-aliasing -fno-delete-null-pointer-checks $(WARN) $(EXTRA_CFLAGS)
ASFLAGS := $(INCLUDES) -Iboot -g -m64 -D__ASSEMBLER__ -MMD -MP $(EXTRA_ASFLAGS)
LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --build-id=none --gc-sections

# zstd's decoders of its formats before 1.0 are not linked: their entry points refuse; tracing is off.
ZSTD_LEGACY := $(foreach v,5 6 7,$(foreach f,createDCtx freeDCtx decompress_usingDict findFrameSizeInfoLegacy getFrameParams,ZSTDv0$(v)_$(f)) \
	$(foreach f,createDCtx freeDCtx decompressInitDictionary decompressContinue,ZBUFFv0$(v)_$(f))) ZSTD_trace_decompress_begin ZSTD_trace_decompress_end
LDFLAGS += $(foreach s,$(ZSTD_LEGACY),--defsym=$(s)=zstd_legacy_refused)

ifneq ($(call on,$(DEBUG)),)
CFLAGS += -DDEBUG
endif

# What decides how objects look, and of which the image is made: other words on the command line, or another compiler, and all is made anew.
differs = $(subst x$(1)x,,x$(2)x)
WITHOUT_BUILD := help clean run check unit coverage format format-check docs gdb
ifneq ($(filter-out $(WITHOUT_BUILD),$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $(O))
FLAGS := $(strip $(CC) $(CC_VERSION) $(CFLAGS) $(COVER) / $(ASFLAGS) / $(FONT))
LINKED := $(strip $(LD) $(LDFLAGS) / $(OBJ) $(LIBS))
$(foreach stamp,FLAGS LINKED,$(if $(call differs,$(file <$(O)/$(stamp)),$($(stamp))),$(file >$(O)/$(stamp),$($(stamp)))))
endif
$(O)/FLAGS $(O)/LINKED: # after `make clean` in the same run
	@$(shell mkdir -p $(O))$(file >$@,$($(@F))):

# One line each: for tools that count, and for people.
compiling = $(if $(PROGRESS),@echo "compiling $<")
SILENT := $(findstring s,$(firstword -$(MAKEFLAGS)))

all: $(O)/caisson.elf
	$(if $(BUILT)$(SILENT),,@echo "$< is up to date")

$(O)/include/asm_offsets.h: arch/x86/asm_offsets.c Makefile $(O)/FLAGS
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MT $@ -S -o $(O)/asm_offsets.s $<
	@sed -n 's/.*\.ascii[[:space:]]*"->\([A-Z0-9_]*\) \([0-9]*\)".*/#define \1 \2/p' $(O)/asm_offsets.s > $@

$(O)/include/trap_matrix.h: tools/gen_trap_matrix.py arch/x86/trap/matrix.tbl include/hv/x86/vectors.h
	@mkdir -p $(@D)
	@$(PYTHON) $< header > $@.new && mv $@.new $@
$(O)/arch/x86/trap/policy.o $(O)/arch/x86/trap/dispatch.o $(O)/tests/trap/trap_test.o: $(O)/include/trap_matrix.h

$(OBJ): Makefile $(O)/FLAGS
$(O)/tests/%.o: COVER :=
$(O)/%.o: %.c
	$(compiling)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(COVER) -c -o $@ $<

$(O)/%.S.o: %.S $(O)/include/asm_offsets.h
	$(compiling)
	@mkdir -p $(@D)
	@$(CC) $(ASFLAGS) -c -o $@ $<

$(O)/font.o: tools/gen_font.py
	@$(PYTHON) $< "$(FONT)" > $(O)/font.c || { echo "FONT= names a font of GRUB's: Debian's package grub-common has unicode.pf2"; exit 1; }
	@$(CC) $(CFLAGS) -c -o $@ $(O)/font.c

$(O)/hypervisor.lds: arch/x86/hypervisor.lds.S Makefile $(O)/FLAGS
	@mkdir -p $(@D)
	@$(CC) $(ASFLAGS) -MT $@ -E -P -o $@ $<

$(LIBS):
	@echo "there is no $@: LIBDIR= names the folder of $(notdir $(LIBS)) (Debian: libqrcodegen-dev liblzma-dev libzstd-dev zlib1g-dev liblz4-dev)"; exit 1

# Linked twice: the symbol table is made of the first image. It lies behind the text, which does not move.
$(O)/caisson.elf: $(OBJ) $(LIBS) $(O)/hypervisor.lds tools/gen_symbols.py tools/gen_boot_order.py $(O)/LINKED
	$(eval BUILT := yes)
	@$(PYTHON) tools/gen_boot_order.py --check
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
# Not what git ignores: generated files look as their generators like. Another release of clang-format than Debian 12's may want other lines.
FORMATTED = $(wildcard $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h'))
need = @command -v $(1) > /dev/null || { echo "the program $(1) is not in PATH (Debian's package $(1))"; exit 1; }
format:
	$(call need,git)
	$(call need,clang-format)
	@clang-format -i $(FORMATTED)
format-check:
	$(call need,git)
	$(call need,clang-format)
	@clang-format --dry-run -Werror $(FORMATTED) || { echo "not as .clang-format says: run 'make format'"; exit 1; }
# What a change needs before it is shown to somebody, in less than a minute.
quick: format-check
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tools/check-layers
	@$(MAKE) --no-print-directory -j$$(nproc) -C tests/unit
	@echo "quick: built, formatted, layered, unit tests pass. tools/check runs everything"
# 1: a generator and its words, 2: the file, which stays as it is if the generator fails
document = @$(PYTHON) tools/$(1) > $(2).new && mv $(2).new $(2) || { rm -f $(2).new; exit 1; }
docs:
	@mkdir -p $(O)
	$(call document,gen_trap_matrix.py markdown,docs/trap-matrix.md)
	$(call document,gen_panic_codes.py,docs/panic-codes.md)
	$(call document,gen_options.py,docs/options.md)
	$(call document,gen_debug_keys.py,docs/debug-keys.md)
	$(call document,gen_boot_order.py,docs/boot-order.md)
	$(call document,gen_hypercalls.py hypercalls,docs/hypercalls.md)
	$(call document,gen_hypercalls.py unsupported,docs/unsupported.md)
	$(call document,gen_trap_matrix.py html,$(O)/trap-matrix.html)
	@echo "made docs/trap-matrix.md, docs/panic-codes.md, docs/options.md, docs/debug-keys.md,"
	@echo "     docs/boot-order.md, docs/hypercalls.md, docs/unsupported.md, $(O)/trap-matrix.html"
gdb:
	@tools/run --gdb
clean:
	@[ "$(O)" = build ] || [ ! -e "$(O)" ] || [ -e "$(O)/FLAGS" ] || { echo "nothing was built in $(O): it stays"; exit 1; }
	rm -rf "$(O)"
help:
	@echo "make [all]     build/caisson.elf: the hypervisor; build/caisson.gz for /boot, build/caisson.debug for gdb"
	@echo "make run       boots Debian's kernel in QEMU (tools/run --help)"
	@echo "make gdb       the same, waiting for gdb (docs/debugging.md)"
	@echo "make check     every test (tools/check --help)"
	@echo "make unit      unit tests on this machine"
	@echo "make coverage  lines and branches that the tests run (tools/coverage --help)"
	@echo "make quick     before each commit, less than a minute: build, format, layers, unit tests"
	@echo "make format    lays out all C as .clang-format says"
	@echo "make docs      what is generated of docs/, and build/trap-matrix.html"
	@echo "make clean     removes build/, with the downloaded kernels"
	@echo
	@echo "Variables, for make all. What was built with others is built anew; O= keeps both."
	@echo "O=DIR          builds in DIR instead of build"
	@echo "CC=COMPILER    gcc (the default) or clang"
	@echo "DEBUG=1        with checks of lock order and more (docs/locking.md)"
	@echo "TRAP_TEST=1    with the code that raises each cell of the trap matrix (docs/traps.md): not for use"
	@echo "COVERAGE=1     with gcov's counters, which go to QEMU's debug console: not for use"
	@echo "LD=LINKER, PYTHON=PROGRAM, LIBDIR=DIR (static libraries), FONT=FILE (unicode.pf2), EXTRA_CFLAGS=, EXTRA_ASFLAGS="

.PHONY: all run check unit coverage format format-check quick docs gdb clean help
-include $(shell find $(O) -type f -name '*.d' 2>/dev/null)
