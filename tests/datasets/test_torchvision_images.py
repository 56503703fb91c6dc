from __future__ import annotations

import gzip
import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.io import savemat

from invspec.datasets import torchvision_images
from invspec.datasets.torchvision_images import (
    IMAGES,
    LABELS,
    SOURCES,
    TorchvisionImages,
)
from invspec.errors import InvspecError

MNIST = TorchvisionImages(source="mnist", val=1)


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return (
        bytes([0, 0, 8, values.ndim])
        + np.array(values.shape, ">i4").tobytes()
        + values.astype(np.uint8).tobytes()
    )


def ascending(*shape: int) -> NDArray[np.uint8]:
    """0, 1, 2 and so on, back to 0 after 250."""
    return (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)


def idx_files(name: str, labels: list[int]) -> bytes:
    return idx(np.array(labels) if LABELS in name else ascending(len(labels), 28, 28))


def zipped_idx_files(name: str, labels: list[int]) -> bytes:
    return gzip.compress(idx_files(name, labels))


def cifar10_files(name: str, labels: list[int]) -> bytes:
    return pickle.dumps({"data": ascending(len(labels), 3072), "labels": labels}, protocol=2)


def cifar100_files(name: str, labels: list[int]) -> bytes:
    coarse = [label // 5 for label in labels]
    return pickle.dumps(
        {"data": ascending(len(labels), 3072), "coarse_labels": coarse, "fine_labels": labels},
        protocol=2,
    )


def svhn_files(name: str, labels: list[int]) -> bytes:
    file = BytesIO()
    stored = np.array([[label or 10] for label in labels], np.uint8)
    savemat(file, {"X": ascending(len(labels), 3, 32, 32).transpose(2, 3, 1, 0), "y": stored})
    return file.getvalue()


FORMATS: dict[str, Callable[[str, list[int]], bytes]] = {
    "mnist": idx_files,
    "fashion_mnist": zipped_idx_files,
    "cifar10": cifar10_files,
    "cifar100": cifar100_files,
    "svhn": svhn_files,
}
each_source = pytest.mark.parametrize("source", FORMATS)


def write(root: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny files of four images each in place of the published ones, with their MD5 sums."""
    known: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    for part in ("train", "test"):
        for name in getattr(SOURCES[source], part):
            content = FORMATS[source](name, [7, 2, 1, 0])
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
            known[part][name] = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(torchvision_images.SOURCES, source, replace(SOURCES[source], **known))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of MNIST's tiny files, below INVSPEC_DATA."""
    write(tmp_path, "mnist", monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    return tmp_path / "MNIST" / "raw"


@each_source
def test_the_test_split_is_the_test_files(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, source, monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    dataset = TorchvisionImages(source=source, val=1)
    split = dataset.load("test")
    assert split.pixels.equal(torch.from_numpy(ascending(4, *dataset.shape)))
    assert split.pixels.dtype == torch.uint8
    assert split.labels().tolist() == [7, 2, 1, 0]


@each_source
def test_val_is_the_last_part_of_the_training_files(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, source, monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    train, val = (TorchvisionImages(source=source, val=3).load(split) for split in ("train", "val"))
    whole = [7, 2, 1, 0] * (5 if source == "cifar10" else 1)
    assert train.labels().tolist() == whole[:-3]
    assert val.labels().tolist() == whole[-3:]
    assert val.pixels.equal(torch.from_numpy(ascending(4, *train.pixels.shape[1:]))[-3:])
    assert train.index.tolist() == list(range(len(whole) - 3))


@each_source
def test_with_val_0_all_training_files_are_for_training(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, source, monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    dataset = TorchvisionImages(source=source, val=0)
    assert dataset.load("train").labels().tolist() == [7, 2, 1, 0] * (
        5 if source == "cifar10" else 1
    )
    assert len(dataset.load("val")) == 0
    assert dataset.count("val") == 0


@each_source
def test_padding_puts_zeros_around_the_images(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, source, monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    plain, padded = (TorchvisionImages(source=source, val=1, pad=pad) for pad in (0, 2))
    inner, pixels = plain.load("test").pixels, padded.load("test").pixels
    assert pixels.shape == (4, *padded.shape)
    assert padded.shape == (plain.shape[0], plain.shape[1] + 4, plain.shape[2] + 4)
    assert pixels.dtype == torch.uint8
    assert pixels[..., 2:-2, 2:-2].equal(inner)
    assert pixels.sum() == inner.sum()


def test_the_splits_partition_the_published_images() -> None:
    cifar10 = TorchvisionImages(source="cifar10", val=10_000)
    assert [cifar10.count(split) for split in ("train", "val", "test")] == [40_000, 10_000, 10_000]
    svhn = TorchvisionImages(source="svhn", val=5000)
    assert [svhn.count(split) for split in ("train", "val", "test")] == [68_257, 5000, 26_032]


def test_a_validation_split_of_everything_is_refused() -> None:
    with pytest.raises(ValidationError, match="val is 60000, but mnist has 60000 training images"):
        TorchvisionImages(source="mnist", val=60_000)


@each_source
def test_file_names_and_md5_sums_are_torchvisions(source: str) -> None:
    """torchvision knows only the sums of MNIST's gzip files."""
    ours, theirs = SOURCES[source], getattr(torchvision.datasets, SOURCES[source].torchvision)
    known = {Path(name).name: md5 for name, md5 in {**ours.train, **ours.test}.items()}
    if hasattr(theirs, "resources"):
        published = dict(theirs.resources)
    elif hasattr(theirs, "split_list"):
        published = {
            name: md5 for split, (_, name, md5) in theirs.split_list.items() if split != "extra"
        }
    else:
        published = dict(theirs.train_list + theirs.test_list)
    if source == "mnist":
        assert {f"{name}.gz" for name in known} == set(published)
    else:
        assert known == published


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / f"t10k-{LABELS}").unlink()
    with pytest.raises(
        InvspecError, match=f"t10k-{LABELS} cannot be read: No such file"
    ) as problem:
        MNIST.load("test")
    assert "set INVSPEC_DATA to a folder with MNIST/raw" in problem.value.hint


def test_nothing_is_downloaded_into_invspec_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InvspecError, match="nowhere/MNIST/raw/train"):
        MNIST.load("train")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
def test_a_damaged_file_is_refused(folder: Path, harm: str) -> None:
    path = folder / f"t10k-{IMAGES}"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(
        {"truncate": path.read_bytes()[:-1], "flip": bytes(content), "empty": b""}[harm]
    )
    size = f"{path.stat().st_size:,} bytes"
    with pytest.raises(
        InvspecError, match=f"{path.name} is damaged: found {size} with MD5 .*, expected MD5"
    ) as problem:
        MNIST.load("test")
    assert "extract the file again" in problem.value.hint


class Harmful:
    """A pickle that would run code."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a damaged pickle was run",)


def test_a_damaged_pickle_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "cifar100", monkeypatch)
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "cifar-100-python" / "test").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InvspecError, match="test is damaged"):
        TorchvisionImages(source="cifar100", val=1).load("test")


@pytest.mark.parametrize(
    ("source", "kept"), [("mnist", ["MNIST"]), ("svhn", ["test_32x32.mat", "train_32x32.mat"])]
)
def test_without_invspec_data_it_downloads_once(
    source: Any, kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "remote", source, monkeypatch)
    calls: list[str] = []

    def download(root: str, download: bool, split: str = "") -> None:
        assert download
        calls.append(split)
        for name in kept:
            if name.startswith(split):
                (tmp_path / "remote" / name).rename(Path(root) / name)
        (Path(root) / "archive.tar.gz").touch()

    home = tmp_path / "home"
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(torchvision.datasets, SOURCES[source].torchvision, download)
    dataset = TorchvisionImages(source=source, val=1)
    assert (len(dataset.load("test")), len(dataset.load("train"))) == (4, 3)
    assert calls == ([""] if source == "mnist" else ["train", "test"])
    assert sorted(path.name for path in (home / ".cache" / "invspec").iterdir()) == kept


def test_a_failed_download_suggests_invspec_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(root: str, download: bool) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    with pytest.raises(InvspecError, match="MNIST could not be downloaded") as problem:
        MNIST.load("test")
    assert f"put MNIST/raw/train-{IMAGES}" in problem.value.hint
    assert "INVSPEC_DATA" in problem.value.hint
    assert not list((tmp_path / ".cache" / "invspec").iterdir())


real = pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder")


@pytest.mark.data
@real
def test_the_real_digits_are_those_of_lecun() -> None:
    mnist = TorchvisionImages(source="mnist", val=5000)
    test = mnist.load("test")
    assert test.labels()[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert test.labels().bincount().tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    train = mnist.load("train")
    assert train.labels()[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # the usual constants, of all 60,000
    pixels = torch.cat([train.pixels, mnist.load("val").pixels]).double() / 255
    assert (pixels.mean().item(), pixels.std().item()) == pytest.approx((0.1307, 0.3081), abs=5e-5)


@pytest.mark.data
@real
def test_the_real_animals_and_vehicles_are_those_of_krizhevsky() -> None:
    cifar10 = TorchvisionImages(source="cifar10", val=10_000)
    test = cifar10.load("test")
    assert test.labels()[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert test.labels().bincount().tolist() == [1000] * 10
    train = cifar10.load("train")
    assert train.pixels.shape == (40_000, 3, 32, 32)
    assert train.labels()[:5].tolist() == [6, 9, 9, 4, 1]
    # the usual constants, of all 50,000
    total = train.pixels.sum((0, 2, 3)) + cifar10.load("val").pixels.sum((0, 2, 3))
    assert (total / 50_000 / 1024 / 255).tolist() == pytest.approx(
        [0.4914, 0.4822, 0.4465], abs=5e-5
    )
