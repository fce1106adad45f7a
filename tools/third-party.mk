# SPDX-License-Identifier: BSD-2-Clause
#
# Third-party code: fetched by tools/fetch, unpacked and built under $(DEPS).
# Nothing here depends on which compiler builds Paravane itself, so all
# variants share one $(DEPS).  The compiler flags for target code are here as
# well, because newlib must be built with the same ones.
#
#   $(DEPS)/xen-include   -isystem: <xen/xen.h>, <xen/io/netif.h>, ...
#   $(DEPS)/newlib        include/, lib/libc.a, lib/libm.a, undefined.txt
#   $(DEPS)/newlib-tests  newlib's own test programs, sources only
#   $(DEPS)/lwip          sources, compiled by us: LWIP_SRCS, LWIP_INC
#   $(DEPS)/http-parser   sources, compiled by us: HTTP_PARSER_SRCS, _INC
#
# Depend on $(XEN_HEADERS_READY), $(NEWLIB_READY), $(LWIP_READY) and
# $(HTTP_PARSER_READY), or on $(DEPS_READY) for all of them, order-only; and on
# $(NEWLIB_TESTS_READY), which only tests need.

BUILD ?= build
DEPS ?= $(BUILD)/deps
TOOLS := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

# --- flags for all code of an image ---

# What the ABI of a PV guest asks of every object, in whatever language.
TARGET_ABI_FLAGS := -m64 -mno-red-zone -fno-pic -fno-pie -fcf-protection=none \
    -fno-stack-protector
# One section per function, so that the linker drops what is not called.  Frame
# pointers are for backtraces, which is why there are no unwind tables.
TARGET_CODE_FLAGS := -O2 -g -ffunction-sections -fdata-sections \
    -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables
# Paths in debug information and __FILE__ do not tell where this was built.
TARGET_PATH_FLAGS := -ffile-prefix-map=$(CURDIR)=. \
    -ffile-prefix-map=$(abspath $(DEPS))=deps
TARGET_CFLAGS := -std=gnu11 $(TARGET_ABI_FLAGS) $(TARGET_CODE_FLAGS) \
    $(TARGET_PATH_FLAGS)
# kernel/, arch/, frontends/: Xen saves no FPU state for an upcall.  The macro
# keeps gcc's limits.h from asking for that of a C library.
KERNEL_CFLAGS = $(TARGET_CFLAGS) -ffreestanding -fno-strict-aliasing \
    -mgeneral-regs-only -D_LIBC_LIMITS_H_ -nostdinc \
    -isystem $(COMPILER_INC) $(XEN_INC)
# Everything that uses the C library.  The definitions change types in newlib's
# headers, so newlib, lwIP and applications are compiled with the same ones.
NEWLIB_DEFINES := -D__DYNAMIC_REENT__ -D_POSIX_THREADS=200809L \
    -D_POSIX_TIMERS=200809L -D_POSIX_MONOTONIC_CLOCK=200112L \
    -D_UNIX98_THREAD_MUTEX_ATTRIBUTES -D_POSIX_READER_WRITER_LOCKS=200112L \
    -D__TM_GMTOFF=tm_gmtoff -D__TM_ZONE=tm_zone
LIBC_CFLAGS = $(TARGET_CFLAGS) $(NEWLIB_DEFINES) -nostdinc \
    -isystem $(DEPS)/newlib/include -isystem $(COMPILER_INC)
# The freestanding headers of the compiler: stdint.h, stdarg.h, ...
COMPILER_INC = $(or $(COMPILER_INC_$(CC)),$(eval COMPILER_INC_$(CC) := \
    $(shell $(CC) -print-file-name=include))$(COMPILER_INC_$(CC)))
TARGET_LDFLAGS := -nostdlib -static -no-pie -Wl,--gc-sections \
    -Wl,-z,noexecstack -Wl,-z,max-page-size=64 -Wl,--build-id=none

# --- what is where ---

XEN_HEADERS_READY := $(DEPS)/.xen-headers
NEWLIB_READY := $(DEPS)/.newlib
NEWLIB_TESTS_READY := $(DEPS)/.newlib-tests
LWIP_READY := $(DEPS)/.lwip
HTTP_PARSER_READY := $(DEPS)/.http-parser
DEPS_READY := $(XEN_HEADERS_READY) $(NEWLIB_READY) $(LWIP_READY) \
    $(HTTP_PARSER_READY)

XEN_INC := -isystem $(DEPS)/xen-include
NEWLIB_LIBS := $(DEPS)/newlib/lib/libc.a $(DEPS)/newlib/lib/libm.a

lwip-src := $(DEPS)/lwip/src
LWIP_INC := -isystem $(lwip-src)/include
LWIP_SRCS := $(addprefix $(lwip-src)/, \
    $(addprefix core/, altcp.c altcp_alloc.c altcp_tcp.c def.c dns.c \
        inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c raw.c stats.c \
        sys.c tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
    $(addprefix core/ipv4/, acd.c autoip.c dhcp.c etharp.c icmp.c igmp.c \
        ip4.c ip4_addr.c ip4_frag.c) \
    $(addprefix core/ipv6/, dhcp6.c ethip6.c icmp6.c inet6.c ip6.c \
        ip6_addr.c ip6_frag.c mld6.c nd6.c) \
    $(addprefix api/, api_lib.c api_msg.c err.c if_api.c netbuf.c netdb.c \
        netifapi.c sockets.c tcpip.c) \
    netif/ethernet.c)

# Calls inside lwIP that lib/net/tso.c and lib/net/fragments.c take over.
LWIP_WRAPS := -Wl,--wrap=tcp_output -Wl,--wrap=tcp_rexmit_rto_commit \
    -Wl,--wrap=tcp_split_unsent_seg -Wl,--wrap=ip4_frag -Wl,--wrap=ip6_frag \
    -Wl,--wrap=ip6_reass

HTTP_PARSER_INC := -isystem $(DEPS)/http-parser
HTTP_PARSER_SRCS := $(DEPS)/http-parser/http_parser.c

# --- rules ---

fetch-env = BUILD='$(BUILD)' CACHE='$(CACHE)'
NEWLIB_CC ?= $(if $(shell command -v gcc),gcc,$(CC))
newlib-flags := $(strip $(NEWLIB_CC) $(TARGET_ABI_FLAGS) $(TARGET_CODE_FLAGS) \
    $(NEWLIB_DEFINES))

.PHONY: deps
deps: $(DEPS_READY) ## fetch, unpack and build the third-party code

# All at once: that reads the mirror's package lists only once.
$(DEPS)/.fetched: $(TOOLS)/pins
	@mkdir -p $(DEPS)
	@$(fetch-env) $(TOOLS)/fetch
	@touch $@

$(XEN_HEADERS_READY): $(DEPS)/.fetched
	@$(fetch-env) $(TOOLS)/fetch --unpack xen-headers $(DEPS)/xen.deb
	@rm -rf $(DEPS)/xen-include && mkdir $(DEPS)/xen-include
	@mv $(DEPS)/xen.deb/usr/include/xen $(DEPS)/xen-include/xen
	@cp $(DEPS)/xen.deb/usr/share/doc/libxen-dev/copyright $(DEPS)/xen-include/
	@rm -rf $(DEPS)/xen.deb
	@touch $@

$(NEWLIB_READY): $(DEPS)/.fetched $(TOOLS)/build-newlib $(TOOLS)/newlib-wants
	@$(fetch-env) $(TOOLS)/fetch --unpack newlib $(DEPS)/newlib.deb
	@NEWLIB_CC='$(NEWLIB_CC)' NEWLIB_DEFINES='$(NEWLIB_DEFINES)' \
	    NEWLIB_CFLAGS='$(TARGET_ABI_FLAGS) $(TARGET_CODE_FLAGS)' \
	    $(TOOLS)/build-newlib \
	    $(DEPS)/newlib.deb/usr/src/newlib/newlib-*.tar.xz $(DEPS)
	@rm -rf $(DEPS)/newlib.deb
	@echo '$(newlib-flags)' >$(DEPS)/.newlib-flags
	@touch $@

# Other flags than those it was built with: build it again.
ifneq ($(strip $(file <$(DEPS)/.newlib-flags)),$(newlib-flags))
.PHONY: newlib-flags-changed
$(NEWLIB_READY): newlib-flags-changed
endif

$(NEWLIB_TESTS_READY): $(DEPS)/.fetched
	@$(fetch-env) $(TOOLS)/fetch --unpack newlib $(DEPS)/newlib-tests.deb
	@rm -rf $(DEPS)/newlib-tests && mkdir $(DEPS)/newlib-tests
	@tar -xf $(DEPS)/newlib-tests.deb/usr/src/newlib/newlib-*.tar.xz \
	    -C $(DEPS)/newlib-tests --strip-components=3 --wildcards \
	    'newlib-*/newlib/testsuite/*'
	@rm -rf $(DEPS)/newlib-tests.deb
	@touch $@

$(LWIP_READY): $(DEPS)/.fetched
	@$(fetch-env) $(TOOLS)/fetch --unpack lwip $(DEPS)/lwip
	@touch $@

$(HTTP_PARSER_READY): $(DEPS)/.fetched
	@$(fetch-env) $(TOOLS)/fetch --unpack http-parser $(DEPS)/http-parser
	@touch $@

# Sources that a rule compiles exist once their package is unpacked.
$(LWIP_SRCS): | $(LWIP_READY) ;
$(HTTP_PARSER_SRCS): | $(HTTP_PARSER_READY) ;
$(NEWLIB_LIBS): | $(NEWLIB_READY) ;
