"""Files that only one process can create or replace: what leases are made of.

To replace a file whose content is stale, a process creates its successor, a file whose name holds
the digest of the stale content, and renames it to the first. Of several processes only one can
create the successor; one that comes late finds another content in the first file, and deletes its
own. A successor that a killed process left becomes stale, too, and is replaced before the first.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

# reads of a file that is replaced again and again
TRIES = 3


def create(path: Path | str, content: bytes) -> bool:
    """Create a file exclusively. Returns False if it exists."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return create(path, content)
    try:
        os.write(descriptor, content)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    return True


def read(path: Path) -> bytes | None:
    """The content of a file, None if there is none."""
    for _ in range(TRIES):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            # on NFS: it was replaced after it was opened
            if problem.errno != errno.ESTALE:
                raise
    return None


def rewrite(path: Path, before: bytes, after: bytes) -> bool:
    """Write into a file if it holds `before`. A file that replaces it meanwhile is not touched."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if os.read(descriptor, len(before) + 1) != before:
            return False
        os.pwrite(descriptor, after, 0)
        return True
    finally:
        os.close(descriptor)


def chain(path: Path) -> list[bytes]:
    """The contents of a file, of its successor, of the successor's successor..."""
    contents: list[bytes] = []
    while (content := read(path)) is not None:
        contents.append(content)
        path = successor(path, content)
    return contents


def replace(path: Path, stale: list[bytes], content: bytes) -> bool:
    """Put new content in the place of a stale chain. Returns whether this process did it."""
    first, *later = stale
    heir = successor(path, first)
    if not (replace(heir, later, content) if later else create(heir, content)):
        return False
    if read(path) == first:
        # missing: NFS repeated a rename that had succeeded
        with suppress(FileNotFoundError):
            heir.replace(path)
    else:
        heir.unlink(missing_ok=True)
    return read(path) == content


def successor(path: Path, content: bytes) -> Path:
    """The successor of a file with a content: NAME.DIGEST.json for NAME.json."""
    return _named(path, f"{path.name.split('.')[0]}.{hashlib.sha256(content).hexdigest()[:32]}")


def first(path: Path) -> Path:
    """The file that a successor is to replace; a file itself if it is none."""
    return _named(path, path.name.split(".")[0])


def _named(path: Path, stem: str) -> Path:
    return path.with_name(f"{stem}.json")
