#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every source file names its licence: GPL-2.0 below kernel/, MIT elsewhere. No registry host, no path of a machine."""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
names = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.split("\0")
# Formats without comments, texts, and files whose content is compared byte for byte.
without = re.compile(r"(\.(json|md|expected|flags|status|stdin|patch|txt|npmrc|gz|png)|(^|/)(LICENSE|\.prettierignore|\.npmrc|\.gitattributes|_headers|motd|issue|pin|version|packages|target-flags|passwd|group|shadow|hosts|hostname|profile|inittab|shells|services|protocols|fstab|config.*))$|^LICENSES/|^initramfs/|^tests/fuzz/corpus/")
failures = []
for name in filter(None, names):
    path = root / name
    if not path.is_file() or path.is_symlink():
        continue
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.search(r"//(deb|ftp|security|registry|cdn)[a-z.-]*\.(debian\.org|npmjs\.org)|registry\.npmjs|/home/[a-z]+/|" + re.escape(str(root)), text):
        failures.append(f"{name}: names a registry host or a path of a machine")
    if without.search(name):
        continue
    licence = re.search(r"SPDX-License-Identifier: (.*?)(\s*\*/|\s*-->)?$", text[:600], re.M)
    if licence is None:
        failures.append(f"{name}: no SPDX line")
    elif name.startswith("kernel/overlay/") and "GPL-2.0" not in licence[1]:
        failures.append(f"{name}: kernel code is GPL-2.0, not {licence[1]}")
    elif not name.startswith("kernel/") and licence[1].strip() not in ("MIT", "GPL-2.0-only", "GPL-2.0 WITH Linux-syscall-note"):
        failures.append(f"{name}: {licence[1]}")
print("\n".join(failures) or f"{len(names) - 1} files")
sys.exit(bool(failures))
