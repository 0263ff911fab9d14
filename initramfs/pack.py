#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs a list of files as a gzip-compressed cpio archive for the kernel.

    pack.py LIST OUTPUT [NAME=FOLDER]...

LIST is in the format of the kernel's usr/gen_init_cpio, and some more, see files.list; $NAME in it stands for a
folder. The same input gives the same bytes: every time is 0, entries are in the order of the list. Nothing is read
from the build machine's file system but contents, so no special rights are needed.
"""

import os
import stat
import string
import sys
import zlib

TYPES = {"b": stat.S_IFBLK, "c": stat.S_IFCHR, "p": stat.S_IFIFO, "s": stat.S_IFSOCK}


class Failure(Exception):
    """Something the user must repair; shown as one line."""


class Archive:
    """A cpio archive in the "newc" format.

    The kernel's Documentation/driver-api/early-userspace/buffer-format.rst describes it.
    """

    def __init__(self):
        self.content = bytearray()
        self.paths = set()

    def add(self, path, mode, uid=0, gid=0, data=b"", major=0, minor=0, links=1, inode=0):
        name = path.lstrip("/")
        if not all(0 <= number < 1 << 32 for number in (uid, gid, major, minor)):
            raise ValueError("a number that does not fit into 32 bits")
        if name in self.paths:
            raise Failure(f"{path} is listed twice")
        parent = os.path.dirname(name)
        if parent and parent not in self.paths:
            raise Failure(f"{path}: list /{parent} before it")
        self.paths.add(name)
        self.entry(name, inode or len(self.paths), mode, uid, gid, links, data, major, minor)
        return len(self.paths)

    def entry(self, name, inode, mode, uid, gid, links, data, major, minor):
        encoded = name.encode() + b"\0"
        fields = (inode, mode, uid, gid, links, 0, len(data), 0, 0, major, minor, len(encoded), 0)
        self.content += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.pad()
        self.content += data
        self.pad()

    def pad(self):
        self.content += bytes(-len(self.content) % 4)

    def finished(self):
        self.entry("TRAILER!!!", 0, 0, 0, 0, 1, b"", 0, 0)
        self.content += bytes(-len(self.content) % 512)
        return bytes(self.content)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None


def permissions(text):
    mode = int(text, 8)
    if not 0 <= mode <= 0o7777:
        raise ValueError("a mode has at most four digits")
    return mode


def add_line(archive, words):
    kind, path, *rest = words
    if kind == "dir" and len(rest) == 3:
        mode, uid, gid = rest
        archive.add(path, stat.S_IFDIR | permissions(mode), int(uid), int(gid), links=2)
    elif kind == "file" and len(rest) == 4:
        source, mode, uid, gid = rest
        archive.add(path, stat.S_IFREG | permissions(mode), int(uid), int(gid), read(source))
    elif kind == "slink" and len(rest) == 4:
        target, mode, uid, gid = rest
        archive.add(path, stat.S_IFLNK | permissions(mode), int(uid), int(gid), target.encode())
    elif kind == "nod" and len(rest) == 6 and rest[3] in TYPES:
        mode, uid, gid, device, major, minor = rest
        archive.add(path, TYPES[device] | permissions(mode), int(uid), int(gid), major=int(major), minor=int(minor))
    elif kind == "links" and len(rest) == 3:
        target, uid, gid = rest
        for link in sorted(set(read(path).decode().split())):
            # an applet that no path leads to, and what is there already: the program itself, links to another
            if link != "/linuxrc" and link.lstrip("/") not in archive.paths:
                archive.add(link, stat.S_IFLNK | 0o777, int(uid), int(gid), target.encode())
    elif kind == "tree" and len(rest) == 3:
        folder, uid, gid = rest
        add_tree(archive, path, folder, int(uid), int(gid))
    else:
        raise ValueError


def add_tree(archive, path, folder, uid, gid):
    """Adds what is in FOLDER.

    A file with several names is in the archive once: the kernel makes hard links of equal inodes.
    """
    names = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        sources = [os.path.join(parent, name) for name in folders + files]
        names += [(os.path.relpath(source, folder), source) for source in sources]
    count = {}
    for _, source in names:
        if os.path.isfile(source):
            identity = os.stat(source).st_ino
            count[identity] = count.get(identity, 0) + 1
    if not names:
        raise Failure(f"{folder}: no files")
    inodes = {}
    for name, source in sorted(names):
        if os.path.isdir(source):
            archive.add(f"{path}/{name}", stat.S_IFDIR | 0o755, uid, gid, links=2)
            continue
        identity = os.stat(source).st_ino
        if identity in inodes:
            content, inode = b"", inodes[identity]
        else:
            content, inode = read(source), 0
        inode = archive.add(
            f"{path}/{name}", stat.S_IFREG | 0o644, uid, gid, content, links=count[identity], inode=inode
        )
        inodes.setdefault(identity, inode)


def main(arguments):
    if len(arguments) < 2 or not all("=" in word for word in arguments[2:]):
        sys.exit(__doc__.strip())
    list_path, output, *folders = arguments
    names = dict(word.split("=", 1) for word in folders)
    archive = Archive()
    try:
        try:
            text = read(list_path).decode()
        except UnicodeDecodeError:
            raise Failure(f"{list_path} is not UTF-8") from None
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                add_line(archive, string.Template(line).substitute(names).split())
            except (ValueError, KeyError) as error:
                raise Failure(f"{list_path}:{number}: wrong line: {line} ({error})") from None
        # wbits 31: a gzip header without name and time
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        data = compressor.compress(archive.finished()) + compressor.flush()
        with open(output + ".new", "wb") as file:
            file.write(data)
        os.replace(output + ".new", output)
    except (Failure, OSError) as failure:
        sys.exit(f"pack.py: {failure}")


if __name__ == "__main__":
    main(sys.argv[1:])
