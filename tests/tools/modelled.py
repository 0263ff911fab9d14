#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ties the model of the CPU tokens to the code that it models.

kernel/model/modelled.list has a line "FILE FUNCTION SUM" for each function that the model follows. A function that is
gone, that has changed since somebody compared it with the model, that the model does not name, or whose file does not
name the model is an error. With --accept the sums are written anew: after the comparison, not instead of it.
"""

import hashlib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = "kernel/model/cpu-token.pml"
LIST = ROOT / "kernel/model/modelled.list"


def body(text: str, name: str) -> str | None:
    """The definition of a function, from its name to the brace that stands below its first line."""
    start = re.compile(rf"^([ \t]*)(?![ \t*/#])[^\n;]*\b{re.escape(name)}\([^;{{]*\{{$", re.MULTILINE)
    match = start.search(text)
    if match is None:
        return None
    end = text.find(f"\n{match[1]}}}", match.end())
    return None if end < 0 else text[match.start() : end]


def sum_of(code: str) -> str:
    """Of the code without comments and white space."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", code, flags=re.DOTALL)
    return hashlib.sha256("".join(code.split()).encode()).hexdigest()[:12]


def check(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines with the sums of now, and what is wrong."""
    model = (ROOT / MODEL).read_text()
    renewed, failures = [], []
    for line in lines:
        if line.startswith("#"):
            renewed.append(line)
            continue
        name, function, stored = line.split()
        path = ROOT / name
        text = path.read_text() if path.is_file() else ""
        code = body(text, function)
        if code is None:
            failures.append(f"{name} has no function {function}")
            renewed.append(line)
            continue
        if MODEL.rsplit("/", maxsplit=1)[-1] not in text:
            failures.append(f"{name} does not name {MODEL}, which models it")
        if not re.search(rf"\b{function}\b", model):
            failures.append(f"{MODEL} does not name {function} of {name}")
        if sum_of(code) != stored:
            failures.append(
                f"{function} in {name} has changed: compare it with {MODEL}, "
                f"run ./auklet test -R model, then {pathlib.Path(__file__).name} --accept"
            )
        renewed.append(f"{name} {function} {sum_of(code)}")
    return renewed, failures


def main() -> int:
    renewed, failures = check(LIST.read_text().splitlines())
    if sys.argv[1:] == ["--accept"]:
        LIST.write_text("\n".join(renewed) + "\n")
        failures = [failure for failure in failures if "has changed" not in failure]
    functions = sum(not line.startswith("#") for line in renewed)
    print("\n".join(failures) or f"{functions} functions are as they were when the model was compared with them")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
