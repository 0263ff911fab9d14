# SPDX-License-Identifier: MIT
"""tools/image: trees, tars and OCI layouts, also hostile ones, as roots of a machine."""

import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "image" / "image"


def tar_of(entries):
    """A tar of (name, keywords of TarInfo, content)."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, attributes, content in entries:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


def folder(name):
    return (name, {"type": tarfile.DIRTYPE, "mode": 0o755}, b"")


def link(name, target):
    return (name, {"type": tarfile.SYMTYPE, "linkname": target}, b"")


def hard_link(name, target):
    return (name, {"type": tarfile.LNKTYPE, "linkname": target}, b"")


# A machine that reads certain files of the image that it is given, found by their content.
MACHINE = """
import json, os, sys
root = sys.argv[sys.argv.index("--root") + 1]
manifest = json.load(open(f"{root}/root.json"))
empty = bytes(manifest["chunkSize"])
image = b"".join(open(f"{root}/chunks/{name}", "rb").read() if name else empty for name in manifest["sha256"])
with open(os.environ["AUKLET_RECORD_READS"], "a") as reads:
    for path in sys.argv[-1].split():
        content = open(path, "rb").read()
        for at in range(0, len(content), 131072):
            block = content[at : at + 131072]
            place = image.find(block)
            # Requests are of whole sectors, and have some bytes of the neighbours.
            if place >= 0:
                begin, end = place // 512 * 512, (place + len(block) + 511) // 512 * 512
                reads.write(f"{begin} {end - begin}\\n")
"""


class Image(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)

    def run_tool(self, source, *options):
        command = [sys.executable, TOOL, source, "-o", self.folder / "out", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def image(self, source, *options):
        """Makes an image, joins its chunks, checks their names, and returns the squashfs."""
        result = self.run_tool(source, *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        out = self.folder / "out"
        manifest = json.loads((out / "root.json").read_text())
        content = b""
        for name in manifest["sha256"]:
            chunk = (out / "chunks" / name).read_bytes() if name else bytes(manifest["chunkSize"])
            if name:
                self.assertEqual(hashlib.sha256(chunk).hexdigest(), name)
            content += chunk
        self.assertEqual(len(content), manifest["size"])
        self.assertEqual(sorted(os.listdir(out)), ["chunks", "root.json"])
        path = self.folder / "image.squashfs"
        path.write_bytes(content)
        return path

    def names(self, image):
        """What unsquashfs lists: name, and mode, owner, target, and time."""
        command = ["unsquashfs", "-UTC", "-lln", image]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line.split() for line in output.splitlines() if "squashfs-root" in line]
        listed = {}
        for words in lines:
            place = next(index for index, word in enumerate(words) if word.startswith("squashfs-root"))
            listed[words[place].removeprefix("squashfs-root") or "/"] = (
                words[0],
                words[1],
                " ".join(words[place + 2 :]),
                " ".join(words[place - 2 : place]),
            )
        return listed

    def content(self, image, path):
        return subprocess.run(["unsquashfs", "-cat", image, path], capture_output=True, check=True).stdout

    def tar(self, entries, name="source.tar"):
        path = self.folder / name
        path.write_bytes(tar_of(entries))
        return path

    def test_folder(self):
        source = self.folder / "tree"
        (source / "usr/bin").mkdir(parents=True)
        (source / "usr/bin/program").write_bytes(b"x" * 300000)
        (source / "usr/bin/program").chmod(0o4755)
        os.link(source / "usr/bin/program", source / "usr/bin/other")
        (source / "bin").symlink_to("usr/bin")
        (source / "loop").symlink_to("/../../loop")
        (source / "empty").mkdir(mode=0o700)
        image = self.image(source)
        names = self.names(image)
        self.assertEqual(names["/usr/bin/program"][:2], ("-rwsr-xr-x", "0/0"))
        self.assertEqual(names["/empty"][0], "drwx------")
        self.assertEqual(names["/bin"][2], "usr/bin")
        self.assertEqual(names["/loop"][2], "/../../loop")
        self.assertEqual(self.content(image, "usr/bin/other"), b"x" * 300000)
        first = (self.folder / "out/root.json").read_text()
        self.image(source)
        self.assertEqual((self.folder / "out/root.json").read_text(), first)

    def test_what_is_read_comes_first(self):
        source = self.folder / "tree"
        names = [f"d{number % 3}/f{number:03}" for number in range(200)]
        for number, name in enumerate(names):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            # What cannot be compressed is in the image as it is. Some files have one block, some more.
            (source / name).write_bytes(os.urandom(300 + number % 7 * 30000))
        os.link(source / names[5], source / "link")
        machine = self.folder / "machine.py"
        machine.write_text(MACHINE)
        wanted = [source / names[number] for number in (187, 6, 69, 5, 100)]
        command = " ".join(map(str, wanted))
        image = self.image(source, f"--record={command}", "--machine", sys.executable, machine)
        content = image.read_bytes()
        places = [content.find(path.read_bytes()[:100]) for path in wanted]
        # Those with a whole block. The end of a file, and a small one, wait for others to fill a block.
        self.assertEqual(places[:4], sorted(places[:4]))
        rest = [(source / name).read_bytes()[:100] for name in names if source / name not in wanted]
        self.assertLess(max(places), min(place for place in map(content.find, rest) if place >= 0))
        for name in [*names, "link"]:
            self.assertEqual(self.content(image, name), (source / name).read_bytes(), name)
        listed = json.loads((self.folder / "out/root.json").read_text())
        self.assertEqual(listed["prefetch"][0], 0)
        self.assertLess(len(listed["prefetch"]), len(listed["sha256"]) / 8)
        self.assertEqual(len(os.listdir(self.folder / "out/chunks")), len(listed["sha256"]))
        result = self.run_tool(source, "--record=x", "--machine", "false", "-")
        self.assertRegex(result.stderr, "the command has failed: x")

    def test_tar_keeps_owners_and_links(self):
        image = self.image(
            self.tar(
                [
                    folder("./"),
                    ("./etc/file", {"uid": 1000, "gid": 7, "mode": 0o640}, b"content"),
                    hard_link("same", "./etc/file"),
                    link("bin", "usr/bin"),
                    folder("usr/bin"),
                    ("bin/program", {"mode": 0o755}, b"program"),
                    ("/absolute", {}, b""),
                    ("pipe", {"type": tarfile.FIFOTYPE}, b""),
                    ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
                    ("etc/file2", {}, b"first"),
                    ("etc/file2", {}, b"second"),
                ]
            )
        )
        names = self.names(image)
        self.assertEqual(names["/etc/file"][:2], ("-rw-r-----", "1000/7"))
        self.assertEqual(self.content(image, "same"), b"content")
        self.assertEqual(names["/usr/bin/program"][0], "-rwxr-xr-x")
        self.assertEqual(names["/bin"][2], "usr/bin")
        self.assertIn("/absolute", names)
        self.assertEqual(names["/pipe"][0][0], "p")
        self.assertEqual(names["/null"][0][0], "c")
        self.assertEqual(self.content(image, "etc/file2"), b"second")

    def test_hostile_tars(self):
        deep = "/".join(["d" * 9] * 300)
        many = [link(f"l{number}", f"l{number + 1}") for number in range(60)] + [folder("l60"), ("l0/x", {}, b"")]
        for entries, reason in (
            ([("../outside", {}, b"x")], r"may not have '\.\.'"),
            ([("a/../../outside", {}, b"x")], r"may not have '\.\.'"),
            ([hard_link("a", "../../etc/passwd")], r"may not have '\.\.'"),
            ([hard_link("a", "/etc/passwd")], "which is no file"),
            ([folder("d"), hard_link("a", "d")], "which is no file"),
            ([link("a", "a"), ("a/b", {}, b"")], "too many symbolic links"),
            (many, "too many symbolic links"),
            ([("file", {}, b""), ("file/below", {}, b"")], "is no folder"),
            ([("n" * 256, {}, b"")], "nnn'.*more than 255 bytes"),
            ([("/".join(["d" * 9] * 410), {}, b"")], "'ddd.*more than 4095 bytes"),
            # Below a link, it is deeper than it says.
            ([folder(deep), link("way", deep), (f"way/{deep}", {}, b"")], "'ddd.*more than 4095 bytes"),
            ([link("long", "x" * 4096)], "'long': a symbolic link has 1 to 4095 bytes"),
            ([link("empty", "")], "'empty': a symbolic link has 1 to 4095 bytes"),
            # sqfstar would make the first ones root's.
            ([("large", {"uid": 1 << 32}, b"")], "'large': the user 4294967296"),
            ([("large", {"gid": 1 << 40}, b"")], "'large': .* the group 1099511627776"),
            ([("below", {"uid": -1}, b"")], "'below': the user -1"),
            ([("device", {"type": tarfile.BLKTYPE, "devmajor": 1, "devminor": 1 << 20}, b"")], "no device 1, 1048576"),
            ([("whiteout", {"type": tarfile.CHRTYPE, "devmajor": 0, "devminor": 0}, b"")], "character device 0, 0"),
            ([("odd", {"type": b"V"}, b"")], "is not known"),
            ([("./", {}, b"")], "is a folder|is not known"),
        ):
            result = self.run_tool(self.tar(entries))
            self.assertEqual(result.returncode, 1, f"{entries[0][0][:40]}: {result.stdout}")
            self.assertRegex(result.stderr, reason)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertFalse((self.folder / "out/root.json").exists())
        # A link to outside is only a link: nothing is written through it here.
        outside = self.folder / "outside"
        outside.mkdir()
        image = self.image(self.tar([link("way", str(outside)), ("way/file", {}, b"x")]))
        self.assertEqual(os.listdir(outside), [])
        self.assertEqual(self.content(image, f"{outside}/file".lstrip("/")), b"x")
        for content in (b"", b"no tar", b"\x1f\x8bbroken", b"\x28\xb5\x2f\xfdbroken", os.urandom(2048)):
            path = self.folder / "broken"
            path.write_bytes(content)
            result = self.run_tool(path)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r"is no tar")

    def test_limits(self):
        """What Linux has just room for; and times that a squashfs has no room for."""
        path = "/".join(["d" * 9] * 409) + "/abcd"
        times = (-5, -0.5, 1 << 32, 1 << 40, 1e30, (1 << 32) - 1)
        entries = [(f"t{number}", {"mtime": time}, b"") for number, time in enumerate(times)]
        entries += [(f"text{text}", {"pax_headers": {"mtime": text}}, b"") for text in ("nan", "inf", "-inf")]
        entries += [(path, {}, b"deep"), ("n" * 255, {"uid": (1 << 32) - 1}, b""), link("link", "x" * 4095)]
        image = self.image(self.tar(entries))
        names = self.names(image)
        first, last = "1970-01-01 00:00", "2106-02-07 06:28"
        for number, shown in enumerate((first, first, last, last, last, last)):
            self.assertEqual(names[f"/t{number}"][3], shown, times[number])
        self.assertEqual([names[f"/text{text}"][3] for text in ("nan", "inf", "-inf")], [first, last, first])
        self.assertEqual(len(f"/{path}"), 4095)
        self.assertEqual(self.content(image, path), b"deep")
        self.assertEqual(names["/" + "n" * 255][1], "4294967295/0")

    def test_folder_that_lies(self):
        source = self.folder / "tree"
        source.mkdir()
        (source / "early").write_bytes(b"")
        (source / "late").write_bytes(b"")
        os.utime(source / "early", (0, -(1 << 31)))
        os.utime(source / "late", (0, 1 << 33))
        names = self.names(self.image(source))
        self.assertEqual((names["/early"][3], names["/late"][3]), ("1970-01-01 00:00", "2106-02-07 06:28"))
        # Everybody may make this one.
        os.mknod(source / "whiteout", stat.S_IFCHR | 0o600, 0)
        result = self.run_tool(source)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "^image: 'whiteout': the character device 0, 0 is no file of an image$")

    def layout(self, layers, change=lambda _index: None):
        blobs = self.folder / "oci/blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)

        def blob(content):
            name = hashlib.sha256(content).hexdigest()
            (blobs / name).write_bytes(content)
            return {"digest": f"sha256:{name}", "size": len(content)}

        manifest = {"schemaVersion": 2, "layers": [blob(layer) for layer in layers]}
        index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode())]}
        change(index)
        (self.folder / "oci/index.json").write_text(json.dumps(index))
        (self.folder / "oci/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.folder / "oci"

    def test_layers_and_whiteouts(self):
        lower = tar_of(
            [
                ("etc/kept", {}, b"kept"),
                ("etc/gone", {}, b"gone"),
                ("etc/named", {}, b"named"),
                hard_link("etc/alias", "etc/named"),
                ("opaque/old", {}, b"old"),
                ("tree/a/b", {}, b"b"),
                link("lib", "usr/lib"),
                folder("usr/lib"),
            ]
        )
        upper = tar_of(
            [
                ("opaque/new", {}, b"new"),
                ("opaque/.wh..wh..opq", {}, b""),
                ("etc/.wh.gone", {}, b""),
                ("etc/.wh.named", {}, b""),
                (".wh.tree", {}, b""),
                ("tree", {}, b"a file now"),
                ("etc/.wh.never", {}, b""),
                folder("lib"),
                ("lib/added", {}, b"added"),
            ]
        )
        zstd = subprocess.run(["zstd", "-qc"], input=upper, capture_output=True, check=True).stdout
        for packed in (upper, gzip.compress(upper), zstd):
            image = self.image(self.layout([gzip.compress(lower), packed]))
            names = self.names(image)
            self.assertEqual(
                sorted(names),
                ["/", "/etc", "/etc/alias", "/etc/kept", "/lib", "/opaque", "/opaque/new", "/tree", "/usr", "/usr/lib",
                 "/usr/lib/added"],
            )  # fmt: skip
            self.assertEqual(self.content(image, "tree"), b"a file now")
            # A name of the file stays when another one is removed.
            self.assertEqual(self.content(image, "etc/alias"), b"named")

    def test_layouts_that_lie(self):
        layer = tar_of([("a", {}, b"a")])
        other = {"digest": "sha256:" + "0" * 64}
        for change, reason in (
            (lambda index: index["manifests"].clear(), "has no image"),
            (lambda index: index["manifests"].append(other), "has 2 images"),
            (lambda index: index["manifests"][0].update(digest="sha256:../../../etc/passwd"), "no SHA-256 digest"),
            (lambda index: index["manifests"][0].update(digest="md5:00"), "no SHA-256 digest"),
            (lambda index: index["manifests"][0].update(other), "is missing"),
            (lambda index: index.update(manifests=[7]), "has no image"),
        ):
            result = self.run_tool(self.layout([layer], change))
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, reason)
        layout = self.layout([layer])
        path = layout / "blobs/sha256" / hashlib.sha256(layer).hexdigest()
        path.write_bytes(layer + b"x")
        self.assertRegex(self.run_tool(layout).stderr, "is not what its name says")


if __name__ == "__main__":
    unittest.main()
