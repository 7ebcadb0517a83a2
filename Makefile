# icl.h: `make` builds the command, `make demo` shows it on real data, `make test` tests everything that
# a C compiler and make can test.  `make help` lists the rest.

CC      ?= cc
CFLAGS  ?= -O2
WARN     = -Wall -Wextra
LDLIBS   = -lm -lpthread
HEADERS  = icl.h icl_train.h
TOOLS    = $(filter-out tools/bundled.c tools/embed_file.c,$(wildcard tools/*.c))
UNITS    = golden kernels bits loader api train sampler baselines tools features
UNITS   := $(foreach t,$(UNITS),$(if $(wildcard tests/test_$(t).c),$(t)))

# PNG output where Debian's libstb-dev is installed.
STB := $(shell printf '\043include <stb/stb_image_write.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo -DICL_HAVE_STB)

all: build/icl

build/icl: $(TOOLS) build/bundled.o $(wildcard tools/*.h) $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS $(STB) -I. -o $@ $(TOOLS) build/bundled.o $(LDLIBS)

# The models inside the command: examples/models as C arrays.
TABLE = examples/models/table.safetensors

build/bundled.o: tools/bundled.c tools/bundled.h build/bundled_curves.h build/bundled_table.h
	$(CC) -std=c99 $(CFLAGS) $(WARN) -DICL_BUNDLED -Ibuild -c -o $@ $<

build/bundled_curves.h: examples/models/curves.safetensors build/embed_file
	build/embed_file $< curves > $@

build/bundled_table.h: $(TABLE) build/embed_file
	build/embed_file $< table > $@

build/embed_file: tools/embed_file.c | build
	$(CC) -std=c99 $(WARN) -o $@ $<

.DELETE_ON_ERROR:

build/%: examples/%.c $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -I. -o $@ $< $(LDLIBS)

build/test_%: tests/test_%.c tests/test.h $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS $(TESTFLAGS) -I. -o $@ $< $(LDLIBS)

build/test_tools: $(wildcard tools/*.c tools/*.h)

# Both headers as a library: the PyTorch tools draw their prompts with it.
build/libicl_train.so: $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -fPIC -shared -I. -o $@ tools/impl.c $(LDLIBS)

build:
	mkdir -p build

# The main job, on real data with the bundled models.
demo: build/icl build/demo
	@build/demo

# Every test program prints "name: N passed, N failed, N skipped"; the last line is their sum.
test: build/icl $(UNITS:%=build/test_%)
	@sh tests/run.sh build $(UNITS)

clean:
	rm -rf build

# What needs more than a compiler; each says what it lacks, and .ci/run installs it all.
golden:      ; python3 tools/make_golden.py
torch: build/icl build/libicl_train.so ; @python3 tests/test_torch.py build/icl
data:        ; python3 tools/make_data.py
compile:     ; sh tests/compile/run.sh
sanitize:    ; sh tests/sanitize.sh
platforms:   ; sh tests/platforms.sh
mcu:         ; sh examples/mcu/mcu.sh
models:      ; sh examples/models/train.sh
# build/icl.html: the models in a page that opens from disk; and the page in headless Chromium.
web: build/icl ; python3 examples/web/build.py
web-test:    ; sh tests/web/run.sh
# icl beside PyTorch, torch.compile and ONNX Runtime, as far as they are there; a quarter of an hour.
bench: build/icl ; @python3 tools/bench.py
# The bundled models on real data, beside other methods; REAL='--domains' and the like are options.
real:
	@if command -v python3 > /dev/null; then CC='$(CC)' python3 tools/real.py $(REAL); \
	 else echo 'real: skipped: needs python3 and numpy'; fi

help:
	@echo 'make            build/icl'
	@echo 'make demo       predictions on real data with the bundled models'
	@echo 'make test       the tests; closing line "N passed, N failed"'
	@echo 'make compile    the compile matrix: standards, compilers, macros, flags, systems (zig)'
	@echo 'make sanitize   the tests under ASan, UBSan, TSan, MSan, valgrind and without SIMD'
	@echo 'make platforms  the tests on AArch64, armv7, riscv64, s390x and i686, under qemu, and as WebAssembly'
	@echo 'make mcu        a calibration on Cortex-M4F, M7, M55 and M3, under qemu, and its budgets'
	@echo 'make golden     tests/golden from PyTorch and transformers'
	@echo 'make torch      the tools for PyTorch: export, import, training'
	@echo 'make web        build/icl.html: drag points, see the curve; web-test tests it in Chromium'
	@echo 'make models     examples/models from scratch (some 40 minutes)'
	@echo 'make real       the bundled models on 81 small real tasks, beside ridge, GP, spline ..'
	@echo "make bench      the table of speeds, beside PyTorch and ONNX Runtime where installed"

.PHONY: all demo test clean golden torch data compile sanitize platforms mcu models web web-test bench real help
