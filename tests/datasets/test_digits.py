import hashlib
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from invspec.datasets.digits import PARTS, Digits, _bundled, dealt, enlarge


def test_the_three_splits_hold_every_digit_once() -> None:
    _, y = _bundled()
    order = dealt(y)
    assert (
        torch.cat([order[PARTS[split]] for split in ("train", "val", "test")])
        .sort()
        .values.equal(torch.arange(1797))
    )
    assert {split: Digits().count(split) for split in PARTS} == {
        "train": 1200,
        "val": 197,
        "test": 400,
    }


def test_the_split_never_changes() -> None:
    positions = dealt(_bundled()[1]).numpy().astype("<i8").tobytes()
    assert hashlib.sha256(positions).hexdigest()[:16] == "8fc94587d5586318"


def test_every_head_has_the_classes_in_proportion() -> None:
    for split in PARTS:
        labels = Digits().load(split).labels()
        for n in (50, 100, len(labels)):
            counts = labels[:n].bincount(minlength=10)
            assert (
                counts.max() - counts.min() <= 2 + 0.01 * n
            )  # the classes themselves differ by 5 %


def test_a_digit_keeps_its_label() -> None:
    found: dict[str, Any] = load_digits()  # pyright: ignore[reportAssignmentType]
    split, chosen = Digits().load("test"), dealt(_bundled()[1])[PARTS["test"]].numpy()
    assert split.labels().tolist() == found["target"][chosen].tolist()
    shrunk = (
        torch.nn.functional.interpolate(split.pixels.float(), (8, 8), mode="area")
        .squeeze(1)
        .numpy()
    )
    original = found["images"][chosen]
    alike = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1]
        for one, other in zip(shrunk, original, strict=True)
    ]
    assert min(alike) > 0.9


def test_enlarging_keeps_constants_and_the_full_range() -> None:
    images = torch.stack([torch.zeros(8, 8), torch.full((8, 8), 16.0), torch.full((8, 8), 8.0)])
    enlarged = enlarge(images)
    assert enlarged.shape == (3, 1, 28, 28)
    assert enlarged.dtype == torch.uint8
    assert [image.unique().tolist() for image in enlarged] == [[0], [255], [128]]
