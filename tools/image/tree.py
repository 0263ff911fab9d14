# SPDX-License-Identifier: MIT
"""A tree of files in memory: what an image will have. Nothing is unpacked, so no path leads out of it."""

import stat
from dataclasses import dataclass, field

# As Linux's limits: links on one way, and bytes of a path and of a name.
MOST_LINKS = 40
LONGEST_PATH = 4095
LONGEST_NAME = 255
# A squashfs has 32 bits for seconds and for the number of a user.
MOST = (1 << 32) - 1
# As Linux's limits for the numbers of a device.
MOST_MAJOR = (1 << 12) - 1
MOST_MINOR = (1 << 20) - 1


class Failure(Exception):
    """Something the user must repair; shown as one line."""


@dataclass
class Node:
    """A file, which may have several names. `content` opens what a regular file has."""

    mode: int
    uid: int = 0
    gid: int = 0
    time: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    size: int = 0
    content: object = None
    children: dict = field(default_factory=dict)

    def __post_init__(self):
        # A pax header may say "nan" and "inf", too.
        self.time = int(min(max(0, self.time), MOST))

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self):
        return stat.S_ISLNK(self.mode)


def parts_of(path):
    """The names in a path of an archive. It may begin with / or ./, and may not have "..", which leads elsewhere."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise Failure(f"{path!r}: the path of an entry may not have '..' or a zero byte")
    if any(bytes_of(part) > LONGEST_NAME for part in parts):
        raise Failure(f"{path[:60]!r}...: a name has more than {LONGEST_NAME} bytes")
    check_length("/".join(parts))
    return parts


def bytes_of(text):
    return len(text.encode(errors="surrogateescape"))


def check_length(path):
    """A path of the image, without the / before it. Programs could not name a longer one."""
    if bytes_of(path) >= LONGEST_PATH:
        raise Failure(f"{path[:60]!r}...: the path has more than {LONGEST_PATH} bytes")


def check(path, node):
    """Refuses what an image cannot have: sqfstar would leave it out, or write something else."""
    if not all(0 <= number <= MOST for number in (node.uid, node.gid)):
        raise Failure(f"{path!r}: the user {node.uid} or the group {node.gid} is none of Linux's")
    if node.is_link and not 0 < bytes_of(node.target) <= LONGEST_PATH:
        raise Failure(f"{path!r}: a symbolic link has 1 to {LONGEST_PATH} bytes")
    if not all(0 <= number <= most for number, most in zip(node.device, (MOST_MAJOR, MOST_MINOR), strict=True)):
        raise Failure(f"{path!r}: Linux has no device {node.device[0]}, {node.device[1]}")
    # overlayfs takes this one in a lower layer for a file that was removed.
    # Layers of OCI say that by a name.
    if stat.S_ISCHR(node.mode) and node.device == (0, 0):
        raise Failure(f"{path!r}: the character device 0, 0 is no file of an image")


class Tree:
    def __init__(self):
        self.root = Node(stat.S_IFDIR | 0o755)

    def folder(self, parts, make=False):
        """The folder of a path, through symbolic links as the guest would go; None if there is none."""
        way = [self.root]
        left = list(reversed(parts))
        links = 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                way = way[:-1] or [self.root]
                continue
            node = way[-1].children.get(part)
            if node is None and make:
                node = way[-1].children[part] = Node(stat.S_IFDIR | 0o755)
            if node is None:
                return None
            if node.is_link:
                links += 1
                if links > MOST_LINKS:
                    raise Failure(f"/{'/'.join(parts)}: too many symbolic links")
                if node.target.startswith("/"):
                    way = [self.root]
                left += reversed(node.target.split("/"))
            elif node.is_folder:
                way.append(node)
            else:
                return None
        return way[-1]

    def parent(self, parts):
        found = self.folder(parts[:-1], make=True)
        if found is None:
            raise Failure(f"/{'/'.join(parts)}: what is above it is no folder")
        return found

    def find(self, parts):
        """The node of this path, whose last part is not followed."""
        if not parts:
            return self.root
        above = self.folder(parts[:-1])
        return above.children.get(parts[-1]) if above else None

    def add(self, path, node):
        """Adds or replaces; a folder that is there already keeps what is in it."""
        parts = parts_of(path)
        check(path, node)
        if not parts:
            if not node.is_folder:
                raise Failure(f"{path!r}: the root of an image is a folder")
            node.children = self.root.children
            self.root = node
            return
        above = self.parent(parts)
        old = above.children.get(parts[-1])
        if node.is_folder and old is not None and old.is_folder:
            node.children = old.children
        elif node.is_folder and old is not None and old.is_link and self.folder(parts) is not None:
            # /bin is a link to usr/bin in a lower layer, and a folder here.
            return
        above.children[parts[-1]] = node

    def link(self, path, target):
        """Gives a file that is there another name."""
        node = self.find(parts_of(target))
        if node is None or node.is_folder:
            raise Failure(f"{path!r} is a hard link to {target!r}, which is no file")
        parts = parts_of(path)
        if not parts:
            raise Failure(f"{path!r}: the root of an image is a folder")
        self.parent(parts).children[parts[-1]] = node

    def remove(self, path):
        parts = parts_of(path)
        above = self.folder(parts[:-1]) if parts else None
        if above is not None:
            above.children.pop(parts[-1], None)

    def clear(self, path):
        found = self.folder(parts_of(path))
        if found is not None:
            found.children = {}

    def fill(self, other, parts=()):
        """Adds what of another tree is not there yet, through this tree's links."""
        for name, node in other.children.items():
            path = [*parts, name]
            mine = self.find(path)
            if node.is_folder:
                if mine is None:
                    self.parent(path).children[name] = Node(node.mode, node.uid, node.gid, node.time)
                if self.folder(path) is not None:
                    self.fill(node, path)
            elif mine is None and self.folder(path[:-1]) is not None:
                self.parent(path).children[name] = node

    def walk(self):
        """All (path, node) below the root; a folder comes before what is in it."""
        left = [("", self.root)]
        while left:
            path, node = left.pop()
            # Links may have led an entry deeper than its own path says.
            check_length(path)
            if path:
                yield path, node
            left += [(f"{path}/{name}" if path else name, node.children[name]) for name in sorted(node.children)[::-1]]
