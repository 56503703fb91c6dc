"""Loaded splits must be what their data set says without loading."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from invspec.data import Batch, Split, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Bounds, Shape
from invspec.perform.words import words

# pixels may exceed their bounds by this much, times the larger bound, as sums of float32 do
SLACK = 1e-6
# Examples that are read of a split which is not in memory: reading may mean to decode a file. The
# pixels of its other test images are checked when they are attacked.
READ = 64


def require_sound(split: Split, dataset: Dataset, name: SplitName) -> None:
    """Refuse a split that does not fit the shape, classes, bounds and counts of its data set.

    Raises: InvspecError that names the data set, what was found and what was expected.
    """
    _require_split(split, dataset)
    try:
        y = split.labels()
        _require_count(split, y, dataset.count(name))
        _require_labels(y, dataset.classes)
        _require_bounds(split.bounds, dataset.bounds)
        if isinstance(split, TensorSplit):
            _require_pixels(split, dataset.shape)
        for batch in _examples(split):
            _require_layout(batch.x, dataset.shape)
            require_in_bounds(batch.x, dataset.bounds)
            _require_same_labels(batch, y)
        if not isinstance(split, TensorSplit):
            _require_constant(split)
    except InvspecError as problem:
        message = f"data set {words(dataset)}, split {name}: {problem.message}"
        raise InvspecError(message, hint=problem.hint) from None


def same_images(train: Split, test: Split, dataset: Dataset) -> str:
    """A warning if the test images are those of the training, else empty.

    The first images of both splits are compared, bit for bit.
    """
    count = min(READ, len(train), len(test))
    if not count:
        return ""
    (first,), (second,) = (split.head(count).batches(count) for split in (train, test))
    if not (torch.equal(first.x, second.x) and torch.equal(first.y, second.y)):
        return ""
    return (
        f"data set {words(dataset)} gives the same images for split test as for split train (the "
        f"first {count} are equal), so its nets are judged on what they were trained on\n"
        "hint: load must heed its split; if there are no test images, say so by "
        "`sample: {split: train}`, and return 0 from count"
    )


def _examples(split: Split) -> Iterator[Batch]:
    """A few examples of the whole split, as batches."""
    if len(split):
        positions = torch.linspace(0, len(split) - 1, min(READ, len(split))).long()
        yield from split.take(positions).batches(READ)


def _require_split(split: object, dataset: Dataset) -> None:
    needed = ("bounds", "index", "head", "take", "labels", "batches", "to")
    if not all(hasattr(split, name) for name in needed):
        shown = "None" if split is None else f"a {type(split).__name__}"
        raise InvspecError(
            f"{type(dataset).__name__}.load returned {shown}, expected a Split",
            hint="return TensorSplit(pixels, y) from invspec.data",
        )


def _require_count(split: Split, y: Tensor, counted: int) -> None:
    if len(y) != len(split):
        raise InvspecError(f"found {len(split)} images and {len(y)} labels, expected as many")
    if len(split) != counted:
        raise InvspecError(
            f"load gives {len(split)} examples, but count says {counted}",
            hint="count must return the number of examples of the split",
        )
    if not torch.equal(split.index, torch.arange(len(split))):
        raise InvspecError(f"index must count from 0 to {len(split) - 1} in a loaded split")


# ─ labels ─


def _require_labels(y: Tensor, classes: int) -> None:
    """Labels must be whole numbers (N,) from 0 to K - 1."""
    if y.ndim != 1:
        hint = "a label is the number of a class; of one-hot rows take y.argmax(1)"
        raise InvspecError(f"labels have shape {tuple(y.shape)}, expected ({len(y)},)", hint=hint)
    if y.dtype != torch.int64:
        dtype = str(y.dtype).removeprefix("torch.")
        raise InvspecError(f"labels are {dtype}, expected int64", hint="convert them by y.long()")
    if not len(y) or (y.min() >= 0 and y.max() < classes):
        return
    low, high = int(y.min()), int(y.max())
    expected = f"expected 0 to {classes - 1}"
    if (low, high) == (1, classes):
        raise InvspecError(f"labels run from 1 to {high}, {expected}", hint="subtract 1 from them")
    outside = y[(y < 0) | (y >= classes)]
    values = ", ".join(map(str, outside.unique().tolist()[:5]))
    raise InvspecError(
        f"labels run from {low} to {high}, {expected}: {len(outside)} of {len(y)} are outside "
        f"({values})",
        hint="leave out examples without a label, and have classes return the number of classes",
    )


def _require_same_labels(batch: Batch, y: Tensor) -> None:
    if not torch.equal(batch.y.cpu(), y.cpu()[batch.index]):
        raise InvspecError(
            "batches have other labels than labels() gives",
            hint="y[i] of a batch must be labels()[index[i]]",
        )


# ─ images ─


def _require_constant(split: Split) -> None:
    """Images must be the same each time that they are read."""
    pairs = zip(_examples(split), _examples(split), strict=True)
    if not all(torch.equal(first.x, second.x) for first, second in pairs):
        raise InvspecError(
            "the same images have other pixels when they are read again",
            hint="a data set must not augment its images at random: defences do",
        )


def _require_pixels(split: TensorSplit, shape: Shape) -> None:
    """All images of a split in memory."""
    if split.pixels.dtype not in (torch.uint8, torch.float32):
        dtype = str(split.pixels.dtype).removeprefix("torch.")
        raise InvspecError(
            f"pixels are {dtype}, expected uint8 from 0 to 255, or float32",
            hint="convert them by .to(torch.uint8), or by .float() and a division",
        )
    _require_layout(split.pixels, shape)
    if split.pixels.dtype == torch.float32:
        require_in_bounds(split.pixels, split.bounds)
    elif split.pixels.numel() and split.pixels.max() == 1:
        raise InvspecError(
            "pixels are uint8 and none is larger than 1, expected 0 to 255: all images are black",
            hint="if 1 means white, convert them by .float()",
        )


def _require_layout(x: Tensor, shape: Shape) -> None:
    """Images must be (B, C, H, W)."""
    own = tuple(x.shape[1:])
    if own == tuple(shape) and x.is_floating_point():
        if x.dtype != torch.float32:
            dtype = str(x.dtype).removeprefix("torch.")
            raise InvspecError(f"images are {dtype}, expected float32", hint="convert by .float()")
        return
    if own == tuple(shape) and x.dtype == torch.uint8:
        return
    swapped = (*shape[1:], shape[0])
    hint = "channels come first: x.permute(0, 3, 1, 2)" if own == swapped else ""
    raise InvspecError(
        f"images are {_sizes(own)}, expected {_sizes(shape)} (channels, height, width)", hint=hint
    )


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "single numbers"


def _require_bounds(found: Bounds, expected: Bounds) -> None:
    if tuple(found) != tuple(expected):
        raise InvspecError(
            f"the split has bounds {_range(*found)}, its data set {_range(*expected)}",
            hint="give them to the split, as in TensorSplit(pixels, y, bounds=self.bounds)",
        )


def require_in_bounds(x: Tensor, bounds: Bounds) -> None:
    """Pixels must be finite and within the bounds. Raises: InvspecError."""
    if not x.numel():
        return
    # one pass, and one look at the device: NaN spreads to both ends
    low, high = torch.stack(torch.aminmax(x)).tolist()
    if not (math.isfinite(low) and math.isfinite(high)):
        count = int((~x.isfinite()).flatten(1).any(1).sum())
        raise InvspecError(f"pixels of {count} of {len(x)} images are not finite (NaN or infinite)")
    slack = SLACK * max([1.0, *(abs(bound) for bound in bounds if math.isfinite(bound))])
    if bounds[0] - slack <= low and high <= bounds[1] + slack:
        return
    raise InvspecError(
        f"pixels run from {low:g} to {high:g}, expected {_range(*bounds)}",
        hint=_scaling(low, high, bounds),
    )


def _scaling(low: float, high: float, bounds: Bounds) -> str:
    """How pixels of such a range most likely came about."""
    if bounds == (0, 1) and low >= 0 and 2 < high <= 255:
        return "divide them by 255"
    if bounds == (0, 1) and low >= 0 and high <= 2:
        return "clamp them to 0 to 1; resizing and decoding may overshoot"
    if bounds == (0, 1) and low < 0:
        return (
            "leave images as they are: a model standardises them itself; or return their range "
            "from bounds"
        )
    return "return their range from bounds"


def _range(low: float, high: float) -> str:
    return f"{low:g} to {high:g}"
