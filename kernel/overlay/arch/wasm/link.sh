#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Links the kernel image in the build folder:
#     link.sh LINKER OUTPUT COMPILER-RESOURCES
# With kallsyms it needs the variables that the top Makefile exports, and writes
# System.map too. The order of the objects is the order of the data segments
# (kernel/sections.h).
set -eu
linker=$1
output=$2
# 128-bit multiplication
builtins=$3/lib/wasi/libclang_rt.builtins-wasm32.a
# The linker's stack lies first, so that no object has an address that is also
# an index of the function table.
stack=65536

libraries=$(find lib arch/wasm/lib -maxdepth 1 -name lib.a)

# link_image FILE WORDS...: options and further objects
link_image() {
	file=$1
	shift
	# shellcheck disable=SC2086  # lists of words
	$linker --no-entry --import-memory --shared-memory --max-memory=4294967296 \
		--export=auklet_machine --export=wasm_in_kernel --export=wasm_clock_offset --export=wasm_trap_text --export=user_access --export=__heap_base \
		--export-table --growable-table --no-check-features --no-gc-sections \
		--error-limit=0 --stack-first -z stack-size=$stack -o "$file" \
		arch/wasm/kernel/sections_start.o \
		--whole-archive vmlinux.a --no-whole-archive init/version-timestamp.o \
		$libraries "$builtins" "$@" arch/wasm/kernel/sections_end.o
}

# Turns the output of scripts/kallsyms into what the wasm assembler accepts: it
# has flags in a syntax of its own, and each symbol is an object with a size.
wasm_assembly() {
	awk '
		function finish() { if (symbol) printf ".size %s, . - %s\n", symbol, symbol }
		/\.section/ { print "\t.section .rodata.kallsyms, \"\", @"; next }
		/^\.globl/ { finish(); symbol = $2; printf ".type %s, @object\n", symbol }
		{ print }
		END { finish() }'
}

# _stext and _etext of System.map as the pointers of asm/sections.h.
text_bounds() {
	awk '
		$3 == "_stext" { bound = "wasm_text_start" }
		$3 == "_etext" { bound = "wasm_text_end" }
		bound { printf ".globl %s\nALGN\n%s:\nPTR 0x%s\n", bound, bound, $1; bound = "" }' System.map
}

rm -f System.map
if ! grep -q '^CONFIG_KALLSYMS=y' include/config/auto.conf; then
	link_image "$output"
	exit
fi

# The table of functions is the same in both links, because kallsyms holds no
# functions. The data behind kallsyms moves, but only functions have symbols
# here, so the second link is the last. The first image lacks kallsyms. The
# second link reports whatever else is undefined.
link_image .tmp_vmlinux.wasm --emit-relocs --unresolved-symbols=ignore-all
# shellcheck disable=SC2154 # Kbuild exports srctree
"$PYTHON3" "$srctree/arch/wasm/tools/table-symbols.py" map .tmp_vmlinux.wasm > .tmp_System.map
if [ "$((0x$(sed -n 's/ T _etext$//p' .tmp_System.map)))" -gt $stack ]; then
	echo "link.sh: the indexes of the function table reach the objects; make the stack larger" >&2
	exit 1
fi
mv .tmp_System.map System.map
{
	scripts/kallsyms System.map
	text_bounds
} | wasm_assembly > .tmp_kallsyms.S
# scripts/kallsyms makes addresses relative to _text. Indexes of the table are
# relative to nothing, so _text is 0.
# shellcheck disable=SC2086  # lists of words
$CC $NOSTDINC_FLAGS $LINUXINCLUDE $KBUILD_CPPFLAGS $KBUILD_AFLAGS -D_text=0 -c -o .tmp_kallsyms.o .tmp_kallsyms.S
link_image "$output" .tmp_kallsyms.o
