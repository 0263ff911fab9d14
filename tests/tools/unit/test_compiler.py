# SPDX-License-Identifier: MIT
"""The compiler wrapper: how it takes its command line apart, and what its awk programs write."""

import shutil
import unittest

import support
from support import SDK

# In the place of clang and the linker: tells its words, one a line, and makes the output.
STUB = """\
#!/bin/sh
printf '%s\\n' "== $0" "$@" >> "$LOG"
while [ $# -gt 1 ]; do
	if [ "$1" = -o ]; then : > "$2"; fi
	shift
done
"""


class CommandLineTest(support.Folder):
    def setUp(self):
        super().setUp()
        for name in ("bin", "share", "sysroot/lib"):
            (self.folder / name).mkdir(parents=True)
        self.wrapper = self.folder / "bin/cc"
        shutil.copy(SDK / "wasm32-linux-musl-clang", self.wrapper)
        shutil.copy(SDK / "target-flags", self.folder / "share")
        shutil.copytree(SDK / "cc", self.folder / "share/cc")
        for name in ("clang", "ld"):
            (self.folder / name).write_text(STUB)
            (self.folder / name).chmod(0o755)

    def cc(self, *words):
        """The result, and the words of each program that was run."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        places = {"CLANG": self.folder / "clang", "WASM_LD": self.folder / "ld", "CCACHE": "", "LOG": log}
        environment = {"PATH": "/usr/bin:/bin"} | {name: str(value) for name, value in places.items()}
        result = self.run_tool(self.wrapper, *words, cwd=self.folder, env=environment)
        runs = log.read_text().split("== ")[1:] if log.exists() else []
        return result, [run.splitlines() for run in runs]

    def test_compiles_only(self):
        result, [clang] = self.cc("-c", "-g", "-fsafepoints", "-fno-fork-in=main", "-DX=a b", "it's.c", "-o", "out.o")
        self.assertEqual(result.returncode, 0)
        self.assertIn("--target=wasm32-linux-musl", clang)
        self.assertIn("-DX=a b", clang)
        self.assertIn("it's.c", clang)
        # binaryen cannot read what a plain -g writes
        self.assertIn("-gdwarf-4", clang)
        for word in ("-fsafepoints", "-fno-fork-in=main"):
            self.assertNotIn(word, clang)

    def test_links_in_the_order_of_the_command_line(self):
        for name in ("a b.c", "it's.c", "old.o"):
            self.write(name, "")
        words = ["-r", "-o", "all.o", "a b.c", "old.o", "it's.c", "-lm", "-L", "my libs"]
        result, [first, second, linker] = self.cc(*words)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((first[-1], second[-1]), ("a b.c", "it's.c"))
        objects = [word.rsplit("/", 1)[-1] for word in linker[linker.index("all.o") + 1 :]]
        self.assertEqual(objects, ["1.o", "old.o", "2.o", "-lm", "-L", "my libs"])

    def linked(self, *words):
        self.write("old.o", "")
        result, [linker] = self.cc("-r", "-o", "all.o", "old.o", *words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return linker[linker.index("old.o") + 1 :]

    def test_options_of_elf_linkers_are_dropped(self):
        dropped = ["-Wl,--start-group,--end-group", "-Wl,-z,relro,-z,now", "-Wl,-soname,it.so", "-Wl,-O1"]
        self.assertEqual(self.linked(*dropped, "-pthread", "-static", "-rdynamic"), [])

    def test_options_of_the_linker(self):
        self.assertEqual(self.linked("-Wl,-z,stack-size=65536"), ["-z", "stack-size=65536"])
        self.assertEqual(self.linked("-Wl,-Map,a map"), ["--Map=a map"])
        self.assertEqual(self.linked("-Xlinker", "--export=it's"), ["--export=it's"])

    def test_refuses(self):
        for words, message in (
            (["-shared", "a.c"], "shared libraries are not supported"),
            (["-Wl,-shared", "a.o"], "shared libraries are not supported"),
            (["none.o"], "no such file: none.o"),
            (["a.cpp"], "a.cpp: libc\\+\\+ is not built yet"),
            (["a.c", "-o"], "the last option needs an argument"),
            (["-fno-fork-in=@none", "a.c"], "cannot read none"),
            (["-O2", "-"], "-x LANGUAGE is needed"),
        ):
            with self.subTest(words=words):
                self.write("a.o", "")
                self.assert_refused(self.cc(*words)[0], f"^cc: error: {message}")

    def test_tells_where_its_files_are(self):
        result, runs = self.cc("-print-sysroot")
        self.assertEqual((result.stdout, runs), (f"{self.folder}/sysroot\n", []))
        self.write("sysroot/lib/libc.a", "")
        self.assertEqual(self.cc("-print-file-name=libc.a")[0].stdout, f"{self.folder}/sysroot/lib/libc.a\n")
        self.assertEqual(self.cc("-print-file-name=none.a")[0].stdout, "none.a\n")


class AwkTest(support.Folder):
    def awk(self, name, text, *options):
        result = self.run_tool("awk", *options, "-f", SDK / "cc" / name, input=text)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    # As obj2yaml writes it: a type with an f64, one of words; an import; the table begins at 2.
    LINKED = """\
  - Type:            TYPE
    Signatures:
      - Index:           0
        ParamTypes:
          - I32
        ReturnTypes:
          - I32
      - Index:           1
        ParamTypes:
          - F64
          - I64
        ReturnTypes:     []
  - Type:            IMPORT
    Imports:
      - Module:          linux
        Kind:            FUNCTION
        SigIndex:        0
  - Type:            FUNCTION
    FunctionTypes:   [ 1, 0,
                       0 ]
  - Type:            EXPORT
    Exports:
      - Name:            {name}
  - Type:            ELEM
    Segments:
      - Offset:
          Opcode:          I32_CONST
          Value:           2
        Functions:       [ 2, 1, 0 ]
"""

    def test_shapes(self):
        text = self.awk("shapes.awk", self.LINKED.format(name="__function_shapes_count"), "-v", "wanted=")
        # WORD_1 is 4; another shape gets the first number behind those of words.
        self.assertIn("__function_shapes[] = {\n0,\n0,\n4,\n11,\n4,\n};\n", text)
        self.assertIn("__function_shapes_count = 5;", text)
        self.assertIn("case 11: ((void (*)(double, unsigned long long))function)(0, b); return 0;", text)

    def test_no_shapes(self):
        linked = self.LINKED.format(name="_start")
        self.assertEqual(self.awk("shapes.awk", linked, "-v", "wanted="), "")
        self.assertNotEqual(self.awk("shapes.awk", linked, "-v", "wanted=yes"), "")

    def test_invoke_assembly(self):
        text = self.awk("invoke-assembly.awk", "vi\njid\n")
        self.assertIn(".functype invoke_vi (i32, i32) -> ()\n", text)
        self.assertIn(".functype invoke_jid (i32, i32, f64) -> (i64)\n", text)
        self.assertIn("call_indirect (i32, f64) -> (i64)\n", text)
        self.assertEqual(text.count("catch __c_longjmp"), 2)

    def test_invoke_module(self):
        text = self.awk("invoke-module.awk", "v\nfd\n")
        self.assertIn('(func (export "invoke_v") (param i32)\n', text)
        self.assertIn('(func (export "invoke_fd") (param i32 f64) (result f32)\n', text)
        self.assertEqual(text.count("("), text.count(")"))


if __name__ == "__main__":
    unittest.main()
