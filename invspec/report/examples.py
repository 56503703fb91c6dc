"""A few examples of each attack as small pictures: before, after, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from invspec.analysis.readings import Artifacts, Group
from invspec.data import Judged, Split, judged_from, rows_of
from invspec.errors import InvspecError
from invspec.perform.samples import clean_images
from invspec.report.caches import made_once
from invspec.report.pictures import data_uri
from invspec.tasks import Perturb, key

# of each attack; and bytes of all pictures, which leave a page of text small enough to be sent
COUNT, MOST_BYTES = 6, 1_500_000
# larger images are halved until they fit, in pixels
LARGEST = 64
# where a store keeps them, in its folder of pages
FOLDER = ".examples"
# the file of an attack's examples in a cache is of this version
VERSION = 2


@dataclass(frozen=True)
class Example:
    """What became of one image: its number in the split, labels, confidences and distances.

    The confidences are those in the class that the net predicts for the clean image and for the
    attacked one.
    """

    index: int
    label: int
    before: int
    after: int
    confidence_before: float
    confidence_after: float
    linf: float
    l2: float


@dataclass(frozen=True)
class Sheet:
    """The first examples of an attack.

    picture is a data URI: an example in each column; in rows its clean image, its attacked
    image, and the change of each pixel, times magnified, around grey. width and height are those of
    one image in pixels.
    """

    picture: str
    width: int
    height: int
    magnified: float
    examples: tuple[Example, ...]


def attacks_of(group: Group) -> tuple[Perturb, ...]:
    """The first part of each attack behind a number, on its first net that is computed."""
    if not group.present:
        return ()
    return tuple(parts[0] for parts in group.present[0].cell.goal.of if parts)


def collect(
    attacks: Sequence[Perturb], store: Artifacts, cache: Path | None = None
) -> dict[str, Sheet]:
    """A sheet for each attack by its key, as many as a page can hold, in the given order.

    cache: a folder in which sheets are kept for the next page.

    Attacks that are not computed, keep no images or show no pictures are left out, and so are all
    whose clean images cannot be read on this machine.
    """
    sheets: dict[str, Sheet] = {}
    size = 0
    for task in dict.fromkeys(attacks):
        if task not in store or not is_picture(task.train.dataset.shape):
            continue
        sheet = _cached(task, store, cache)
        if sheet is None:
            continue
        size += len(sheet.picture)
        if size > MOST_BYTES:
            break
        sheets[key(task)] = sheet
    return sheets


def is_picture(shape: tuple[int, int, int]) -> bool:
    """Whether images (C, H, W) are pictures: points of a plane or a sphere are (1, 1, d)."""
    channels, height, width = shape
    return channels in (1, 3) and height > 1 and width > 1


def _cached(task: Perturb, store: Artifacts, cache: Path | None) -> Sheet | None:
    make = partial(_sheet, task, store)
    return make() if cache is None else made_once(_file(cache, task), _read, make)


def _file(cache: Path, task: Perturb) -> Path:
    return cache / f"{key(task)}-{VERSION}.json"


def _read(fields: dict[str, Any]) -> Sheet:
    examples = tuple(Example(**example) for example in fields.pop("examples"))
    return Sheet(**fields, examples=examples)


def _sheet(task: Perturb, store: Artifacts) -> Sheet | None:
    tensors = store.load(task).tensors
    if not {"index", "x_adv"} <= {*tensors}:
        return None
    count = min(COUNT, len(tensors["index"]))
    if not count:
        return None
    try:
        split = clean_images(task)
    except InvspecError:
        return None
    judged = judged_from(tensors).take(slice(count))
    return sheet(judged, _first(split, count), rows_of(tensors, "x_adv", 0, count), split.bounds)


def sheet(judged: Judged, x: Tensor, x_adv: Tensor, bounds: tuple[float, float]) -> Sheet:
    """The sheet of N examples: their judged columns, and x, x_adv (N, 1 or 3, H, W) in bounds."""
    picture, magnified = _picture(x, x_adv, bounds)
    height, width = picture.shape[0] // 3, picture.shape[1] // len(x)
    return Sheet(data_uri(picture), width, height, magnified, tuple(_examples(judged)))


def _first(split: Split, count: int) -> Tensor:
    return next(iter(split.head(count).batches(count))).x


def _examples(judged: Judged) -> Iterator[Example]:
    columns = (
        judged.index,
        judged.y,
        judged.prediction,
        judged.prediction_adv,
        judged.confidence,
        judged.confidence_adv,
        judged.linf,
        judged.l2,
    )
    for values in zip(*(column.tolist() for column in columns), strict=True):
        yield Example(*values)


def _picture(
    x: Tensor, x_adv: Tensor, bounds: tuple[float, float]
) -> tuple[np.ndarray[Any, Any], float]:
    """Three rows of images (3 H, B W, 1 or 3) as bytes, and by how much changes are magnified."""
    low, high = bounds
    step = max(1, -(-max(x.shape[-2:]) // LARGEST))
    delta = x_adv - x
    largest = float(delta.abs().max())
    magnified = (high - low) / 2 / largest if largest > 0 else 1.0
    change = (low + high) / 2 + magnified * delta
    rows = [images[..., ::step, ::step] for images in (x, x_adv, change)]
    sheet = np.concatenate([np.concatenate(list(row.numpy()), axis=2) for row in rows], axis=1)
    levels = ((sheet - low) / (high - low)).clip(0, 1) * 255
    return levels.round().astype(np.uint8).transpose(1, 2, 0), magnified
