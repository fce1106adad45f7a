# SPDX-License-Identifier: BSD-2-Clause
# Host tests: the real modules, compiled for this machine under sanitizers, against the second
# implementation of <arch/...> in tests/host. Included by the top Makefile, or alone:
#     make -f tests/host/host.mk BUILD=build DEPS=build/deps check-host

BUILD ?= build
DEPS ?= $(BUILD)/deps
HOST_CC ?= gcc
HOST_FUZZ_CC ?= clang
HOST_MKFS_EROFS ?= mkfs.erofs

# The modules under test. Add yours here, and its test_<module>.c below.
host-modules := \
    lib/base/string.c lib/base/format.c lib/base/parse.c lib/base/divide.c \
    kernel/page.c kernel/vmap.c kernel/heap.c kernel/wait.c kernel/mutex.c \
    kernel/time.c kernel/bytering.c kernel/option.c kernel/log.c kernel/console.c \
    kernel/evtchn.c kernel/evtchn_2l.c kernel/evtchn_fifo.c kernel/grant.c \
    kernel/xswire.c kernel/xswatch.c kernel/xenstore.c kernel/lifecycle.c \
    kernel/hotplug.c \
    frontends/common/xenbus.c frontends/common/life.c $(wildcard frontends/netfront/*.c) \
    $(wildcard frontends/blkfront/*.c) \
    lib/fs/block.c lib/fs/memdev.c lib/fs/erofs.c \
    lib/libc/chacha.c lib/libc/timespec.c \
    lib/posix/fd.c lib/posix/poll.c lib/posix/select.c lib/posix/pipe.c lib/posix/park.c \
    apps/pvbench/hist.c apps/pvbench/run.c \
    apps/httpd/text.c apps/httpd/path.c apps/httpd/fields.c apps/httpd/request.c \
    $(DEPS)/http-parser/http_parser.c

# The network: our modules, lwIP as it is, over lwIP's loopback interface.
ifndef LWIP_SRCS
include tools/third-party.mk
endif
host-net := $(wildcard lib/net/*.c)
host-modules += $(host-net) $(LWIP_SRCS)

# (on the command line: only these)
host-test-files := $(sort $(wildcard tests/host/test_*.c tests/hostile/test_*.c))
host-tests := \
    tests/host/main.c tests/host/check.c tests/host/hostarch.c tests/host/hostcpus.c tests/host/hostmem.c \
    tests/host/hostthread.c tests/host/fakexen.c tests/host/fakestore.c tests/host/fakeback.c \
    tests/host/blkrig.c tests/host/netrig.c tests/host/tcprig.c tests/host/fuzz_erofs.c tests/hostile/blk.c $(host-test-files)

HOST_CPPFLAGS := -DPARAVANE_HOST -D__XEN_INTERFACE_VERSION__=0x00040e00 -D_GNU_SOURCE \
    -Itests/host/include -Iarch/x86/include -I. -isystem $(DEPS)/xen-include \
    -isystem $(DEPS)/http-parser -MMD -MP
# (which sanitizers make gcc see where there is none: what may be uninitialized)
HOST_WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
    -Wwrite-strings -Wno-unknown-warning-option -Wno-maybe-uninitialized -Werror
HOST_CFLAGS ?= -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-strict-aliasing \
    -fsanitize=address,undefined -fno-sanitize-recover=all

$(BUILD)/host/$(DEPS)/http-parser/%.o: HOST_WARN := -w
# lwIP reads bytes of packets as they lie there, and shifts them into the sign.
$(BUILD)/host/$(DEPS)/lwip/%.o: HOST_WARN := -w
$(BUILD)/host/$(DEPS)/lwip/%.o: HOST_CFLAGS += -fno-sanitize=alignment,shift
host-net-objs := $(patsubst %.c,$(BUILD)/host/%.o,$(host-net) $(LWIP_SRCS) \
    tests/host/test_socket.c tests/host/test_stream.c tests/host/test_netconfig.c tests/host/test_tso.c tests/host/test_sums.c \
    tests/host/test_multicast.c tests/host/test_nic.c tests/host/test_fragments.c \
    tests/host/tcprig.c)
# (-MMD is silent about what a system header includes)
$(host-net-objs): $(wildcard lib/net/port/*.h lib/net/port/arch/*.h)
$(host-net-objs): HOST_CPPFLAGS += $(host-net-flags)

host-runner := $(BUILD)/host/runner
host-objs := $(patsubst %.c,$(BUILD)/host/%.o,$(host-modules) $(host-tests))

# Some functions exist twice: the host's for all to use, and ours under another name for
# their tests. Of memcpy and friends and of the compiler's divisions, and of memory, where the
# host's show every access beyond an object to the sanitizer (hostmem.c).
host-renamed := memcpy memmove memset memcmp memchr strlen strnlen strcmp strncmp strchr strrchr
$(BUILD)/host/lib/base/string.o: HOST_CPPFLAGS += $(foreach f,$(host-renamed),-D$f=base_$f)
$(BUILD)/host/lib/base/string.o: HOST_CFLAGS += -fno-builtin
host-renamed-div := __udivti3 __umodti3 __udivmodti4 __divti3 __modti3
$(BUILD)/host/lib/base/divide.o: HOST_CPPFLAGS += $(foreach f,$(host-renamed-div),-D$f=base$f)
host-renamed-heap := init alloc alloc_zeroed alloc_aligned resize free size_of trim get_stats
$(addprefix $(BUILD)/host/,kernel/heap.o tests/host/test_heap.o): \
    HOST_CPPFLAGS += $(foreach f,$(host-renamed-heap),-Dheap_$f=kernel_heap_$f)
host-renamed-page := alloc alloc_order alloc_zeroed alloc_run free free_order free_run
$(BUILD)/host/kernel/page.o: HOST_CPPFLAGS += $(foreach f,$(host-renamed-page),-Dpage_$f=kernel_page_$f)
# And of these calls, which the frame makes of the host.
host-renamed-posix := poll ppoll select pselect pipe pipe2
$(foreach f,lib/posix/poll lib/posix/select lib/posix/pipe tests/host/test_posix_poll,$(BUILD)/host/$f.o): \
    HOST_CPPFLAGS += $(foreach f,$(host-renamed-posix),-D$f=posix_$f)
# And of everything about sockets.
host-renamed-net := poll socket bind listen accept accept4 connect send sendto sendmsg recv \
    recvfrom recvmsg shutdown getsockname getpeername getsockopt setsockopt getaddrinfo \
    freeaddrinfo gai_strerror getnameinfo gethostbyname getservbyname getprotobyname inet_addr \
    inet_aton inet_ntoa inet_pton inet_ntop if_nametoindex if_indextoname hstrerror \
    __h_errno_location in6addr_any in6addr_loopback
host-net-flags = -isystem lib/net/include -Ilib/net/port $(LWIP_INC) $(foreach f,$(host-renamed-net),-D$f=posix_$f)

$(BUILD)/host/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_CPPFLAGS) $(HOST_WARN) $(HOST_CFLAGS) -c $< -o $@

$(host-runner): $(host-objs)
	$(HOST_CC) $(HOST_CFLAGS) $(LWIP_WRAPS) $^ -lm -o $@

# Images for the file system's tests.
host-images := $(abspath $(BUILD))/host/images
$(addprefix $(BUILD)/host/tests/host/,test_erofs.o test_diskfiles.o): HOST_CPPFLAGS += -DHOST_IMAGES='"$(host-images)"'
$(host-images)/made: tests/host/erofs-images
	sh $< $(@D) $(HOST_MKFS_EROFS)
	@touch $@

# What is built for the thread sanitizer, on threads that are CPUs.
host-race-cc = @mkdir -p $(@D) && $(HOST_CC) -Itests/host/include-race $(filter-out -M%,$(HOST_CPPFLAGS)) $(HOST_WARN) \
    -std=gnu11 -O1 -g -pthread -fsanitize=thread -Wno-tsan

# The allocators.
host-race := $(BUILD)/host/race
host-race-srcs := tests/host/race.c tests/host/racecpus.c kernel/page.c kernel/heap.c kernel/vmap.c
$(host-race): $(host-race-srcs) $(wildcard kernel/*.h lib/base/*.h tests/host/include-race/arch/*.h)
	$(host-race-cc) $(host-race-srcs) -o $@

host-race-evtchn := $(BUILD)/host/race_evtchn
host-race-evtchn-srcs := tests/host/race_evtchn.c tests/host/racecpus.c kernel/evtchn.c \
    kernel/evtchn_2l.c kernel/evtchn_fifo.c
$(host-race-evtchn): $(host-race-evtchn-srcs) $(wildcard kernel/*.h lib/base/*.h tests/host/include-race/arch/*.h)
	$(host-race-cc) $(host-race-evtchn-srcs) -o $@

host-race-blk := $(BUILD)/host/race_blk
host-race-front-srcs := tests/host/racerig.c tests/host/racecpus.c kernel/wait.c kernel/mutex.c \
    lib/base/format.c lib/base/parse.c
host-race-blk-srcs := tests/host/race_blk.c $(host-race-front-srcs) $(filter-out %/await.c,$(filter frontends/blkfront/%,$(host-modules)))
host-race-front-deps := $(wildcard frontends/*/*.h kernel/*.h lib/base/*.h tests/host/racerig.h tests/host/include-race/arch/*.h)
$(host-race-blk): $(host-race-blk-srcs) $(host-race-front-deps)
	$(host-race-cc) $(host-race-blk-srcs) -o $@

# (--wrap: who is about to take a mutex may be late)
host-race-net := $(BUILD)/host/race_net
host-race-net-srcs := tests/host/race_net.c $(host-race-front-srcs) lib/base/string.c $(filter frontends/netfront/%,$(host-modules))
$(host-race-net): $(host-race-net-srcs) $(host-race-front-deps)
	$(host-race-cc) -Wl,--wrap=mutex_lock $(host-race-net-srcs) -o $@

# (string.c apart: with our names memcpy would be ours, whose larger copies the sanitizer does not see)
host-race-string := $(BUILD)/host/race-string.o
$(host-race-string): lib/base/string.c $(wildcard lib/base/*.h)
	$(host-race-cc) $(foreach f,$(host-renamed),-D$f=base_$f) -fno-builtin -c $< -o $@

host-race-store := $(BUILD)/host/race_store
host-race-store-srcs := tests/host/race_store.c tests/host/raceports.c tests/host/fakestore.c $(host-race-front-srcs) \
    kernel/bytering.c kernel/xswire.c kernel/xswatch.c kernel/xenstore.c frontends/common/xenbus.c frontends/common/life.c
host-race-ports-deps := tests/host/raceports.h tests/host/fakestore.h tests/host/fakexen.h $(host-race-front-deps)
$(host-race-store): $(host-race-store-srcs) $(host-race-string) $(host-race-ports-deps)
	$(host-race-cc) $(host-race-store-srcs) $(host-race-string) -o $@

host-race-console := $(BUILD)/host/race_console
host-race-console-srcs := tests/host/race_console.c tests/host/raceports.c $(host-race-front-srcs) kernel/bytering.c kernel/console.c
$(host-race-console): $(host-race-console-srcs) $(host-race-ports-deps)
	$(host-race-cc) $(host-race-console-srcs) -o $@

# The scheduler (tests/host/sched): in every order of its atomic operations, and on threads of the host.
# Both are tests of the runner (test_sched.c).
host-sched-srcs := tests/host/sched/inside.c tests/host/sched/machine.c kernel/runq.c \
    kernel/balance.c kernel/sched.c kernel/prio.c kernel/thread.c kernel/sched_cpu.c kernel/wait.c \
    kernel/mutex.c kernel/time.c kernel/cpus.c lib/posix/park.c
host-sched-deps := $(wildcard kernel/*.[ch] lib/posix/park.[ch] lib/base/*.h tests/host/sched/*.[ch] tests/host/sched/include/arch/*.h)
host-sched-flags = -Itests/host/sched/include $(filter-out -M%,$(HOST_CPPFLAGS)) $(HOST_WARN) \
    -std=gnu11 -g -fno-omit-frame-pointer -fno-strict-aliasing
host-explore := $(BUILD)/host/explore
$(host-explore): $(host-sched-deps)
	@mkdir -p $(@D)
	$(HOST_CC) $(host-sched-flags) -O2 -DSPINS=2 -D'LEAVE_NS=(25*NSEC_PER_MSEC)' -include tests/host/sched/points.h \
	    tests/host/sched/explore.c tests/host/sched/scenarios.c $(host-sched-srcs) -o $@

# (-Wno-tsan: it knows no fences; the explorer does)
host-storm := $(BUILD)/host/storm
$(host-storm): $(host-sched-deps)
	@mkdir -p $(@D)
	$(HOST_CC) $(host-sched-flags) -O1 -pthread -fsanitize=thread -Wno-tsan \
	    tests/host/sched/storm.c $(host-sched-srcs) -o $@

# The lock checker: of mistakes made on purpose, and of the scheduler in the storm above.
host-lockcheck := $(BUILD)/host/lockcheck
host-lockcheck-srcs := tests/host/lockcheck.c kernel/lockcheck.c kernel/mutex.c kernel/wait.c
$(host-lockcheck): $(host-lockcheck-srcs) $(wildcard kernel/*.h lib/base/*.h tests/host/include/arch/*.h)
	@mkdir -p $(@D)
	$(HOST_CC) -DCHECK_LOCKS $(filter-out -M%,$(HOST_CPPFLAGS)) $(HOST_WARN) $(HOST_CFLAGS) \
	    $(host-lockcheck-srcs) -o $@

host-storm-checked := $(BUILD)/host/storm-checked
$(host-storm-checked): $(host-sched-deps)
	@mkdir -p $(@D)
	$(HOST_CC) -DCHECK_LOCKS $(host-sched-flags) -O1 -pthread \
	    tests/host/sched/storm.c kernel/lockcheck.c $(host-sched-srcs) -o $@

$(BUILD)/host/tests/host/test_sched.o: HOST_CPPFLAGS += -DHOST_BIN='"$(abspath $(BUILD))/host"'

.PHONY: check-host
check-host: $(host-runner) $(host-images)/made $(host-race) $(host-race-evtchn) $(host-race-blk) $(host-race-net) $(host-race-store) $(host-race-console) $(host-explore) $(host-storm) $(host-storm-checked) $(host-lockcheck) ## host tests of the real modules, under sanitizers
	$(host-race)
	$(host-race-evtchn)
	$(host-race-blk)
	$(host-race-net)
	$(host-race-store)
	$(host-race-console)
	$(host-lockcheck)
	ASAN_OPTIONS=detect_leaks=0 $(host-runner)

# libFuzzer binaries: the same objects but main.c, built by clang. A target is the file that defines
# LLVMFuzzerTestOneInput and what it needs; its corpus is a directory of inputs worth keeping.
host-fuzz-frame := tests/host/fuzz.c tests/host/check.c tests/host/hostarch.c tests/host/hostmem.c \
    tests/host/hostthread.c kernel/page.c kernel/wait.c kernel/mutex.c lib/base/string.c tests/host/fuzz_apart.c
host-fuzz-xen := tests/host/hostcpus.c tests/host/fakexen.c tests/host/fakestore.c \
    tests/host/fakeback.c lib/base/format.c lib/base/parse.c $(filter-out %/page.c %/wait.c \
    %/mutex.c %/heap.c %/vmap.c,$(filter kernel/%.c,$(host-modules))) \
    frontends/common/xenbus.c frontends/common/life.c
fuzzers := erofs blk net core stack
fuzz-erofs-srcs := tests/host/fuzz_erofs.c lib/fs/block.c lib/fs/memdev.c lib/fs/erofs.c
fuzz-blk-srcs := tests/hostile/fuzz_blk.c tests/hostile/blk.c $(host-fuzz-xen) \
    $(filter frontends/blkfront/%,$(host-modules))
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 300

fuzz-net-srcs := tests/hostile/fuzz_net.c $(host-fuzz-xen) \
    $(filter frontends/netfront/%,$(host-modules))
fuzz-core-srcs := tests/hostile/fuzz_core.c $(host-fuzz-xen)
fuzz-stack-srcs := tests/hostile/fuzz_stack.c $(host-fuzz-xen) $(host-net) $(LWIP_SRCS) \
    $(filter frontends/netfront/% lib/posix/%,$(host-modules)) lib/libc/timespec.c
host-fuzz-objs := $(patsubst %.c,$(BUILD)/host-fuzz/%.o,$(sort $(host-fuzz-frame) \
    $(foreach f,$(fuzzers),$(fuzz-$f-srcs))))
$(BUILD)/host-fuzz/kernel/page.o: HOST_CPPFLAGS += $(foreach f,$(host-renamed-page),-Dpage_$f=kernel_page_$f)
$(BUILD)/host-fuzz/lib/base/string.o: HOST_CPPFLAGS += $(foreach f,$(host-renamed),-D$f=base_$f)
host-fuzz-net-objs := $(patsubst %.c,$(BUILD)/host-fuzz/%.o,$(host-net) $(LWIP_SRCS) tests/hostile/fuzz_stack.c)
$(host-fuzz-net-objs): $(wildcard lib/net/port/*.h lib/net/port/arch/*.h)
$(host-fuzz-net-objs): HOST_CPPFLAGS += $(host-net-flags)
$(foreach f,lib/posix/poll lib/posix/select lib/posix/pipe,$(BUILD)/host-fuzz/$f.o): \
    HOST_CPPFLAGS += $(foreach f,$(host-renamed-posix),-D$f=posix_$f)
# (it calls netif_poll as a function of void *, which newer versions of clang see)
$(BUILD)/host-fuzz/$(DEPS)/lwip/%.o: HOST_CFLAGS += -fno-sanitize=alignment,shift,function

$(BUILD)/host-fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_FUZZ_CC) $(HOST_CPPFLAGS) $(HOST_CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

fuzz-stack-flags := $(LWIP_WRAPS)
define fuzzer
$(BUILD)/host-fuzz/fuzz_$(1): $(patsubst %.c,$(BUILD)/host-fuzz/%.o,$(host-fuzz-frame) $(fuzz-$(1)-srcs))
	$(HOST_FUZZ_CC) $(HOST_CFLAGS) -fsanitize=fuzzer $(fuzz-$(1)-flags) $$^ -o $$@
.PHONY: fuzz-$(1)
endef
$(foreach f,$(fuzzers),$(eval $(call fuzzer,$f)))

fuzz-erofs: $(BUILD)/host-fuzz/fuzz_erofs $(host-images)/made ## the file system's fuzzer (needs clang)
fuzz-blk: $(BUILD)/host-fuzz/fuzz_blk ## blkfront's
fuzz-net: $(BUILD)/host-fuzz/fuzz_net ## netfront's
fuzz-core: $(BUILD)/host-fuzz/fuzz_core ## that of store, console, events and the handshake
fuzz-stack: $(BUILD)/host-fuzz/fuzz_stack ## that of the interface and lwIP, by frames

# FUZZ: which ones; FUZZ_SECONDS: how long each. What they find and learn goes to the build directory, they
# start from that and from tests/hostile/corpus-NAME.
FUZZ ?= $(fuzzers)
FUZZ_FLAGS := -len_control=0 -timeout=60 -rss_limit_mb=4096
fuzz-max-len = $(if $(filter erofs,$(1)),32768,1024)
# (a process for each input takes longer)
fuzz-runs = $(if $(filter core stack,$(1)),$(shell expr $(FUZZ_RUNS) / 4),$(FUZZ_RUNS))
fuzz-seeds = $(wildcard tests/hostile/corpus-$(1)) $(if $(filter erofs,$(1)),$(host-images)/seeds)
fuzz-dir = $(abspath $(BUILD))/fuzz/$(1)
run-fuzzer = mkdir -p $(call fuzz-dir,$(1)) && ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 \
    $(BUILD)/host-fuzz/fuzz_$(1) $(FUZZ_FLAGS) -max_len=$(call fuzz-max-len,$(1)) $(2) -artifact_prefix=$(call fuzz-dir,$(1))- \
    $(call fuzz-dir,$(1)) $(call fuzz-seeds,$(1)) >$(call fuzz-dir,$(1).log) 2>&1 || \
    { tail -n 40 $(call fuzz-dir,$(1).log); echo '0 passed, 1 failed'; exit 1; }
fuzz-report = echo "$(1): $$(sed -n 's/^Done \(.*\)/\1/p' $(call fuzz-dir,$(1).log)), $$(ls $(call fuzz-dir,$(1)) | wc -l) inputs kept"
.PHONY: fuzz check-fuzz
fuzz: $(FUZZ:%=fuzz-%) ## fuzz FUZZ='erofs blk' for FUZZ_SECONDS=60 each (needs clang)
	@$(foreach f,$(FUZZ),$(call run-fuzzer,$f,-max_total_time=$(FUZZ_SECONDS)); $(call fuzz-report,$f);)
check-fuzz: $(fuzzers:%=fuzz-%)
	@$(foreach f,$(fuzzers),$(call run-fuzzer,$f,-seed=1 -runs=$(call fuzz-runs,$f)); $(call fuzz-report,$f);) \
	    echo '$(words $(fuzzers)) passed, 0 failed'

-include $(host-fuzz-objs:.o=.d) $(host-objs:.o=.d)
