"""Listing the image files below a folder that has one folder per class."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invspec import digests
from invspec.errors import InvspecError
from invspec.files.folder import cache

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

LAYOUT = "expected a folder with one subfolder of images per class"


@dataclass(frozen=True)
class Listing:
    """The images below root: names (N,) within their class's folder, and labels y (N,) int64.

    The first image of every class comes first, then the second of every class, and so on, so that
    the first n images are balanced.
    """

    root: Path
    classes: tuple[str, ...]
    names: NDArray[np.bytes_]
    y: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def path(self, position: int) -> Path:
        """The file of one image."""
        folder = self.root / self.classes[int(self.y[position])]
        return folder / os.fsdecode(bytes(self.names[position]))


def class_names(root: Path) -> tuple[str, ...]:
    """The names of the folders in root, sorted; a label is a position among them.

    Raises: InvspecError if there are none.
    """
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as problem:
        raise InvspecError(f"{root} cannot be read: {problem.strerror}", hint=LAYOUT) from None
    if not names:
        raise InvspecError(f"{root} holds no folders", hint=LAYOUT)
    return tuple(names)


def listing(root: Path) -> Listing:
    """The images below root, cached until a file is added to or removed from a class's folder.

    Changes in subfolders of a class's folder are not noticed; a split that is already loaded
    notices no changes.

    Raises: InvspecError if root is not a folder, or if a class has no images.
    """
    return _listing(root, _modified(root))


def fingerprint(root: Path) -> str:
    """SHA-256 of the names and contents of all images below root.

    Contents are read once, and again where a file's size, times or inode have changed.

    Raises: InvspecError as `listing` does, or if an image cannot be read.
    """
    images, sha256 = listing(root), hashlib.sha256()
    paths = [images.path(position) for position in range(len(images))]
    try:
        contents = digests.of_all([os.fspath(path) for path in paths], _memory(root))
    except OSError as problem:
        raise InvspecError(f"{problem.filename} cannot be read: {problem.strerror}") from None
    for path, content in zip(paths, contents, strict=True):
        sha256.update(f"{os.fsencode(path.relative_to(root))!r} {content}\n".encode())
    return sha256.hexdigest()


def _memory(root: Path) -> Path:
    """The file that remembers the digests of the images below root."""
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:40]
    return cache() / "digests" / f"{name}.json"


def _modified(root: Path) -> tuple[int, ...]:
    """When files were last added to or removed from root and each class's folder."""
    return tuple((root / name).stat().st_mtime_ns for name in (".", *class_names(root)))


@lru_cache(maxsize=8)
def _listing(root: Path, modified: tuple[int, ...]) -> Listing:
    classes = class_names(root)
    by_class = [_images(root / name) for name in classes]
    y = np.repeat(np.arange(len(classes)), [len(names) for names in by_class])
    rank = np.concatenate([np.arange(len(names)) for names in by_class])
    # lexsort's last key comes first: by rank, then by class
    order = np.lexsort((y, rank))
    return Listing(root, classes, np.concatenate(by_class)[order], torch.from_numpy(y[order]))


def _images(folder: Path) -> NDArray[np.bytes_]:
    """The names of all images in a folder and below it, sorted."""

    def refuse(problem: OSError) -> None:
        raise InvspecError(f"{problem.filename} cannot be read: {problem.strerror}")

    names: list[bytes] = []
    for parent, _, files in os.walk(folder, onerror=refuse, followlinks=True):
        inside = os.path.relpath(parent, folder)
        images = (file for file in files if file.lower().endswith(EXTENSIONS))
        names += [
            os.fsencode(file if inside == "." else os.path.join(inside, file)) for file in images
        ]
    if not names:
        raise InvspecError(
            f"{folder} holds no images", hint=f"their names must end in {', '.join(EXTENSIONS)}"
        )
    # bytes, because a file name need not be valid text
    return np.array(sorted(names), dtype=np.bytes_)
