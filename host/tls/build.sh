#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds auklet-tls.wasm: build.sh SOURCE OUTPUT
# SOURCE is the folder of BearSSL. The module has no imports: BearSSL gets its
# random numbers as an argument, and needs neither a clock nor malloc().
set -eu
[ $# = 2 ] || { echo "usage: build.sh SOURCE OUTPUT" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
folder=$(dirname "$2")
mkdir -p "$folder"

emcc -Os -flto -std=gnu17 -Wall -Wextra -Wshadow -Werror -isystem "$1/inc" -c "$here/tls.c" -o "$folder/tls.o"
# All of BearSSL: LTO leaves out what is not called, and one run of the compiler
# is faster than a list of what is. -w, because these files are not ours.
# shellcheck disable=SC2046 # no name has a space
emcc -Os -flto -w -I"$1/inc" -I"$1/src" -DBR_64=1 -DBR_LE_UNALIGNED=1 -DBR_USE_URANDOM=0 -DBR_USE_GETENTROPY=0 \
	-DBR_USE_UNIX_TIME=0 "$folder/tls.o" $(find "$1/src" -name '*.c' | LC_ALL=C sort) -o "$2" \
	--no-entry -sSTANDALONE_WASM -sPURE_WASI=0 -sFILESYSTEM=0 -sMALLOC=none -sALLOW_MEMORY_GROWTH \
	-sINITIAL_MEMORY=128KB -sSTACK_SIZE=32KB -sSUPPORT_LONGJMP=0
