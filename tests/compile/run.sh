#!/bin/sh
# The compile matrix: both headers under C99, C11, C++11 and C++20, gcc and clang, with every macro,
# alone and together, as declarations and twice; two translation units linked; numbers under flags
# that give compilers a free hand; what the objects export and need; stack frames; and rules that a
# search of the source can hold.  Silent means: no output at all.  Where zig is (pip install --target
# build/zig ziglang, or a zig of the PATH), headers, command and tests under the headers of macOS,
# the BSDs, musl and Windows.
#
#     tests/compile/run.sh        (JOBS=2 at once)
#
# Ends with "compile: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

here=$(cd "$(dirname "$0")" && pwd)
warn="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wundef -Wvla -Werror"

# ----- what jobs are made of --------------------------------------------------------------------

# silent COMMAND...: succeeds and says nothing
silent() {
  said=$("$@" 2>&1)
  code=$?
  [ -z "$said" ] || echo "$said"
  [ $code -eq 0 ] && [ -z "$said" ]
}

# The trainer allocates: where that is ruled out it compiles all the same, or the first error is an
# #error that names the macro.
silent_or_told() {
  said=$("$@" 2>&1) && [ -z "$said" ] && return 0
  echo "$said" | grep -m 1 error | grep '#error\|"' | grep -q ICL_NO_MALLOC && return 0
  echo "$said"
  return 1
}

# names OBJECT WANTED OPTIONS...: every name that nm OPTIONS lists in it matches
names() {
  object=$1 wanted=$2
  shift 2
  found=$(nm "$@" "$object") || return 1
  # gcc's own helpers for position-independent i386 code do not count
  bad=$(echo "$found" | awk 'NF { print $NF }' | grep -v '^__x86\.get_pc_thunk' | grep -vE "$wanted")
  [ -z "$bad" ] || { echo "$bad"; return 1; }
}

# Exactly the public names, in C and in C++, and at least one of them; inside the object, too, only
# names of ours.
exports() {
  [ -n "$(nm -g --defined-only "$1")" ] &&
    names "$1" '^icl_[a-z0-9]+(_[a-z0-9]+)*$' -g --defined-only
}
exports_none() { names "$1" '^header_only$|^_Z11header_only' -g --defined-only; }
prefixed() {
  names "$1" '^(_ZL[0-9]+)?icl_|\.[0-9]+$|^\.|^_ZZ.*icl_|^_ZSt' --defined-only
}

# Nothing but the math library, memory and strings.
needs_nothing() {
  math='a?(sin|cos|tan)h?|sincos|exp2?|expm1|log|log2|log10|log1p|sqrt|erfc?|pow|floor|ceil|fabs'
  math="($math|fmod|rint|ldexp)f?"
  names "$1" "^$math$|^mem(cpy|set|move|cmp|chr)$|^str(len|cmp|ncmp|chr|rchr|str)$" -u
}

# No frame above 4096 bytes, and none that grows without a bound ("dynamic,bounded" is alignment).
frames() {
  [ -s "$1" ] || { echo "no figures"; return 1; }
  awk -F '\t' '$2 > 4096 || $3 == "dynamic" { print; bad = 1 } END { exit bad }' "$1"
}

# Macros that a file gets which only includes the headers, on top of those of the standard headers.
macros() {
  printf '#include <stddef.h>\n#include <stdint.h>\n#include <signal.h>\n' | $1 -dM -E - |
    sort > "$2.std"
  printf '#include "tools/icl_bayes.h"\n' | $1 -I. -dM -E - | sort > "$2.ours"
  bad=$(comm -13 "$2.std" "$2.ours" | grep -v '^#define ICL_'; grep '^#define ICL_X\b' "$2.ours")
  [ -z "$bad" ] || { echo "$bad"; return 1; }
}

# compiles SYSTEM FLAGS FILES...: none of the files gives zig cause to say anything but that there is
# no object, which -fsyntax-only does not make
compiles() {
  system=$1 flags=$2 bad=0
  shift 2
  for f in "$@"; do
    said=$($zig cc -target "$system" -fsyntax-only -Wall -Wextra -DICL_TRAIN_THREADS $flags -I. "$f" 2>&1 \
      | grep -v -e "argument unused during compilation: '-c'" -e 'failed to rename .*FileNotFound$')
    [ -z "$said" ] || { bad=1; echo "$f: $said"; }
  done
  [ $bad -eq 0 ]
}

# rule PROGRAM: the awk program prints nothing; it sees the code in $2, and where (file:line) and
# section are set.  raw_rule: the same over the lines as they are.
rule() {
  bad=$(awk -f tests/compile/strip.awk icl.h icl_train.h tools/icl_bayes.h | awk -F '\t' "
    { where = \$1; section = \$1; sub(/>>.*/, \"\", where); sub(/.*>>/, \"\", section) }
    $1")
  [ -z "$bad" ] || { echo "$bad"; return 1; }
}
raw_rule() {
  bad=$(awk "$1" icl.h icl_train.h tools/icl_bayes.h)
  [ -z "$bad" ] || { echo "$bad"; return 1; }
}

# calls FUNCTIONS: nobody calls one of f|g|h
calls() { rule "\$2 ~ /(^|[^a-zA-Z_0-9])($1) *\\(/ { print where, \$2 }"; }

# The program in the comment on top of a header compiles as it stands.
manual() {
  awk '/^ \*     #define ICL_IMPL/ { on = 1 }
       on { sub(/^ \* ?/, ""); print }
       on && /^    }$/ { exit }' "$1" > "$2.c"
  grep -q 'int main' "$2.c" &&
    silent gcc -Wall -Wextra -Wpedantic -I. -Itools "$2.c" -o "$2" -lm -lpthread
}

# "run.sh job FOLDER N" runs line N of FOLDER/jobs, "NAME<TAB>COMMAND"
if [ "$1" = job ]; then
  tmp=$2
  cd "$tmp/root" || exit 1
  line=$(sed -n "$3p" "$tmp/jobs")
  end=pass
  if ! eval "${line#*	}" > "$tmp/$3.log" 2>&1; then
    end=fail
    { echo "FAILED: ${line%%	*}"; sed 's/^/    /' "$tmp/$3.log" | head -n 5; } > "$tmp/$3.say"
  fi
  echo $end > "$tmp/$3.end"
  exit 0
fi

# ----- the jobs ---------------------------------------------------------------------------------

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$tmp/root/tests/compile" "$tmp/root/tools/paper"   # a copy, so that nobody edits between two jobs
top=$(cd "$here/../.." && pwd)
cp "$top"/*.h "$top/examples/models/curves.safetensors" "$tmp/root" &&
  cp "$top"/tools/*.[ch] "$tmp/root/tools" && cp "$top"/tools/paper/*.[ch] "$tmp/root/tools/paper" &&
  cp "$top"/tests/*.[ch] "$tmp/root/tests" &&
  cp -R "$here"/*.[ch] "$here"/*.awk "$here/msvc" "$tmp/root/tests/compile" || exit 1
: > "$tmp/jobs"
skipped=0
# job NAME COMMAND: a command of several lines becomes one
job() { printf '%s\t%s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')" >> "$tmp/jobs"; }
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }
has() { command -v "$1" > /dev/null 2>&1; }
src=tests/compile

# Compilers, each with a standard; clang under any of its names; 32 bits, where there are headers.
clang=
for c in clang clang-14 clang-15 clang-16 clang-17 clang-18 clang-19; do
  has $c && clang=$c && break
done
small=
for c in "gcc -m32" i686-linux-gnu-gcc; do
  if echo '#include <math.h>' | $c -x c -c -o /dev/null - 2> /dev/null; then small=$c; break; fi
done
compiler() {   # compiler NAME OPTIONS...
  if [ -n "$1" ] && has "${1%% *}"; then echo "$*" >> "$tmp/compilers"
  else shift; skip "compiler that is not installed: $*"; fi
}
compiler gcc -x c -std=c99 -Wstrict-prototypes
compiler "$clang" -x c -std=c99 -Wstrict-prototypes
compiler g++ -x c++ -std=c++20
compiler "$clang" -x c++ -std=c++20
compiler gcc -x c -std=c11 -Wstrict-prototypes
compiler "$clang" -x c -std=c11 -Wstrict-prototypes
compiler g++ -x c++ -std=c++11
compiler "$clang" -x c++ -std=c++11
compiler "$small" -x c -std=c99 -Wstrict-prototypes -msse2 -mfpmath=sse

n=0
while read -r cc; do
  n=$((n + 1))
  o=$tmp/$n
  level=-O1                        # in full, with the optimizer's warnings; most of it for some
  if [ $n -le 4 ]; then
    level=-O2
    job "$cc: icl.h" "silent $cc $warn -O2 -c $src/alone.c -o $o-alone.o && exports $o-alone.o"
  fi
  job "$cc: both" "silent $cc $warn $level -DICL_TRAIN_THREADS -c $src/train.c -o $o-train.o &&
    exports $o-train.o"
  job "$cc: declarations" "silent $cc $warn -c $src/header.c -o $o-header.o &&
    exports_none $o-header.o"
  check="silent $cc $warn -fsyntax-only"
  [ $n -le 4 ] || job "$cc: icl.h alone" "$check $src/alone.c"
  job "$cc: twice" "$check $src/twice.c"
  job "$cc: predictors" "$check -I. $src/bayes.c"
  job "$cc: names that others have as macros" "$check $src/names.c &&
    $check -DNAMES_IMPLEMENT -DICL_TRAIN_THREADS $src/names.c"
  job "$cc: ... behind all system headers" "$check -DNAMES_LATE $src/names.c &&
    $check -DNAMES_LATE -DNAMES_IMPLEMENT -DICL_TRAIN_THREADS $src/names.c"
  if [ $n -le 4 ]; then
    job "$cc: memory of the caller's" "$check $src/custom.c"
    job "$cc: trainer without threads" "$check $src/train.c"
  fi
  for m in -DICL_NO_SIMD -DICL_NO_MALLOC -DICL_NO_STDIO "-DICL_NO_MALLOC -DICL_NO_STDIO" \
           -funsigned-char "-DICL_API=static -Wno-unused-function" -DICL_STATIC -DICL_THREADS -DICL_NO_AVX512; do
    job "$cc: icl.h $m" "$check $m $src/alone.c"
    case $m in
      -DICL_NO_MALLOC) job "$cc: both $m" "silent_or_told ${check#silent } $m $src/train.c" ;;
      *MALLOC* | -f*) ;;
      *) job "$cc: both $m" "$check $m -DICL_TRAIN_THREADS $src/train.c" ;;
    esac
    case $m in -DICL_NO*) job "$cc: declarations $m" "$check $m $src/header.c" ;; esac
  done
done < "$tmp/compilers"
for c in aarch64-linux-gnu-gcc s390x-linux-gnu-gcc arm-linux-gnueabihf-gcc \
         "arm-linux-gnueabihf-gcc -mfpu=neon-vfpv4" riscv64-linux-gnu-gcc; do
  o=$tmp/$(echo "$c" | tr -dc a-z0-9).o   # s390x counts in double under -std=c99
  if has ${c%% *}; then
    job "$c" "silent $c $warn -std=gnu99 -O1 -c $src/train.c -o $o"
    job "$c: names" "silent $c $warn -std=gnu99 -O1 -fsyntax-only -DNAMES_IMPLEMENT $src/names.c"
  else skip "$c: not installed"; fi
done
c=x86_64-w64-mingw32-gcc o=$tmp/windows   # each header, alone and with all that it has; a program
if has $c; then
  for f in "alone.c -std=c99" "alone.c -DICL_NO_SIMD" "train.c -std=c99" "header.c -std=c99" \
           "names.c -DNAMES_LATE -DNAMES_IMPLEMENT"; do
    job "$c: $f" "silent $c $warn -fsyntax-only ${f#* } $src/${f%% *}"
  done
  job "$c: linked" "silent $c $warn -O1 -DICL_TRAIN_THREADS -c $src/train.c -o $o-1.o &&
    silent $c -c $src/user.c -o $o-2.o && silent $c $o-1.o $o-2.o -o $o.exe -lpthread && [ -s $o.exe ]"
else skip "$c: not installed"; fi
if has $c; then
  job "$c: the command" "silent $c -std=c99 -O1 -Wall -Wextra -DICL_TRAIN_THREADS -I. $(ls tools/*.c tools/paper/*.c | grep -v embed_file | tr '\n' ' ')
    -o $o-icl.exe -lm -lpthread && [ -s $o-icl.exe ]"
else skip "$c: the command"; fi
if [ -n "$clang" ]; then
  for m in "" -DICL_NO_SIMD; do
    job "clang-cl $m" "silent $clang --driver-mode=cl --target=x86_64-pc-windows-msvc /Zs /X -W3
      -imsvc $src/msvc -imsvc $($clang -print-resource-dir)/include -DICL_NO_MALLOC -DICL_NO_STDIO
      $m -I. $src/alone.c"
  done
else skip "clang-cl: no clang"; fi

# Systems that are not here, by their headers.
zig=
if has zig; then zig=zig
elif [ -d "$top/build/zig/ziglang" ]; then zig="env PYTHONPATH=$top/build/zig python3 -m ziglang"
elif python3 -c 'import ziglang' 2> /dev/null; then zig="python3 -m ziglang"
fi
export zig
for system in x86_64-macos aarch64-macos x86_64-freebsd x86_64-netbsd x86_64-linux-musl \
              x86_64-windows-gnu; do
  if [ -z "$zig" ]; then skip "$system: no zig"; continue; fi
  job "$system: headers" "compiles $system -std=c99 $src/train.c $src/alone.c $src/header.c &&
    compiles $system -std=gnu17 $src/train.c"
  job "$system: the command" "compiles $system -std=c99 tools/*.c tools/paper/*.c"
  job "$system: tests" "compiles $system '' tests/test_[agkl]*.c &&
    compiles $system '' tests/test_[bst]*.c"
done
job "ICL_ASSERT" "silent gcc $warn -O1 -include assert.h '-DICL_ASSERT(condition)=assert(condition)'
  -DICL_TRAIN_THREADS -c $src/train.c -o $tmp/assert.o"
if has nvcc; then
  job "nvcc" "silent nvcc -Xcompiler -Wall,-Wextra -x cu -c $src/alone.c -o $tmp/cuda.o && exports $tmp/cuda.o"
else skip "nvcc: not installed"; fi
job "ICL_MAX_THREADS" "silent gcc $warn -O1 -DICL_MAX_THREADS=2 -DICL_TRAIN_THREADS -c $src/train.c
  -o $tmp/two.o"
job "-O3" "silent gcc $warn -O3 -DICL_TRAIN_THREADS -c $src/train.c -o $tmp/o3.o"
for f in alone train; do           # gcc finds unused functions only where it makes code
  job "$f.c without SIMD" "silent gcc $warn -O1 -DICL_NO_SIMD -c $src/$f.c -o $tmp/plain-$f.o"
done
for m in -ffast-math -ffinite-math-only -D_M_FP_FAST; do
  job "$m is refused" "! gcc $m -fsyntax-only $src/alone.c 2> $tmp/fast$m && grep -q fast-math $tmp/fast$m"
done

job "-std=c89 is refused" "! gcc -std=c89 -fsyntax-only $src/alone.c 2> $tmp/c89 && grep -q 'needs C99' $tmp/c89"

# Numbers under flags that let compilers reorder, round late, or take NaN for impossible.
numbers() {
  o=$tmp/numbers$(echo "$*" | tr -dc 'a-z0-9')
  job "numbers: $*" "silent $* -I. $src/numbers.c -o $o -lm && silent $o curves.safetensors"
}
numbers gcc -O2
numbers gcc -O2 -funsafe-math-optimizations
numbers gcc -O3 -fassociative-math -fno-signed-zeros -fno-trapping-math
numbers gcc -Ofast -fno-finite-math-only
case $(uname -m) in
  x86_64) numbers gcc -O2 -mfpmath=387; numbers gcc -O0 -mfpmath=387 ;;
  *) skip "numbers: x87" ;;
esac
if [ -n "$clang" ]; then
  numbers "$clang" -O2 -fno-honor-nans
  numbers "$clang" -O2 -fno-honor-infinities
  numbers "$clang" -O3 -funsafe-math-optimizations -fno-honor-nans
else skip "numbers: clang"; fi

# Declarations first, the implementation later in the same file.
for m in "gcc -x c -std=gnu99" "gcc -x c -std=c99 -D_POSIX_C_SOURCE=200809L" "g++ -x c++ -std=c++11"; do
  has "${m%% *}" || { skip "implementation later: no g++"; continue; }
  o=$tmp/guard$(echo "$m" | tr -dc 'a-z0-9+')
  job "implementation later: $m" "silent $m $warn $src/guard.c -o $o -lm && silent $o"
  job "implementation later, trainer: $m" "silent $m $warn -DWITH_TRAINER $src/guard.c -o $o-t -lm &&
    silent $o-t"
done
job "implementation later, without POSIX, is refused" "
  ! gcc -std=c99 -DWITH_TRAINER -fsyntax-only $src/guard.c 2> $tmp/posix && grep -q 'needs POSIX' $tmp/posix"
if has g++; then
  job "casts in C++" "silent g++ -x c++ -Wold-style-cast -Wall -Werror -fsyntax-only $src/train.c"
fi
for f in alone train; do           # gcc finds unused functions only where it makes code
  job "ICL_STATIC, $f.c" "silent gcc $warn -O1 -DICL_STATIC -c $src/$f.c -o $tmp/static-$f.o &&
    [ -z \"\$(nm -g --defined-only $tmp/static-$f.o)\" ]"
done

# Two translation units, in every pair of languages.
link2() {   # link2 NAME IMPLEMENTATION USER LINKER
  o=$tmp/$1
  job "linked: $1" "silent $2 -O0 -DICL_TRAIN_THREADS -c $src/train.c -o $o-1.o &&
    silent $3 -c $src/user.c -o $o-2.o && silent $4 $o-1.o $o-2.o -o $o -lm -lpthread && silent $o"
}
link2 c-c "gcc -x c -std=c99" "gcc -x c -std=c11" gcc
if has g++; then
  link2 c-cpp "gcc -x c -std=c99" "g++ -x c++ -std=c++11" g++
  link2 cpp-c "g++ -x c++ -std=c++20" "gcc -x c -std=c99" g++
  link2 cpp-cpp "g++ -x c++ -std=c++11" "g++ -x c++ -std=c++20" g++
else
  skip "linked with C++: no g++"
fi
if [ -n "$clang" ]; then link2 gcc-clang "gcc -x c -std=c99" "$clang -x c -std=c99" gcc
else skip "linked with clang: not installed"; fi
job "two static implementations in one program" "
  silent gcc -DICL_API=static -c $src/alone.c -o $tmp/s1.o &&
  silent gcc -DICL_API=static -c $src/train.c -o $tmp/s2.o &&
  silent gcc -r $tmp/s1.o $tmp/s2.o -o $tmp/s.o && [ -z \"\$(nm -g --defined-only $tmp/s.o)\" ]"

# Objects.
job "every name is ours" "gcc -O0 -I. -c $src/bayes.c -o $tmp/o0.o && exports $tmp/o0.o && prefixed $tmp/o0.o"
has g++ && job "every name is ours, in C++" "g++ -x c++ -O0 -I. -c $src/bayes.c -o $tmp/o0cpp.o &&
  prefixed $tmp/o0cpp.o"
job "without malloc and files: libm, mem*, str*" "
  gcc -std=c99 -O2 -DICL_NO_MALLOC -DICL_NO_STDIO -c $src/alone.c -o $tmp/bare.o &&
  needs_nothing $tmp/bare.o"
job "the same at -O0 without SIMD" "
  gcc -O0 -fno-stack-protector -DICL_NO_SIMD -DICL_NO_MALLOC -DICL_NO_STDIO -c $src/alone.c
    -o $tmp/bare0.o && needs_nothing $tmp/bare0.o"
job "the caller's memory functions, nobody else's" "gcc -O0 -c $src/custom.c -o $tmp/custom.o &&
  ! nm -u $tmp/custom.o | grep -wE 'malloc|calloc|realloc|free|strdup'"
job "no data that can be written" "gcc -O1 -fno-pic -fno-pie -I. -c $src/bayes.c -o $tmp/data.o &&
  ! nm $tmp/data.o | grep -E ' [DdBbC] '"
for m in -O2 "-O2 -DICL_NO_SIMD" "-O0 -DICL_NO_SIMD"; do
  o=$tmp/stack$(echo "$m" | tr -dc 'A-Z0-9')
  job "stack frames of icl.h, $m" "gcc $m -fstack-usage -c $src/alone.c -o $o.o && frames $o.su"
done
job "macros that leak" "macros gcc $tmp/macros"
has g++ && job "macros that leak, C++" "macros 'g++ -x c++' $tmp/macros-cpp"
for m in -DICL_NO_SIMD -DICL_NO_MALLOC -DICL_NO_STDIO -DICL_TRAIN_THREADS -DICL_MAX_THREADS=2 \
         -funsigned-char "-x c++"; do
  has g++ || [ "$m" != "-x c++" ] || continue
  o=$tmp/layout$(echo "$m" | tr -dc 'A-Za-z0-9')
  job "layout with $m" "gcc -I. $src/layout.c -o $o && $o > $o.txt && gcc -I. $m $src/layout.c -o $o &&
    $o | diff $o.txt -"
done
job "program on top of icl.h" "manual icl.h $tmp/manual"
job "program on top of icl_train.h" "manual icl_train.h $tmp/manual-train"
job "program on top of icl_bayes.h" "manual tools/icl_bayes.h $tmp/manual-bayes"

# Source.
job "GNU constructs only where they belong" 'rule '\''
  section !~ /^(config|platform|kernels|dispatch)$/ &&
  $2 ~ /__attribute__|__builtin|__asm__|typeof|__extension__|\( *\{|__declspec|__forceinline/ {
    print where, $2 }'\'
ends='abort|_?exit|[a-z]*printf|f?puts|perror|assert|setjmp|longjmp|alloca|raise|atexit|signal'
looks='strto[a-z]+|ato[a-z]|setlocale|localeconv|time|clock|s?rand|getenv|system|tmpnam|[a-z]*scanf'
job "nothing that ends, prints or jumps" "calls '$ends'"
job "no locale, clock, chance" "calls '$looks'"
job "errno only where files are" 'rule '\''
  $2 ~ /(^|[^a-z_])errno([^a-z_.]|$)/ && section !~ /^(files|run|sugar)$/ {
    print where, $2 }'\'
job "memory through the macros" 'rule '\''
  $2 ~ /(^|[^a-zA-Z_])(malloc|calloc|realloc|free) *\(/ && $2 !~ /#define ICL_/ {
    print where, $2 }'\'
job "no public struct depends on macros" 'raw_rule '\''
  FNR == 1 { public = 1 }
  /Stop here/ { public = 0 }
  /^typedef (struct|enum)/ { inside = public && /\{ *$/ }
  /^}/ { inside = 0 }
  inside && /^ *# *(if|else)/ { print FILENAME ":" FNR ": " $0 }'\'
job "no line above 100 columns" 'raw_rule '\''
  length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns" }'\'
job "ASCII, no tabs, no blanks at line ends" 'LC_ALL=C raw_rule '\''
  /[^ -~]/ || / $/ { print FILENAME ":" FNR ": " $0 }'\'
job "no function above 60 lines" 'raw_rule '\''
  /^[a-zA-Z].*\(/ && !/;$/ { name = $0 }
  /^\{/ { start = FNR }
  /^\}/ { if (start && FNR - start >= 60) print FILENAME ":" start ": " FNR - start + 1 ": " name;
          start = 0 }'\'

# ----- run --------------------------------------------------------------------------------------

total=$(wc -l < "$tmp/jobs")
i=0
while [ $i -lt "$total" ]; do i=$((i + 1)); echo $i; done |
  xargs -n 1 -P "${JOBS:-2}" sh "$0" job "$tmp"
cat "$tmp"/*.say 2> /dev/null
passed=$(cat "$tmp"/*.end | grep -c pass)
failed=$((total - passed))
echo "compile: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
