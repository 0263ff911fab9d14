#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds safepoints to a linked program: safepoints.py [--no-hints] INPUT OUTPUT

A poll reads a word of memory, and calls a function if the word is not 0. Each
loop gets a poll, and so do enough functions that every recursion meets one. The
program exports the word, which is the data symbol __safepoint_word, and the
function __safepoint (src/internal/wasm32/safepoint.c of the C library). If it
has __wasm_setjmp, it exports that too. This tool takes these exports away. It
also takes away debugging information by offset, which would be wrong. Branch
hints say that the call is rare. --no-hints leaves them out, for a program that
another tool changes later which does not know them.

No poll is added where one is met anyway. A function "surely polls" if the code
from its start to its first branch has a poll, a system call, or a call of
another function that surely polls. The same holds for the body of a loop.

Functions that __safepoint itself needs have no polls. Functions that call
setjmp have none either, because longjmp can reach such a function only from
calls that the compiler made through invoke_* functions.
"""

from wasm_program import FUNCTION_KIND, GLOBAL_KIND, Failure, Program, leb, run

HINTS = "metadata.code.branch_hint"
OWN_EXPORTS = ("__safepoint", "__safepoint_word", "__wasm_setjmp")


def without_polls(program, safepoint):
    """The functions that get no polls.

    They are __safepoint, what it may call, and what calls setjmp. Calls through
    pointers do not count, because in a safepoint they call the program's own
    signal handlers.
    """
    found, todo = set(), [safepoint]
    while todo:
        number = todo.pop()
        if number not in found and number in program.functions:
            found.add(number)
            todo += program.functions[number].calls
    _, setjmp = program.exports.get("__wasm_setjmp", (None, None))
    return found | {number for number, function in program.functions.items() if setjmp in function.calls}


def sure_polls(program, excluded, entries):
    """The functions that surely poll or make a system call.

    Functions in `entries` have a poll at their start.
    """
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
    # A loop on the way has a poll at its head, or its body surely polls.
    return any(loops_poll if kind == "loop" else target in sure for kind, target in function.ahead[place])


def recursive_entries(program, functions, sure):
    """The functions to which a depth-first walk over the calls comes back.

    Each cycle of calls has one. The walk does not enter functions that surely
    poll, because they end a cycle.
    """
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
    """Where polls go: a function's number -> positions in order."""
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


def main(arguments):
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

    bodies, hints = {}, bytearray()
    for number, function in program.functions.items():
        body, position, offsets = bytearray(), function.start, []
        for place in places.get(number, ()):
            body += data[position:place]
            offsets.append(len(body) + len(load))
            body += poll
            position = place
        bodies[number] = body + data[position : function.end]
        if offsets:
            hints += leb(number) + leb(len(offsets)) + b"".join(leb(offset) + b"\x01\x00" for offset in offsets)
    program.write(
        arguments[1],
        bodies,
        OWN_EXPORTS,
        without_sections=(".debug_", "reloc.", HINTS),
        before_code=(HINTS, leb(len(places)) + hints) if with_hints else None,
    )


if __name__ == "__main__":
    run("safepoints", main)
