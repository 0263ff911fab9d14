# SPDX-License-Identifier: MIT
"""The tools of the SDK that change programs: what they write, and which modules they refuse."""

import itertools
import unittest

import support
from support import body, module, number, padded, section, text, vector

safepoints = support.load("userland/sdk/safepoints.py")
# Loaded by the tools above: one class Failure for all.
wasm_program = safepoints.Program.__init__.__globals__
Failure, Program, Reader = safepoints.Failure, safepoints.Program, wasm_program["Reader"]

FUNCTION, GLOBAL = b"\0", b"\3"
NOP, LOOP, END = b"\x01", b"\x03\x40", b"\x0b"
# What a poll of the word at address 8 is, with a call of function 1.
POLL = b"\x41\x00\x28\x02\x08\x04\x40\x10\x01\x0b"
IMPORTS = vector([text("linux") + text("syscall") + b"\0\0", text("linux") + text("memory") + b"\2\3\1\2"])
# The stack pointer, and the address of the word that is polled.
GLOBALS = vector([b"\x7f\1\x41\x80\1\x0b", b"\x7f\0\x41\x08\x0b"])
EXPORTS = {
    "__safepoint": FUNCTION + number(1),
    "__safepoint_word": GLOBAL + number(1),
    "__stack_pointer": GLOBAL + number(0),
    "__set_stack_pointer": FUNCTION + number(1),
    "_start": FUNCTION + number(2),
}


def sections(*codes, exports=EXPORTS, table=(), globals_=GLOBALS):
    """A program: function 0 is the system call, 1 does nothing, and those of codes follow."""
    bodies = [body(b""), *map(body, codes)]
    return [
        section(2, IMPORTS),
        section(3, vector([b"\0"] * len(bodies))),
        section(6, globals_),
        section(7, vector([text(name) + value for name, value in exports.items()])),
        section(9, vector([b"\0\x41\1\x0b" + vector([number(n) for n in table])])),
        section(10, vector(bodies)),
        section(0, text("name") + b"anything"),
        section(0, text(".debug_info") + b"anything"),
    ]


def program(*codes, **options):
    return module(*sections(*codes, **options))


class ReaderTest(unittest.TestCase):
    def test_numbers(self):
        for value in (0, 127, 128, 624485, 0xFFFFFFFF):
            self.assertEqual(Reader(number(value)).number(), value)
        self.assertEqual(Reader(padded(3)).number(), 3)

    def test_number_too_long(self):
        self.assertRaisesRegex(Failure, "more than 32 bits", Reader(b"\x80" * 5 + b"\0").number)
        self.assertRaisesRegex(Failure, "more than 64 bits", Reader(b"\x80" * 10 + b"\0").number, 64)

    def test_number_without_end(self):
        self.assertRaisesRegex(Failure, "1 bytes are needed, and 0 are left", Reader(b"\x80\x80").number)

    def test_part_longer_than_the_rest(self):
        self.assertRaisesRegex(Failure, "5 bytes are needed, and 2 are left", Reader(b"\5ab").part)

    def test_part_ends_where_its_owner_does(self):
        part = Reader(b"\2\3abc").part()
        self.assertRaisesRegex(Failure, "3 bytes are needed, and 1 are left", part.part)

    def test_name_that_is_no_text(self):
        self.assertRaisesRegex(Failure, "not UTF-8", Reader(b"\2\xff\xfe").text)


class ProgramTest(unittest.TestCase):
    def refuses(self, message, data):
        self.assertRaisesRegex(Failure, message, Program, data)

    def test_reads(self):
        read = Program(program(b"\x10\0\x11\0\0", table=[1, 2]))
        self.assertEqual(read.imported, [("linux", "syscall")])
        self.assertEqual(read.globals, [128, 8])
        self.assertEqual(read.table, {1, 2})
        self.assertEqual(read.functions[2].calls, {0})
        self.assertEqual(read.functions[2].indirect, {0})

    def test_each_instruction_with_something_behind_it(self):
        code = (
            b"\x0e\1\0\0"  # br_table
            b"\x1c\1\x7f"  # select with a type
            b"\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"  # i64.const
            b"\x43\x0b\x0b\x0b\x0b"  # f32.const
            b"\x44\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"  # f64.const
            b"\x28\x42\1\x0b"  # i32.load from the second memory
            b"\xfc\x0a\0\0"  # memory.copy
            b"\xfd\x0c" + b"\x0b" * 16 + b"\xfd\x15\x0b"  # v128.const, a lane
            b"\xfe\x03\0\xfe\x10\2\x0b"  # atomic.fence, i32.atomic.load
        )
        marker = b"\x24\1"
        function = Program(program(code + marker)).functions[2]
        self.assertEqual(len(function.global_sets), 1)

    def test_no_module(self):
        self.refuses("not a wasm module", b"")
        self.refuses("not a wasm module", b"\0asm\2\0\0\0")
        self.refuses("not a wasm module", b"\x7fELF\1\1\1\0")

    def test_every_truncation(self):
        parts = sections(b"\x10\1")
        whole = module(*parts)
        ends = {8 + length for length in itertools.accumulate(map(len, parts), initial=0)}
        for length in range(8, len(whole)):
            with self.subTest(length=length):
                if length in ends:
                    continue  # what is left are whole sections
                self.assertRaises(Failure, Program, whole[:length])

    def test_every_byte_wrong(self):
        whole = program(b"\x10\1\x03\x40\x24\0\x0b", table=[1])
        for place in range(8, len(whole)):
            for wrong in (0, 0x7F, 0x80, 0xFF):
                data = whole[:place] + bytes([wrong]) + whole[place + 1 :]
                try:
                    Program(data)
                except Failure:
                    continue  # any other exception is a fault of the tool

    def test_indexes_out_of_range(self):
        self.refuses("export _start has index 9 of 3", program(b"", exports={"_start": FUNCTION + number(9)}))
        self.refuses("export word has index 2 of 2", program(b"", exports={"word": GLOBAL + number(2)}))
        self.refuses("the table has function 7 of 3", program(b"", table=[7]))
        self.refuses("a call of function 5 of 3", program(b"\x10\5"))

    def test_one_body_for_each_function(self):
        parts = sections(b"")
        parts[1] = section(3, vector([b"\0"] * 3))
        self.refuses("not one body for each function", module(*parts))

    def test_forms_that_are_not_known(self):
        self.refuses("unknown instruction 0x27", program(b"\x27"))
        self.refuses("initializer", program(b"", globals_=vector([b"\x7f\0\x41\1\x41\1\x0b"])))
        parts = sections(b"")
        parts[4] = section(9, vector([b"\1\0" + vector([number(1)])]))
        self.refuses("element segment", module(*parts))


class ToolTest(support.Folder):
    def change(self, tool, data, *options):
        before, after = self.write("before", data), self.folder / "after"
        result = self.run_python(f"userland/sdk/{tool}.py", *options, before, after)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return after.read_bytes()

    def refuses(self, tool, data, message, *options):
        result = self.run_python(f"userland/sdk/{tool}.py", *options, self.write("before", data), self.folder / "after")
        self.assert_refused(result, f"^{tool}: .*{message}")

    def bodies(self, data):
        return {n: data[f.start : f.end] for n, f in Program(data).functions.items()}

    def test_guard_of_the_stack(self):
        take, give = b"\x41\0\x24" + padded(0), b"\x6a\x24" + padded(0)
        other = b"\x41\0\x24" + padded(1)
        after = self.change("stack_guard", program(take + give + other))
        guarded = b"\x41\0\x10" + padded(1)
        self.assertEqual(self.bodies(after)[2], b"\0" + guarded + give + other + END)
        self.assertNotIn("__set_stack_pointer", Program(after).exports)
        self.assertIn("_start", Program(after).exports)

    def test_guard_refuses(self):
        self.refuses("stack_guard", program(b"\x41\0\x24\0"), "an index is not padded")
        without = {name: value for name, value in EXPORTS.items() if name != "__set_stack_pointer"}
        self.refuses("stack_guard", program(b"", exports=without), "does not export __set_stack_pointer")
        kinds = EXPORTS | {"__stack_pointer": FUNCTION + number(1)}
        self.refuses("stack_guard", program(b"", exports=kinds), "does not export __stack_pointer")
        self.refuses("stack_guard", b"#!/bin/sh\n", "not a wasm module")
        self.refuses("stack_guard", program(b"")[:-30], "bytes are needed")

    def test_poll_in_a_loop(self):
        after = self.change("safepoints", program(LOOP + NOP + END))
        self.assertEqual(self.bodies(after)[2], b"\0" + LOOP + POLL + NOP + END + END)
        self.assertNotIn("__safepoint", Program(after).exports)
        self.assertIn(b"metadata.code.branch_hint", after)
        self.assertNotIn(b".debug_info", after)
        self.assertIn(b"\4name", after)

    def test_no_hints(self):
        after = self.change("safepoints", program(LOOP + END), "--no-hints")
        self.assertNotIn(b"metadata.code.branch_hint", after)

    def test_poll_in_a_recursion(self):
        after = self.change("safepoints", program(b"\x10\2"))
        self.assertEqual(self.bodies(after)[2], b"\0" + POLL + b"\x10\2" + END)

    def test_poll_in_a_recursion_through_the_table(self):
        after = self.change("safepoints", program(b"\x41\0\x11\0\0", table=[2]))
        self.assertIn(POLL, self.bodies(after)[2])

    def test_no_poll_where_one_is_met_anyway(self):
        loop = LOOP + b"\x10\0" + END
        self.assertNotIn(POLL, self.bodies(self.change("safepoints", program(loop)))[2])
        # A call behind a branch is not sure.
        branch = LOOP + b"\x0d\0\x10\0" + END
        self.assertIn(POLL, self.bodies(self.change("safepoints", program(branch)))[2])

    def test_no_poll_in_what_the_safepoint_calls(self):
        exports = EXPORTS | {"__safepoint": FUNCTION + number(2)}
        after = self.change("safepoints", program(b"\x10\3", LOOP + END, exports=exports))
        self.assertEqual(self.bodies(after)[3], b"\0" + LOOP + END + END)

    def test_safepoints_refuse(self):
        unknown = vector([b"\x7f\1\x41\0\x0b", b"\x7f\0\x23\0\x0b"])
        self.refuses("safepoints", program(b"", globals_=unknown), "no constant address")
        self.refuses("safepoints", program(b"", exports={}), "does not export __safepoint")
        far = EXPORTS | {"__safepoint_word": GLOBAL + number(200)}
        self.refuses("safepoints", program(b"", exports=far), "index 200 of 2")
        self.refuses("safepoints", module(section(10, b"\xff\xff\xff\xff\xff\xff")), "more than 32 bits")

    def test_file_that_is_not_there(self):
        result = self.run_python("userland/sdk/safepoints.py", self.folder / "none", self.folder / "after")
        self.assert_refused(result, "No such file")


if __name__ == "__main__":
    unittest.main()
