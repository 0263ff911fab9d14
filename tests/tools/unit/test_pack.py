# SPDX-License-Identifier: MIT
"""initramfs/pack.py: the bytes of an archive, and lists that are wrong (tests/tools/pack.sh unpacks one again)."""

import gzip
import os
import stat
import unittest

import support

TOOL = "initramfs/pack.py"
FIELDS = "inode mode uid gid links time size major minor device_major device_minor name_size check".split()


def entries(archive):
    """The entries of an archive: name -> (fields, content)."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701", archive[at : at + 6]
        values = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(len(FIELDS))]
        fields = dict(zip(FIELDS, values, strict=True))
        start = at + 110 + fields["name_size"]
        name = archive[at + 110 : start - 1].decode()
        start += -start % 4
        end = start + fields["size"]
        if name == "TRAILER!!!":
            assert len(archive) % 512 == 0
            assert not archive[end:].strip(b"\0")
            return found
        found[name] = fields, archive[start:end]
        at = end + -end % 4


class PackTest(support.Folder):
    def pack(self, lines, *folders):
        listed = self.write("list", lines if isinstance(lines, bytes) else "\n".join(lines) + "\n")
        return self.run_python(TOOL, listed, self.folder / "archive", f"FILES={self.folder}", *folders)

    def packed(self, *lines):
        result = self.pack(lines)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return entries(gzip.decompress((self.folder / "archive").read_bytes()))

    def refuses(self, message, *lines):
        self.assert_refused(self.pack(lines), f"^pack.py: .*{message}")
        self.assertFalse((self.folder / "archive").exists())

    def test_kinds(self):
        self.write("content", b"abc")
        found = self.packed(
            "dir /dev 0755 0 0",
            "nod /dev/null 0666 0 5 c 1 3",
            "file /program $FILES/content 04755 1 2",
            "slink /link /program 0777 0 0",
        )
        fields, _ = found["dev/null"]
        self.assertEqual(fields["mode"], stat.S_IFCHR | 0o666)
        self.assertEqual((fields["device_major"], fields["device_minor"], fields["gid"]), (1, 3, 5))
        fields, content = found["program"]
        self.assertEqual((fields["mode"], fields["uid"], fields["gid"]), (stat.S_IFREG | 0o4755, 1, 2))
        self.assertEqual((content, fields["time"]), (b"abc", 0))
        self.assertEqual(found["link"][1], b"/program")
        self.assertEqual(len({fields["inode"] for fields, _ in found.values()}), 4)

    def test_same_input_same_bytes(self):
        self.packed("dir /a 0755 0 0")
        first = (self.folder / "archive").read_bytes()
        self.packed("# a comment", "", "dir /a 0755 0 0")
        self.assertEqual((self.folder / "archive").read_bytes(), first)

    def test_hard_links_of_a_tree(self):
        tree = self.folder / "tree"
        tree.mkdir()
        (tree / "one").write_bytes(b"content")
        os.link(tree / "one", tree / "two")
        found = self.packed("dir /t 0755 0 0", "tree /t $FILES/tree 0 0")
        (one, content), (two, nothing) = found["t/one"], found["t/two"]
        self.assertEqual((one["inode"], one["links"]), (two["inode"], 2))
        self.assertEqual((content, nothing), (b"content", b""))

    def test_wrong_lines(self):
        for line in (
            "dir",
            "dir /a",
            "dir /a 0755 0",
            "dir /a 0755 0 0 0",
            "dir /a 0955 0 0",
            "dir /a 0177777 0 0",
            "dir /a -1 0 0",
            "dir /a 0755 root 0",
            "dir /a 0755 -1 0",
            "dir /a 0755 0 4294967296",
            "nod /a 0666 0 0 x 1 3",
            "nod /a 0666 0 0 c 1 -3",
            "file /a $OTHER/content 0644 0 0",
            "file /a $ 0644 0 0",
            "hole /a 0644 0 0",
        ):
            with self.subTest(line=line):
                self.refuses("list:2: wrong line", "# first", line)

    def test_paths(self):
        self.refuses("/a is listed twice", "dir /a 0755 0 0", "dir /a 0755 0 0")
        self.refuses("/a/b: list /a before it", "dir /a/b 0755 0 0")
        self.refuses("none: No such file", "file /a $FILES/none 0644 0 0")
        self.refuses("none: no files", "tree / $FILES/none 0 0")

    def test_lists_that_are_none(self):
        self.assert_refused(self.pack(b"\xff\xfe"), "is not UTF-8")
        self.write("names", b"/bin/\xff\n")
        self.refuses("wrong line", "links $FILES/names /program 0 0")
        result = self.run_python(TOOL, self.folder / "none", self.folder / "archive")
        self.assert_refused(result, "none: No such file")

    def test_archive_that_cannot_be_written(self):
        listed = self.write("list", "dir /a 0755 0 0\n")
        result = self.run_python(TOOL, listed, self.folder / "none/archive")
        self.assert_refused(result, "^pack.py: .*No such file")


if __name__ == "__main__":
    unittest.main()
