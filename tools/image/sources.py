# SPDX-License-Identifier: MIT
"""Reads trees: a folder, a tar, an OCI layout, and the root image of a machine."""

import bz2
import functools
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zlib

from tree import Failure, Node, Tree, parts_of

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAGICS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open), (b"\x28\xb5\x2f\xfd", None))
LARGEST_JSON = 16 << 20
# What tarfile and the decompressors raise for bytes that are none of theirs.
BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error, lzma.LZMAError)
BROKEN += (subprocess.CalledProcessError,)


def read_folder(tree, folder):
    """A folder of this computer. Its files belong to root in the image: users of two systems have little in common."""
    first = {}
    for above, folders, files in os.walk(folder, onerror=raise_error):
        folders.sort()
        for name in sorted(folders + files):
            place = os.path.join(above, name)
            path = os.path.relpath(place, folder)
            status = os.lstat(place)
            key = (status.st_dev, status.st_ino)
            if key in first and not stat.S_ISDIR(status.st_mode):
                tree.link(path, first[key])
                continue
            node = Node(status.st_mode, time=status.st_mtime)
            if stat.S_ISLNK(status.st_mode):
                node.target = os.readlink(place)
            elif stat.S_ISREG(status.st_mode):
                node.size = status.st_size
                node.content = functools.partial(open, place, "rb")
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                node.device = (os.major(status.st_rdev), os.minor(status.st_rdev))
            elif stat.S_ISSOCK(status.st_mode):
                continue
            tree.add(path, node)
            if status.st_nlink > 1:
                first[key] = path


def raise_error(error):
    raise error


def decompressed(path):
    """A file that is no longer compressed: the same one, or a temporary one without a name."""
    file = open(path, "rb")  # noqa: SIM115
    magic = file.read(6)
    file.seek(0)
    for known, opener in MAGICS:
        if not magic.startswith(known):
            continue
        plain = tempfile.TemporaryFile()  # noqa: SIM115
        if opener is None:
            subprocess.run(["zstd", "-dcq", path], stdout=plain, check=True)
        else:
            with opener(path) as packed:
                shutil.copyfileobj(packed, plain, 1 << 20)
        file.close()
        plain.seek(0)
        return plain
    return file


def read_tar(tree, path):
    """A tar, which is also a layer of an image: what its whiteouts name is removed before its own files are added."""
    try:
        # Open for as long as the program runs.
        archive = tarfile.open(fileobj=decompressed(path), mode="r:")  # noqa: SIM115
        members = archive.getmembers()
    except BROKEN as error:
        raise Failure(f"{path} is no tar: {error}") from None
    for member in members:
        name = member.name.rsplit("/", 1)[-1]
        above = member.name[: len(member.name) - len(name)]
        if name == OPAQUE:
            tree.clear(above)
        elif name.startswith(WHITEOUT):
            tree.remove(above + name[len(WHITEOUT) :])
    for member in members:
        if not member.name.rsplit("/", 1)[-1].startswith(WHITEOUT):
            add_member(tree, archive, member)


def add_member(tree, archive, member):
    kinds = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
    kinds |= {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
    if member.islnk():
        tree.link(member.name, member.linkname)
        return
    kind = stat.S_IFREG if member.isreg() else kinds.get(member.type)
    if kind is None:
        raise Failure(f"{member.name!r}: a tar entry of type {member.type!r} is not known")
    node = Node(kind | (member.mode & 0o7777), member.uid, member.gid, member.mtime, member.linkname)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        node.device = (member.devmajor, member.devminor)
    if kind == stat.S_IFREG:
        node.size = member.size
        node.content = lambda: archive.extractfile(member)
    tree.add(member.name, node)


class Layout:
    """An OCI image layout. Each blob is checked against the digest by which it is named."""

    def __init__(self, folder):
        self.folder = folder

    def blob(self, descriptor):
        digest = str(descriptor.get("digest", ""))
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or not all(letter in "0123456789abcdef" for letter in value):
            raise Failure(f"{digest!r} is no SHA-256 digest of a blob")
        path = os.path.join(self.folder, "blobs", "sha256", value)
        if not os.path.isfile(path):
            raise Failure(f"{path} is missing")
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != value:
                raise Failure(f"{path} is not what its name says")
        return path

    def object(self, path):
        if os.path.getsize(path) > LARGEST_JSON:
            raise Failure(f"{path} is too large")
        with open(path, "rb") as file:
            try:
                value = json.load(file)
            except ValueError as error:
                raise Failure(f"{path} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise Failure(f"{path} is no object")
        return value

    def layers(self):
        value = self.object(os.path.join(self.folder, "index.json"))
        for _ in range(3):
            if "manifests" not in value:
                break
            listed = value["manifests"]
            entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
            wasm = [entry for entry in entries if "wasm" in str(entry.get("platform", {}))]
            if not entries:
                raise Failure(f"{self.folder} has no image")
            if len(entries) > 1 and len(wasm) != 1:
                raise Failure(f"{self.folder} has {len(entries)} images; leave one in it")
            value = self.object(self.blob((wasm or entries)[0]))
        layers = value.get("layers")
        if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
            raise Failure(f"{self.folder} has no list of layers")
        return [self.blob(layer) for layer in layers]


def read_any(source):
    """The tree of a folder, an OCI layout or a tar."""
    tree = Tree()
    if os.path.isdir(source):
        if os.path.exists(os.path.join(source, "oci-layout")):
            for layer in Layout(source).layers():
                read_tar(tree, layer)
        else:
            read_folder(tree, source)
    elif os.path.isfile(source):
        read_tar(tree, source)
    else:
        raise Failure(f"{source} is neither a folder nor a tar")
    return tree


def read_cpio(path):
    """The root image of a machine: the "newc" format, compressed by gzip, as initramfs/pack.py makes it."""
    tree = Tree()
    with gzip.open(path) as file:
        data = file.read()
    place = 0
    files = {}
    while True:
        if data[place : place + 6] != b"070701":
            raise Failure(f"{path} is no root image")
        fields = [int(data[place + 6 + 8 * index : place + 14 + 8 * index], 16) for index in range(13)]
        inode, mode, uid, gid, links, time, size, _, _, major, minor, length, _ = fields
        start = place + 110
        name = data[start : start + length - 1].decode()
        start = (start + length + 3) & ~3
        place = (start + size + 3) & ~3
        if name == "TRAILER!!!":
            return tree
        content = data[start : start + size]
        if stat.S_ISREG(mode) and links > 1 and inode in files and size == 0:
            tree.link(name, files[inode])
            continue
        node = Node(mode, uid, gid, time, device=(major, minor), size=size)
        if stat.S_ISLNK(mode):
            node.target = content.decode()
        elif stat.S_ISREG(mode):
            node.content = lambda content=content: io.BytesIO(content)
            files[inode] = name
        if parts_of(name):
            tree.add(name, node)
