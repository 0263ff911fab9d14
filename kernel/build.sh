#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the kernel: build.sh SOURCE BUILD [FRAGMENT]
# SOURCE: a tree made by tools/prepare-source. FRAGMENT: a file whose options are added to those of config; they win.
# Results: BUILD/vmlinux.wasm and BUILD/headers/include.
# JOBS: parallel compilations. ccache is used where it is installed.
set -eu

[ $# -eq 2 ] || [ $# -eq 3 ] || { echo "usage: build.sh SOURCE BUILD [FRAGMENT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2/obj"
build=$(cd "$2" && pwd)
obj=$build/obj

# shellcheck source=pin
. "$here/pin"
source_version=$(make -s -C "$source" kernelversion)
case $source_version in
"$version".*) ;;
*) echo "kernel: the source is Linux $source_version, but this port is for $version" >&2; exit 1 ;;
esac

compiler=clang-22
if command -v ccache >/dev/null; then
	compiler="ccache $compiler"
	# Time stamps and paths would make every object new.
	export CCACHE_BASEDIR="$build"
fi
kmake() {
	make -s -C "$source" O="$obj" ARCH=wasm LLVM=-22 LD=wasm-ld-22 CC="$compiler" HOSTCC="${compiler%clang-22}clang-22" \
		KBUILD_BUILD_USER=auklet KBUILD_BUILD_HOST=auklet KBUILD_BUILD_TIMESTAMP="$timestamp" -j"${JOBS:-$(nproc)}" "$@"
}
# The same sources give the same image.
timestamp=$(date -u -r "$source/Makefile" '+%a %b %e %H:%M:%S UTC %Y')

# The last line of an option counts.
cat "$here/config" ${3:+"$3"} |
	awk '{ option = /^# CONFIG_.* is not set$/ ? $2 : $0; sub(/=.*/, "", option); line[option] = $0 } END { for (option in line) print line[option] }' |
	sort > "$obj/.config.wanted"
if ! cmp -s "$obj/.config.wanted" "$obj/.config.fragment"; then
	cp "$obj/.config.wanted" "$obj/.config"
	kmake olddefconfig
	# Every line of the fragment must have come through.
	grep -E '^CONFIG_|^# CONFIG_.* is not set$' "$obj/.config.wanted" | while read -r line; do
		case $line in
		'# '*) option=${line#\# }; option=${option%% *}
			! grep -q "^$option=" "$obj/.config" || echo "$option is set all the same" ;;
		*) grep -qxF "$line" "$obj/.config" || echo "$line was not accepted" ;;
		esac
	done > "$obj/.config.rejected"
	if [ -s "$obj/.config.rejected" ]; then
		sed 's/^/kernel configuration: /' "$obj/.config.rejected" >&2
		exit 1
	fi
	cp "$obj/.config.wanted" "$obj/.config.fragment"
fi

kmake image
kmake headers_install INSTALL_HDR_PATH="$build/headers" >/dev/null

# The name section is for people: it stays with the unoptimised image, for back traces that can be resolved later.
# The DWARF of the runtime library would keep wasm-opt from some of its passes.
# Binaryen's interpreter takes atomic.fence for nothing, so that its pass "precompute" drops all memory barriers. Two other
# passes run it within them: inlining, and dead arguments. Their plain forms come before the rest.
wasm-opt --strip-dwarf --optimize-level=2 --dae --inlining -O2 \
	--skip-pass=precompute --skip-pass=precompute-propagate --skip-pass=inlining-optimizing --skip-pass=dae-optimizing \
	--enable-threads --enable-bulk-memory --enable-mutable-globals --enable-sign-ext \
	--enable-nontrapping-float-to-int --enable-exception-handling --enable-simd --no-inline=wasm_wait_word --no-inline=wasm_check_engine_stack -g "$obj/vmlinux.wasm" -o "$build/vmlinux.wasm.tmp"
fences=$(LC_ALL=C grep -aoP '\xfe\x03\x00' "$build/vmlinux.wasm.tmp" | wc -l)
[ "$fences" -gt 2000 ] || { echo "kernel: only $fences memory barriers are left" >&2; exit 1; }
# kallsyms was made before: the optimiser must have left every function at its place in the table.
[ ! -e "$obj/System.map" ] ||
	python3 "$source/arch/wasm/tools/table-symbols.py" check "$obj/System.map" "$obj/vmlinux.wasm" "$build/vmlinux.wasm.tmp"
mv "$build/vmlinux.wasm.tmp" "$build/vmlinux.wasm"
