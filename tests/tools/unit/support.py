# SPDX-License-Identifier: MIT
"""What the unit tests of the tools share: the tools as modules and as programs, and wasm modules made by hand."""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SDK = ROOT / "userland/sdk"

# The tools of the SDK import each other, and write no bytecode beside themselves.
sys.dont_write_bytecode = True
sys.path.insert(0, str(SDK))


def load(path):
    """A tool as a module, whatever its file's name."""
    specification = importlib.util.spec_from_file_location(pathlib.Path(path).stem.replace("-", "_"), ROOT / path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def number(value):
    """Unsigned LEB128."""
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def padded(value):
    """LEB128 of five bytes, as linkers write indexes."""
    return bytes([value >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)] + [value >> 28])


def vector(items):
    return number(len(items)) + b"".join(items)


def text(string):
    return number(len(string)) + string.encode()


def section(identifier, content):
    return bytes([identifier]) + number(len(content)) + content


def module(*sections):
    return b"\0asm\1\0\0\0" + b"".join(sections)


def body(code):
    """A function's body without locals."""
    content = b"\0" + code + b"\x0b"
    return number(len(content)) + content


class Folder(unittest.TestCase):
    """A test with a folder of its own, and tools that run as programs."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run_tool(self, *words, **options):
        words = [str(word) for word in words]
        return subprocess.run(words, capture_output=True, text=True, check=False, **options)

    def run_python(self, tool, *words):
        return self.run_tool(sys.executable, "-B", ROOT / tool, *words)

    def assert_refused(self, result, message):
        """The tool has ended with this message on one line, and without a traceback."""
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, message)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
