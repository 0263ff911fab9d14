#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds BusyBox for the guest: build.sh SOURCE BUILD SDK OUTPUT
#   SOURCE   the source package's .dsc, a tarball or a folder (pin says which);
#            the build only reads it
#   BUILD    scratch folder, kept between builds
#   SDK      prefix of the installed SDK, with the kernel's headers
#   OUTPUT   gets busybox, and busybox.links: one path of a link to it per line
set -eu

fail() { printf 'busybox: %s\n' "$1" >&2; exit 1; }
[ $# = 4 ] || fail "usage: build.sh SOURCE BUILD SDK OUTPUT"

here=$(cd "$(dirname "$0")" && pwd)
[ -e "$1" ] || fail "no source $1"
source=$(realpath "$1")
mkdir -p "$2" "$4"
build=$(cd "$2" && pwd)
sdk=$(cd "$3" && pwd) || fail "no SDK in $3"
output=$(cd "$4" && pwd)
jobs=${JOBS:-2}
[ -x "$sdk/bin/wasm32-linux-musl-gcc" ] || fail "no compiler in $sdk/bin"
[ -e "$sdk/sysroot/include/linux/version.h" ] || fail "no kernel headers in $sdk/sysroot/include"
PATH=$sdk/bin:$PATH
export PATH

# There is no overlay, so the folder does not exist.
"$here/../../tools/prepare-source" "$source" "$here/overlay" "$here/patches" "$build/src"
. "$here/pin"
found=$(sed -nE 's/^(VERSION|PATCHLEVEL|SUBLEVEL) = //p' "$build/src/Makefile" | paste -sd .)
[ "$found" = "$version" ] || fail "$source is BusyBox $found, and config is for $version"

mkdir -p "$build/obj"
if ! cmp -s "$here/config" "$build/config"; then
	cp "$here/config" "$build/obj/.config"
	# An option that config does not name gets its default. The comparison
	# below finds it.
	yes '' | make -s -C "$build/src" O="$build/obj" oldconfig > "$build/oldconfig.log" 2>&1 ||
		{ cat "$build/oldconfig.log" >&2; fail "make oldconfig failed"; }
	grep '^CONFIG_' "$here/config" | LC_ALL=C sort > "$build/wanted"
	grep '^CONFIG_' "$build/obj/.config" | LC_ALL=C sort > "$build/got"
	diff "$build/wanted" "$build/got" >&2 || fail "userland/busybox/config does not fit this source"
	cp "$here/config" "$build/config"
fi

# make does not know that these go into the program, too.
if [ "$sdk/sysroot/lib/libc.a" -nt "$build/obj/busybox_unstripped" ] ||
	[ "$here/no-fork" -nt "$build/obj/busybox_unstripped" ] ||
	[ "$sdk/bin/wasm32-linux-musl-clang" -nt "$build/obj/busybox_unstripped" ]; then
	rm -f "$build/obj/busybox_unstripped"
fi
CFLAGS_busybox=-fno-fork-in=@$here/no-fork
export CFLAGS_busybox
# LDLIBS: the libraries that BusyBox would try are empty archives in musl.
# Naming none saves a full link, with its asyncify, for each.
#
# CFLAGS_syslogd_and_logger.o: Debian's patch of syslogd passes a sockaddr_un to
# getsockname(). glibc's header allows that. With musl's header it is an error
# to clang, but it is right all the same.
make -s -C "$build/obj" -j"$jobs" LDLIBS= CFLAGS_syslogd_and_logger.o=-Wno-error=incompatible-pointer-types \
	busybox_unstripped busybox.links
cmp -s "$build/obj/busybox_unstripped" "$output/busybox" || cp "$build/obj/busybox_unstripped" "$output/busybox"
cp "$build/obj/busybox.links" "$output/busybox.links"
