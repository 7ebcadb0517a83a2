# icl.h: `make` builds the command, `make demo` shows it on real data, `make test` tests everything that
# a C compiler and make can test.  `make help` lists the rest.

CC      ?= cc
CFLAGS  ?= -O2
WARN     = -Wall -Wextra
LDLIBS   = -lm -lpthread
HEADERS  = icl.h icl_train.h tools/icl_bayes.h
TOOLS    = $(filter-out tools/bundled.c tools/embed_file.c,$(wildcard tools/*.c tools/paper/*.c))
UNITS    = golden kernels bits loader parts paths api train sampler baselines tools csv blend features fuzz \
           misuse sequences memory numbers threads soak
UNITS   := $(foreach t,$(UNITS),$(if $(wildcard tests/test_$(t).c),$(t)))

# PNG output where Debian's libstb-dev is installed.
STB := $(shell printf '\043include <stb/stb_image_write.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo -DICL_HAVE_STB)

all: build/icl

build/icl: $(TOOLS) build/bundled.o $(wildcard tools/*.h tools/paper/*.h) $(HEADERS) | build
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
	$(CC) -std=c99 $(CFLAGS) $(WARN) -I. -o $@ $(filter %.c,$^) $(LDLIBS)
build/demo: $(addprefix tools/,blend.c ridge.c solve.c blend.h ridge.h solve.h)

build/test_%: tests/test_%.c tests/test.h $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS $(TESTFLAGS) -I. -o $@ $< $(LDLIBS)

build/test_misuse build/test_sequences build/test_memory build/test_soak: tests/held.h
build/test_misuse: tests/proof/calls.h
build/test_tools build/test_csv build/test_blend: tests/common_stub.h $(wildcard tools/*.c tools/*.h)
build/test_fuzz: $(wildcard tests/fuzz/*.c tests/fuzz/*.h tools/*.c tools/*.h)

# All headers as a library: the PyTorch tools draw their prompts with it.
build/libicl_train.so: $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -fPIC -shared -I. -o $@ tools/impl.c $(LDLIBS)

build:
	mkdir -p build

# The main job, on real data with the bundled models.
demo: build/icl build/demo
	@build/demo

# Every test program prints "name: N passed, N failed, N skipped"; the last line is their sum.
programs: build/icl $(UNITS:%=build/test_%)
test: programs
	@sh tests/run.sh build $(UNITS)

# The headers, the command and pkg-config's file: make install PREFIX=~/.local
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION  = $(shell sed -n 's/^.define ICL_VERSION "\(.*\)".*/\1/p' icl.h)

install: build/icl
	mkdir -p '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/pkgconfig'
	cp icl.h icl_train.h '$(DESTDIR)$(PREFIX)/include'
	cp build/icl '$(DESTDIR)$(PREFIX)/bin'
	sed 's|@prefix@|$(PREFIX)|; s|@version@|$(VERSION)|' tools/icl.pc.in > '$(DESTDIR)$(PREFIX)/share/pkgconfig/icl.pc'
uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/include/icl.h' '$(DESTDIR)$(PREFIX)/include/icl_train.h' '$(DESTDIR)$(PREFIX)/bin/icl' \
	  '$(DESTDIR)$(PREFIX)/share/pkgconfig/icl.pc'

# The model of the Arduino sketch: that of examples/mcu with I8 weights.
SKETCH = examples/arduino/calibrate
arduino: build/icl
	mkdir -p build/arduino $(SKETCH)
	build/icl quantize examples/mcu/sensors.safetensors --dtype i8 --force -o build/arduino/sensors.safetensors
	build/icl embed build/arduino/sensors.safetensors --force -o $(SKETCH)/sensors_model.h

clean:
	rm -rf build

# What needs more than a compiler; each says what it lacks, and .ci/run installs it all.
golden:      ; python3 tools/make_golden.py
torch: build/icl build/libicl_train.so ; @python3 tests/test_torch.py build/icl
data:        ; python3 tools/make_data.py
packages: build/icl ; @sh tests/packages.sh
# The Python binding: tools/python.
python: build/icl ; @sh tests/test_python.sh build/icl
compile:     ; sh tests/compile/run.sh
sanitize:    ; sh tests/sanitize.sh
platforms:   ; sh tests/platforms.sh
fuzz:        ; @sh tests/fuzz/run.sh
differential: build/verdict ; @python3 tests/proof/differential.py 2000
build/verdict: tests/proof/verdict.c icl.h | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -I. -o $@ $< $(LDLIBS)
# Lines, branches and MC/DC of icl.h, with clang 19; a gate.
coverage:    ; @python3 tests/proof/coverage.py $(COVERAGE)
# The long forms of tests that make test runs in short: LONG='sequences numbers threads soak', some minutes.
LONG = sequences numbers threads soak
proof: $(LONG:%=build/test_%) build/test_misuse build/test_memory
	@python3 tests/proof/calls.py --check && build/test_misuse && build/test_memory
	@for t in $(LONG); do build/test_$$t long || exit 1; done
mutants:     ; @python3 tests/proof/mutants.py $(MUTANTS)
# Faults of the system, power loss, kill -9, and what analysers say; the short forms are what CI runs.
# They need python3, and Linux on x86-64 for the system calls (tests/proof/shim.c).
faults: build/icl ; @python3 tests/proof/faults.py build/icl $(if $(SHORT),--short)
crash: build/icl ; @python3 tests/proof/crash.py build/icl $(if $(SHORT),--short)
kill: build/icl ; @python3 tests/proof/kill.py build/icl $(if $(SHORT),100,$(KILLS))
lint:        ; @python3 tests/proof/lint.py $(if $(SHORT),,--full)
afl:         ; @FUZZ_ENGINE=afl sh tests/fuzz/run.sh
mcu:         ; sh examples/mcu/mcu.sh
mpi:         ; sh tests/test_mpi.sh
models:      ; sh examples/models/train.sh
# build/icl.html: the models in a page that opens from disk; and the page in headless Chromium.
web: build/icl ; python3 examples/web/build.py
web-test:    ; sh tests/web/run.sh
# docs/icl.html, the committed copy, after a change of engine, models or page.
page: web ; cp build/icl.html docs/icl.html
# README and docs, as a reader follows them.
readme: build/icl ; @sh tests/test_readme.sh
# The pictures of docs: of README, and of how-it-works.md by docs/pictures.c.
DRAWS = $(addprefix tools/,plot.c canvas_svg.c canvas_png.c png.c common.c impl.c)
build/pictures: docs/pictures.c $(DRAWS) $(wildcard tools/*.h) $(HEADERS) | build
	$(CC) -std=c99 $(CFLAGS) $(WARN) -DICL_TRAIN_THREADS -I. -o $@ $< $(DRAWS) $(LDLIBS)
pictures: build/pictures build/icl
	mkdir -p docs/pictures
	for p in prompts pairs interval refine coverage; do build/pictures docs/pictures $$p || exit 1; done
	rm -f docs/peak.svg
	build/icl predict examples/real/data/1d/Eckerle4.csv --at 445,452,460 --interval 0.9 --plot docs/peak.svg --force > build/peak.csv
# icl beside PyTorch, torch.compile and ONNX Runtime, as far as they are there; a quarter of an hour.
bench: build/icl ; @python3 tools/bench.py
# The bundled models on real data, beside other methods; REAL='--domains' and the like are options.
real:
	@if command -v python3 > /dev/null; then CC='$(CC)' python3 tools/real.py $(REAL); \
	 else echo 'real: skipped: needs python3 and numpy'; fi
# What the defaults of icl predict rest on: the bundled models on fresh prompts; VALIDATE='--parts looks'.
validate: build/icl ; @CC='$(CC)' python3 tools/validate.py $(VALIDATE)

help:
	@echo 'make            build/icl'
	@echo 'make demo       predictions on real data with the bundled models'
	@echo 'make test       the tests; closing line "N passed, N failed"'
	@echo 'make compile    the compile matrix: standards, compilers, macros, flags, systems (zig)'
	@echo 'make sanitize   the tests under ASan, UBSan, TSan, MSan, valgrind and without SIMD'
	@echo 'make platforms  the tests on AArch64, armv7, riscv64, s390x and i686, under qemu, and as WebAssembly'
	@echo 'make fuzz       every fuzz target for FUZZ_SECONDS (20), libFuzzer; afl: header with AFL++, which goes on where it was'
	@echo 'make differential  2000 generated headers: the loader against Python, tests/proof/differential.py'
	@echo 'make coverage   lines, branches and MC/DC of icl.h by section, and the bars (COVERAGE=-v: what is missing)'
	@echo 'make mutants    all 4000 mutants of loader, digest, snapshot and CSV reader (MUTANTS=60: so many)'
	@echo 'make proof      all call sequences to length 5, 10^7 prompts, 10^8 appends (half an hour)'
	@echo 'make faults     every system call of a run fails with each errno; full disks, limits, closed descriptors'
	@echo 'make crash      power loss: every state of the disk during a save; kill: 10000 kill -9 (KILLS=60: so many)'
	@echo 'make lint       clang-tidy, cppcheck, gcc -fanalyzer, UBSan with integers, numerical sanitizer (SHORT=1: CI)'
	@echo 'make mcu        a calibration on Cortex-M4F, M7, M55 and M3, under qemu, and its budgets'
	@echo 'make mpi        training on several processes, under mpirun: stopped, killed, resumed'
	@echo 'make install    headers, command and pkg-config file to PREFIX (/usr/local); make uninstall'
	@echo 'make packages   the library by CMake, Meson, pkg-config, Arduino, PlatformIO and ESP-IDF'
	@echo 'make python     the Python binding, with check_estimator of scikit-learn'
	@echo 'make arduino    the model of the sketch in examples/arduino'
	@echo 'make golden     tests/golden from PyTorch and transformers'
	@echo 'make torch      the tools for PyTorch: export, import, training'
	@echo 'make web        build/icl.html: drag points, see the curve; web-test tests it in Chromium'
	@echo 'make page       docs/icl.html anew, the committed copy of that page'
	@echo 'make readme     the programs and command lines of README and docs'
	@echo 'make pictures   the pictures of docs anew'
	@echo 'make validate   the bundled models on fresh prompts of their own mixtures'
	@echo 'make models     examples/models from scratch (some 100 minutes of one core)'
	@echo 'make real       the bundled models on 81 small real tasks, beside ridge, GP, spline ..'
	@echo "make bench      the table of speeds, beside PyTorch and ONNX Runtime where installed"

.PHONY: all demo programs test coverage clean install uninstall arduino packages python golden torch data compile sanitize fuzz afl proof faults crash kill lint platforms mcu mpi models web page pictures readme web-test bench real validate help
