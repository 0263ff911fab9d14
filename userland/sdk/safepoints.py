#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds safepoints to a linked program: safepoints.py [--no-hints] INPUT OUTPUT

In each loop, and in enough functions that every recursion meets one, a word of memory is polled; when it is not 0, a function is
called. The program exports both: the data symbol __safepoint_word and the function __safepoint (src/internal/wasm32/safepoint.c of the C library),
and, if it has it, __wasm_setjmp. These exports are taken away, and debugging information by offset, which would be wrong. Branch hints say that the call is rare, unless
the program is changed again by a tool that does not know them (--no-hints).

No poll is added where one is met anyway: a function "surely polls" if the code from its start to its first branch has a poll, a system
call, or a call to another function that surely polls; the same for the body of a loop. What __safepoint itself needs has no polls. Nor
have functions that call setjmp: only from the calls that the compiler made with invoke_* functions can they be reached by longjmp.
"""

import sys

TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, ELEMENT, CODE = 1, 2, 3, 6, 7, 9, 10
HINTS = "metadata.code.branch_hint"
OWN_EXPORTS = ("__safepoint", "__safepoint_word", "__wasm_setjmp")
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)

# Opcodes by what follows them.
BLOCK, LOOP, IF, ELSE, TRY, CATCH, THROW, RETHROW, END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0B
BR, BR_IF, BR_TABLE, RETURN, CALL, CALL_INDIRECT = 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11
RETURN_CALL, RETURN_CALL_INDIRECT, DELEGATE, CATCH_ALL, UNREACHABLE = 0x12, 0x13, 0x18, 0x19, 0x00
TYPED_SELECT, TRY_TABLE, THROW_REF = 0x1C, 0x1F, 0x0A
ONE_NUMBER = {CATCH, THROW, RETHROW, BR, BR_IF, CALL, RETURN_CALL, DELEGATE, 0x14, 0x15, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42, 0xD0, 0xD2}
TWO_NUMBERS = {CALL_INDIRECT, RETURN_CALL_INDIRECT}
MEMORY_ACCESS = range(0x28, 0x3F)
# After the prefix 0xFC: how many numbers.
BULK = {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}


class Failure(Exception):
    """Shown as one line."""


class Reader:
    def __init__(self, data, position=0, end=None):
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def __bool__(self):
        return self.position < self.end

    def byte(self):
        self.position += 1
        return self.data[self.position - 1]

    def number(self):
        """LEB128; signed numbers are only skipped with this."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def part(self):
        size = self.number()
        start = self.position
        self.position += size
        return Reader(self.data, start, self.position)

    def text(self):
        part = self.part()
        return part.data[part.position : part.end].decode()

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
    if opcode in (BLOCK, LOOP, IF, TRY):
        code.number()
    elif opcode in ONE_NUMBER:
        code.number()
    elif opcode in TWO_NUMBERS:
        code.number(), code.number()
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
        code.position += 4
    elif opcode == 0x44:
        code.position += 8
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
        code.position += 16
    elif 21 <= operation <= 34:
        code.byte()
    elif 84 <= operation <= 91:
        skip_memory_access(code)
        code.byte()


class Function:
    """A body: where polls may be put, and what is met on the way."""

    def __init__(self, body):
        self.data = body.data
        self.start, self.end = body.position, body.end
        self.calls = set()
        self.indirect = set()
        # Positions after the head of each loop; what surely follows such a place: ("call", f) or ("loop", position).
        self.loops = []
        self.ahead = {}
        self.parse(body)

    def parse(self, code):
        for _ in range(code.number()):
            code.number(), code.byte()
        self.entry = code.position
        self.ahead[self.entry] = []
        # The places whose straight way ahead has not branched yet.
        straight = [self.entry]
        while code:
            opcode = code.byte()
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
            elif opcode == LOOP:
                for place in straight:
                    self.ahead[place].append(("loop", code.position))
                self.loops.append(code.position)
                self.ahead[code.position] = []
                straight.append(code.position)
            # A call in a try may go on in its catch.
            elif opcode in (IF, ELSE, TRY, TRY_TABLE, CATCH, CATCH_ALL, DELEGATE, BR, BR_IF, BR_TABLE, RETURN, RETURN_CALL_INDIRECT, UNREACHABLE, THROW, RETHROW, THROW_REF):
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
        """The value of an initializer i32.const, else None."""
        first, start, value = content.byte(), content.position, None
        skip_immediates(content, first)
        if first == 0x41:
            value = Reader(content.data, start).number()
        while content.byte() != END:
            raise Failure("an initializer has an unexpected form")
        return value

    def export(self, name, kind):
        found, index = self.exports.get(name, (None, None))
        if found != kind:
            raise Failure(f"the program does not export {name}")
        return index


def without_polls(program, safepoint):
    """Functions that __safepoint may call, itself included, and those that call setjmp. What runs through pointers in a
    safepoint is the program's own handlers."""
    found, todo = set(), [safepoint]
    while todo:
        number = todo.pop()
        if number not in found and number in program.functions:
            found.add(number)
            todo += program.functions[number].calls
    _, setjmp = program.exports.get("__wasm_setjmp", (None, None))
    return found | {number for number, function in program.functions.items() if setjmp in function.calls}


def sure_polls(program, excluded, entries):
    """Functions that surely poll or make a system call. Those in `entries` have a poll at their start."""
    sure = {number for number, name in enumerate(program.imported) if name == ("linux", "syscall")} | entries
    changed = True
    while changed:
        changed = False
        for number, function in program.functions.items():
            if number not in sure and surely(function, function.entry, sure, number not in excluded):
                sure.add(number)
                changed = True
    return sure


def surely(function, place, sure, loops_poll=True):
    # A loop that is met has a poll at its head, or surely polls itself.
    return any(loops_poll if kind == "loop" else target in sure for kind, target in function.ahead[place])


def recursive_entries(program, functions, sure):
    """Functions that a depth-first walk over the calls comes back to: each cycle of calls has one. Those that surely poll end a cycle."""
    by_type = {}
    for number in program.table:
        by_type.setdefault(program.types[number], set()).add(number)
    called = {}
    for number, function in functions.items():
        targets = set(function.calls)
        for signature in function.indirect:
            targets |= by_type.get(signature, set())
        called[number] = sorted(target for target in targets if target in functions and target not in sure)
    entries, done = set(), set()
    for root in sorted(functions):
        if root in done or root in sure:
            continue
        path, on_path = [(root, iter(called[root]))], {root}
        while path:
            number, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                on_path.discard(number)
                done.add(number)
            elif target in on_path:
                entries.add(target)
            elif target not in done:
                path.append((target, iter(called[target])))
                on_path.add(target)
    return entries


def places_of_polls(program, safepoint):
    """Function -> positions, in order."""
    excluded = without_polls(program, safepoint)
    functions = {number: function for number, function in program.functions.items() if number not in excluded}
    sure = sure_polls(program, excluded, set())
    entries = recursive_entries(program, functions, sure)
    sure = sure_polls(program, excluded, entries)
    places = {}
    for number, function in functions.items():
        polls = [function.entry] if number in entries else []
        polls += [loop for loop in function.loops if not surely(function, loop, sure)]
        if polls:
            places[number] = sorted(polls)
    return places


def main():
    arguments = sys.argv[1:]
    with_hints = arguments[:1] != ["--no-hints"]
    if not with_hints:
        del arguments[0]
    if len(arguments) != 2:
        raise Failure(__doc__)
    with open(arguments[0], "rb") as source:
        data = source.read()
    program = Program(data)
    safepoint = program.export("__safepoint", FUNCTION_KIND)
    word = program.globals[program.export("__safepoint_word", GLOBAL_KIND)]
    if word is None:
        raise Failure("__safepoint_word has no constant address")
    # i32.const 0, i32.load of the word, if, call, end
    load = b"\x41\x00\x28\x02" + leb(word)
    poll = load + b"\x04\x40\x10" + leb(safepoint) + b"\x0b"
    places = places_of_polls(program, safepoint)

    bodies, hints = bytearray(), bytearray()
    for number, function in program.functions.items():
        body, position, offsets = bytearray(), function.start, []
        for place in places.get(number, ()):
            body += data[position:place]
            offsets.append(len(body) + len(load))
            body += poll
            position = place
        body += data[position : function.end]
        bodies += leb(len(body)) + body
        if offsets:
            hints += leb(number) + leb(len(offsets)) + b"".join(leb(offset) + b"\x01\x00" for offset in offsets)
    code = leb(len(program.functions)) + bodies
    hint_section = leb(len(HINTS)) + HINTS.encode() + leb(len(places)) + hints
    exports = {name: value for name, value in program.exports.items() if name not in OWN_EXPORTS}
    export = leb(len(exports)) + b"".join(
        leb(len(name.encode())) + name.encode() + bytes([kind]) + leb(index) for name, (kind, index) in exports.items()
    )

    with open(arguments[1], "wb") as output:
        output.write(data[:8])

        def write(identifier, content):
            output.write(bytes([identifier]) + leb(len(content)) + content)

        for identifier, content in program.sections:
            if identifier == 0:
                name = Reader(data, content.position, content.end).text()
                if name.startswith(".debug_") or name == HINTS or name.startswith("reloc."):
                    continue
            if identifier == CODE:
                if with_hints:
                    # Must come before the code.
                    write(0, hint_section)
                write(CODE, code)
            elif identifier == EXPORT:
                write(EXPORT, export)
            else:
                write(identifier, content.rest())


try:
    main()
except Failure as failure:
    sys.exit(f"safepoints: {failure}")
