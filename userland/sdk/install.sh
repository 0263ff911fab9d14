#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the SDK: install.sh PREFIX KERNEL_HEADERS
#   PREFIX           gets bin/, share/ and the headers in sysroot/, where musl's
#                    build.sh installs too
#   KERNEL_HEADERS   what "make headers_install" wrote, with include/ in it
set -eu
fail() { printf 'sdk: %s\n' "$1" >&2; exit 1; }
[ $# = 2 ] || fail "usage: install.sh PREFIX KERNEL_HEADERS"
here=$(cd "$(dirname "$0")" && pwd)
prefix=$1 headers=$2
[ -e "$headers/include/linux/version.h" ] || fail "no kernel headers in $headers"

mkdir -p "$prefix/bin" "$prefix/share/cc" "$prefix/sysroot/include"
cp "$here/target-flags" "$here"/*.py "$prefix/share/"
cp "$here"/cc/* "$prefix/share/cc/"
cp "$here/wasm32-linux-musl-clang" "$here/wasm32-linux-musl-clang++" "$prefix/bin/"
ln -sf wasm32-linux-musl-clang "$prefix/bin/wasm32-linux-musl-cc"
ln -sf wasm32-linux-musl-clang "$prefix/bin/wasm32-linux-musl-gcc"
ln -sf wasm32-linux-musl-clang++ "$prefix/bin/wasm32-linux-musl-c++"
for tool in ar nm ranlib strip objcopy objdump readelf size strings; do
	printf '#!/bin/sh\nexec llvm-%s-22 "$@"\n' "$tool" > "$prefix/bin/wasm32-linux-musl-$tool"
	chmod +x "$prefix/bin/wasm32-linux-musl-$tool"
done
printf '#!/bin/sh\nexec wasm-ld-22 "$@"\n' > "$prefix/bin/wasm32-linux-musl-ld"
chmod +x "$prefix/bin/wasm32-linux-musl-ld"

for d in "$headers"/include/*/; do
	cp -R "$d" "$prefix/sysroot/include/"
done
