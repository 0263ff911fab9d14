#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every source file names its licence: GPL-2.0 below kernel/, MIT elsewhere. No registry host, no path of a machine."""

import pathlib
import re
import subprocess
import sys

# Files whose content is compared byte for byte, or whose format has no comments; texts.
SUFFIXES = "json md expected flags status stdin patch txt npmrc gz png".split()
NAMES = """
    LICENSE .prettierignore .npmrc .gitattributes _headers motd issue pin version packages target-flags passwd group
    shadow hosts hostname profile inittab shells services protocols fstab config config.debug
""".split()
FOLDERS = ("LICENSES/", "initramfs/", "tests/fuzz/corpus/")
REGISTRIES = r"//(deb|ftp|security|registry|cdn)[a-z.-]*\.(debian\.org|npmjs\.org)|registry\.npmjs|/home/[a-z]+/"
OTHERS = ("MIT", "GPL-2.0-only", "GPL-2.0 WITH Linux-syscall-note")


def needs_no_line(name: str) -> bool:
    """Whether a file has no place for a licence."""
    path = pathlib.PurePosixPath(name)
    return name.startswith(FOLDERS) or path.name in NAMES or path.suffix.removeprefix(".") in SUFFIXES


def faults_of(name: str, text: str, root: str) -> list[str]:
    """What is wrong with a file: a list of sentences."""
    faults = []
    if root in text or re.search(REGISTRIES, text):
        faults.append(f"{name}: names a registry host or a path of a machine")
    if needs_no_line(name):
        return faults
    licence = re.search(r"SPDX-License-Identifier: (.*?)(\s*\*/|\s*-->)?$", text[:600], re.MULTILINE)
    if licence is None:
        faults.append(f"{name}: no SPDX line")
    elif name.startswith("kernel/overlay/") and "GPL-2.0" not in licence[1]:
        faults.append(f"{name}: kernel code is GPL-2.0, not {licence[1]}")
    elif not name.startswith("kernel/") and licence[1].strip() not in OTHERS:
        faults.append(f"{name}: {licence[1]}")
    return faults


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    output = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    names = [name for name in output.split("\0") if name and (root / name).is_file() and not (root / name).is_symlink()]
    failures = []
    for name in names:
        failures += faults_of(name, (root / name).read_text(encoding="utf-8", errors="replace"), str(root))
    print("\n".join(failures) or f"{len(names)} files")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
