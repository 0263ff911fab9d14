#!/bin/sh
# SPDX-License-Identifier: MIT
# What initramfs/pack.py packs, unpacked again: pack.sh TOOL
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
	if output=$("$tool" list archive "TREE=$folder/tree" "FILES=$folder" 2>&1); then fail "accepted: $(cat list)"; fi
	echo "$output" | grep -q "$pattern" || fail "no '$pattern' in: $output"
}

mkdir -p tree/area/deep
echo content-of-one >tree/one
ln tree/one tree/area/again
ln tree/one tree/area/deep/third
echo two >tree/two
printf '/bin/one\n/bin/two\n/linuxrc\n' >names
cat >list <<'END'
# a comment
dir /bin 0755 0 0
dir /zones 0755 0 0
file /bin/one $FILES/names 04755 0 0
links $FILES/names /bin/one 0 0
tree /zones $TREE 0 0
END
"$tool" list archive "TREE=$folder/tree" "FILES=$folder"
"$tool" list again "TREE=$folder/tree" "FILES=$folder"
cmp archive again || fail "the same input gives other bytes"
mkdir out
(cd out && gzip -dc ../archive | cpio --quiet -idm)
[ "$(stat -c %a out/bin/one)" = 4755 ] || fail "mode"
[ "$(readlink out/bin/two)" = /bin/one ] || fail "a link of the list"
[ ! -L out/bin/one ] && [ ! -e out/linuxrc ] || fail "what is there stays, and linuxrc is not"
diff -r tree out/zones || fail "the tree"
[ "$(stat -c %h out/zones/one)" = 3 ] && [ out/zones/one -ef out/zones/area/deep/third ] || fail "hard links"
[ "$(gzip -dc archive | grep -ac 'content-of-one$')" = 1 ] || fail "the content is there once"

echo 'file /x/y $FILES/names 0644 0 0' >list
refuses 'list /x before it'
echo 'tree / $FILES/missing 0 0' >list
refuses 'no files'
echo 'file /x $FILES/names 0644' >list
refuses 'wrong line'
echo passed
