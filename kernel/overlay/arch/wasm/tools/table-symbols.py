#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The symbols of the functions that have an address, that is, an index in the function table.

table-symbols.py map IMAGE                          print them as nm would; IMAGE was linked with --emit-relocs
table-symbols.py check SYSTEM.MAP LINKED OPTIMISED  fail unless the tables of both images are what the map says
"""

import re
import sys
from collections import Counter, defaultdict

CUSTOM, ELEMENT = 0, 9  # sections
FUNCTION, DATA, SECTION = 0, 1, 3  # kinds of symbols
BINDING_WEAK, BINDING_LOCAL, UNDEFINED, EXPLICIT_NAME = 0x1, 0x2, 0x10, 0x40
FUNCTION_NAMES = 1  # part of the name section
SYMBOL_TABLE = 8  # part of the linking section
BOUNDS = ("_stext", "_etext")


class Failure(Exception):
    """Shown as one line."""


class Reader:
    def __init__(self, data, position=0, end=None):
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def __bool__(self):
        return self.position < self.end

    def skip(self, size):
        """Goes over a piece of this size; returns where it starts."""
        start = self.position
        if size > self.end - start:
            raise Failure(f"byte {start}: {size} bytes are needed, and {self.end - start} are left")
        self.position += size
        return start

    def byte(self):
        return self.data[self.skip(1)]

    def number(self):
        """Unsigned LEB128; also right for signed ones that are not negative and were written in full."""
        start, value = self.position, 0
        for shift in range(0, 32, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Failure(f"byte {start}: a number of more than 32 bits")

    def part(self):
        size = self.number()
        start = self.skip(size)
        return Reader(self.data, start, self.position)

    def text(self):
        part = self.part()
        try:
            return part.data[part.position : part.end].decode()
        except UnicodeDecodeError:
            raise Failure(f"byte {part.position}: a name that is not UTF-8") from None


def sections(path):
    """Yields (id, name of a custom section, reader of the content)."""
    with open(path, "rb") as image:
        reader = Reader(image.read(), 8)
    if reader.data[:8] != b"\0asm\1\0\0\0":
        raise Failure(f"{path} is not a wasm module")
    while reader:
        identifier = reader.byte()
        content = reader.part()
        yield identifier, content.text() if identifier == CUSTOM else None, content


def read_table(reader):
    """Index in the table -> number of the function. wasm-ld and wasm-opt both write one active segment."""
    table = {}
    for _ in range(reader.number()):
        if reader.number() != 0 or reader.byte() != 0x41:
            raise Failure("an element segment has an unexpected form")
        base = reader.number()
        if reader.byte() != 0x0B:
            raise Failure("the offset of an element segment is no constant")
        for offset in range(reader.number()):
            table[base + offset] = reader.number()
    return table


def read_names(reader):
    """Number of the function -> its name in the name section."""
    names = {}
    while reader:
        kind = reader.byte()
        part = reader.part()
        if kind == FUNCTION_NAMES:
            for _ in range(part.number()):
                number = part.number()
                names[number] = part.text()
    return names


def read_symbols(reader):
    """Number of the function -> list of (type as nm shows it, name), aliases included."""
    symbols = defaultdict(list)
    reader.number()  # version
    while reader:
        kind = reader.byte()
        part = reader.part()
        if kind != SYMBOL_TABLE:
            continue
        for _ in range(part.number()):
            kind = part.byte()
            flags = part.number()
            if kind == DATA:
                part.text()
                if not flags & UNDEFINED:
                    part.number(), part.number(), part.number()
                continue
            number = part.number()
            if kind == SECTION or (flags & UNDEFINED and not flags & EXPLICIT_NAME):
                continue  # a section, or an import, which has its name in the name section only
            name = part.text()
            if kind == FUNCTION:
                symbols[number].append(("t" if flags & BINDING_LOCAL else "W" if flags & BINDING_WEAK else "T", name))
    return symbols


def read_image(path):
    table, names, symbols = {}, {}, {}
    for identifier, name, content in sections(path):
        if identifier == ELEMENT:
            table = read_table(content)
        elif name == "name":
            names = read_names(content)
        elif name == "linking":
            symbols = read_symbols(content)
    if not table or not names:
        raise Failure(f"{path} has no function table or no name section")
    return table, names, symbols


def write_map(path):
    table, names, symbols = read_image(path)
    lines = [(min(table), "T", BOUNDS[0])]
    for index, number in sorted(table.items()):
        if number not in names and number not in symbols:
            raise Failure(f"{path}: function {number} of the table has no name")
        lines += [(index, *symbol) for symbol in symbols.get(number) or [("T", names[number])]]
    lines.append((max(table) + 1, "T", BOUNDS[1]))
    for index, kind, name in lines:
        print(f"{index:08x} {kind} {name}")


def check(map_path, linked_path, optimised_path):
    """The table must be the same after the link with kallsyms and after wasm-opt. wasm-opt gives functions of equal
    names numbers, and may merge functions of equal bodies: then one of them is gone from the image."""
    expected = defaultdict(set)
    with open(map_path, encoding="utf-8") as lines:
        for line in lines:
            try:
                address, _, name = line.split()
                int(address, 16)
            except ValueError:
                raise Failure(f"{map_path} has a line that is no symbol: {line.rstrip()}") from None
            if name not in BOUNDS:
                expected[int(address, 16)].add(name)
    linked_table, linked_names, _ = read_image(linked_path)
    table, names, _ = read_image(optimised_path)
    before = Counter(linked_names.values())
    after = Counter(name if name in before else re.sub(r"_\d+$", "", name) for name in names.values())
    wrong = []
    for index in sorted(expected.keys() | linked_table.keys() | table.keys()):
        linked = linked_names.get(linked_table.get(index), "nothing")
        found = names.get(table.get(index), "nothing")
        if linked not in expected[index]:
            wrong.append(f"{index} is {linked} in {linked_path}")
        elif found != linked and re.sub(r"_\d+$", "", found) != linked and after[linked] >= before[linked]:
            wrong.append(f"{index} is {found} in {optimised_path}, not {linked}")
    if wrong:
        raise Failure(f"{len(wrong)} functions are not where {map_path} says: {'; '.join(wrong[:5])}")


def main():
    match sys.argv[1:]:
        case ["map", image]:
            write_map(image)
        case ["check", symbols, linked, optimised]:
            check(symbols, linked, optimised)
        case _:
            raise Failure(__doc__)


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"table-symbols: {failure}")
