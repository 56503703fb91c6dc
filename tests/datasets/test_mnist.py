import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from invspec.datasets import mnist
from invspec.datasets.mnist import IMAGES, LABELS, MNIST, parse_idx
from invspec.errors import InvspecError


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny data set in MNIST's place, four images of 28 x 28, whose sums the module knows."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = np.arange(4 * 784).reshape(4, 28, 28), np.array([7, 2, 1, 0])
    for source in ("train", "t10k"):
        for name, values in {IMAGES: images, LABELS: labels}.items():
            (raw / f"{source}-{name}").write_bytes(idx(values))
            monkeypatch.setitem(mnist.MD5, f"{source}-{name}", hashlib.md5(idx(values)).hexdigest())
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    return raw


def test_an_idx_file_is_read_by_its_header() -> None:
    values = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert (parse_idx(idx(values)) == values).all()
    assert parse_idx(idx(values)).flags.writeable  # torch warns otherwise


def test_the_test_split_is_the_test_files(folder: Path) -> None:
    split = MNIST().load("test")
    assert split.pixels.shape == (4, 1, 28, 28)
    assert split.pixels.dtype == torch.uint8
    assert split.pixels[1, 0, 0, :3].tolist() == [784 % 256, 785 % 256, 786 % 256]
    assert split.labels().tolist() == [7, 2, 1, 0]


def test_val_is_the_end_of_the_training_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "PARTS", {"train": ("train", slice(0, 3)), "val": ("train", slice(3, 4))})
    assert MNIST().load("train").labels().tolist() == [7, 2, 1]
    assert MNIST().load("val").labels().tolist() == [0]


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / f"t10k-{LABELS}").unlink()
    with pytest.raises(InvspecError, match=f"t10k-{LABELS} cannot be read: No such file") as problem:
        MNIST().load("test")
    assert "INVSPEC_DATA must name a folder with MNIST/raw" in problem.value.hint


def test_a_missing_folder_is_not_downloaded_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InvspecError, match="nowhere/MNIST/raw/train"):
        MNIST().load("train")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
def test_a_damaged_file_is_refused(folder: Path, harm: str) -> None:
    path = folder / f"t10k-{IMAGES}"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes({"truncate": path.read_bytes()[:-1], "flip": bytes(content), "empty": b""}[harm])
    size = f"{path.stat().st_size:,} bytes"
    with pytest.raises(
        InvspecError, match=f"{path.name} is damaged: found {size} with MD5 .*, expected MD5"
    ) as problem:
        MNIST().load("test")
    assert "extract the file again" in problem.value.hint


def test_without_the_variable_it_downloads_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def download(root: str, download: bool) -> None:
        calls.append(Path(root))
        folder.parent.rename(Path(root) / "MNIST")

    home = tmp_path / "home"
    monkeypatch.delenv("INVSPEC_DATA")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    assert len(MNIST().load("test")) == len(MNIST().load("train")) == 4
    assert len(calls) == 1
    assert [path.name for path in (home / ".cache" / "invspec").iterdir()] == ["MNIST"]


def test_no_network_leads_to_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(root: str, download: bool) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    with pytest.raises(InvspecError, match="could not be downloaded") as problem:
        MNIST().load("test")
    assert "INVSPEC_DATA" in problem.value.hint
    assert not list((tmp_path / ".cache" / "invspec").iterdir())


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder")
def test_the_real_files_are_those_of_lecun() -> None:
    test = MNIST().load("test")
    assert test.labels()[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert test.labels().bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train = MNIST().load("train")
    assert train.labels()[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # the usual constants, of all 60,000
    pixels = torch.cat([train.pixels, MNIST().load("val").pixels]).double() / 255
    assert (pixels.mean().item(), pixels.std().item()) == pytest.approx((0.1307, 0.3081), abs=5e-5)
