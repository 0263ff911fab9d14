# SPDX-License-Identifier: MIT
"""Reads and writes linked programs for the compiler wrapper's tools."""

import sys

TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, ELEMENT, CODE = 1, 2, 3, 6, 7, 9, 10
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)

# The opcodes, and then sets of them by what follows them.
BLOCK, LOOP, IF, ELSE, TRY, CATCH, THROW, RETHROW, END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0B
BR, BR_IF, BR_TABLE, RETURN, CALL, CALL_INDIRECT = 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11
RETURN_CALL, RETURN_CALL_INDIRECT, DELEGATE, CATCH_ALL, UNREACHABLE = 0x12, 0x13, 0x18, 0x19, 0x00
TYPED_SELECT, TRY_TABLE, THROW_REF, GLOBAL_SET, I32_ADD = 0x1C, 0x1F, 0x0A, 0x24, 0x6A
ONE_NUMBER = {BLOCK, LOOP, IF, TRY, CATCH, THROW, RETHROW, BR, BR_IF, CALL, RETURN_CALL, DELEGATE}
ONE_NUMBER |= {0x14, 0x15, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0xD0, 0xD2}
I64_CONST = 0x42
TWO_NUMBERS = {CALL_INDIRECT, RETURN_CALL_INDIRECT}
# The program may go on elsewhere after these. A try is one of them, because a
# call in it may go on in its catch.
BRANCHES = {IF, ELSE, TRY, TRY_TABLE, CATCH, CATCH_ALL, DELEGATE, BR, BR_IF, BR_TABLE, RETURN, RETURN_CALL_INDIRECT}
BRANCHES |= {UNREACHABLE, THROW, RETHROW, THROW_REF}
MEMORY_ACCESS = range(0x28, 0x3F)
# How many numbers follow each opcode after the prefix 0xFC.
BULK = {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}


class Failure(Exception):
    """Something the user must know. It is shown as one line."""


class Reader:
    def __init__(self, data, position=0, end=None):
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def __bool__(self):
        return self.position < self.end

    def skip(self, size):
        """Goes past a piece of this size. Returns where the piece starts."""
        start = self.position
        if size > self.end - start:
            raise Failure(f"byte {start}: {size} bytes are needed, and {self.end - start} are left")
        self.position += size
        return start

    def byte(self):
        return self.data[self.skip(1)]

    def number(self, bits=32):
        """Reads unsigned LEB128. For signed numbers this only skips."""
        start, value = self.position, 0
        for shift in range(0, bits, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Failure(f"byte {start}: a number of more than {bits} bits")

    def part(self):
        size = self.number()
        start = self.skip(size)
        return Reader(self.data, start, self.position)

    def text(self):
        part = self.part()
        try:
            return part.rest().decode()
        except UnicodeDecodeError:
            raise Failure(f"byte {part.position}: a name that is not UTF-8") from None

    def limits(self):
        flags = self.byte()
        self.number()
        if flags & 1:
            self.number()

    def rest(self):
        return self.data[self.position : self.end]


def leb(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def skip_immediates(code, opcode):
    if opcode in ONE_NUMBER:
        code.number()
    elif opcode in TWO_NUMBERS:
        code.number(), code.number()
    elif opcode == I64_CONST:
        code.number(64)
    elif opcode in MEMORY_ACCESS:
        skip_memory_access(code)
    elif opcode == BR_TABLE:
        for _ in range(code.number() + 1):
            code.number()
    elif opcode == TYPED_SELECT:
        for _ in range(code.number()):
            code.number()
    elif opcode == TRY_TABLE:
        code.number()
        for _ in range(code.number()):
            if code.byte() < 2:
                code.number()
            code.number()
    elif opcode == 0x43:
        code.skip(4)
    elif opcode == 0x44:
        code.skip(8)
    elif opcode == 0xFC:
        for _ in range(BULK.get(code.number(), 0)):
            code.number()
    elif opcode == 0xFD:
        skip_vector(code, code.number())
    elif opcode == 0xFE:
        if code.number() == 3:
            code.byte()
        else:
            skip_memory_access(code)
    elif opcode > 0xD2 or 0x1D <= opcode <= 0x1E or opcode in (0x16, 0x17, 0x27):
        raise Failure(f"unknown instruction 0x{opcode:02x}")


def skip_memory_access(code):
    if code.number() & 0x40:
        code.number()
    code.number()


def skip_vector(code, operation):
    if operation <= 11 or 92 <= operation <= 93:
        skip_memory_access(code)
    elif operation in (12, 13):
        code.skip(16)
    elif 21 <= operation <= 34:
        code.byte()
    elif 84 <= operation <= 91:
        skip_memory_access(code)
        code.byte()


class Function:
    """A function's body: where polls may go, and what comes on the way."""

    def __init__(self, body):
        self.data = body.data
        self.start, self.end = body.position, body.end
        self.calls = set()
        self.indirect = set()
        # For each global.set: where its index is, and the opcode before it.
        self.global_sets = []
        # Positions after the head of each loop.
        self.loops = []
        # What surely follows the entry or such a position: a list of
        # ("call", function) and ("loop", position).
        self.ahead = {}
        self.parse(body)

    def parse(self, code):
        for _ in range(code.number()):
            code.number(), code.byte()
        self.entry = code.position
        self.ahead[self.entry] = []
        # The places from which there was no branch yet on the way to here.
        straight = [self.entry]
        previous = opcode = None
        while code:
            previous, opcode = opcode, code.byte()
            if opcode in (CALL, RETURN_CALL):
                target = code.number()
                self.calls.add(target)
                for place in straight:
                    self.ahead[place].append(("call", target))
                if opcode == RETURN_CALL:
                    straight = []
                continue
            at = code.position
            skip_immediates(code, opcode)
            if opcode in TWO_NUMBERS:
                self.indirect.add(Reader(self.data, at).number())
            elif opcode == GLOBAL_SET:
                self.global_sets.append((at, previous))
            elif opcode == LOOP:
                for place in straight:
                    self.ahead[place].append(("loop", code.position))
                self.loops.append(code.position)
                self.ahead[code.position] = []
                straight.append(code.position)
            elif opcode in BRANCHES:
                straight = []


class Program:
    def __init__(self, data):
        if data[:8] != b"\0asm\1\0\0\0":
            raise Failure("not a wasm module")
        self.sections = []
        reader = Reader(data, 8)
        while reader:
            identifier = reader.byte()
            self.sections.append((identifier, reader.part()))
        self.imported = []
        self.types, self.exports, self.globals, self.table = [], {}, [], set()
        self.functions = {}
        for identifier, content in self.sections:
            self.read(identifier, Reader(content.data, content.position, content.end))
        self.check()

    def check(self):
        """Refuses indexes of nothing where the tools use them unchecked."""
        if len(self.types) != len(self.imported) + len(self.functions):
            raise Failure("there is not one body for each function")
        for number in self.table:
            if number >= len(self.types):
                raise Failure(f"the table has function {number} of {len(self.types)}")
        counts = {FUNCTION_KIND: len(self.types), GLOBAL_KIND: len(self.globals)}
        for name, (kind, index) in self.exports.items():
            if index >= counts.get(kind, index + 1):
                raise Failure(f"the export {name} has index {index} of {counts[kind]}")
        for function in self.functions.values():
            for number in function.calls:
                if number >= len(self.types):
                    raise Failure(f"a call of function {number} of {len(self.types)}")

    def read(self, identifier, content):
        if identifier == IMPORT:
            for _ in range(content.number()):
                name = (content.text(), content.text())
                kind = content.byte()
                if kind == FUNCTION_KIND:
                    self.types.append(content.number())
                    self.imported.append(name)
                elif kind == TABLE_KIND:
                    content.byte(), content.limits()
                elif kind == MEMORY_KIND:
                    content.limits()
                elif kind == GLOBAL_KIND:
                    content.byte(), content.byte()
                    self.globals.append(None)
                else:
                    content.byte(), content.number()
        elif identifier == FUNCTION:
            self.types += [content.number() for _ in range(content.number())]
        elif identifier == GLOBAL:
            for _ in range(content.number()):
                content.byte(), content.byte()
                self.globals.append(self.constant(content))
        elif identifier == EXPORT:
            for _ in range(content.number()):
                name = content.text()
                self.exports[name] = (content.byte(), content.number())
        elif identifier == ELEMENT:
            for _ in range(content.number()):
                if content.number() != 0:
                    raise Failure("an element segment has an unexpected form")
                self.constant(content)
                self.table.update(content.number() for _ in range(content.number()))
        elif identifier == CODE:
            for _ in range(content.number()):
                body = content.part()
                self.functions[len(self.imported) + len(self.functions)] = Function(body)

    @staticmethod
    def constant(content):
        """The value of an initializer if that is an i32.const, else None."""
        first, start, value = content.byte(), content.position, None
        skip_immediates(content, first)
        if first == 0x41:
            value = Reader(content.data, start).number()
        if content.byte() != END:
            raise Failure("an initializer has an unexpected form")
        return value

    def export(self, name, kind):
        found, index = self.exports.get(name, (None, None))
        if found != kind:
            raise Failure(f"the program does not export {name}")
        return index

    def write(self, path, bodies, without_exports, without_sections=(), before_code=None):
        """Writes the program with other bodies (number -> code).

        without_exports: the names of the exports to leave out.
        without_sections: the beginnings of the names of custom sections to
        leave out.
        before_code: the name and content of a custom section to add.
        """
        code = leb(len(bodies)) + b"".join(leb(len(body)) + body for _, body in sorted(bodies.items()))
        exports = [(name, value) for name, value in self.exports.items() if name not in without_exports]
        export = leb(len(exports))
        export += b"".join(text(name) + bytes([kind]) + leb(index) for name, (kind, index) in exports)

        with open(path, "wb") as output:

            def write(identifier, content):
                output.write(bytes([identifier]) + leb(len(content)) + content)

            output.write(b"\0asm\1\0\0\0")
            for identifier, content in self.sections:
                if identifier == 0:
                    name = Reader(content.data, content.position, content.end).text()
                    if not name.startswith(tuple(without_sections)):
                        write(0, content.rest())
                elif identifier == CODE:
                    if before_code:
                        write(0, text(before_code[0]) + before_code[1])
                    write(CODE, code)
                else:
                    write(identifier, export if identifier == EXPORT else content.rest())


def text(string):
    return leb(len(string.encode())) + string.encode()


def run(tool, main):
    """Runs main(arguments), and shows its failures as one line."""
    try:
        main(sys.argv[1:])
    except (Failure, OSError) as failure:
        sys.exit(f"{tool}: {failure}")
