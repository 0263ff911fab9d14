#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles our own programs of the guest: build.sh SDK OUTPUT
set -eu
[ $# = 2 ] || { echo "usage: build.sh SDK OUTPUT" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
for source in "$here"/*.c; do
	"$1/bin/wasm32-linux-musl-clang" -O2 -Wall -Wextra -Wno-unused-parameter "$source" \
		-o "$2/$(basename "$source" .c)"
done
