#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No source file has more than 500 lines. Those that still do are listed, and may only become shorter."""

import pathlib
import subprocess
import sys

MOST = 500
LONGER = {
    "kernel/model/cpu-token.pml": 1232,
}
SUFFIXES = {".c", ".h", ".S", ".cpp", ".hpp", ".ts", ".mjs", ".py", ".sh", ".css", ".wat", ".pml", ".awk", ""}
TEXTS = {"LICENSES", "initramfs", "kernel/config", "userland/busybox/config"}

root = pathlib.Path(__file__).resolve().parents[2]
output = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
failures = []
for name in filter(None, output.split("\0")):
    path = root / name
    if pathlib.PurePath(name).suffix not in SUFFIXES or not path.is_file() or path.is_symlink():
        continue
    if name in TEXTS or name.split("/")[0] in TEXTS or name.startswith("tests/fuzz/corpus/"):
        continue
    lines = path.read_bytes().count(b"\n")
    most = LONGER.get(name, MOST)
    if lines > most:
        failures.append(f"{name} has {lines} lines, more than {most}: a file is one subject")
    elif name in LONGER and lines <= MOST:
        failures.append(f"{name} has {lines} lines: take it off the list in {pathlib.Path(__file__).name}")
failures += [f"{name} is on the list and does not exist" for name in LONGER if not (root / name).is_file()]
print("\n".join(failures) or "no file is too long")
sys.exit(bool(failures))
