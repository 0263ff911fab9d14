#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes what runs in v86: build.sh CACHE BUILD WORKLOAD. Downloads go to CACHE/i386, all else below BUILD:
#   node_modules/v86       the emulator
#   packages/              Debian's i386 packages and the firmware, unpacked
#   vmlinuz                Linux of the same stock source as the guest's, for i386
#   root/                  the root of the machine, and of the native side: Debian's static i386 BusyBox
#   initramfs.gz           that root; in it are WORKLOAD's scripts, and its cbench.c as a static i386 program
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cache=$1
mkdir -p "$2"
build=$(cd "$2" && pwd)
workload=$(cd "$3" && pwd)
jobs=${AUKLET_JOBS:-$(nproc)}

# ---- the emulator ---------------------------------------------------------------------------------------------------

if ! cmp -s "$here/package-lock.json" "$build/package-lock.json" || [ ! -e "$build/node_modules/v86" ]; then
	rm -f "$build/package-lock.json"
	cp "$here/package.json" "$here/.npmrc" "$build"
	cp "$here/package-lock.json" "$build/package-lock.json"
	(cd "$build" && npm ci --no-progress --loglevel=error) || { rm -f "$build/package-lock.json"; exit 1; }
fi

# ---- Debian's packages ----------------------------------------------------------------------------------------------

"$here/fetch-packages" "$cache/i386" busybox-static:i386 musl-dev:i386 seabios:all
packages=$build/packages
if [ ! -e "$packages/.complete" ]; then
	rm -rf "$packages"
	for package in busybox-static_i386 musl-dev_i386 seabios_all; do
		dpkg-deb --extract "$cache/i386/$package.deb" "$packages"
	done
	: >"$packages/.complete"
fi

# ---- Linux ----------------------------------------------------------------------------------------------------------

source=$build/linux
"$top/tools/prepare-source" /usr/src/linux-source-6.12.tar.xz "$build/none" "$build/none" "$source" >/dev/null
compiler=clang-22
if command -v ccache >/dev/null; then
	compiler="ccache $compiler"
	export CCACHE_BASEDIR="$build"
fi
kmake() {
	make -s -C "$source" O="$build/kernel" ARCH=i386 LLVM=-22 CC="$compiler" HOSTCC="$compiler" KBUILD_BUILD_USER=auklet \
		KBUILD_BUILD_HOST=auklet -j"$jobs" "$@"
}
mkdir -p "$build/kernel"
if ! cmp -s "$here/config" "$build/kernel/.config.fragment"; then
	kmake KCONFIG_ALLCONFIG="$here/config" allnoconfig
	# Every line must have come through.
	if grep CONFIG_ "$here/config" | grep -vxFf "$build/kernel/.config" >"$build/kernel/.config.rejected"; then
		sed 's/^/v86: not accepted in the configuration of Linux: /' "$build/kernel/.config.rejected" >&2
		exit 1
	fi
	cp "$here/config" "$build/kernel/.config.fragment"
fi
kmake bzImage
cp -p "$build/kernel/arch/x86/boot/bzImage" "$build/vmlinuz"

# ---- the root -------------------------------------------------------------------------------------------------------

root=$build/root
rm -rf --one-file-system "$root"
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/tmp" "$root/root"
cp "$packages/usr/bin/busybox" "$root/bin/busybox"
applets=$("$root/bin/busybox" --list)
for applet in $applets; do
	[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
cp "$here/init" "$root/init"
cp "$workload/fix.sh" "$workload/benchlib.sh" "$workload/bench.sh" "$root"

# SSE2, as any x86-64 program has: v86 computes what the x87 does in software.
include=$packages/usr/include/i386-linux-musl
library=$packages/usr/lib/i386-linux-musl
clang-22 --target=i386-linux-musl -march=pentium4 -mfpmath=sse -O2 -static -fuse-ld=lld-22 -nostdlibinc -isystem "$include" \
	-nostdlib -o "$root/cbench" "$library/crt1.o" "$library/crti.o" "$workload/cbench.c" \
	"$library/libc.a" "$(clang-22 --print-resource-dir)/lib/linux/libclang_rt.builtins-i386.a" "$library/crtn.o"
(cd "$root" && find . | sort | cpio --quiet --create --format=newc --owner=0:0 | gzip -1) >"$build/initramfs.gz.new"
mv "$build/initramfs.gz.new" "$build/initramfs.gz"
