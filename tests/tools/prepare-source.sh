#!/bin/sh
# SPDX-License-Identifier: MIT
# What tools/prepare-source does and refuses: prepare-source.sh TOOL
set -eu
tool=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
refuses() {
	pattern=$1
	shift
	if output=$("$@" 2>&1); then fail "accepted: $*"; fi
	echo "$output" | grep -q "$pattern" || fail "no '$pattern' in: $output"
}
patch_b() {
	printf 'Change b\n\nUpstream: no\n\n--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n %s\n-b\n+%s\n c\n d\n' "$1" "$2"
}

mkdir -p upstream/thing-1/sub overlay/new patches
printf 'a\nb\nc\nd\n' >upstream/thing-1/f
echo untouched >upstream/thing-1/sub/g
tar -czf thing.tar.gz -C upstream thing-1
echo ours >overlay/new/file
patch_b a B >patches/0001-change-b.patch

"$tool" thing.tar.gz overlay patches out | grep -q '1 patches change 2 lines in 1 upstream files; the overlay adds 1 files' || fail "the summary"
[ "$(cat out/f)" = "$(printf 'a\nB\nc\nd')" ] || fail "the patch is not applied"
[ "$(cat out/new/file)" = ours ] || fail "the overlay is not there"

# Nothing is touched without need, and everything is undone that is gone.
touch -d '2001-01-01' out/f out/new/file out/sub/g
"$tool" thing.tar.gz overlay patches out >/dev/null
[ -z "$(find out/f out/new/file out/sub/g -newermt 2002-01-01)" ] || fail "a file was written again"
patch_b a BB >patches/0001-change-b.patch
"$tool" thing.tar.gz overlay patches out >/dev/null
grep -q BB out/f || fail "the changed patch is not applied"
[ -z "$(find out/sub/g -newermt 2002-01-01)" ] || fail "an unrelated file was written again"
rm overlay/new/file patches/0001-change-b.patch
"$tool" thing.tar.gz overlay patches out >/dev/null
[ ! -e out/new/file ] && [ "$(cat out/f)" = "$(cat upstream/thing-1/f)" ] || fail "a removed patch or overlay file is still there"

mkdir overlay/sub
echo clash >overlay/sub/g
refuses 'exists upstream' "$tool" thing.tar.gz overlay patches out
rm overlay/sub/g
patch_b z B >patches/0001-fuzz.patch
refuses 'failed' "$tool" --check thing.tar.gz overlay patches
patch_b a B | sed 's|^--- a/f|--- /dev/null|' >patches/0001-fuzz.patch
refuses 'may not create' "$tool" --check thing.tar.gz overlay patches
patch_b a B | sed 's|a/f|a/h|; s|b/f|b/h|' >patches/0001-fuzz.patch
refuses 'does not exist upstream' "$tool" --check thing.tar.gz overlay patches
mv patches/0001-fuzz.patch patches/fuzz.patch
refuses 'name patches' "$tool" --check thing.tar.gz overlay patches
rm patches/fuzz.patch
refuses 'no such source' "$tool" missing.tar.gz overlay patches out

# Patches survive a round trip through a scratch tree, and a commit there becomes a patch.
patch_b a B >patches/0001-Change-b.patch
"$tool" --edit thing.tar.gz patches scratch >/dev/null
sed -i 's/d/D/' scratch/f
git -C scratch -c user.name=t -c user.email=t@localhost commit -qam 'Change d'
"$tool" --refresh patches scratch >/dev/null
[ "$(ls patches)" = "$(printf '0001-Change-b.patch\n0002-Change-d.patch')" ] || fail "refreshed: $(ls patches)"
"$tool" --check thing.tar.gz overlay patches >/dev/null
echo passed
