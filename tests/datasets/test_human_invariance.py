from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from invspec.data import TensorSplit
from invspec.datasets import human_invariance
from invspec.datasets.human_invariance import (
    COUNTS,
    FOLDER,
    IMAGES,
    MD5,
    MNIST,
    HumanInvariance,
    Part,
    originals,
)
from invspec.datasets.torchvision_images import TorchvisionImages
from invspec.errors import InvspecError

PARTS: tuple[Part, ...] = get_args(Part)
HUMAN = {
    "l0": 1,
    "linf_03": 2,
    "linf_04": 3,
    "linf_04_manual": 4,
}  # the label that the tiny parts carry


def array_of(name: str) -> Any:
    """A tiny file in place of a published one: two images of each part, the second brighter."""
    if "index" in name:
        return np.array([5, 0] if "manual" in name else [3, 4])
    (part,) = (part for part, stem in IMAGES.items() if name.startswith(stem))
    if "labels" in name:
        return np.full(2, HUMAN[part])
    if part == "linf_03":
        return np.stack([np.full((28, 28), value, np.float32) for value in (0, 76.5)])
    return np.stack([np.full((28, 28), value, np.uint8) for value in (0, 255)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the tiny files, with their MD5 sums; MNIST's test labels are 9, 8, 7, ..."""
    for name in MD5:
        path = tmp_path / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        np.save(content, array_of(name))
        path.write_bytes(content.getvalue())
        monkeypatch.setitem(human_invariance.MD5, name, hashlib.md5(content.getvalue()).hexdigest())
    digits = TensorSplit(torch.zeros(10, 1, 28, 28, dtype=torch.uint8), 9 - torch.arange(10))
    monkeypatch.setattr(TorchvisionImages, "load", lambda self, split: digits)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    return tmp_path / FOLDER


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_its_images_with_human_labels(part: Part, folder: Path) -> None:
    split = HumanInvariance(part=part).load("test")
    (batch,) = split.batches(10)
    assert batch.x.shape == (2, 1, 28, 28)
    assert batch.x[0].unique().tolist() == [0]
    assert batch.x[1].unique().tolist() == pytest.approx([0.3 if part == "linf_03" else 1.0])
    assert batch.y.tolist() == [HUMAN[part]] * 2


def test_part_all_is_the_parts_in_order(folder: Path) -> None:
    split = HumanInvariance().load("test")
    assert split.labels().tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert split.pixels.dtype == torch.float32
    assert split.pixels[1::2].amax((1, 2, 3)).tolist() == pytest.approx([1, 0.3, 1, 1])


def test_original_labels_are_those_of_the_unchanged_digits(folder: Path) -> None:
    assert originals(PARTS).tolist() == [3, 4, 3, 4, 3, 4, 5, 0]
    assert HumanInvariance(labels="original").load("test").labels().tolist() == [
        6,
        5,
        6,
        5,
        6,
        5,
        4,
        9,
    ]
    assert HumanInvariance(part="linf_04_manual", labels="original").load(
        "test"
    ).labels().tolist() == [4, 9]


def test_nets_train_on_mnist(folder: Path) -> None:
    assert HumanInvariance().load("train") is MNIST.load("train")
    assert HumanInvariance().count("train") == 55_000
    assert HumanInvariance().count("val") == 5000


def test_the_sizes_are_known_without_a_file() -> None:
    assert HumanInvariance().count("test") == 350
    assert [HumanInvariance(part=part).count("test") for part in PARTS] == [100, 100, 100, 50]


def test_a_missing_folder_is_named_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    with pytest.raises(InvspecError, match=r"l0/automated\.npy cannot be read: No such") as problem:
        HumanInvariance().load("test")
    assert "Excessive-Invariance" in problem.value.hint
    assert "INVSPEC_DATA" in problem.value.hint


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "l0" / "automated_labels.npy").write_bytes(b"not labels")
    with pytest.raises(InvspecError, match=r"automated_labels\.npy is damaged"):
        HumanInvariance(part="l0").load("test")


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder")
@pytest.mark.parametrize(
    ("part", "changed", "linf"),
    [
        ("l0", 0.55, 1.0),
        ("linf_03", 0.21, 0.3),
        ("linf_04", 0.37, 103 / 255),
        ("linf_04_manual", 0.88, 0.4),
    ],
)
def test_the_real_digits_changed_as_published(part: Part, changed: float, linf: float) -> None:
    human, original = (
        HumanInvariance(part=part, labels=labels).load("test") for labels in ("human", "original")
    )
    assert len(human) == COUNTS[part]
    assert (human.labels() != original.labels()).float().mean().item() == pytest.approx(changed)
    digits = MNIST.load("test").take(originals([part]))
    assert digits.labels().equal(original.labels())
    (before,), (after,) = digits.batches(100), human.batches(100)
    assert (after.x - before.x).abs().max().item() == pytest.approx(linf, abs=1e-6)
