# SPDX-License-Identifier: MIT
"""The checks of commit messages, licences, lengths and comments: what each accepts, and what it refuses."""

import unittest

import support

comment_width = support.load("tests/tools/comment_width.py")
commits = support.load("tests/tools/commits.py")
lengths = support.load("tests/tools/lengths.py")
licences = support.load("tests/tools/licences.py")


class CommitsTest(unittest.TestCase):
    def test_good(self):
        for message in (
            "mm: keep the lock\n\nWhy, and how it was shown.\n",
            "mm, tests: keep the lock\n\nWhy.\n\n- a list\n",
            f"mm: {'x' * 68}\n\nA line that is one word may be long:\nhttps://{'x' * 100}\n",
        ):
            self.assertEqual(commits.faults_of(message), [])

    def test_bad(self):
        for message, fault in (
            (f"mm: {'x' * 69}\n\nbody\n", "73 characters"),
            ("mm: keep the lock.\n\nbody\n", "full stop"),
            ("keep the lock\n\nbody\n", "not of the form"),
            ("mm and tests: keep the lock\n\nbody\n", "not of the form"),
            ("mm: keep the lock; drop the other\n\nbody\n", "two changes"),
            ("mm: keep the lock\n", "no body"),
            ("mm: keep the lock\nbody without an empty line\n", "no body"),
            ("mm: keep the lock\n\n \n", "no body"),
            (f"mm: keep the lock\n\n{'many words ' * 12}\n", "a line of 132 characters"),
            ("", "not of the form"),
        ):
            with self.subTest(message=message):
                self.assertIn(fault, "\n".join(commits.faults_of(message)))


class LicencesTest(unittest.TestCase):
    def faults(self, name, text):
        return "\n".join(licences.faults_of(name, text, "/top"))

    def line(self, licence):
        return f"// SPDX-License-Identifier: {licence}\n"

    def test_good(self):
        for name, licence in (
            ("host/src/machine.cpp", "MIT"),
            ("kernel/overlay/arch/wasm/kernel/entry.c", "GPL-2.0-only"),
            ("kernel/overlay/arch/wasm/include/uapi/asm/host.h", "GPL-2.0 WITH Linux-syscall-note"),
            ("kernel/build.sh", "MIT"),
        ):
            self.assertEqual(self.faults(name, self.line(licence)), "")
        self.assertEqual(self.faults("a.c", "/* SPDX-License-Identifier: MIT */\n"), "")
        self.assertEqual(self.faults("a.html", "<!-- SPDX-License-Identifier: MIT -->\n"), "")

    def test_files_without_a_place_for_it(self):
        for name in ("README.md", "userland/musl/pin", "kernel/config", "initramfs/files/etc/motd", "web/.npmrc"):
            self.assertEqual(self.faults(name, "text\n"), "")

    def test_bad(self):
        for name, text, fault in (
            ("host/src/machine.cpp", "int x;\n", "no SPDX line"),
            ("host/src/configuration.cpp", "int x;\n", "no SPDX line"),
            ("host/src/machine.cpp", "\n" * 700 + self.line("MIT"), "no SPDX line"),
            ("host/src/machine.cpp", self.line("Apache-2.0"), "Apache-2.0"),
            ("kernel/overlay/a.c", self.line("MIT"), "kernel code is GPL-2.0, not MIT"),
            ("README.md", "in /top/build\n", "a path of a machine"),
            ("README.md", "in /home/" + "somebody/\n", "a path of a machine"),
            ("web/.npmrc", "registry=https://registry" + ".npmjs.org/\n", "a registry host"),
        ):
            with self.subTest(name=name, fault=fault):
                self.assertIn(fault, self.faults(name, text))


class LengthsTest(unittest.TestCase):
    def test_sources(self):
        for name in ("kernel/a.c", "auklet", "web/src/a.ts", "userland/sdk/cc/shapes.awk"):
            self.assertTrue(lengths.is_source(name), name)
        for name in (
            "docs/building.md",
            "LICENSES/MIT",
            "initramfs/files/etc/motd",
            "tests/fuzz/corpus/a",
            "kernel/config",
        ):
            self.assertFalse(lengths.is_source(name), name)

    def test_good(self):
        self.assertEqual(lengths.faults_of({"a.c": 500, "b.c": 600}, {"b.c": 600}), [])

    def test_bad(self):
        for lines, longer, fault in (
            ({"a.c": 501}, {}, "a.c has 501 lines, more than 500"),
            ({"a.c": 601}, {"a.c": 600}, "more than 600"),
            ({"a.c": 500}, {"a.c": 600}, "take it off the list"),
            ({}, {"a.c": 600}, "a.c is on the list and does not exist"),
        ):
            self.assertIn(fault, "\n".join(lengths.faults_of(lines, longer)))


class CommentWidthTest(unittest.TestCase):
    def lines(self, name, text):
        """The numbers of the lines that the check finds."""
        return [int(fault.split(":")[1]) for fault in comment_width.faults_of(name, text)]

    def test_column(self):
        for name, text in (
            ("a.c", "// {}\n"),
            ("a.c", "\t/* {} */\n"),
            ("a.h", "/*\n * {}\n */\n"),
            ("a.cpp", "    /// {}\n"),
            ("a.inc", "// {}"),
            ("a.S", "\t// {}\n"),
            ("a.ts", "  /** {} */\n"),
            ("a.s", "# {}\n"),
            ("a.sh", "\t# {}\n"),
            ("a.awk", "# {}\n"),
            ("a.py", "if x:\n    # {}\n    pass\n"),
            ("tool", "#!/bin/sh\n# {}\n"),
            ("tool", "#!/usr/bin/env python3\n# {}\n"),
            ("tool", "#!/usr/bin/env node\n// {}\n"),
        ):
            line, longest = next((line, line) for line in text.split("\n") if "{}" in line)
            room = 80 - len(longest.expandtabs(8).replace("{}", ""))
            number = text.split("\n").index(line) + 1
            with self.subTest(name=name, text=text):
                self.assertEqual(self.lines(name, text.replace("{}", "x" * room)), [])
                self.assertEqual(self.lines(name, text.replace("{}", "x" * (room + 1))), [number])

    def test_sentence(self):
        fault = "a.c:1: this comment ends at column 83, and 80 is the last"
        self.assertEqual(comment_width.faults_of("a.c", f"// {'x' * 80}\n"), [fault])

    def test_beside_code(self):
        wide = "x" * 90
        for name, text in (
            ("a.c", f"int x; // {wide}\n"),
            ("a.c", f"int x; /* {wide} */\n"),
            ("a.c", f"/* {wide} */ int x;\n"),
            ("a.py", f"x = 1  # {wide}\n"),
            ("a.sh", f"true # {wide}\n"),
        ):
            self.assertEqual(self.lines(name, text), [], text)
        self.assertEqual(self.lines("a.c", f"// only https:// {wide}\n"), [1])
        self.assertEqual(self.lines("a.c", f"int x; /* {wide}\n * {wide}\n * {wide} */ int y;\n"), [2])

    def test_exempt(self):
        wide = "x" * 90
        for name, text in (
            ("a.c", f"// https://{wide}\n"),
            ("a.c", f"// SPDX-License-Identifier: {wide}\n"),
            ("a.sh", f"#!/bin/{wide}\n"),
            ("a.md", f"# {wide}\n"),
            ("config", f"# {wide}\n"),
            ("a.c", f"#define {wide}\n"),
        ):
            self.assertEqual(self.lines(name, text), [], text)

    def test_no_comment(self):
        wide = "x" * 90
        for name, text in (
            ("a.c", f'char *s = "\\\n// {wide}";\n'),
            ("a.cpp", f'auto s = R"(\n// {wide}\n)";\n'),
            ("a.cpp", f'auto s = R"d()"\n// {wide}\n)d";\n'),
            ("a.ts", f"const s = `\n// {wide}\n`;\n"),
            ("a.ts", f"const s = `${{f({{ a: `\n// {wide}` }})}}\n// {wide}\n`;\n"),
            ("a.ts", f"const r = /[/*]/.test(s);\nconst {wide} = 1; /**/\n"),
            ("a.ts", f"return /\\/*/.test(s);\nconst {wide} = 1; /**/\n"),
            ("a.py", f'x = """\n# {wide}\n"""\n'),
        ):
            self.assertEqual(self.lines(name, text), [], text)

    def test_behind_what_is_no_comment(self):
        wide = "x" * 90
        for name, text in (
            ("a.c", f"char a = '\"'; char b = '\\'';\n// {wide}\n"),
            ("a.c", f'puts("/*");\n// {wide}\n'),
            ("a.c", f"#error don't\n// {wide}\n"),
            ("a.cpp", f"int x = 1'000; /* y\n * {wide} */\n"),
            ("a.ts", f"const r = /[`'/]/;\n// {wide}\n"),
            ("a.ts", f"const x = a / b; const s = `/`;\n// {wide}\n"),
            ("a.ts", f"const s = `${{a ? `http://b` : '}}'}}`;\n// {wide}\n"),
            ("a.ts", f"const s = `${{a({{}})\n// {wide}\n}}`;\n"),
        ):
            self.assertEqual(self.lines(name, text), [2], text)


if __name__ == "__main__":
    unittest.main()
