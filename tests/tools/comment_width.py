#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines of comment end at column 80 at the latest.

This looks at lines that have nothing but comment. A comment behind code may
make its line as long as the formatter lets it. Lines with an address and SPDX
lines may be longer.
"""

import collections.abc
import io
import pathlib
import re
import subprocess
import sys
import tokenize

MOST = 80
TAB = 8
FOLDERS = ("kernel/overlay", "host", "web/src", "userland", "tools")
SLASHES = {".c", ".h", ".cpp", ".hpp", ".inc", ".S"}
SCRIPTS = {".ts", ".mjs"}
HASHES = {".s", ".sh", ".awk"}
EXEMPT = re.compile(r"\w://\S|SPDX-License-Identifier")

# Comments, and what may contain the start of one and is none: strings, and
# numbers with quotation marks. A string ends with its line, so that a stray
# quotation mark does no harm to the next line.
TOKEN = r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
    | R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"
    | "(?:\\.|[^"\\\n])*"?
    | (?<!\w)\d[\w'.]*
    | '(?:\\.|[^'\\\n])*'?
"""
C_TOKEN = re.compile(TOKEN, re.DOTALL | re.VERBOSE)
SCRIPT_TOKEN = re.compile(
    TOKEN
    + r"""
    | (?P<expression> /(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/ )
    | (?P<template> ` )
    | (?P<open> \{ )
    | (?P<close> \} )
""",
    re.DOTALL | re.VERBOSE,
)
# A part of a template literal, from behind its start or behind an expression in
# it, to the next expression or the end of the literal.
TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^\\`$])*(`|\$\{)?", re.DOTALL)

Spans = collections.abc.Iterator[tuple[int, int]]


def c_comments(text: str) -> Spans:
    """The comments of C and C++."""
    for match in C_TOKEN.finditer(text):
        if match.lastgroup == "comment":
            yield match.span()


def divides(before: str) -> bool:
    """Whether a slash behind this text divides; if not, it begins a regex."""
    return bool(re.search(r"[\w$)\]]\s*\Z", before)) and not re.search(r"\b(return|case|typeof)\s*\Z", before)


def script_comments(text: str) -> Spans:
    """The comments of TypeScript and JavaScript.

    The expressions in a template literal are code. braces has how many braces
    are open in each expression that the position is in.
    """
    position, braces = 0, []
    while match := SCRIPT_TOKEN.search(text, position):
        position, kind = match.end(), match.lastgroup
        if kind == "comment":
            yield match.span()
        elif kind == "expression" and divides(text[text.rfind("\n", 0, match.start()) + 1 : match.start()]):
            position = match.start() + 1
        elif kind in ("open", "close") and braces:
            braces[-1] += 1 if kind == "open" else -1
            if not braces[-1]:
                braces.pop()
                kind = "template"
        if kind == "template":
            part = TEMPLATE.match(text, position)
            position = part.end()
            if part[1] == "${":
                braces.append(1)


def python_comments(text: str) -> Spans:
    """The comments of Python, without its strings."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            start = starts[token.start[0] - 1] + token.start[1]
            yield start, start + len(token.string)


def hash_comments(text: str) -> Spans:
    """The comments of shell scripts, awk and assembly that begin a line."""
    for match in re.finditer(r"^[ \t]*(#[^\n]*)", text, re.MULTILINE):
        yield match.span(1)


def finder_of(name: str, text: str) -> collections.abc.Callable[[str], Spans] | None:
    """What finds a file's comments; None for a file that is not checked."""
    suffix, first = pathlib.PurePath(name).suffix, text.split("\n", maxsplit=1)[0]
    if suffix in SLASHES:
        return c_comments
    if suffix in SCRIPTS:
        return script_comments
    if suffix == ".py" or re.match(r"#!.*python", first):
        return python_comments
    if suffix in HASHES or first.startswith("#!"):
        return script_comments if re.match(r"#!.*node", first) else hash_comments
    return None


def faults_of(name: str, text: str) -> list[str]:
    """The lines of comment that are too wide: a list of sentences."""
    finder, faults = finder_of(name, text), []
    for start, end in finder(text) if finder else ():
        before, behind = text[:start].rpartition("\n")[2], text[end:].partition("\n")[0]
        lines = (before + text[start:end] + behind).split("\n")
        first = text.count("\n", 0, start) + 1
        for index, line in enumerate(lines):
            width = len(line.expandtabs(TAB))
            shared = (index == 0 and before.strip()) or (index == len(lines) - 1 and behind.strip())
            if width > MOST and not shared and not EXEMPT.search(line) and not line.startswith("#!"):
                faults.append(f"{name}:{first + index}: this comment ends at column {width}, and {MOST} is the last")
    return faults


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    command = ["git", "-C", root, "ls-files", "-z", "--", *FOLDERS]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    faults = []
    for name in filter(None, output.split("\0")):
        path = root / name
        if path.is_file() and not path.is_symlink():
            faults += faults_of(name, path.read_text(encoding="utf-8", errors="replace"))
    print("\n".join(faults) or "no comment is too wide")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
