#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages are right where a program can tell: lines end at 120, and what they name is there.

- No line of a tracked .md file is longer than 120 characters. Rows of tables
  may be, and lines that hold one word which cannot be broken.
- Each link to a file or a heading of this tree leads to one.
- Each source file that a page names is in the tree, and each place that the map
  in a README.md has. Pages of docs/decisions tell what was, and may name what is
  gone.
- Each page that a source file names is there, with the heading that it names.
"""

import fnmatch
import pathlib
import posixpath
import re
import subprocess
import sys

WIDTH = 120
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
# `host/src/layout.cpp`: a name with a folder, and the ending of a source file.
SOURCE = re.compile(r"`(?:…/)?([\w.-]+(?:/[\w.-]+)+\.(?:c|h|S|cpp|hpp|ts|mjs|py|sh|wat|pml|cmake|json))`")
# The first cell of a row of a map, and the places in it.
MAP = re.compile(r"(?ms)^\| (?:place|folder|file) .*?(?=^[^|]|\Z)")
PLACE = re.compile(r"`([^`]+)`")
# docs/abi-engine.md, "Workers" in a source file; [abi-engine.md](abi-engine.md), "Workers" in a page.
NAMED = re.compile(r"\b(docs/[\w/-]+\.md)(?:, \"([^\"\n]{1,60})\")?")
TITLED = re.compile(r"\]\(([^)\s]+\.md)\), \"([^\"]{1,60})\"")
# Not in this tree: files of upstream sources, and of what is built.
ELSEWHERE = re.compile(r"(asm|asm-generic|linux|exec)/|build/|types/|.*generated/|.*\b[A-Z]{2,}(?:\b|_)")


def without_code(text: str) -> str:
    """The text with the lines of fenced blocks and comments of HTML taken out."""
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    return re.sub(r"(?s)<!--.*?-->", "", text)


def headings_of(text: str) -> list[str]:
    return [match[1].strip() for match in re.finditer(r"(?m)^#+ (.*)$", without_code(text))]


def anchor_of(heading: str) -> str:
    """The fragment that leads to a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def long_lines(text: str) -> list[str]:
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) <= WIDTH or line.lstrip().startswith("|"):
            continue
        words = line.split()
        if max(map(len, words)) + len(line) - len(line.lstrip()) + 4 <= WIDTH:
            faults.append(f"{number}: {len(line)} characters")
    return faults


class Tree:
    """The tracked files by name, with the text of each."""

    def __init__(self, files: dict[str, str]):
        self.files = files
        self.folders = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents}
        self.ends = {name[at:] for name in files for at in (0, *(i + 1 for i, c in enumerate(name) if c == "/"))}

    def target_of(self, page: str, link: str) -> str | None:
        """The name that a link on a page leads to; None for one that leads out of the tree by its nature."""
        if re.match(r"[a-z]+:", link):
            return None
        path = link.partition("#")[0]
        if path == "":
            return page
        return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))

    def missing_in_map(self, page: str) -> list[str]:
        """Places of a README's map that are not there."""
        folder = page.removesuffix("README.md")
        names = self.files.keys() | self.folders
        missing = []
        for table in MAP.findall(without_code(self.files[page])):
            for row in table.splitlines()[2:]:
                missing.extend(
                    place
                    for place in PLACE.findall(row.split("|")[1])
                    if not fnmatch.filter(names, posixpath.normpath(folder + place)) and not ELSEWHERE.match(place)
                )
        return missing

    def faults_of_page(self, page: str) -> list[str]:
        text = self.files[page]
        faults = long_lines(text)
        for link in LINK.findall(without_code(text)):
            target = self.target_of(page, link)
            fragment = link.partition("#")[2]
            if target is None:
                continue
            if target not in self.files and target not in self.folders:
                faults.append(f"a link to {link}, which is not there")
            elif fragment and fragment not in map(anchor_of, headings_of(self.files.get(target, ""))):
                faults.append(f"a link to {link}, which has no such heading")
        for link, title in TITLED.findall(re.sub(r"\s+", " ", without_code(text))):
            target = self.target_of(page, link)
            if target in self.files and title not in headings_of(self.files[target]):
                faults.append(f'{link} has no heading "{title}"')
        if pathlib.PurePosixPath(page).name == "README.md":
            faults += [f"the map has {place}, which is not there" for place in self.missing_in_map(page)]
        if not page.startswith("docs/decisions/"):
            for name in SOURCE.findall(without_code(text)):
                if name.removeprefix("../") not in self.ends and not ELSEWHERE.match(name):
                    faults.append(f"{name} is named and not there")
        return faults

    def faults_of_source(self, name: str) -> list[str]:
        # A comment may be wrapped between a page and its heading.
        text = re.sub(r"\n[ \t]*(?:\*|//+|#|\+)?[ \t]*(?:\*|//+)?[ \t]*", " ", self.files[name])
        faults = []
        for page, title in NAMED.findall(text):
            if page not in self.files:
                faults.append(f"{page} is named and not there")
            elif title and title not in headings_of(self.files[page]):
                faults.append(f'{page} has no heading "{title}"')
        return faults

    def faults(self) -> list[str]:
        found = []
        for name in sorted(self.files):
            of_page = name.endswith(".md")
            faults = self.faults_of_page(name) if of_page else self.faults_of_source(name)
            found.extend(f"{name}: {fault}" for fault in faults)
        return found


def check_the_checker() -> None:
    good = {
        "docs/a.md": "# A\n\n## On two words\n\n[b](../b.md#b-c), `src/x.c`, [itself](#a), [out](https://b.c/d).\n"
        + f"| {'table ' * 30}|\n<https://b.c/{'d' * 130}>\n",
        "b.md": '# B, C!\n\n[a](docs/a.md), "On two words". `kernel/src/x.c`\n',
        "kernel/README.md": "# K\n\n| place | what |\n| --- | --- |\n| `src/`, `src/x.*` | `none` |\n\nText.\n",
        "kernel/src/x.c": '/*\n * docs/a.md,\n * "On two words"; docs/a.md\n */\n',
    }
    assert Tree(good).faults() == [], Tree(good).faults()
    for name, text in (
        ("b.md", "word " * 25),
        ("b.md", "    indented code " + "word " * 25),
        ("b.md", "[a](docs/c.md)"),
        ("b.md", "[a](docs/a.md#none)"),
        ("b.md", '[a](docs/a.md), "None"'),
        ("b.md", "`kernel/y.c`"),
        ("b.md", "`y/x.c`"),
        ("kernel/README.md", "# K\n\n| place | what |\n| --- | --- |\n| `src/`, `y.*` | |\n"),
        ("kernel/src/x.c", "/* docs/c.md */"),
        ("kernel/src/x.c", '// docs/a.md,\n// "None"'),
    ):
        assert Tree({**good, name: text}).faults(), (name, text)


def main() -> int:
    check_the_checker()
    root = pathlib.Path(__file__).resolve().parents[2]
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    files = {}
    for name in filter(None, listed.split("\0")):
        path = root / name
        if path.is_file() and not path.is_symlink() and name != pathlib.Path(__file__).relative_to(root).as_posix():
            files[name] = path.read_text(encoding="utf-8", errors="replace")
    faults = Tree(files).faults()
    print("\n".join(faults) or f"{sum(name.endswith('.md') for name in files)} pages")
    return bool(faults)


sys.exit(main())
