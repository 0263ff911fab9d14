# SPDX-License-Identifier: MIT
"""The kernel's symbols of functions: the map that is printed, the check of two images, and images that lie."""

import unittest

import support
from support import module, number, section, text, vector

TOOL = "kernel/overlay/arch/wasm/tools/table-symbols.py"
table_symbols = support.load(TOOL)


def elements(*functions, base=4):
    return section(9, vector([b"\0\x41" + number(base) + b"\x0b" + vector([number(n) for n in functions])]))


def names(table):
    functions = vector([number(n) + text(name) for n, name in sorted(table.items())])
    return section(0, text("name") + b"\1" + number(len(functions)) + functions)


def symbols(*entries):
    listed = vector(list(entries))
    return section(0, text("linking") + b"\2" + b"\x08" + number(len(listed)) + listed)


def function(index, name, flags=0):
    return b"\0" + number(flags) + number(index) + text(name)


IMAGE = module(
    elements(7, 8, 7),
    names({7: "first", 8: "second"}),
    symbols(
        function(7, "first"),
        function(7, "alias", flags=1),
        function(8, "second", flags=2),
        b"\0\x10" + number(1),  # an import has no name here
        b"\1\0" + text("data") + b"\1\2\3",
        b"\1\x10" + text("elsewhere"),
        b"\3\2\1",  # a section
    ),
)
MAP = """\
00000004 T _stext
00000004 T first
00000004 W alias
00000005 t second
00000006 T first
00000006 W alias
00000007 T _etext
"""


class TableSymbolsTest(support.Folder):
    def map_of(self, image):
        return self.run_python(TOOL, "map", self.write("image", image))

    def check(self, map_text, linked, optimised):
        files = [self.write(*file) for file in (("map", map_text), ("linked", linked), ("optimised", optimised))]
        return self.run_python(TOOL, "check", *files)

    def test_map(self):
        result = self.map_of(IMAGE)
        self.assertEqual((result.returncode, result.stdout), (0, MAP))

    def test_name_without_a_symbol(self):
        result = self.map_of(module(elements(3), names({3: "plain"})))
        self.assertIn("00000004 T plain\n", result.stdout)

    def test_check(self):
        self.assertEqual(self.check(MAP, IMAGE, IMAGE).returncode, 0)

    def test_check_of_merged_and_numbered_functions(self):
        # "second" was merged with "first", whose names got numbers.
        merged = module(elements(1, 1, 2), names({1: "first", 2: "first_1"}))
        self.assertEqual(self.check(MAP, IMAGE, merged).returncode, 0)

    def test_check_of_a_function_at_another_place(self):
        moved = module(elements(8, 7, 7), names({7: "first", 8: "second"}))
        self.assert_refused(self.check(MAP, moved, moved), "4 is second in .*linked")
        self.assert_refused(self.check(MAP, IMAGE, moved), "4 is second in .*optimised, not first")
        short = module(elements(7), names({7: "first", 8: "second"}))
        self.assert_refused(self.check(MAP, IMAGE, short), "5 is nothing in .*optimised")

    def test_map_that_is_none(self):
        self.assert_refused(self.check("00000004 T\n", IMAGE, IMAGE), "a line that is no symbol")
        self.assert_refused(self.check("place T first\n", IMAGE, IMAGE), "a line that is no symbol")

    def test_images_that_lie(self):
        many = b"\xff\xff\xff\xff\xff\xff"
        for image, message in (
            (b"", "not a wasm module"),
            (b"\x7fELF" + bytes(60), "not a wasm module"),
            (module(), "no function table or no name section"),
            (module(names({7: "first"})), "no function table"),
            (module(elements(7)), "no name section"),
            (module(elements(7, 9), names({7: "first"})), "function 9 of the table has no name"),
            (module(section(9, many)), "more than 32 bits"),
            (module(section(9, vector([b"\1\x41\4\x0b\1\7"]))), "unexpected form"),
            (module(section(9, vector([b"\0\x41\4\x41\1\7"]))), "no constant"),
            (module(b"\x09\x7f\0"), "127 bytes are needed, and 1 are left"),
            (module(section(0, text("name") + b"\1\x7f\1")), "127 bytes are needed"),
            (module(section(0, text("name") + b"\1\5\1\7\2\xff\xfe")), "not UTF-8"),
            (module(section(0, b"\x09abc")), "9 bytes are needed, and 3 are left"),
        ):
            with self.subTest(message=message):
                self.assert_refused(self.map_of(image), f"^table-symbols: .*{message}")

    def test_every_truncation(self):
        path = self.folder / "image"
        for length in range(len(IMAGE)):
            path.write_bytes(IMAGE[:length])
            try:
                table_symbols.read_image(path)
            except table_symbols.Failure:
                continue  # any other exception is a fault of the tool

    def test_file_that_is_not_there(self):
        self.assert_refused(self.run_python(TOOL, "map", self.folder / "none"), "No such file")


if __name__ == "__main__":
    unittest.main()
