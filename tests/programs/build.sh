#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the test programs: build.sh SDK OUTPUT
# OUTPUT gets one program for each NAME.c, or folder NAME of such files (NAME.flags has more compiler flags), and the
# bad executables.
set -eu
[ $# = 2 ] || { echo "usage: build.sh SDK OUTPUT" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
cc=$1/bin/wasm32-linux-musl-clang
mkdir -p "$2"
output=$(cd "$2" && pwd)
has_fork() { LC_ALL=C grep -aq "$(printf 'linux\004fork')" "$1"; }

for source in "$here"/*.c "$here"/*/; do
	name=$(basename "$source" .c)
	program=$output/$name
	sources=$source
	if [ -d "$source" ]; then sources="$source*.c"; fi
	if [ -e "$program" ] && [ -z "$(find "$source" "$here" "(" -path "$source*" -o -name "*.h" ")" -type f -newer "$program")" ] &&
		[ "$program" -nt "$cc" ] && [ "$program" -nt "$1/sysroot/lib/libc.a" ]; then continue; fi
	# shellcheck disable=SC2046,SC2086 # a file of words, a pattern
	"$cc" -O2 -Wall $(cat "$here/$name.flags" 2> /dev/null || :) $sources -o "$program"
	# only a program that can reach fork pays for it
	case $name in
		hello|safepoints|sigev-thread|callbacks|signals-pending|start|stdio|malloc|arguments|files|efault|spawn|time|cancel|spin|lateness|clock-step|qsort|large|size_t|quad|vsock|direct|connections|stream|fences)
			if has_fork "$program"; then echo "$name: imports linux.fork" >&2; exit 1; fi ;;
		*)
			has_fork "$program" || { echo "$name: does not import linux.fork" >&2; exit 1; } ;;
	esac
done
"$here/bad-executables" "$output/hello" "$output/bad"
