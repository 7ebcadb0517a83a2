# icl.h: `make` builds the command, `make demo` shows it on real data, `make test` tests everything that
# a C compiler and make can test.  `make help` lists the rest.

CC      ?= cc
CFLAGS  ?= -O2
WARN     = -Wall -Wextra
LDLIBS   = -lm -lpthread
HEADERS  = icl.h icl_train.h
TOOLS    = $(wildcard tools/*.c)
UNITS    = golden kernels loader api train sampler baselines features
UNITS   := $(foreach t,$(UNITS),$(if $(wildcard tests/test_$(t).c),$(t)))

# PNG output where Debian's libstb-dev is installed.
STB := $(shell printf '\043include <stb/stb_image_write.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo -DICL_HAVE_STB)

all: build/icl

build/icl: $(TOOLS) $(wildcard tools/*.h) $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS $(STB) -I. -o $@ $(TOOLS) $(LDLIBS)

build/%: examples/%.c $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -I. -o $@ $< $(LDLIBS)

build/test_%: tests/test_%.c tests/test.h $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS $(TESTFLAGS) -I. -o $@ $< $(LDLIBS)

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
torch: build/icl ; @python3 tests/test_torch.py build/icl
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

help:
	@echo 'make            build/icl'
	@echo 'make demo       predictions on real data with the bundled models'
	@echo 'make test       the tests; closing line "N passed, N failed"'
	@echo 'make compile    the compile matrix: standards, compilers, macros'
	@echo 'make sanitize   the tests under ASan, UBSan, TSan, valgrind and without SIMD'
	@echo 'make platforms  the tests on AArch64, armv7, riscv64, s390x and i686, under qemu, and as WebAssembly'
	@echo 'make mcu        a calibration on Cortex-M4F, M7, M55 and M3, under qemu, and its budgets'
	@echo 'make golden     tests/golden from PyTorch and transformers'
	@echo 'make torch      the tools for PyTorch: export, import, training'
	@echo 'make web        build/icl.html: drag points, see the curve; web-test tests it in Chromium'
	@echo 'make models     examples/models from scratch (some 40 minutes)'
	@echo "make bench      the table of speeds, beside PyTorch and ONNX Runtime where installed"

.PHONY: all demo test clean golden torch data compile sanitize platforms mcu models web web-test bench help
