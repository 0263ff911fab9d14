#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a linked program check its stack pointer: stack_guard.py INPUT OUTPUT

Calls of __set_stack_pointer take the place of the instructions that set the
stack pointer. The program exports that function, which is in
src/thread/wasm32/stack_guard.c of the C library. This tool takes the export
away.

Where a function adds to the stack pointer it gives back what it took, so that
instruction stays. Each call has the length of the instruction that it replaces,
so debugging information stays right.
"""

from wasm_program import CALL, FUNCTION_KIND, GLOBAL_KIND, I32_ADD, Failure, Program, Reader, run

SETTER = "__set_stack_pointer"


def padded(value):
    """An index as LEB128 of 5 bytes, which is how the linker writes it."""
    return bytes([value >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)] + [value >> 28])


def main(arguments):
    if len(arguments) != 2:
        raise Failure(__doc__)
    with open(arguments[0], "rb") as source:
        data = source.read()
    program = Program(data)
    setter = program.export(SETTER, FUNCTION_KIND)
    stack_pointer = program.export("__stack_pointer", GLOBAL_KIND)
    call = bytes([CALL]) + padded(setter)
    bodies = {}
    for number, function in program.functions.items():
        body = bytearray(data[function.start : function.end])
        for place, previous in function.global_sets if number != setter else ():
            index = Reader(data, place)
            if index.number() != stack_pointer or previous == I32_ADD:
                continue
            if index.position - place != len(call) - 1:
                raise Failure("an index is not padded")
            body[place - 1 - function.start : index.position - function.start] = call
        bodies[number] = body
    program.write(arguments[1], bodies, (SETTER,))


if __name__ == "__main__":
    run("stack_guard", main)
