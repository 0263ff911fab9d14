#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Links the kernel image in the build folder: link.sh LINKER OUTPUT COMPILER-RESOURCES
# The order of the objects is the order of the data segments: kernel/sections.h.
set -eu
linker=$1
output=$2
# 128-bit multiplication
builtins=$3/lib/wasi/libclang_rt.builtins-wasm32.a

libraries=$(find lib arch/wasm/lib -maxdepth 1 -name lib.a)
# shellcheck disable=SC2086  # lists of words
$linker --no-entry --import-memory --shared-memory --max-memory=4294967296 \
	--export=auklet_machine --export=wasm_in_kernel --export=trap_text --export=user_access --export=__heap_base \
	--export-table --growable-table --no-check-features --no-gc-sections \
	--error-limit=0 -z stack-size=65536 -o "$output" \
	arch/wasm/kernel/sections_start.o \
	--whole-archive vmlinux.a --no-whole-archive init/version-timestamp.o \
	$libraries "$builtins" arch/wasm/kernel/sections_end.o
