# Builds libqueue and the mq commands, and runs everything that checks them.
# One level, GNU make; `make help` lists the targets. What a source needs to know about the
# build is in MQ_CPPFLAGS; which sources exist is found by name, so a new file needs no line here.

VERSION := 0.1.0
# The library's own: the first number is the soname, raised with each incompatible change.
LIBVERSION := 0.1.0

# For packagers.
PREFIX  ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBDIR  ?= $(PREFIX)/lib
INCDIR  ?= $(PREFIX)/include
MANDIR  ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
SHAREDIR ?= $(PREFIX)/share/mqtools
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
CFLAGS  ?= -O2 -g
# The commands find the library beside themselves, in the build folder as after installation.
# Empty it where the library is on the system's path.
RPATH   ?= $$ORIGIN/../lib
INSTALL ?= install
PKG_CONFIG ?= pkg-config

# For us: warnings are errors; sanitizers, by comma, in a build folder of their own.
WERROR  ?=
SAN     ?=
# Seconds for each fuzzer: 10 in check, 600 in fuzz, if not given.
FUZZ_SECONDS ?=

# Headers alone: the library is loaded by who reads bodies, libqueue/mime_library.c.
MIME_PACKAGE := gmime-3.0
PACKAGES := libpcre2-8 libarchive jansson yajl libcrypto zlib
# For static linking. libarchive's own list names what every format and every kind of ACL needs; we write and read tar with gzip and
# zstd, and the linker leaves out what nothing calls (Debian's libarchive.a has a section for each function).
STATIC_PACKAGES := libpcre2-8 jansson libcrypto
STATIC_LIBS     := -Wl,--gc-sections -larchive -lzstd -lz -lyajl_s

comma := ,
B ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings $(if $(WERROR),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)

MQ_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DMQ_VERSION='"$(VERSION)"'
MQ_CFLAGS   = -std=gnu11 -pthread -fPIC -fvisibility=hidden $(WARNINGS) $(SANFLAGS) $(PKG_CFLAGS)
MQ_LDFLAGS  = -pthread $(SANFLAGS)

PKG_CFLAGS  := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
MIME_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(MIME_PACKAGE) 2>/dev/null)
PKG_LIBS    := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)
PKG_STATIC  := $(STATIC_LIBS) $(shell $(PKG_CONFIG) --static --libs $(STATIC_PACKAGES) 2>/dev/null)
CHECK_CFLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS   = $(shell $(PKG_CONFIG) --libs check)

# What exists.
LIB_SRC  := $(sort $(wildcard libqueue/*.c))
CMD_MAIN := $(sort $(wildcard cmd/mq*.c))
CMD_SRC  := $(filter-out $(CMD_MAIN),$(sort $(wildcard cmd/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/check_*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TOOL_SRC := $(sort $(wildcard tests/*.c))
SPOOL_SRC := $(sort $(wildcard tests/mkspool/*.c))
UNITS    := mqtools-expire.service mqtools-expire.timer
MAN      := $(sort $(wildcard man/*.[1-9]))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

COMMANDS := $(notdir $(CMD_MAIN:.c=))
MAP      := $(wildcard libqueue/libqueue.map)
SONAME   := libqueue.so.$(firstword $(subst ., ,$(LIBVERSION)))
REALNAME := libqueue.so.$(LIBVERSION)
ARCHIVE  := $(B)/lib/libqueue.a
SHARED   := $(B)/lib/$(REALNAME)
CMDLIB   := $(B)/obj/cmd/common.a

SBIN   := $(COMMANDS:%=$(B)/sbin/%)
STATIC := $(COMMANDS:%=$(B)/static/%)
UNIT   := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
TOOLS  := $(TOOL_SRC:tests/%.c=$(B)/tests/%) $(B)/tests/mkspool $(B)/tests/faults.so $(B)/tests/moves
FUZZ   := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)

ifeq ($(V),)
say = @printf '  %-4s %s\n' '$(1)' '$(2)';
else
say =
endif

all: lib commands

lib: $(if $(LIB_SRC),$(SHARED) $(ARCHIVE) $(B)/lib/libqueue.pc)
commands: $(SBIN)
unit: $(UNIT)
tools: $(TOOLS)
static: $(STATIC)

# --- compiling -------------------------------------------------------------------------------

# Objects depend on the flags they were made with, so a change of CC, WERROR or CFLAGS rebuilds.
FLAGS = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(MQ_CPPFLAGS) $(MQ_CFLAGS) $(RPATH)

$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || \
	    printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@

COMPILE = $(CC) $(CPPFLAGS) $(MQ_CPPFLAGS) $(INCLUDES) -MMD -MP $(CFLAGS) $(MQ_CFLAGS) $(EXTRA_CFLAGS)

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -c -o $@ $<

# A command sees the library as any other program would: one header, in a folder of its own.
$(B)/obj/cmd/%.o: INCLUDES = -I$(B)/include
$(call obj,$(CMD_MAIN) $(CMD_SRC)): | $(B)/include/libqueue.h
$(B)/include/libqueue.h: libqueue/libqueue.h
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@

$(call obj,$(wildcard libqueue/mime*.c) $(wildcard libqueue/static/*.c)): EXTRA_CFLAGS = $(MIME_CFLAGS) -Ilibqueue

$(B)/obj/tests/unit/%.o: INCLUDES = -Ilibqueue -Icmd -Itests/unit
$(B)/obj/tests/unit/%.o: EXTRA_CFLAGS = $(CHECK_CFLAGS)

# --- the library -----------------------------------------------------------------------------

# A sanitizer's own functions come with the program, so its builds cannot promise "defs".
$(SHARED): $(call obj,$(LIB_SRC)) $(MAP)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -Wl,-soname,$(SONAME) \
	    $(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(MAP:%=-Wl,--version-script=%) \
	    -o $@ $(filter %.o,$^) $(PKG_LIBS)
	@ln -sf $(REALNAME) $(B)/lib/$(SONAME)
	@ln -sf $(SONAME) $(B)/lib/libqueue.so

$(ARCHIVE): $(call obj,$(LIB_SRC))
	@mkdir -p $(@D) && rm -f $@
	$(call say,AR,$@)$(AR) rcs $@ $^

# Always remade: PREFIX may differ from the last run's.
$(B)/lib/libqueue.pc: libqueue/libqueue.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' -e 's|@INCDIR@|$(INCDIR)|g' \
	    -e 's|@VERSION@|$(VERSION)|g' -e 's|@STATIC_PACKAGES@|$(STATIC_PACKAGES)|g' \
	    -e 's|@STATIC_LIBS@|$(STATIC_LIBS)|g' $< >$@

# --- programs --------------------------------------------------------------------------------

$(CMDLIB): $(call obj,$(CMD_SRC))
	@mkdir -p $(@D) && rm -f $@
	@$(AR) rcs $@ $^

$(B)/sbin/%: $(B)/obj/cmd/%.o $(CMDLIB) $(SHARED)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) $(if $(RPATH),-Wl$(comma)-rpath$(comma)'$(RPATH)') \
	    -o $@ $< $(CMDLIB) -L$(B)/lib -lqueue

# One file that runs when copied to a jammed server, whatever is installed there.
# What it has instead of a shared library comes before the archive, so that the linker does not look there.
NO_MIME := $(B)/obj/libqueue/static/mime_none.o

$(B)/static/%: $(B)/obj/cmd/%.o $(CMDLIB) $(NO_MIME) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -static $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $< $(CMDLIB) $(NO_MIME) $(ARCHIVE) $(PKG_STATIC)

# Unit tests take the archive: there hidden functions can be called.
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(CMDLIB) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $< $(CMDLIB) $(ARCHIVE) $(PKG_LIBS) $(CHECK_LIBS)

# Tools of the tests know nothing of the library.
$(B)/tests/%: $(B)/obj/tests/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $<

$(B)/tests/mkspool: $(call obj,$(SPOOL_SRC))
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $^

# What breaks the commands' calls (tests/faults), and what shows that it finds mistakes: moves over the library's own file calls.
# The first defines both open and open64, so it cannot be told that they are one.
$(B)/obj/tests/faults/faults.o: EXTRA_CFLAGS = -U_FILE_OFFSET_BITS -U_TIME_BITS
$(B)/tests/faults.so: $(B)/obj/tests/faults/faults.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $<

$(B)/obj/tests/faults/moves.o: INCLUDES = -Ilibqueue
$(B)/tests/moves: $(B)/obj/tests/faults/moves.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $< $(ARCHIVE) $(PKG_LIBS)

# --- fuzzing: clang, everything in build/fuzz ------------------------------------------------

CLANG   ?= clang
FUZZSAN := address,undefined
FUZZ_CC  = $(CLANG) $(MQ_CPPFLAGS) -Ilibqueue -MMD -MP -O1 -g -std=gnu11 -pthread $(WARNINGS) $(PKG_CFLAGS) \
           -fno-sanitize-recover=all -fno-omit-frame-pointer $(MIME_CFLAGS)

build/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$< (fuzz))$(FUZZ_CC) -fsanitize=fuzzer-no-link,$(FUZZSAN) -c -o $@ $<

build/fuzz/libqueue.a: $(patsubst %.c,build/fuzz/obj/%.o,$(LIB_SRC))
	@rm -f $@
	@$(AR) rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/libqueue.a
	$(call say,LD,$@)$(FUZZ_CC) -fsanitize=fuzzer,$(FUZZSAN) -o $@ $^ $(PKG_LIBS)

fuzzers: $(FUZZ)

# The same functions with any compiler, for files that are there (coverage, findings).
$(B)/obj/tests/fuzz/%.o: INCLUDES = -Ilibqueue
$(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(MQ_LDFLAGS) -o $@ $^ $(PKG_LIBS)

replays: $(FUZZ_SRC:tests/fuzz/%.c=$(B)/replay/%)

fuzz: fuzzers tools
	scripts/fuzz --seconds $(or $(FUZZ_SECONDS),600) --jobs $(or $(FUZZ_JOBS),1) $(notdir $(FUZZ))

# --- checking --------------------------------------------------------------------------------

# What scripts/run-tests calls for one build folder.
testprograms: all unit tools

check:
	+@scripts/run-tests $(if $(ONLY),--only "$(ONLY)") $(STAGES)

# Every call of every scenario, broken in every way.
check-faults: all tools
	tests/faults/run $(FAULTS_FLAGS)

check-live: all tools
	tests/live/run $(SUITES:%=--suite %) $(MINUTES:%=--minutes %)

SUITES ?= bookworm trixie

check-browser: all
	tests/browser/run

bench: all tools
	scripts/bench $(BENCH_FLAGS)
	scripts/bench-acting
	scripts/bench-log
	scripts/bench-from

cov:
	+@scripts/coverage

# What takes longer than a check should.
check-stories: all tools
	tests/stories

check-classify: all tools
	tests/classify

lint:
	scripts/lint

demo: all tools
	@scripts/demo-show

# --- installing ------------------------------------------------------------------------------

install: all
	$(INSTALL) -d '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCDIR)'
	$(if $(SBIN),$(INSTALL) -m 755 $(SBIN) '$(DESTDIR)$(SBINDIR)')
	$(INSTALL) -m 755 $(SHARED) '$(DESTDIR)$(LIBDIR)'
	ln -sf $(REALNAME) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libqueue.so'
	$(INSTALL) -m 644 $(ARCHIVE) '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 644 $(B)/lib/libqueue.pc '$(DESTDIR)$(LIBDIR)/pkgconfig'
	$(INSTALL) -m 644 libqueue/libqueue.h '$(DESTDIR)$(INCDIR)'
	$(INSTALL) -d '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SHAREDIR)'
	@for file in $(UNITS:%='$(UNITDIR)/%') '$(SHAREDIR)/mqtools-expire.cron'; do \
	    echo "$(INSTALL) -m 644 share/$${file##*/}.in $(DESTDIR)$$file"; \
	    sed 's|@SBINDIR@|$(SBINDIR)|' share/$${file##*/}.in >'$(B)/filled' && \
	    $(INSTALL) -m 644 '$(B)/filled' "$(DESTDIR)$$file" || exit 1; \
	done
	$(INSTALL) -m 644 share/record.schema.json '$(DESTDIR)$(SHAREDIR)'
	@for page in $(MAN); do \
	    dir='$(DESTDIR)$(MANDIR)'/man$${page##*.}; \
	    echo "$(INSTALL) -m 644 $$page $$dir"; \
	    $(INSTALL) -d "$$dir" && $(INSTALL) -m 644 "$$page" "$$dir" || exit 1; \
	done
	@for shell in 'bash $(COMPDIR)/' 'zsh $(ZSHDIR)/_' 'fish $(FISHDIR)/ .fish'; do \
	    set -- $$shell; \
	    $(INSTALL) -d '$(DESTDIR)'"$${2%/*}" || exit 1; \
	    for command in $(COMMANDS); do \
	        echo "$(INSTALL) completion of $$command for $$1"; \
	        $(B)/sbin/$$command --completion $$1 >$(B)/completion && \
	        $(INSTALL) -m 644 $(B)/completion '$(DESTDIR)'"$$2$$command$$3" || exit 1; \
	    done; \
	done

# Files only: a folder may have become somebody else's too.
uninstall:
	rm -f $(foreach f,$(UNITS),'$(DESTDIR)$(UNITDIR)/$(f)') '$(DESTDIR)$(SHAREDIR)/mqtools-expire.cron'
	rm -f '$(DESTDIR)$(SHAREDIR)/record.schema.json'
	rm -f $(COMMANDS:%='$(DESTDIR)$(SBINDIR)/%') $(COMMANDS:%='$(DESTDIR)$(COMPDIR)/%')
	rm -f $(COMMANDS:%='$(DESTDIR)$(ZSHDIR)/_%') $(COMMANDS:%='$(DESTDIR)$(FISHDIR)/%.fish')
	rm -f $(foreach f,$(REALNAME) $(SONAME) libqueue.so libqueue.a pkgconfig/libqueue.pc,'$(DESTDIR)$(LIBDIR)/$(f)')
	rm -f '$(DESTDIR)$(INCDIR)/libqueue.h'
	rm -f $(foreach p,$(MAN),'$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(p)))/$(notdir $(p))')

dist:
	@mkdir -p build
	git archive --format=tar --prefix=mqtools-$(VERSION)/ HEAD | gzip -9n >build/mqtools-$(VERSION).tar.gz
	@echo build/mqtools-$(VERSION).tar.gz

clean:
	rm -rf build

version:
	@echo $(VERSION)

help:
	@echo 'all         libqueue (shared and static) and the commands, in build/'
	@echo 'static      the commands as single files without dependencies, in build/static'
	@echo 'check       build with -Werror, unit and cli tests, sanitizers, short fuzzing, lint'
	@echo '            (with SAN=address,undefined or SAN=thread: that build alone)'
	@echo 'check-stories  what mqstat says of five nights, 100,000 messages each'
	@echo 'check-classify how often its "looks like" is right'
	@echo 'check-faults acting commands broken at every call (check tries some; FAULTS_FLAGS="--only *exim*")'
	@echo 'check-live  real MTAs in throw-away rooms, as root (SUITES="bookworm trixie" MINUTES=0.33)'
	@echo 'check-browser  report.html of a pack in headless Chromium (scripts/deps browser)'
	@echo 'fuzz        fuzz every parser longer (FUZZ_SECONDS=600 each, FUZZ_JOBS=1)'
	@echo 'cov         line coverage of the tests, and of the fuzzers'"'"' corpora'
	@echo 'bench       100,000-message queues against a yardstick (BENCH_SPOOLS=DIR, BENCH_FLAGS=--cold)'
	@echo 'lint        static analysis'
	@echo 'demo        a flooded sample queue of each MTA, looked at, emptied and filled again'
	@echo 'install     DESTDIR= PREFIX=/usr/local RPATH=; uninstall removes the same files'
	@echo 'dist        build/mqtools-$(VERSION).tar.gz'
	@echo 'clean       remove build/'
	@echo 'WERROR=1, CC=clang, CFLAGS=, SAN=, V=1 change how it is built'

FORCE:
.PHONY: all lib commands unit tools static fuzzers replays fuzz testprograms check check-faults check-stories check-classify check-live check-browser bench cov \
        lint demo install uninstall dist clean version help FORCE
.SECONDARY:
.DELETE_ON_ERROR:

-include $(patsubst %.o,%.d,$(call obj,$(LIB_SRC) $(CMD_MAIN) $(CMD_SRC) $(UNIT_SRC) $(TOOL_SRC) $(SPOOL_SRC) $(wildcard tests/faults/*.c)))
-include $(wildcard build/fuzz/obj/*/*.d build/fuzz/obj/tests/fuzz/*.d)
