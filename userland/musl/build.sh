#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds musl for wasm32: build.sh SOURCE PICOLIBC BUILD SYSROOT
#   SOURCE   the source package's .dsc, a tarball or a folder (pin says which);
#            the build only reads it
#   PICOLIBC the same of picolibc (userland/picolibc/pin), from which the
#            functions of long double come
#   BUILD    scratch folder, kept between builds
#   SYSROOT  where include/ and lib/ are installed
# CLANG, LLVM_AR, LLVM_RANLIB, CCACHE and JOBS may be set in the environment.
set -eu

fail() { printf 'musl: %s\n' "$1" >&2; exit 1; }
[ $# = 4 ] || fail "usage: build.sh SOURCE PICOLIBC BUILD SYSROOT"

here=$(cd "$(dirname "$0")" && pwd)
[ -e "$1" ] || fail "no source $1"
[ -e "$2" ] || fail "no source $2"
source=$(realpath "$1")
picolibc=$(realpath "$2")
mkdir -p "$3" "$4"
build=$(cd "$3" && pwd)
sysroot=$(cd "$4" && pwd)
jobs=${JOBS:-2}
: "${CLANG:=clang-22}" "${LLVM_AR:=llvm-ar-22}" "${LLVM_RANLIB:=llvm-ranlib-22}"
if [ -z "${CCACHE+set}" ]; then
	CCACHE=
	if command -v ccache > /dev/null; then CCACHE=ccache; fi
fi

"$here/../../tools/prepare-source" "$source" "$here/overlay" "$here/patches" "$build/src"
. "$here/pin"
[ "$(cat "$build/src/VERSION")" = "$version" ] || fail "$source is not musl $version"

"$here/../../tools/prepare-source" "$picolibc" none none "$build/picolibc"
quad=$build/picolibc/newlib/libm/ld

target_flags=$(grep -v '^#' "$here/../sdk/target-flags" | tr '\n' ' ')

# This is what upstream's configure would find out, but configure refuses a
# target that it does not know.
cat > "$build/config.mak.new" << EOF
ARCH = wasm32
srcdir = src
prefix = $sysroot
bindir = $sysroot/bin
includedir = $sysroot/include
libdir = $sysroot/lib
CC = $CCACHE $CLANG $target_flags
AR = $LLVM_AR
RANLIB = $LLVM_RANLIB
CFLAGS_AUTO = -O2 -pipe -fomit-frame-pointer -fno-strict-aliasing \\
  -ffunction-sections -fdata-sections -w \\
  -Wno-unused-command-line-argument \\
  -Werror=implicit-function-declaration -Werror=implicit-int -Werror=pointer-sign \\
  -Werror=pointer-arith -Werror=int-conversion -Werror=incompatible-pointer-types
OPTIMIZE_GLOBS = internal/*.c malloc/*.c string/*.c
# picolibc's are included by overlay/src/math/wasm32
obj/src/math/wasm32/%.o: CFLAGS_ALL += -I$quad
# the one file that uses setjmp itself
obj/src/time/wasm32/timer_create.o: CFLAGS_ALL += -mllvm -enable-emscripten-sjlj
SHARED_LIBS =
CRT_LIBS = lib/crt1.o
TOOL_LIBS =
ALL_TOOLS =
EOF
cmp -s "$build/config.mak.new" "$build/config.mak" || {
	rm -rf "${build:?}/obj" "${build:?}/lib"
	cp "$build/config.mak.new" "$build/config.mak"
}
rm "$build/config.mak.new"
cp "$build/src/Makefile" "$build/Makefile"
# Upstream's makefile does not know which object needs which header.
if [ -e "$build/lib/libc.a" ] && [ -n "$(find "$build/src" -name '*.h*' -newer "$build/lib/libc.a")" ]; then
	rm -rf "${build:?}/obj" "${build:?}/lib"
fi
make -s -C "$build" -j"$jobs" all
make -s -C "$build" install
