# SPDX-License-Identifier: BSD-2-Clause
# Paravane: everything is built below $(BUILD); `make help` lists the targets.

VERSION := 0.1
BUILD ?= build
# With the lock checker (kernel/lockcheck.h) all objects and images are others.
CHECK_LOCKS ?=
OUT := $(BUILD)$(if $(CHECK_LOCKS),/checked)
.DEFAULT_GOAL := all
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))

ifneq ($(shell uname -m),x86_64)
$(error Paravane builds on x86-64 hosts only; this one is $(shell uname -m))
endif
define no-blanks
$(if $(word 2,$(1)),$(error $(1): make cannot work with a path that has blanks; choose another))
endef
$(foreach name,CURDIR BUILD APP,$(call no-blanks,$($(name))))
include tools/third-party.mk

# ---- the system, bottom to top -------------------------------------------------------------------
base := string.c format.c parse.c divide.c
arch := entry.S switch.S hypercall.c mm.c traps.c clock.c fpu.c random.c pcpu.c setup.c
kernel := $(if $(CHECK_LOCKS),lockcheck.c) log.c panic.c option.c page.c vmap.c heap.c wait.c mutex.c \
    runq.c balance.c sched.c prio.c thread.c sched_cpu.c cpus.c time.c \
    evtchn.c evtchn_2l.c evtchn_fifo.c grant.c bytering.c console.c xswire.c xswatch.c xenstore.c \
    lifecycle.c hotplug.c main.c
frontends := $(wildcard frontends/common/*.c frontends/netfront/*.c frontends/blkfront/*.c)
fs := $(wildcard lib/fs/*.c)
libc := $(wildcard lib/libc/*.c lib/libc/*.S)
posix := $(wildcard lib/posix/*.c)
net := $(wildcard lib/net/*.c)

kernel-srcs := $(base:%=lib/base/%) $(arch:%=arch/x86/%) $(kernel:%=kernel/%) $(frontends) $(fs)
libc-srcs := $(libc) $(posix) $(net)
APPS := $(sort $(patsubst %/,%,$(dir $(wildcard apps/*/app.mk))))
GUEST_TESTS := $(sort $(patsubst %/,%,$(dir $(wildcard tests/guest/*/app.mk))))
# apps that test themselves (tests/guest/run)
SELF_TESTS := $(filter-out $(notdir $(GUEST_TESTS)),$(notdir $(patsubst %/cmdline,%,$(wildcard tests/guest/*/cmdline))))
SYSTEM_APPS := $(sort $(patsubst %/,%,$(dir $(wildcard tests/system/*/app.mk))))
BENCH_APPS := $(sort $(patsubst %/,%,$(dir $(wildcard bench/apps/*/app.mk))))

# ---- flags -----------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
    -Wwrite-strings -Werror
# -fno-unroll-loops: clang's way with loops costs a small image 6 KiB.
OURS := -I. -fno-unroll-loops -Iarch/x86/include $(XEN_INC) -D__XEN_INTERFACE_VERSION__=0x00040e00 \
    -DPARAVANE_VERSION='"$(VERSION)"' $(if $(CHECK_LOCKS),-DCHECK_LOCKS) -MMD -MP
SSP := -fstack-protector-strong -mstack-protector-guard=global -fstack-clash-protection
POSIX_INC := -isystem lib/posix/include -isystem lib/net/include
LIBC_FLAGS = $(subst -nostdinc,-nostdinc $(POSIX_INC),$(LIBC_CFLAGS)) -DFD_SETSIZE=2048
APP_CFLAGS = $(LIBC_FLAGS) $(OURS) $(SSP) $(HTTP_PARSER_INC)
kernel-cc = $(CC) $(KERNEL_CFLAGS) $(OURS) $(WARN) $(SSP)
libc-cc = $(CC) $(LIBC_FLAGS) $(OURS) $(WARN) $(SSP) -Ilib/net/port $(LWIP_INC)
vendor-cc = $(CC) $(LIBC_FLAGS) $(OURS) -w -Ilib/net/port $(LWIP_INC) $(HTTP_PARSER_INC)

# ---- objects ---------------------------------------------------------------------------------------
obj = $(patsubst %,$(OUT)/obj/%.o,$(1))
vendor-obj = $(patsubst $(DEPS)/%,$(BUILD)/obj/deps/%.o,$(1))
kernel-objs := $(call obj,$(kernel-srcs))
libc-objs := $(call obj,$(libc-srcs))
vendor-objs := $(call vendor-obj,$(LWIP_SRCS) $(HTTP_PARSER_SRCS))
head := $(call obj,arch/x86/head.S)
lib := $(OUT)/lib/libparavane.a
lds := $(OUT)/lib/paravane.lds

say = @printf '  %-7s %s\n' '$(1)' '$(2)'

$(kernel-objs) $(head): $(OUT)/obj/%.o: % Makefile | $(XEN_HEADERS_READY)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	@$(kernel-cc) -c $< -o $@
$(libc-objs): $(OUT)/obj/%.o: % Makefile | $(DEPS_READY)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	@$(libc-cc) -c $< -o $@
# (-MMD is silent about what a system header includes: the options of lwIP)
$(filter %.c.o,$(libc-objs) $(vendor-objs)): $(wildcard lib/net/port/*.h lib/net/port/arch/*.h)
$(vendor-objs): $(BUILD)/obj/deps/%.o: $(DEPS)/% Makefile | $(DEPS_READY)
	@mkdir -p $(@D)
	$(call say,CC,$(patsubst $(DEPS)/%,%,$<))
	@$(vendor-cc) -c $< -o $@
$(lib): $(kernel-objs) $(libc-objs) $(vendor-objs)
	@mkdir -p $(@D)
	$(call say,AR,$@)
	@rm -f $@ && ar rcsDT $@ $^
$(lds): linker/paravane.lds.S arch/x86/include/arch/layout.h
	@mkdir -p $(@D)
	@$(CC) -E -P -x assembler-with-cpp -Iarch/x86/include $< -o $@

# ---- one image per app -----------------------------------------------------------------------------
# $(call app,DIR): build/images/NAME from DIR/app.mk (app-srcs, default all *.c; app-cflags; app-deps)
define app
app-srcs :=
app-cflags :=
app-deps :=
app-dir := $(1)
include $(1)/app.mk
$$(eval $$(call image,$(1),$(notdir $(abspath $(1))),$$(or $$(app-srcs),$$(notdir $$(wildcard $(1)/*.c))),$$(app-cflags),$$(app-deps)))
endef

define image
images += $(OUT)/images/$(2)
deps-files += $(patsubst %,$(OUT)/apps/$(2)/%.d,$(basename $(3)))
# (The empty rule in the list of what it includes: when the app has moved, its old place is not missed.)
$(OUT)/apps/$(2)/%.c.o: $(1)/%.c $(5) | $(DEPS_READY)
	@mkdir -p $$(@D)
	$(call say,CC,$$<)
	@$(CC) $$(APP_CFLAGS) $(if $(filter apps/% tests/% bench/%,$(1)),$(WARN)) $(4) -I$(1) -c $$< -o $$@
	@echo '$$<:' >>$$(@:.o=.d)
$(OUT)/apps/$(2)/app_name.o:
	@mkdir -p $$(@D)
	@echo 'const char app_name[] = "$(2)";' | $(CC) $$(KERNEL_CFLAGS) -x c -c - -o $$@
$(OUT)/images/$(2).debug: $(patsubst %,$(OUT)/apps/$(2)/%.o,$(3)) $(OUT)/apps/$(2)/app_name.o $(head) $(lib) $(lds) tools/check-image | $(NEWLIB_READY)
	@mkdir -p $$(@D)
	$(call say,LINK,$(OUT)/images/$(2))
	@$(CC) $$(TARGET_LDFLAGS) $$(LWIP_WRAPS) -Wl,-T,$(lds) -Wl,--orphan-handling=error -Wl,--no-warn-rwx-segments \
	    -Wl,-Map,$(OUT)/apps/$(2)/map $(head) $$(filter-out $(head) $(lds) $(lib) tools/%,$$^) \
	    -Wl,--start-group $(lib) $$(NEWLIB_LIBS) -lgcc -Wl,--end-group -o $$@
	@tools/check-image $$@ --map $(OUT)/apps/$(2)/map --allow $(abspath $(1)) --allow $(abspath $(BUILD)) --allow $(abspath $(DEPS)) || { rm -f $$@; exit 1; }
$(OUT)/images/$(2): $(OUT)/images/$(2).debug
	@strip -R .comment -o $$@ $$<
.PHONY: $(2)
$(2): $(OUT)/images/$(2) $(OUT)/images/$(2).cfg ## build one image
	@:
$(OUT)/images/$(2).cfg: tools/domain-config $(OUT)/images/$(2)
	@tools/domain-config $(2) $(wildcard $(1)/domain.cfg) >$$@
endef

known-apps := $(APPS) $(GUEST_TESTS) $(SYSTEM_APPS) $(BENCH_APPS)
$(foreach a,$(known-apps),$(eval $(call app,$(a))))
app-name := $(notdir $(abspath $(APP)))
# An app of somebody else's, unless APP is another way to write one of ours.
ifneq ($(filter-out $(abspath $(known-apps)),$(abspath $(APP))),)
ifneq ($(filter $(app-name),$(notdir $(known-apps))),)
$(error APP=$(APP): there is $(filter %/$(app-name),$(known-apps)) already, whose image would have the same name; choose another)
else ifneq ($(wildcard $(APP)/app.mk),)
$(eval $(call app,$(patsubst %/,%,$(APP))))
else ifeq ($(filter new,$(MAKECMDGOALS)),)
$(error there is no $(APP)/app.mk; make new APP=$(APP) writes one)
endif
endif
ifneq ($(filter bundle image-info,$(MAKECMDGOALS)),)
$(if $(APP),,$(error make $(MAKECMDGOALS): say of which app: make $(MAKECMDGOALS) APP=apps/hello))
endif
# For `make run` and the like: a job for each CPU, unless the user said how many.
build = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- targets ---------------------------------------------------------------------------------------
.PHONY: all deps run test test-long bench check clean distclean help new format guest-tests system-apps image-info bundle
all: $(if $(APP),$(app-name),$(notdir $(APPS))) ## build every app, or APP=DIR, into $(BUILD)/images; CHECK_LOCKS=1: with the lock checker, into $(BUILD)/checked/images
# (those with a list of cases run without the checker only: tests/guest/run)
guest-tests: $(notdir $(if $(CHECK_LOCKS),$(filter-out $(patsubst %/cases,%,$(wildcard tests/guest/*/cases)),$(GUEST_TESTS)),$(GUEST_TESTS))) $(SELF_TESTS) ## build the bootable tests
system-apps: $(notdir $(SYSTEM_APPS)) ## build the programs of tests/system

run: ## a page served by a PV domain on real Xen; or APP=DIR [ROOT=DIR] [ARGS='...'] with its console
	@$(if $(APP),:,echo 'make run: needs 2 GB of disk below $(BUILD)/ and 2.5 GB of memory; the first time also 250 MB of downloads' && \
	    echo '          besides packages of the system, and some 3 minutes on two idle cores; later half a minute')
	@tools/setup build run
	@$(build) $(if $(APP),all,httpd)
	@BUILD='$(BUILD)' PORT='$(PORT)' ONCE='$(ONCE)' \
	    $(if $(APP),tools/run-app $(app-name),tools/demo)
test: ## everything that has a verdict; the last line is the sum
	@tools/setup build run test
	@$(build) all guest-tests system-apps
	@$(build) CHECK_LOCKS=1 guest-tests
	@BUILD='$(BUILD)' DEPS='$(DEPS)' tests/run
bench: ## figures beside a Linux PV domU; ROUNDS=5, ONCE=1, ONLY='latency boot http tcp disk least' or scale or counts, BASE=old-results.json
	@tools/setup build run bench
	@$(build) hello httpd pvbench $(notdir $(BENCH_APPS))
	@BUILD='$(BUILD)' ROUNDS='$(ROUNDS)' ONCE='$(ONCE)' ONLY='$(ONLY)' VCPUS='$(VCPUS)' BASE='$(BASE)' bench/run
test-long: ## make test and what takes hours more: a soak on several CPUs (SOAK=3600), a hundred rounds of threads and hot-plug (LOOPS=100), a thousand of devices cut off (RECONNECTS=1000), crowds against httpd
	@SYSTEM_FULL=1 $(MAKE) --no-print-directory test
check: ## the quick part: layers, host tests, tools
	@$(build) deps
	@BUILD='$(BUILD)' DEPS='$(DEPS)' tests/run layers trust docs tools lab-host host
new: ## a template of an app in APP=DIR
	@tools/new-app '$(APP)'
bundle: all ## a tarball of APP=DIR's image and configuration for a dom0 without a toolchain
	@tools/bundle '$(app-name)' '$(BUILD)' $(abspath $(wildcard $(APP)/bundle))
image-info: all ## notes, segments and sizes of the image of APP=DIR
	@tools/image-info $(OUT)/images/$(app-name).debug --map $(OUT)/apps/$(app-name)/map
clean: ## remove what was built; downloads stay
	@[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name downloads -exec rm -rf {} +
distclean: ## remove $(BUILD)
	rm -rf $(BUILD)
format: ## clang-format our C
	clang-format -i $$(git ls-files '*.c' '*.h')
help: ## show this text
	@echo 'make [TARGET] [APP=DIR] [CC=clang] [CACHE=DIR]   (results below $(BUILD)/)'
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile tools/third-party.mk tests/host/host.mk

include tests/host/host.mk
-include $(shell find $(OUT)/obj $(OUT)/apps $(BUILD)/obj/deps -name '*.d' 2>/dev/null)
