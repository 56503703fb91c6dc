"""Image files in folders of their class, decoded while they are used: only their names and labels are held."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from invspec.data import Batch
from invspec.errors import InvspecError, first_line
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


AHEAD = 2  # batches that are being decoded while one is worked on


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS = min(8, CORES)


FORMATS = (
    "JPEG",
    "PNG",
    "PPM",
    "BMP",
    "TIFF",
    "WEBP",
)  # whatever a name ends in: others of PIL's run programs


DEEP = (
    "I",
    "F",
    "I;16",
    "I;16L",
    "I;16B",
    "I;16N",
)  # PIL's modes of more than 8 bits, which it would cut off at 255


LONGEST = 100  # times as long as wide; a strip could fill the memory once its shorter side is resize pixels long


LAYOUT = "expected a folder with a folder of images for each class"


# ─ what is there ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Listing:
    """The images below root: names (N,) within their class's folder, y (N,) int64 the ranks of their classes.

    The first image of every class comes first, then the second of every class and so on, so that any head holds the
    classes as evenly as they occur.
    """

    root: Path
    classes: tuple[str, ...]
    names: NDArray[np.bytes_]
    y: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def path(self, position: int) -> Path:
        """The file of one image."""
        return (
            self.root
            / self.classes[int(self.y[position])]
            / os.fsdecode(bytes(self.names[position]))
        )


def class_names(root: Path) -> tuple[str, ...]:
    """The folders in root, sorted: a class is its rank among them. Raises InvspecError where there are none."""
    try:
        with os.scandir(root) as entries:
            found = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as problem:
        raise InvspecError(f"{root} cannot be read: {problem.strerror}", hint=LAYOUT) from None
    if not found:
        raise InvspecError(f"{root} holds no folders", hint=LAYOUT)
    return tuple(found)


def listing(root: Path) -> Listing:
    """The images below root; a later call lists them again if files came to or went from a class's folder itself.

    What is below a class's folder is not looked at again, nor by a split that was loaded before.

    Raises: InvspecError where root is no folder, or a class has no images.
    """
    return _listing(root, _changed(root))


def fingerprint(root: Path) -> str:
    """SHA-256 of the names and sizes of all images below root, which are not read for it.

    Raises: InvspecError as `listing` does.
    """
    return _fingerprint(root, _changed(root))


def _changed(root: Path) -> tuple[int, ...]:
    """When files were last added to or taken from each class's folder."""
    return tuple((root / name).stat().st_mtime_ns for name in (".", *class_names(root)))


@lru_cache(maxsize=8)
def _listing(root: Path, changed: tuple[int, ...]) -> Listing:
    classes = class_names(root)
    names = [_images(root / name) for name in classes]
    y = np.repeat(np.arange(len(classes)), [len(each) for each in names])
    place = np.concatenate([np.arange(len(each)) for each in names])
    order = np.lexsort((y, place))
    return Listing(root, classes, np.concatenate(names)[order], torch.from_numpy(y[order]))


def _images(folder: Path) -> NDArray[np.bytes_]:
    """The names of all images in a folder and those below it, sorted."""

    def refuse(problem: OSError) -> None:
        raise InvspecError(f"{problem.filename} cannot be read: {problem.strerror}")

    found: list[bytes] = []
    for at, _, files in os.walk(folder, onerror=refuse, followlinks=True):
        inside = os.path.relpath(at, folder)
        images = (file for file in files if file.lower().endswith(EXTENSIONS))
        found += [
            os.fsencode(file if inside == "." else os.path.join(inside, file)) for file in images
        ]
    if not found:
        raise InvspecError(
            f"{folder} holds no images", hint=f"their names end in {', '.join(EXTENSIONS)}"
        )
    return np.array(sorted(found), dtype=np.bytes_)


@lru_cache(maxsize=8)
def _fingerprint(root: Path, changed: tuple[int, ...]) -> str:
    listed, digest = _listing(root, changed), hashlib.sha256()
    for position in range(len(listed)):
        path = listed.path(position)
        digest.update(f"{os.fsencode(path.relative_to(root))!r} {path.stat().st_size}\n".encode())
    return digest.hexdigest()


# ─ reading it ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def decoded(path: Path, size: int, resize: int) -> NDArray[np.uint8]:
    """An image as nets for ImageNet are tested on it: (size, size, 3), RGB, the centre of what `resize` leaves.

    The shorter side becomes resize pixels long, bilinear with antialiasing, as torchvision does to a PIL image.

    Raises: InvspecError that names the file where it is no image, a damaged one, or one of pixels or of a shape that
    cannot be used.
    """
    image = _rgb(path)
    shorter = min(image.size)
    width, height = (
        resize if side == shorter else int(resize * side / shorter) for side in image.size
    )
    left, top = round((width - size) / 2), round((height - size) / 2)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled.crop((left, top, left + size, top + size)))


def _rgb(path: Path) -> Image.Image:
    """An image of 8 bits a channel, without what is transparent about it. Raises InvspecError as `decoded` does."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            _require_usable(file, path)
            file.load()
            file.info.pop("transparency", None)  # of a palette PIL would warn that it is lost
            return file.convert("RGB")
    except InvspecError:
        raise
    except (
        Exception
    ) as problem:  # of damaged bytes, whatever the step raises that stumbles over them
        raise InvspecError(
            f"{path} is no image that can be read: {first_line(problem)}",
            hint="fetch it again, or remove it",
        ) from None


def _require_usable(image: Image.Image, path: Path) -> None:
    """Raises InvspecError where pixels would be lost, or where a strip would become too long."""
    if image.mode in DEEP:
        raise InvspecError(
            f"{path} has pixels of mode {image.mode}, expected 8 bits a channel",
            hint="convert it, with the scale that is meant",
        )
    if max(image.size) > LONGEST * min(image.size):
        width, height = image.size
        raise InvspecError(
            f"{path} is {width}x{height}, expected at most {LONGEST} times as long as wide",
            hint="cut it, or remove it",
        )


@dataclass(frozen=True)
class StreamedSplit:
    """Some images of a listing, those at index (N,), as pixels (3, size, size); batches are decoded as they are read.

    So many threads decode, at most AHEAD batches before they are wanted; neither number changes a pixel.
    """

    images: Listing
    size: int
    resize: int
    index: Tensor
    device: torch.device | str = "cpu"
    threads: int = THREADS

    @classmethod
    def whole(cls, images: Listing, size: int, resize: int) -> StreamedSplit:
        """All images of a listing."""
        return cls(images, size, resize, torch.arange(len(images)))

    @property
    def bounds(self) -> Bounds:
        """Least and largest value of a pixel."""
        return (0.0, 1.0)

    def __len__(self) -> int:
        return len(self.index)

    def head(self, n: int) -> StreamedSplit:
        """The first n examples."""
        return replace(self, index=self.index[:n])

    def take(self, positions: Tensor) -> StreamedSplit:
        """The examples at positions (M,), which keep their index."""
        return replace(self, index=self.index[positions.cpu()])

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.images.y[self.index].to(self.device)

    def to(self, device: torch.device | str) -> StreamedSplit:
        """The same examples, whose batches come on another device."""
        return replace(self, device=device)

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in order or in an order drawn from shuffle."""
        order = torch.arange(len(self)) if shuffle is None else shuffle.permutation(len(self))
        chosen = self.index[order].split(size)
        for index, pixels in zip(chosen, self._pixels(chosen), strict=True):
            x = pixels.permute(0, 3, 1, 2).contiguous().to(self.device) / 255
            yield Batch(x, self.images.y[index].to(self.device), index, self.bounds)

    def _pixels(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """(B, size, size, 3) uint8 for the index (B,) of each batch, in order."""
        pool = ThreadPoolExecutor(self.threads)
        waiting: deque[Sequence[Future[NDArray[np.uint8]]]] = deque()
        try:
            for index in batches:
                waiting.append(
                    [pool.submit(self._decoded, position) for position in index.tolist()]
                )
                if len(waiting) > AHEAD:
                    yield self._stacked(waiting.popleft())
            while waiting:
                yield self._stacked(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _decoded(self, position: int) -> NDArray[np.uint8]:
        return decoded(self.images.path(position), self.size, self.resize)

    def _stacked(self, images: Sequence[Future[NDArray[np.uint8]]]) -> Tensor:
        pixels = np.empty((len(images), self.size, self.size, 3), np.uint8)
        for row, image in enumerate(images):
            pixels[row] = image.result()
        return torch.from_numpy(pixels)
