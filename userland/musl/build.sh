#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds musl for wasm32: build.sh SOURCE BUILD SYSROOT
#   SOURCE   the unpacked source (pin says which); it is only read
#   BUILD    scratch folder, kept between builds
#   SYSROOT  where include/ and lib/ are installed
# CLANG, LLVM_AR, LLVM_RANLIB, CCACHE and JOBS may be set in the environment.
set -eu

fail() { printf 'musl: %s\n' "$1" >&2; exit 1; }
[ $# = 3 ] || fail "usage: build.sh SOURCE BUILD SYSROOT"

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd) || fail "no source folder $1"
mkdir -p "$2" "$3"
build=$(cd "$2" && pwd)
sysroot=$(cd "$3" && pwd)
jobs=${JOBS:-2}
: "${CLANG:=clang-22}" "${LLVM_AR:=llvm-ar-22}" "${LLVM_RANLIB:=llvm-ranlib-22}"
if [ -z "${CCACHE+set}" ]; then
	CCACHE=
	if command -v ccache > /dev/null; then CCACHE=ccache; fi
fi

. "$here/pin"
[ "$(cat "$source/VERSION" 2> /dev/null)" = "$version" ] ||
	fail "$source is not musl $version"

# A tree of our own: source, overlay, patches. Made anew when one of them changed.
stamp=$(cd "$here" && {
	cat build.sh pin
	find overlay patches -type f | LC_ALL=C sort | xargs sha256sum
	echo "$source"
	ls -l --time-style=+%s "$source/Makefile" "$source/include" "$source/src"
} | sha256sum)
if [ "$(cat "$build/stamp" 2> /dev/null)" != "$stamp" ]; then
	rm -rf "$build/src" "$build/obj" "$build/lib" "$build/stamp"
	cp -R "$source" "$build/src"
	rm -rf "$build/src/.pc" "$build/src/debian"
	(cd "$here/overlay" && find . -type f) | while read -r path; do
		[ ! -e "$build/src/$path" ] || fail "overlay file $path exists upstream"
		mkdir -p "$build/src/${path%/*}"
		cp "$here/overlay/$path" "$build/src/$path"
	done || exit 1
	for p in "$here"/patches/*.patch; do
		if grep -q '^--- /dev/null' "$p"; then fail "$p creates a file"; fi
		patch -d "$build/src" -p1 -s --fuzz=0 --no-backup-if-mismatch < "$p" ||
			fail "$p does not apply"
	done
	printf '%s\n' "$stamp" > "$build/stamp"
fi

# What upstream's configure would find out; it refuses a target it does not know.
cat > "$build/config.mak.new" << EOF
ARCH = wasm32
srcdir = src
prefix = $sysroot
bindir = $sysroot/bin
includedir = $sysroot/include
libdir = $sysroot/lib
CC = $CCACHE $CLANG --target=wasm32-linux-musl
AR = $LLVM_AR
RANLIB = $LLVM_RANLIB
CFLAGS_AUTO = -O2 -fno-pic -pipe -fomit-frame-pointer -fno-strict-aliasing \\
  -ffunction-sections -fdata-sections -w \\
  -matomics -mbulk-memory -mmutable-globals -msign-ext -mnontrapping-fptoint \\
  -mexception-handling \\
  -Wno-unused-command-line-argument \\
  -Werror=implicit-function-declaration -Werror=implicit-int -Werror=pointer-sign \\
  -Werror=pointer-arith -Werror=int-conversion -Werror=incompatible-pointer-types
OPTIMIZE_GLOBS = internal/*.c malloc/*.c string/*.c
SHARED_LIBS =
CRT_LIBS = lib/crt1.o
TOOL_LIBS =
ALL_TOOLS =
EOF
cmp -s "$build/config.mak.new" "$build/config.mak" || {
	rm -rf "$build/obj" "$build/lib"
	cp "$build/config.mak.new" "$build/config.mak"
}
rm "$build/config.mak.new"
cp "$build/src/Makefile" "$build/Makefile"
make -s -C "$build" -j"$jobs" all
make -s -C "$build" install
