# SPDX-License-Identifier: BSD-2-Clause
# newlib's own test programs in one image, which runs the one that its first argument names.
#
# They are compiled unchanged, from newlib's package and never from this tree. Each is a program:
# its main gets a name of its own afterwards and all its other symbols become local. The compiler
# must not know what strcmp is, or it would answer in the library's place.
newlib-test-cases := $(shell sed -n 's/^\([^\# ]*\) .*/\1/p' $(app-dir)/cases)
newlib-test-files := $(patsubst %,newlib.%.c,$(newlib-test-cases))
newlib-test-table := $(BUILD)/apps/newlib/table.h
app-srcs := main.c $(newlib-test-files)
app-cflags := -I$(BUILD)/apps/newlib
app-deps := $(newlib-test-table)

$(newlib-test-table): $(app-dir)/cases $(app-dir)/app.mk
	@mkdir -p $(@D)
	@for name in $(newlib-test-cases); do \
	    echo "PROGRAM(\"$$name\", newlib_$$(echo $$name | tr -c 'A-Za-z0-9\n' _))"; \
	done >$@
$(BUILD)/apps/newlib/newlib.%.c.o: $(DEPS)/newlib-tests/newlib.%.c $(app-dir)/app.mk | $(DEPS_READY)
	@mkdir -p $(@D)
	$(call say,CC,$(patsubst $(DEPS)/%,%,$<))
	@$(CC) $(APP_CFLAGS) -fno-builtin -w -I$(DEPS)/newlib-tests/include -c $< -o $@
	@name=newlib_$$(echo '$*' | tr -c 'A-Za-z0-9\n' _); \
	    objcopy --redefine-sym main=$$name --keep-global-symbol=$$name $@ || { rm -f $@; exit 1; }
$(newlib-test-files:%=$(DEPS)/newlib-tests/%): | $(NEWLIB_TESTS_READY) ;
