# Hearth. `make help` lists what can be made. Variants never share objects:
# build/release, build/asan, build/tsan, build/fuzz. CC=clang goes to build/release-clang, another
# processor's to build/release-aarch64.
BUILD ?= release
CC    ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
cc_name := $(if $(findstring clang,$(CC)),-clang,)$(if $(findstring aarch64,$(CC)),-aarch64,)
B := build/$(BUILD)$(cc_name)

PACKAGES := jansson libpcre2-8 icu-uc icu-i18n libxml-2.0 libedit libcurl libcrypto hwloc libmicrohttpd sqlite3 yaml-0.1
pkg_cflags := $(if $(PACKAGES),$(shell pkg-config --cflags $(PACKAGES)))
pkg_libs   := $(if $(PACKAGES),$(shell pkg-config --libs $(PACKAGES)))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wundef -Werror
FLAGS_release := -O2 -g
# Reports of sanitizers need lines, not variables, which cost a third of the compilers' time.
FLAGS_asan    := -O1 -g1 -fPIC -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g1 -fPIC -fsanitize=thread
FLAGS_fuzz    := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_ALL := -std=c17 -D_GNU_SOURCE -ffp-contract=off -Isrc -Iinclude -include base/banned.h -MMD -MP -pthread \
              $(WARN) $(FLAGS_$(BUILD)) $(filter -I% -D%,$(pkg_cflags)) $(CFLAGS)
LIBS := $(pkg_libs) -lm -ldl -pthread

# Without the command line, everything is one library, which tests and fuzzers link.
LIB_SRC  := $(sort $(shell find src -name '*.c' -not -path 'src/cli/*' -not -name store_postgres.c))
CLI_SRC  := $(sort $(wildcard src/cli/*.c))
TEST_SRC := $(sort $(shell find tests/unit tests/kernels tests/golden tests/simulation -name 'test_*.c' 2>/dev/null))
HELP_SRC := $(sort $(wildcard tests/support/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard bench/bench_*.c))

obj = $(patsubst %.c,$(B)/%.o,$(1))
TESTS  := $(patsubst %.c,$(B)/%,$(TEST_SRC))
REPLAY := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/replay_%,$(FUZZ_SRC))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz-clang/%,$(FUZZ_SRC))
BENCHES := $(patsubst %.c,$(B)/%,$(BENCH_SRC))

# PostgreSQL is a shared object beside the binary, loaded when a ledger asks for it; left out without libpq.
POSTGRES := $(if $(shell pkg-config --exists libpq && echo yes),$(B)/hearth-postgres.so)

all: $(B)/hearth $(POSTGRES)

# One instruction set a file, compiled with that file's flags; the baseline is plain x86-64 or AArch64.
machine := $(shell $(CC) -dumpmachine)
isas_x86_64     := avx2 avx2_vnni avx512 avx512_vnni amx_int8
isas_aarch64    := neon_dotprod neon_i8mm
isa_avx2        := -mavx2 -mfma -mf16c
isa_avx2_vnni   := $(isa_avx2) -mavxvnni
isa_avx512      := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mavx2
isa_avx512_vnni := $(isa_avx512) -mavx512vnni
isa_amx_int8    := $(isa_avx512_vnni) -mamx-tile -mamx-int8
isa_neon_dotprod := -march=armv8.2-a+dotprod
isa_neon_i8mm    := -march=armv8.2-a+dotprod+i8mm
isas := $(isas_$(firstword $(subst -, ,$(machine))))
isa_flags = $(foreach i,$(isas),$(if $(filter %_$(i),$(1)),$(isa_$(i))))

# The version comes from git; a tarball without it says what VERSION says.
VERSION := 0.1.0
$(B)/src/cli/%.o: CFLAGS_ALL += -DHEARTH_VERSION='"$(VERSION)"'

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(call isa_flags,$(basename $<)) -c -o $@ $<

# Rounding is all arithmetic, in short loops. Sanitized ones are hardly slower without, and compile in a quarter of the time.
ifneq ($(filter release,$(BUILD)),)
$(B)/src/local/quantize/%.o: CFLAGS_ALL += -O3
endif

# The web page is part of the binary (src/server/web_page_files.c).
$(B)/src/server/web_page_files.o: $(wildcard src/server/web_page/*)

$(B)/libhearth.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	ar rcs $@ $^

# What tests are linked with, and by which linker. Linking 170 programs with a sanitized library each costs half of what
# compiling everything does, so under sanitizers they share it (and -fPIC keeps its tables where their guards are).
linker := $(firstword $(foreach l,lld gold,$(if $(shell command -v ld.$l),-fuse-ld=$l)))
ifneq ($(filter asan tsan,$(BUILD)),)
LIB := $(B)/libhearth.so
in_lib = -Wl,-rpath,$(CURDIR)/$(B)
# Tests' own code is sanitized too, but what computes little need not be optimized: that halves the compiler's time.
$(filter-out $(B)/tests/unit/backend/%,$(filter $(B)/tests/unit/%,$(TESTS:=.o))): CFLAGS_ALL += -O0
$(LIB): $(call obj,$(LIB_SRC))
	$(CC) $(FLAGS_$(BUILD)) $(linker) -shared -Wl,-soname,$(@F) -o $@ $^ $(LIBS)
else
LIB := $(B)/libhearth.a
endif

$(B)/hearth: $(call obj,$(CLI_SRC)) $(B)/libhearth.a
	$(CC) $(FLAGS_$(BUILD)) -o $@ $^ $(LIBS)

$(B)/pic/src/ledger/store_postgres.o: CFLAGS_ALL += $(shell pkg-config --cflags libpq 2>/dev/null)
$(B)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -fPIC -fvisibility=hidden -c -o $@ $<
$(B)/hearth-postgres.so: $(patsubst %,$(B)/pic/src/%.o,ledger/store_postgres base/error base/memory)
	$(CC) $(FLAGS_$(BUILD)) -shared -o $@ $^ $(shell pkg-config --libs libpq)

$(TESTS): $(B)/%: $(B)/%.o $(call obj,$(HELP_SRC)) $(LIB)
	$(CC) $(FLAGS_$(BUILD)) $(linker) $(in_lib) -o $@ $^ -lcmocka $(LIBS)

# A fuzz target is one file; the same file replays its corpus without a fuzzer (tests/fuzz/replay.c).
$(REPLAY): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o $(LIB)
	$(CC) $(FLAGS_$(BUILD)) $(linker) $(in_lib) -o $@ $^ $(LIBS)

# What a compiler warns of outside the library, without generating code: clang builds the library for its fuzz
# targets, with the same warnings as errors.
WARN_SRC := $(sort $(shell find src/cli tests bench -name '*.c' -not -path 'tests/e2e/*' -not -path 'tests/cross/*')) $(if $(POSTGRES),src/ledger/store_postgres.c)
warnings: $(WARN_SRC:%.c=$(B)/%.warned) ## warnings of what is not the library (scripts/test.sh: with CC=clang BUILD=fuzz)
$(B)/src/cli/%.warned: CFLAGS_ALL += -DHEARTH_VERSION='"$(VERSION)"'
$(B)/src/ledger/store_postgres.warned: CFLAGS_ALL += $(shell pkg-config --cflags libpq 2>/dev/null)
$(B)/%.warned: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(call isa_flags,$(basename $<)) -MF $@.d -MT $@ -fsyntax-only $<
	@touch $@

$(BENCHES): $(B)/%: $(B)/%.o $(B)/libhearth.a
	$(CC) $(FLAGS_$(BUILD)) -o $@ $^ $(LIBS)

# Fuzz targets are of parsers; the unrolled loops of kernels and of rounding take clang minutes with sanitizers.
build/fuzz-clang/src/local/kernels/%.o build/fuzz-clang/src/local/quantize/%.o: CFLAGS_ALL := $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(CFLAGS_ALL))
build/fuzz-clang/fuzz_%: build/fuzz-clang/tests/fuzz/fuzz_%.o build/fuzz-clang/libhearth.a
	clang $(FLAGS_fuzz) -fsanitize=fuzzer $(linker) -o $@ $^ $(LIBS)

# A double of the vendors' APIs, which shares nothing with src/ but buffers and JSON (tests/double).
DOUBLE_SRC := $(sort $(wildcard tests/double/*.c)) $(addprefix src/base/,base64.c buf.c clock.c error.c hash.c json.c mapping.c memory.c utf8.c)
DOUBLE := $(B)/tests/double/vendor_double
LOAD := $(B)/bench/proxy_load
$(DOUBLE): $(call obj,$(DOUBLE_SRC))
	$(CC) $(FLAGS_$(BUILD)) -o $@ $^ -ljansson -lcrypto -lm
$(LOAD): $(call obj,bench/proxy_load.c bench/proxy_answer.c src/base/buf.c src/base/clock.c src/base/memory.c src/base/utf8.c)
	$(CC) $(FLAGS_$(BUILD)) -o $@ $^
double: $(DOUBLE) $(LOAD)        ## build the double of the vendors' APIs, and the load for it and its proxies

libhearth: $(B)/libhearth.a
tests: $(TESTS) $(REPLAY) $(DOUBLE) $(POSTGRES) ## build every test program
test: all tests                  ## build and run all tests
	tools/run-tests $(B)

# What of it needs no library, for 64-bit Arm: static, with a small cmocka and without hwloc (tests/cross).
NEON_SRC := tests/cross/cores.c $(filter-out %/json.c src/base/cores.c,$(wildcard src/base/*.c src/local/tensor/*.c src/local/kernels/*.c src/local/backend/*.c)) $(wildcard tests/support/emulated*.c)
NEON_TESTS := $(B)/neon/test_matmul $(B)/neon/test_cpu $(B)/neon/test_cpu_attention
$(B)/neon/test_matmul: $(B)/tests/kernels/test_matmul.o
$(B)/neon/test_cpu: $(B)/tests/unit/backend/test_cpu.o
$(B)/neon/test_cpu_attention: $(B)/tests/unit/backend/test_cpu_attention.o
$(NEON_TESTS): $(call obj,$(NEON_SRC))
	@mkdir -p $(@D)
	$(CC) $(FLAGS_$(BUILD)) -static -o $@ $^ -lm -pthread
neon-tests: CFLAGS_ALL += -Itests/cross
neon-tests: $(NEON_TESTS)
neon:                            ## the kernels' tests for 64-bit Arm, under an emulator
	tools/test-neon
neon-short:                      ## the same with fewer rounds, as scripts/test.sh does
	$(short) $(MAKE) neon

# A short run runs every test, but the longest try fewer of their many like cases (HEARTH_SHORT), and browsers wait for
# the release build's.
short := HEARTH_SHORT=1 HEARTH_BROWSER= HEARTH_KILLS=40 HEARTH_SEEDS=1
asan:                            ## the tests under AddressSanitizer and UBSan
	$(MAKE) BUILD=asan test
asan-short:                      ## the same with fewer rounds, as scripts/test.sh does
	$(short) $(MAKE) BUILD=asan test
tsan:                            ## the engine's and the threads' tests under ThreadSanitizer
	$(MAKE) BUILD=tsan test-threads
tsan-short:                      ## the same with fewer rounds, as scripts/test.sh does
	$(short) $(MAKE) BUILD=tsan test-threads
threaded := test_queue test_thread_pool test_cpu test_packed test_engine test_provider test_remote test_local test_gateway test_flight test_ledger test_limits test_model_names test_router test_egress test_summarize test_api
THREAD_TESTS := $(foreach t,$(TESTS),$(if $(strip $(foreach n,$(threaded),$(findstring /$(n),$(t)))),$(t)))
SERVER_TESTS := tests/e2e/test_serve.py tests/e2e/test_serve_hostile.py tests/e2e/test_serve_streams.py tests/e2e/test_serve_models.py tests/e2e/test_serve_summaries.py tests/e2e/test_serve_keys.py tests/e2e/test_gateway_faults.py tests/e2e/test_gateway_reload.py
test-threads: $(THREAD_TESTS) $(B)/hearth $(DOUBLE)
	HEARTH_KILLS=60 tools/run-tests $(B) $(THREAD_TESTS) $(SERVER_TESTS)

$(B)/tests/guards/guards: $(B)/tests/guards/guards.o $(call obj,$(HELP_SRC)) $(B)/libhearth.a
	$(CC) $(FLAGS_$(BUILD)) -o $@ $^ -lcmocka $(LIBS)
guards: $(B)/tests/guards/guards ## count the instructions of the hot paths (needs valgrind)
	tools/run-guards $< $(CC) $(GUARDS)

simulation: $(B)/tests/simulation/test_scheduler ## a million random steps of the scheduler
	HEARTH_SIMULATION=10 $<

BILLING_RUNS ?= 10000
billing: all $(DOUBLE)           ## bill BILLING_RUNS random requests, and compare with what the vendors' double served
	HEARTH_BIN=$(B)/hearth tests/e2e/test_billing.py --runs $(BILLING_RUNS)

FUZZ_SECONDS ?= 20
fuzz:                            ## run every fuzz target for FUZZ_SECONDS
	$(MAKE) BUILD=fuzz CC=clang fuzzers
	tools/run-fuzz $(FUZZ_SECONDS) $(FUZZERS)
fuzzers: $(FUZZERS)

fuzz-server:                     ## 100,000 bad requests to a real server under AddressSanitizer and UBSan
	$(MAKE) BUILD=asan all
	HEARTH_BIN=build/asan/hearth tools/fuzz-server --requests 100000

bench: all $(BENCHES) $(LOAD)    ## build the benchmarks of bench/
golden:                          ## make the golden files again (needs Python packages, see tools/README.md)
	tools/make-golden
check:                           ## layers, headers alone, sizes, format, cppcheck, clang-tidy
	tools/check
format:                          ## clang-format every file of ours
	git ls-files '*.c' '*.h' | xargs clang-format -i

PREFIX ?= /usr/local
install: all                     ## install below PREFIX
	install -D $(B)/hearth $(DESTDIR)$(PREFIX)/bin/hearth
	[ -z "$(POSTGRES)" ] || install -D -m 644 $(POSTGRES) $(DESTDIR)$(PREFIX)/lib/hearth/hearth-postgres.so
	for f in models/*.gguf; do install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/hearth/$$(basename $$f); done
	install -D -m 644 share/hearth/prices.json $(DESTDIR)$(PREFIX)/share/hearth/prices.json
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	for c in $$($(B)/hearth help --commands); do \
	  $(B)/hearth help --man $$c > $(DESTDIR)$(PREFIX)/share/man/man1/hearth-$$c.1; done
	$(B)/hearth help --man > $(DESTDIR)$(PREFIX)/share/man/man1/hearth.1
	$(B)/hearth help --completion > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hearth

clean:                           ## remove build/
	rm -rf build
help:                            ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: libhearth all tests test warnings asan-short tsan-short fuzz-server double simulation guards neon neon-short neon-tests asan tsan test-threads fuzz fuzzers billing bench golden check format install clean help
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
