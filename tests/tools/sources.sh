#!/bin/sh
# SPDX-License-Identifier: MIT
# What the checks of source packages accept, say and refuse: sources.sh TOP. On made-up packages, without a network.
set -eu
top=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# The tools find the pins beside themselves.
mkdir -p tree/kernel tree/userland/musl tree/userland/picolibc tree/userland/busybox tree/host/tls tree/initramfs/certificates tree/environment sources/apt
cp -R "$top/tools" tree/
cp "$top/environment/mirrors" tree/environment/
check=tree/tools/check-source
pin=tree/userland/busybox/pin

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
refuses() {
	pattern=$1
	shift
	if output=$("$@" 2>&1); then fail "accepted: $*: $output"; fi
	echo "$output" | grep -q "$pattern" || fail "no '$pattern' in: $output"
}
says() {
	pattern=$1
	shift
	output=$("$@" 2>&1) || fail "$*: $output"
	echo "$output" | grep -q "$pattern" || fail "no '$pattern' in: $output"
}
hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }
# package VERSION DEBIAN-FILE: the .dsc of both files of busybox 1.37.0.
package() {
	cat >"sources/busybox_$1.dsc" <<-END
		Source: busybox
		Version: 1:$1
		Checksums-Sha1:
		 0000 9 not-this-one
		Checksums-Sha256:
		 $(hash_of sources/busybox_1.37.0.orig.tar.bz2) 9 busybox_1.37.0.orig.tar.bz2
		 $(hash_of "sources/$2") 9 $2
		Files:
		 0000 9 nor-this-one
	END
	ln -sf "busybox_$1.dsc" sources/busybox.dsc
}
# A pin of each package: pin FOLDER PACKAGE VERSION TESTED
pin() {
	printf 'package=%s\nversion=%s\ntested=%s\nsha256="\n%s"\n' "$2" "$3" "$4" "${5:-}" >"tree/$1/pin"
}

echo upstream >sources/busybox_1.37.0.orig.tar.bz2
echo patches >sources/busybox_1.37.0-6.debian.tar.xz
package 1.37.0-6 busybox_1.37.0-6.debian.tar.xz
hashes="$(cd sources && sha256sum busybox_1.37.0.orig.tar.bz2 busybox_1.37.0-6.debian.tar.xz)
"
pin userland/busybox busybox 1.37.0 1:1.37.0-6 "$hashes"

[ -z "$("$check" $pin sources/busybox.dsc)" ] || fail "the tested version is worth no word"
refuses 'there is no source' "$check" $pin sources/missing.dsc

# A file that is not what the archive had, whatever the .dsc beside it says.
echo other >sources/busybox_1.37.0-6.debian.tar.xz
refuses 'its .dsc says' "$check" $pin sources/busybox.dsc
package 1.37.0-6 busybox_1.37.0-6.debian.tar.xz
refuses 'userland/busybox/pin says' "$check" $pin sources/busybox.dsc
rm sources/busybox_1.37.0-6.debian.tar.xz
refuses 'is missing' "$check" $pin sources/busybox.dsc

# A security update is used, and named; its upstream tarball must be the known one.
echo more patches >sources/busybox_1.37.0-6+deb13u1.debian.tar.xz
package 1.37.0-6+deb13u1 busybox_1.37.0-6+deb13u1.debian.tar.xz
says 'notice: busybox 1:1.37.0-6+deb13u1 is not the tested version, 1:1.37.0-6' "$check" $pin sources/busybox.dsc
echo changed >sources/busybox_1.37.0.orig.tar.bz2
package 1.37.0-6+deb13u1 busybox_1.37.0-6+deb13u1.debian.tar.xz
refuses 'userland/busybox/pin says' "$check" $pin sources/busybox.dsc
# Another upstream version is not what the configuration is for.
package 1.38.0-1 busybox_1.37.0-6+deb13u1.debian.tar.xz
refuses 'is version 1:1.38.0-1, and this tree is for 1.37.0' "$check" $pin sources/busybox.dsc
package 1.37.01-1 busybox_1.37.0-6+deb13u1.debian.tar.xz
refuses 'this tree is for 1.37.0' "$check" $pin sources/busybox.dsc

# The row. Linux, the time zones and the certificates are those of this environment.
package 1.37.0-6 busybox_1.37.0-6+deb13u1.debian.tar.xz
installed() { dpkg-query --show --showformat '${source:Version}' "$1"; }
linux=$(installed linux-source-6.12)
printf 'Version: 1.2.5-3.1~deb13u1\n' >sources/musl.dsc
: >sources/device-tree-compiler_1.7.2.orig.tar.xz
ln -s device-tree-compiler_1.7.2.orig.tar.xz sources/device-tree-compiler.tar
: >sources/picolibc_1.8.10.orig.tar.gz
: >sources/bearssl_0.6.orig.tar.xz
ln -s bearssl_0.6.orig.tar.xz sources/bearssl.tar
ln -s picolibc_1.8.10.orig.tar.gz sources/picolibc.tar
pin kernel linux 6.12 "$linux"
pin userland/musl musl 1.2.5 1.2.5-3.1~deb13u1
pin userland/picolibc picolibc 1.8.10 1.8.10
pin host device-tree-compiler 1.7.2 1.7.2
pin host/tls bearssl 0.6 0.6
pin initramfs tzdata '' "$(installed tzdata)"
pin initramfs/certificates ca-certificates '' "$(installed ca-certificates)"
: >sources/apt/asked
touch -d '2026-01-02 12:00 UTC' sources/apt/updated
row=tree/tools/source-versions
cat >sources/apt/offered <<END
linux 6.12.1-1 security
linux $linux main
musl 1.2.5-3.1~deb13u1 main
busybox 1:1.37.0-6 main
device-tree-compiler 1.7.2-2 main
picolibc 1.8.10-2 main
busybox-something 1:9-1 security
END
says "^sources: linux $linux, musl 1.2.5-3.1~deb13u1, picolibc 1.8.10, busybox 1:1.37.0-6, device-tree-compiler 1.7.2, bearssl 0.6, tzdata .*, ca-certificates " $row sources
says "none is behind Debian's archives, main and security (lists of 2026-01-02)" $row sources
cat >>sources/apt/offered <<END
linux 6.12.9999-1 security
busybox 1:1.37.0-6+deb13u1 main
END
says "BEHIND Debian's security archive: linux $linux, which has 6.12.9999-1; run: ./auklet build update-sources" $row sources
says "behind Debian's archive: busybox 1:1.37.0-6, which has 1:1.37.0-6+deb13u1" $row sources
if $row sources | grep -q 'none is behind'; then fail "two are behind"; fi
package 1.37.0-6+deb13u1 busybox_1.37.0-6+deb13u1.debian.tar.xz
says 'not the tested version: busybox 1:1.37.0-6+deb13u1; userland/busybox/pin names 1:1.37.0-6' $row sources
[ "$($row sources --list | sed -n 4p)" = 'busybox 1:1.37.0-6+deb13u1' ] || fail "the list"
echo passed
