#!/bin/sh
# SPDX-License-Identifier: MIT
# Every shell script of the tree parses, and shellcheck finds nothing in it (.shellcheckrc says what it may not say).
set -eu
cd "$(dirname "$0")/../.."

# Which shell a file is for: nothing if it is no script. A script says it in its first line, a file that scripts read
# in a directive.
dialect_of() {
	case $1 in
	*.patch) ;;
	*/pin | */etc/profile) echo sh ;;
	*) head -c 1024 "$1" | tr -d '\0' |
		sed -nE '1s/^#!.*[/ ](sh|bash)$/\1/p; 2,6s/^# shellcheck shell=(sh|bash)$/\1/p' | head -n 1 ;;
	esac
}

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
git ls-files >"$lists/all"
: >"$lists/faults"
while read -r file; do
	[ -f "$file" ] && [ ! -L "$file" ] || continue
	dialect=$(dialect_of "$file")
	[ -n "$dialect" ] || continue
	"$dialect" -n "$file" || echo "$file" >>"$lists/faults"
	case $file in
	*/pin) echo "$file" >>"$lists/pins" ;;
	*) echo "$file" >>"$lists/$dialect" ;;
	esac
done <"$lists/all"

# check LIST OPTIONS...: none in a list means that this script finds none.
check() {
	list=$lists/$1
	shift
	xargs shellcheck --format=gcc "$@" <"$list" || echo "$list" >>"$lists/faults"
}
check sh --shell=sh
check bash --shell=bash
# The scripts that read a pin use its variables.
check pins --shell=sh --exclude=SC2034
[ ! -s "$lists/faults" ] || { cat "$lists/faults" && exit 1; }
echo "$(cat "$lists/sh" "$lists/bash" "$lists/pins" | wc -l) scripts"
