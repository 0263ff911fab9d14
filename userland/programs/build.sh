#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles our own programs of the guest: build.sh SDK OUTPUT
# A program is a file NAME.c, or a folder NAME of C files.
set -eu
[ $# = 2 ] || { echo "usage: build.sh SDK OUTPUT" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
cc=$1/bin/wasm32-linux-musl-clang
tables=$2/tables
mkdir -p "$tables"

# names HEADER PREFIX PATTERN FILE
# Makes a table of names by number from the macros of a header. The prefix is
# not part of a name. A macro that is defined as another macro is a second name,
# which the table leaves out.
names() {
	printf '#include <%s>\n' "$1" | "$cc" -E -dM -x c - |
		sed -nE "s/^#define $2($3) ([0-9]+)\$/[\2] = \"\1\",/p" | sort > "$tables/$4"
}
names asm/unistd.h __NR_ '[a-z0-9_]+' syscall-names.h
names errno.h '' 'E[A-Z0-9]+' errno-names.h
# SIGSTKSZ fits the pattern, but it is no signal.
names signal.h '' 'SIG[A-Z]+[0-9]?' signal-names.h
sed -i /SIGSTKSZ/d "$tables/signal-names.h"

for program in "$here"/*.c "$here"/*/; do
	sources=$program
	if [ -d "$program" ]; then sources="$program*.c"; fi
	# shellcheck disable=SC2086 # a pattern
	"$cc" -Os -Wall -Wextra -Wno-unused-parameter -I"$tables" $sources -o "$2/$(basename "$program" .c)"
done
