# SPDX-License-Identifier: MIT
"""Finds out where a squashfs that sqfstar has made has the content of its files: just enough of the format for that."""

import mmap
import struct
import subprocess

from tree import Failure

MAGIC = 0x73717368
ZSTD = 6
FOLDERS = {1: "<IIHHI", 8: "<IIIIHHI"}
FILES = {2: "<IIII", 9: "<QQQIIII"}
INODE = "<HHHHII"
# In the 16 bits before a block of metadata: it is not compressed.
PLAIN = 1 << 15
# In the 32 bits for a block of data.
LENGTH = (1 << 24) - 1


class Squashfs:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, self.block_size, compression = struct.unpack_from("<I8xI4xH", self.image)
        self.root, self.inodes, self.folders = struct.unpack_from("<Q24xQQ", self.image, 32)
        if magic != MAGIC or compression != ZSTD:
            raise Failure("sqfstar has made no squashfs of zstd")
        self.metadata = {}

    def blocks(self):
        """(begin, end, path) of each block of a file. The image must have no fragments."""
        left = [(self.root >> 16, self.root & 0xFFFF, "")]
        while left:
            block, offset, path = left.pop()
            reader = self.reader(self.inodes + block, offset)
            kind = reader.take(INODE)[0]
            if kind in FILES:
                yield from self.blocks_of(reader, kind, path)
            elif kind in FOLDERS:
                values = reader.take(FOLDERS[kind])
                start, size, offset = (values[0], values[2], values[3]) if kind == 1 else (*values[2:0:-1], values[5])
                left += self.entries(self.reader(self.folders + start, offset), size - 3, path)

    def blocks_of(self, reader, kind, path):
        values = reader.take(FILES[kind])
        place, size = (values[0], values[3]) if kind == 2 else values[:2]
        count = (size + self.block_size - 1) // self.block_size
        for (word,) in struct.iter_unpack("<I", reader.bytes(4 * count)):
            length = word & LENGTH
            if length > 0:
                yield place, place + length, path
            place += length

    def entries(self, reader, size, path):
        while size > 0:
            count, start, _ = reader.take("<III")
            size -= 12
            for _ in range(count + 1):
                offset, _, _, length = reader.take("<HhHH")
                name = reader.bytes(length + 1).decode(errors="surrogateescape")
                size -= 8 + length + 1
                yield start, offset, f"{path}/{name}" if path else name

    def reader(self, place, offset):
        return Reader(self, place, offset)

    def block(self, place):
        """What is in a block of metadata, and where the next one is."""
        if place not in self.metadata:
            (word,) = struct.unpack_from("<H", self.image, place)
            end = place + 2 + (word & ~PLAIN)
            content = self.image[place + 2 : end]
            if not word & PLAIN:
                content = subprocess.run(["zstd", "-dcq"], input=content, capture_output=True, check=True).stdout
            self.metadata[place] = content, end
        return self.metadata[place]


class Reader:
    """Metadata from a place on, across blocks."""

    def __init__(self, squashfs, place, offset):
        self.squashfs = squashfs
        self.content, self.next = squashfs.block(place)
        self.offset = offset

    def bytes(self, count):
        while len(self.content) - self.offset < count:
            more, self.next = self.squashfs.block(self.next)
            self.content = self.content[self.offset :] + more
            self.offset = 0
        self.offset += count
        return self.content[self.offset - count : self.offset]

    def take(self, layout):
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))


def files_read(path, reads):
    """The paths of the files that requests, (offset, length), have read, in the order of their first use."""
    blocks = sorted(Squashfs(path).blocks())
    used = {}
    for offset, length in reads:
        # A block that is read is read whole; a request may also have a few
        # bytes of its neighbours.
        for begin, end, name in blocks[first_behind(blocks, offset) :]:
            if begin >= offset + length:
                break
            if 2 * (min(end, offset + length) - max(begin, offset)) >= end - begin:
                used[name] = True
    return list(used)


def first_behind(blocks, offset):
    """The index of the first block that ends behind a place."""
    low, high = 0, len(blocks)
    while low < high:
        middle = (low + high) // 2
        if blocks[middle][1] <= offset:
            low = middle + 1
        else:
            high = middle
    return low
