#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the databases of boot/databases.test.mjs for the guest: build.sh SQLITE LMDB BUILD SDK OUTPUT
#   SQLITE   the source package's .dsc (sqlite/pin)
#   LMDB     the same (lmdb/pin)
#   BUILD    scratch folder, kept between builds
#   SDK      prefix of the installed SDK
#   OUTPUT   gets sqlite-writers, lmdb-writers, mdb_stat and mdb_copy
set -eu
[ $# = 5 ] || { echo "usage: build.sh SQLITE LMDB BUILD SDK OUTPUT" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$3" "$5"
build=$(cd "$3" && pwd)
cc=$4/bin/wasm32-linux-musl-clang
output=$(cd "$5" && pwd)

# There are no patches of ours and no overlay, so neither folder exists.
"$here/../../tools/prepare-source" "$1" "$here/sqlite/overlay" "$here/sqlite/patches" "$build/sqlite"
"$here/../../tools/prepare-source" "$2" "$here/lmdb/overlay" "$here/lmdb/patches" "$build/lmdb"

# All of SQLite in one file. The programs that make it run on this computer.
mkdir -p "$build/amalgamation"
(cd "$build/amalgamation" && make -s -f ../sqlite/main.mk TOP=../sqlite BCC="clang-22 -w" TCC=false sqlite3.c >make.log 2>&1) ||
	{ cat "$build/amalgamation/make.log" >&2; exit 1; }

# Upstream's code has warnings, and ours may not.
object() { "$cc" -O2 -w "$@"; }
program() { "$cc" -O2 -Wall -Werror "$@"; }
object -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -c "$build/amalgamation/sqlite3.c" -o "$build/sqlite3.o"
program -I "$build/amalgamation" "$here/writers.c" "$here/sqlite/store.c" "$build/sqlite3.o" -o "$output/sqlite-writers"
lmdb=$build/lmdb/libraries/liblmdb
for name in mdb midl mdb_stat mdb_copy; do object -c "$lmdb/$name.c" -o "$build/$name.o"; done
program -I "$lmdb" "$here/writers.c" "$here/lmdb/store.c" "$build/mdb.o" "$build/midl.o" -o "$output/lmdb-writers"
for name in mdb_stat mdb_copy; do program "$build/$name.o" "$build/mdb.o" "$build/midl.o" -o "$output/$name"; done
