# SPDX-License-Identifier: MIT
"""tools/image: tars and OCI layouts that are changed at random are read, or refused in one line.

AUKLET_SEED is the first seed, AUKLET_ROUNDS how many there are. A failure names its seed.
"""

import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools" / "image"))

from sources import read_any  # noqa: E402
from tree import Failure  # noqa: E402

FIRST = int(os.environ.get("AUKLET_SEED", "0"))
ROUNDS = int(os.environ.get("AUKLET_ROUNDS", "400"))
BLOCK = 512
# Values that readers of numbers and names stumble over.
TEXTS = [
    b"",
    b"\0",
    b"..",
    b"/",
    b"-1",
    b"nan",
    b"inf",
    b"1e999",
    b"9" * 40,
    b"\xff\xfe",
    b"a/../../b",
    b"\x80" + b"\xff" * 11,
]
VALUES = [None, True, -1, 1e308, "", "..", "sha256:", [], {}, [[]], {"digest": 7}, {"digest": None}, "x" * 5000]


def good_tar():
    """A tar with an entry of each kind, and headers of pax and of GNU."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, target, content in (
            ("etc", tarfile.DIRTYPE, "", b""),
            ("etc/file", tarfile.REGTYPE, "", b"content"),
            ("etc/same", tarfile.LNKTYPE, "etc/file", b""),
            ("bin", tarfile.SYMTYPE, "usr/bin", b""),
            ("null", tarfile.CHRTYPE, "", b""),
            ("pipe", tarfile.FIFOTYPE, "", b""),
            ("long/" + "n" * 150, tarfile.REGTYPE, "", b"x" * 700),
            ("etc/.wh.gone", tarfile.REGTYPE, "", b""),
            ("opaque/.wh..wh..opq", tarfile.REGTYPE, "", b""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size, member.mtime = kind, target, len(content), 1.5
            member.devmajor, member.devminor = 1, 3
            member.pax_headers = {"comment": "c", "SCHILY.xattr.user.a": "v"}
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


def with_checksum(header):
    """A header whose checksum is right, so that its other fields are read."""
    fields = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(fields) + header[156:]


def changed(content, chance):
    """Bytes with one to five changes."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        if not data:
            break
        at = chance.randrange(len(data))
        block = at - at % BLOCK
        kind = chance.randrange(6)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[block : block + BLOCK * chance.randint(1, 3)]
        elif kind == 3:
            data[block:block] = data[: BLOCK * chance.randint(1, 4)]
        else:
            # A field of a header, or text of a pax header.
            text = chance.choice(TEXTS)
            place = block + chance.choice(
                [0, 100, 108, 116, 124, 136, 156, 157, 257, 329, 345, chance.randrange(BLOCK)]
            )
            data[place : place + len(text)] = text
            if kind == 5 and len(data) >= block + BLOCK:
                data[block : block + BLOCK] = with_checksum(bytes(data[block : block + BLOCK]))
    return bytes(data)


def changed_value(value, chance):
    """A value of JSON with one change somewhere in it."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        if chance.random() < 0.15:
            return {other: value[other] for other in value if other != key}
        return {**value, key: changed_value(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], changed_value(value[place], chance), *value[place + 1 :]]
    return chance.choice(VALUES)


def use(tree):
    """What the tool does with a tree, but sqfstar: each path, and each byte."""
    for path, node in tree.walk():
        path.encode(errors="surrogateescape")
        node.target.encode(errors="surrogateescape")
        if node.content is not None:
            with node.content() as content:
                while content.read(1 << 20):
                    pass


class Fuzz(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.read = self.refused = 0

    def attempt(self, source, seed):
        """As main(): one of these two, and nothing else."""
        try:
            use(read_any(str(source)))
            self.read += 1
        except (Failure, OSError) as failure:
            self.refused += 1
            self.assertEqual(len(str(failure).splitlines()), 1, f"seed {seed}: {failure}")
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error

    def finish(self):
        # Else the changes are too mild, or too wild.
        self.assertGreater(self.read, ROUNDS / 50)
        self.assertGreater(self.refused, ROUNDS / 50)

    def test_tars(self):
        content = good_tar()
        path = self.folder / "source.tar"
        for seed in range(FIRST, FIRST + ROUNDS):
            chance = random.Random(seed)
            path.write_bytes(changed(content, chance))
            if chance.random() < 0.2:
                path.write_bytes(changed(gzip.compress(path.read_bytes(), mtime=0), chance))
            self.attempt(path, seed)
        self.finish()

    def test_layouts(self):
        content = good_tar()
        blobs = self.folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        (self.folder / "oci-layout").write_text("{}")

        def blob(data):
            name = hashlib.sha256(data).hexdigest()
            (blobs / name).write_bytes(data)
            return {"digest": f"sha256:{name}", "size": len(data)}

        for seed in range(FIRST, FIRST + ROUNDS):
            chance = random.Random(seed)
            maybe = lambda value: changed_value(value, chance) if chance.random() < 0.4 else value  # noqa: B023, E731
            layers = [blob(changed(content, chance) if chance.random() < 0.3 else content) for _ in range(2)]
            manifest = json.dumps(maybe({"schemaVersion": 2, "layers": layers})).encode()
            platform = {"platform": {"os": "linux", "architecture": "wasm"}}
            index = json.dumps(maybe({"schemaVersion": 2, "manifests": [{**blob(manifest), **platform}]})).encode()
            if chance.random() < 0.2:
                index = changed(index, chance)
            (self.folder / "index.json").write_bytes(index)
            self.attempt(self.folder, seed)
        self.finish()
