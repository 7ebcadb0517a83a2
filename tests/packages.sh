#!/bin/sh
# The library as other people's build systems take it: for each a program outside of this folder that asks
# for icl as its users do, is built, and predicts.  What is not installed is skipped, with a line.
#
#     tests/packages.sh
#
# Ends with "packages: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

top=$(cd "$(dirname "$0")/.." && pwd)
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0 skipped=0
version=$(sed -n 's/^#define ICL_VERSION "\(.*\)".*/\1/p' "$top/icl.h")
model=$top/examples/models/curves.safetensors

# ok NAME COMMAND...: runs it; its output shows where it fails
ok() {
  name=$1; shift
  if "$@" > "$t/log" 2>&1; then passed=$((passed + 1)); echo "ok       $name"
  else failed=$((failed + 1)); echo "FAILED   $name"; tail -n 12 "$t/log"; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }
has() { command -v "$1" > /dev/null 2>&1 && "$1" --version > /dev/null 2>&1; }
part() { rm -rf "${t:?}/$1"; mkdir -p "$t/$1" && cd "$t/$1"; }

# The user's program: prints the version that it was built with, and f(5) of a saturating curve.
program() {
  cat > program.c << 'END'
#define ICL_IMPLEMENTATION
#include <icl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
  const float x[] = {1, 2, 3, 4, 6, 8}, y[] = {2.1f, 3.4f, 4.6f, 5.1f, 6.3f, 6.8f}, q = 5;
  icl_model *model;
  icl_ctx *ctx;
  float at;
  if (argc != 2 || icl_load(&model, argv[1], NULL) || icl_ctx_new(&ctx, model, 6, 1)) return 1;
  if (icl_standardize(ctx, 6, x, y) || icl_add_batch(ctx, 6, x, y) || icl_predict(ctx, &q, &at)) return 1;
  printf("%s %d\n", icl_version(), at > 5.2f && at < 6.2f);
  icl_ctx_delete(ctx);
  icl_unload(model);
  return 0;
}
END
}
runs() { said=$("$1" "$model") && echo "$said" && [ "$said" = "$version 1" ]; }

# ----- versions: one place, the header -------------------------------------------------------------

versions() {
  cd "$top" || return 1
  bad=0
  same() { [ "$2" = "$version" ] || { echo "$1: '$2', icl.h: '$version'"; bad=1; }; }
  first() { sed -n "s/$2/\\1/p" "$1" | head -n 1; }
  number=$(first icl.h '^#define ICL_VERSION_NUMBER \([0-9]*\).*')
  same ICL_VERSION_NUMBER "$((number / 10000)).$((number / 100 % 100)).$((number % 100))"
  same 'top of icl.h' "$(first icl.h '^.\* icl.h \([0-9.]*\) .*')"
  same 'top of icl_train.h' "$(first icl_train.h '^.\* icl_train.h \([0-9.]*\) .*')"
  same meson.build "$(first meson.build "^project(.* version: '\\([^']*\\)'.*")"
  same library.json "$(first library.json '^ *"version": "\(.*\)",')"
  same library.properties "$(first library.properties '^version=\(.*\)')"
  same idf_component.yml "$(first idf_component.yml '^version: "\(.*\)"')"
  same tools/python/pyproject.toml "$(first tools/python/pyproject.toml '^version = "\(.*\)"')"
  same CHANGELOG.md "$(first CHANGELOG.md '^## \([0-9.]*\).*')"
  return $bad
}
ok "one version: $version" versions

# ----- CMake ---------------------------------------------------------------------------------------

cmake_user() {   # cmake_user HOW TO FIND IT, then options
  part cmake && program || return 1
  printf 'cmake_minimum_required(VERSION 3.14)\nproject(user C)\n%s\n' "$1" > CMakeLists.txt
  printf 'add_executable(user program.c)\ntarget_link_libraries(user PRIVATE icl::icl)\n' >> CMakeLists.txt
  printf 'install(TARGETS user)\n' >> CMakeLists.txt
  shift
  cmake -S . -B out -DCMAKE_BUILD_TYPE=Debug "$@" && cmake --build out && runs out/user
}
fetched() {
  cmake_user "include(FetchContent)
FetchContent_Declare(icl SOURCE_DIR \"$top\")
FetchContent_MakeAvailable(icl)" && cmake --install out --prefix "$t/cmake/prefix" &&
    [ -z "$(find "$t/cmake/prefix" -name 'icl*')" ]       # a user that does not install its parts
}
installed() { cmake -S "$top" -B "$t/build" && cmake --install "$t/build" --prefix "$t/installed"; }
found() {
  cmake_user "find_package(icl $1 REQUIRED)" -DCMAKE_PREFIX_PATH="$t/installed"
}
not_found() { ! found "$1"; }
if has cmake; then
  ok "CMake: FetchContent" fetched
  ok "CMake: install" installed
  ok "CMake: find_package of this version" found "${version%.*}"
  ok "CMake: find_package refuses 99.0" not_found 99.0
else skip "CMake: not installed"; fi

# ----- pkg-config, from make install ------------------------------------------------------------------

by_pkg_config() {
  part pkg && program || return 1
  PKG_CONFIG_PATH=$1 && export PKG_CONFIG_PATH
  [ "$(pkg-config --modversion icl)" = "$version" ] &&
    cc -O1 program.c $(pkg-config --cflags --libs icl) -o program && runs ./program
}
made() {
  make -s -C "$top" install PREFIX=/opt/icl DESTDIR="$t/dest" && [ -x "$t/dest/opt/icl/bin/icl" ] &&
    grep -q '^prefix=/opt/icl$' "$t/dest/opt/icl/share/pkgconfig/icl.pc" &&
    make -s -C "$top" install PREFIX="$t/here" && by_pkg_config "$t/here/share/pkgconfig" &&
    make -s -C "$top" uninstall PREFIX="$t/here" && [ -z "$(find "$t/here" -type f)" ]
}
if has pkg-config; then ok "pkg-config: make install, make uninstall" made
else skip "pkg-config: not installed"; fi

# ----- Meson -----------------------------------------------------------------------------------------

meson_user() {
  part meson && program && mkdir subprojects && ln -s "$top" subprojects/icl || return 1
  printf "project('user', 'c')\nicl_dep = dependency('icl', fallback: 'icl')\n" > meson.build
  printf "executable('user', 'program.c', dependencies: icl_dep)\n" >> meson.build
  meson setup out && meson compile -C out && runs out/user
}
meson_installed() {
  part meson-install && meson setup out "$top" --prefix "$t/meson-prefix" && meson install -C out &&
    [ -f "$t/meson-prefix/include/icl_train.h" ] || return 1
  if has pkg-config; then by_pkg_config "$t/meson-prefix/share/pkgconfig"; fi
}
if has meson && has ninja; then
  ok "Meson: subproject" meson_user
  ok "Meson: install" meson_installed
else skip "Meson: meson or ninja not installed"; fi

# ----- Arduino: the sketch as the builder of its IDE makes it, with the flags of real cores -------------

sketch=$top/examples/arduino/calibrate
arduino_library() {          # what the IDE demands of a library whose headers lie on top
  cd "$top" || return 1
  for key in name version author maintainer sentence paragraph category url architectures; do
    grep -q "^$key=." library.properties || { echo "library.properties lacks $key"; return 1; }
  done
  for h in $(sed -n 's/^includes=//p' library.properties | tr , ' '); do [ -f "$h" ] || return 1; done
  [ ! -d src ] && [ ! -d utility ] && [ -z "$(ls ./*.c ./*.cpp 2> /dev/null)" ]
}
preprocess() {               # an .ino is C++ with Arduino.h in front
  part arduino && cp "$sketch"/* . || return 1
  { echo '#include <Arduino.h>'; echo '#line 1 "calibrate.ino"'; cat calibrate.ino; } > calibrate.ino.cpp
}
on_this_machine() {          # degrees at the recorded counts are 5, 25, 45, 65, 75, within 3
  preprocess || return 1
  said=$(g++ -std=gnu++11 -O1 -Wall -Wextra -Werror -I"$top/tests/arduino" -I"$top" calibrate.ino.cpp engine.cpp \
    "$top/tests/arduino/main.cpp" -o host -lm 2>&1) && [ -z "$said" ] || { echo "$said"; return 1; }
  ./host > out && cat out && awk '
    BEGIN { split("5 25 45 65 75", t) }
    { d = $3 - t[NR]; if (d < -3 || d > 3) bad = 1 }
    END { exit bad || NR != 5 }' out
}
core() {                     # core FLASH RAM FLAGS...: silent, and no larger
  preprocess || return 1
  flash=$1 ram=$2
  shift 2
  for f in calibrate.ino.cpp engine.cpp "$top/tests/arduino/main.cpp"; do
    said=$(arm-none-eabi-g++ "$@" -Wall -Wextra -I"$top/tests/arduino" -I"$top" -c "$f" \
      -o "$(basename "$f").o" 2>&1) && [ -z "$said" ] || { echo "$said"; return 1; }
  done
  arm-none-eabi-g++ $(printf '%s\n' "$@" | grep -e '^-m') --specs=nano.specs --specs=nosys.specs \
    -Wl,--gc-sections ./*.o -lm -o sketch.elf || return 1
  arm-none-eabi-size sketch.elf | awk -v flash="$flash" -v ram="$ram" '
    NR == 2 { print "flash " $1 + $2 ", RAM " $2 + $3; exit !($1 + $2 <= flash && $2 + $3 <= ram) }'
}
model_is_current() {
  make -s -C "$top" "SKETCH=$t/sketch" arduino && cmp "$t/sketch/sensors_model.h" "$sketch/sensors_model.h"
}
ok "Arduino: library.properties" arduino_library
if has g++; then ok "Arduino: the sketch on this machine" on_this_machine; else skip "Arduino: no g++"; fi
ok "Arduino: the sketch's model is that of examples/mcu" model_is_current
if has arm-none-eabi-g++ && echo '#include <math.h>' | arm-none-eabi-g++ -x c++ -E - > /dev/null 2>&1; then
  common="-Os -mthumb -fdata-sections -ffunction-sections -fno-exceptions -fno-rtti"
  ok "Arduino: mbed_nano, Nano 33 BLE" core 230000 28000 $common -std=gnu++14 -mcpu=cortex-m4 \
    -mfloat-abi=softfp -mfpu=fpv4-sp-d16 -g1 -funsigned-char -fmessage-length=0 -Wvla -fomit-frame-pointer \
    -fno-delete-null-pointer-checks -Wno-missing-field-initializers -Wno-unused-parameter
  ok "Arduino: samd, SAMD51" core 230000 28000 $common -std=gnu++11 -mcpu=cortex-m4 -mfloat-abi=hard \
    -mfpu=fpv4-sp-d16 -g -fno-threadsafe-statics -nostdlib --param max-inline-insns-single=500
  ok "Arduino: samd, Zero (no floating-point unit)" core 240000 28000 $common -std=gnu++11 \
    -mcpu=cortex-m0plus -g -fno-threadsafe-statics -nostdlib --param max-inline-insns-single=500
else skip "Arduino: arm-none-eabi-g++ is not installed"; fi

# ----- PlatformIO ------------------------------------------------------------------------------------

# Its own check of library.json (but for the list of licences, which it would download), and the files that a
# user gets.
pio() {
  part pio || return 1
  cat > pack.py << 'END'
import sys
from platformio.package.manifest.schema import ManifestSchema
from platformio.package.pack import PackagePacker
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "MIT"}]})
PackagePacker(sys.argv[1]).pack(sys.argv[2])
END
  PLATFORMIO_CORE_DIR=$t/pio-core PLATFORMIO_SETTING_ENABLE_TELEMETRY=no \
    $pio_python pack.py "$top" "$t/pio/icl.tar.gz" && tar xzf icl.tar.gz && ls -R &&
    [ -f icl.h ] && [ -f examples/arduino/calibrate/calibrate.ino ] && [ ! -e tools ]
}
# A project with lib_deps, built by `pio run` for this machine.  PlatformIO's own platforms and its SCons lie behind its
# registry: a platform of ten lines and pip's SCons stand in for them.  What finds and adds the library is its own.
pio_run() {
  part pio-run && mkdir -p src here/builder core/packages/tool-scons && (cd src && program) || return 1
  cat > here/platform.json << 'END'
{"name": "here", "title": "this machine", "version": "1.0.0", "description": "its cc", "license": "MIT",
 "engines": {"platformio": ">=6"}, "frameworks": {}, "packages": {}}
END
  printf 'from platformio.public import PlatformBase\n\nclass HerePlatform(PlatformBase):\n    pass\n' > here/platform.py
  cat > here/builder/main.py << 'END'
from SCons.Script import Default, DefaultEnvironment
env = DefaultEnvironment()
env.Replace(PROGNAME="program")
Default(env.BuildProgram())
END
  printf 'import SCons.Script\nSCons.Script.main()\n' > core/packages/tool-scons/scons.py
  $pio_python -c 'import json
from platformio.dependencies import get_core_dependencies
version = get_core_dependencies()["tool-scons"].lstrip("~^=")
said = {"name": "tool-scons", "version": version}
spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
json.dump(said, open("core/packages/tool-scons/package.json", "w"))
json.dump(dict(said, type="tool", spec=spec), open("core/packages/tool-scons/.piopm", "w"))' || return 1
  cat > platformio.ini << END
[env:here]
platform = symlink://$t/pio-run/here
lib_deps = symlink://$top
build_flags = -O1 -lm
END
  PLATFORMIO_CORE_DIR=$t/pio-run/core PLATFORMIO_SETTING_ENABLE_TELEMETRY=no $pio_python -m platformio run &&
    runs .pio/build/here/program
}
json() { python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$top/library.json"; }
pio_python=
for python in python3 "env PYTHONPATH=$top/build/pio python3" "${PIO_PYTHON:-false}"; do
  if $python -c 'import platformio' 2> /dev/null; then pio_python=$python; break; fi
done
if [ -n "$pio_python" ]; then
  ok "PlatformIO: pack" pio
  if $pio_python -c 'import SCons' 2> /dev/null; then ok "PlatformIO: pio run" pio_run
  else skip "PlatformIO: pio run needs SCons from pip"; fi
elif has python3; then ok "PlatformIO: library.json is JSON" json; skip "PlatformIO: not installed"
else skip "PlatformIO: neither that nor python3"; fi

# ----- ESP-IDF: the branch of CMakeLists.txt, beside a stand-in for IDF's function ----------------------

idf() {
  part idf && program && mkdir -p components && ln -s "$top" components/icl || return 1
  cat > CMakeLists.txt << 'END'
cmake_minimum_required(VERSION 3.16)
project(user C)
set(ESP_PLATFORM 1)
function(idf_component_register)       # a component's target, as far as this one needs it
  cmake_parse_arguments(c "" "" "SRCS;INCLUDE_DIRS;REQUIRES" ${ARGN})
  get_filename_component(name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  add_library(__idf_${name} INTERFACE)
  foreach(dir ${c_INCLUDE_DIRS})
    target_include_directories(__idf_${name} INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/${dir}")
  endforeach()
endfunction()
add_subdirectory(components/icl)
add_executable(user program.c)
target_link_libraries(user PRIVATE __idf_icl m)
END
  cmake -S . -B out && cmake --build out && runs out/user
}
if has cmake; then ok "ESP-IDF: component" idf; else skip "ESP-IDF: no CMake"; fi

echo "packages: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
