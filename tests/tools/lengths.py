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
CORPUS = "tests/fuzz/corpus/"


def is_source(name: str) -> bool:
    """Whether a file's length counts."""
    if pathlib.PurePath(name).suffix not in SUFFIXES or name.startswith(CORPUS):
        return False
    return name not in TEXTS and name.split("/", maxsplit=1)[0] not in TEXTS


def faults_of(lines: dict[str, int], longer: dict[str, int]) -> list[str]:
    """What is wrong with files of so many lines, where longer lists those that may have more: a list of sentences."""
    faults = []
    for name, count in lines.items():
        most = longer.get(name, MOST)
        if count > most:
            faults.append(f"{name} has {count} lines, more than {most}: a file is one subject")
        elif name in longer and count <= MOST:
            faults.append(f"{name} has {count} lines: take it off the list in {pathlib.Path(__file__).name}")
    return faults + [f"{name} is on the list and does not exist" for name in longer if name not in lines]


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    output = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    paths = {name: root / name for name in output.split("\0") if name and is_source(name)}
    files = {name: path for name, path in paths.items() if path.is_file() and not path.is_symlink()}
    faults = faults_of({name: path.read_bytes().count(b"\n") for name, path in files.items()}, LONGER)
    print("\n".join(faults) or "no file is too long")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
