"""Folders of images: the pixels of torchvision, streamed, and unusable files refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torchvision import datasets, transforms
from workbench import call

from invspec.data import Batch
from invspec.datasets.image_folder import ImageFolder
from invspec.errors import InvspecError
from invspec.files import streaming
from invspec.files.decoding import decoded
from invspec.files.listing import listing
from invspec.files.streaming import BATCHES_AHEAD, THREADS, StreamedSplit
from invspec.kinds import Dataset
from invspec.ops.draws import Stream
from invspec.registry import methods
from invspec.tasks import Train, canonical, forget

SIZES = {"heron": [(40, 30), (30, 40), (33, 33)], "adder": [(64, 31)], "newt": [(31, 64), (50, 50)]}


def photo(path: Path, width: int, height: int, seed: int, mode: str = "RGB") -> None:
    """Save noise, so that any error of scaling shows."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 1, 3 and 2 images of several sizes and formats, in one folder."""
    modes = {".jpg": "RGB", ".png": "L", ".JPEG": "CMYK"}
    for label, sizes in SIZES.items():
        for number, (width, height) in enumerate(sizes):
            ending = list(modes)[number]
            photo(
                tmp_path / "photos" / label / f"{number}{ending}",
                width,
                height,
                number,
                modes[ending],
            )
    return tmp_path / "photos"


def folder(root: Path, **fields: Any) -> ImageFolder:
    return ImageFolder(
        **{
            "folder": str(root),
            "train": ".",
            "val": ".",
            "test": ".",
            "size": 24,
            "resize": 28,
            **fields,
        }
    )


def read(data: StreamedSplit, size: int = 4, shuffle: Stream | None = None) -> Batch:
    """All batches, concatenated."""
    batches = list(data.batches(size, shuffle))
    return Batch(
        *(torch.cat([getattr(batch, name) for batch in batches]) for name in ("x", "y", "index"))
    )


# ─ pixels and labels ─


def test_pixels_and_classes_are_those_of_torchvision(root: Path) -> None:
    steps = [transforms.Resize(28), transforms.CenterCrop(24), transforms.PILToTensor()]
    theirs = datasets.ImageFolder(str(root), transforms.Compose(steps))
    expected = {Path(path): (theirs[i][0], label) for i, (path, label) in enumerate(theirs.imgs)}
    data = folder(root).load("test")
    ours = read(data)
    assert len(ours) == len(expected) == 6
    for x, y, index in zip(ours.x, ours.y, ours.index, strict=True):
        pixels, label = expected[data.images.path(int(index))]
        assert y == label
        assert x.equal(pixels / 255)


def test_any_head_has_the_classes_in_proportion(root: Path) -> None:
    data = folder(root).load("test")
    assert data.labels().tolist() == [0, 1, 2, 1, 2, 1]
    assert [data.images.path(i).name for i in range(4)] == ["0.jpg", "0.jpg", "0.jpg", "1.png"]
    assert sorted(data.head(3).labels().tolist()) == [0, 1, 2]


@pytest.mark.parametrize(("size", "side"), [(224, 64), (48, 48)])
def test_a_smoke_run_has_images_of_the_same_classes_and_at_most_64_pixels(
    root: Path, size: int, side: int
) -> None:
    data = folder(root, size=size, resize=256)
    small = methods.smoke(data)
    assert isinstance(small, Dataset)
    assert (small.shape, small.classes) == ((3, side, side), data.classes)


def test_images_in_subfolders_belong_to_the_class_and_other_files_are_ignored(root: Path) -> None:
    photo(root / "adder" / "2012" / "may" / "a.png", 30, 30, seed=1)
    (root / "adder" / "notes.txt").write_text("no image")
    (root / "readme.md").write_text("no class")
    assert folder(root).load("test").labels().tolist() == [0, 1, 2, 0, 1, 2, 1]


def test_it_is_cut_and_shuffled_like_any_split(root: Path) -> None:
    data = folder(root).load("train")
    whole, some = read(data), data.take(torch.tensor([4, 1, 5])).head(2)
    assert some.index.tolist() == [4, 1]
    assert read(some).x.equal(whole.x[[4, 1]])
    assert some.labels().tolist() == whole.y[[4, 1]].tolist()
    shuffled = read(data, shuffle=Stream("order"))
    assert shuffled.index.tolist() == Stream("order").permutation(6).tolist()
    assert shuffled.x.equal(whole.x[shuffled.index])
    assert shuffled.y.equal(whole.y[shuffled.index])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_neither_threads_nor_batches_change_a_pixel(root: Path, threads: int, size: int) -> None:
    data = folder(root).load("test")
    first, again = (
        read(data),
        read(StreamedSplit(data.index, data.images, 24, 28, threads=threads), size),
    )
    assert first.x.equal(again.x)
    assert first.index.equal(again.index)


def test_batches_are_contiguous_float32(root: Path) -> None:
    (batch,) = folder(root).load("test").batches(6)
    assert batch.x.is_contiguous()
    assert batch.x.dtype == torch.float32
    assert batch.bounds == (0.0, 1.0)


def test_batches_and_labels_come_on_another_device(root: Path) -> None:
    data = folder(root).load("test").to("meta")
    batch = next(data.batches(2))
    assert (batch.x.device.type, batch.y.device.type, batch.index.device.type) == (
        "meta",
        "meta",
        "cpu",
    )
    assert data.labels().device.type == "meta"


# ─ memory ─


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that were decoded."""
    seen: list[str] = []

    def counted(path: Path, size: int, resize: int) -> Any:
        seen.append(path.name)
        return decoded(path, size, resize)

    monkeypatch.setattr(streaming, "decoded", counted)
    return seen


def test_counting_labels_and_cutting_decode_nothing(root: Path, opened: list[str]) -> None:
    data = folder(root)
    assert (data.count("test"), data.classes, data.shape) == (6, 3, (3, 24, 24))
    split = data.load("test")
    assert len(split.head(2)) == 2
    assert split.take(torch.tensor([0])).labels().tolist() == [0]
    assert data.identity["reads"]
    assert opened == []


def test_there_are_no_more_threads_than_usable_cores() -> None:
    assert 1 <= THREADS <= min(8, len(os.sched_getaffinity(0)))


def test_at_most_a_few_batches_are_read_ahead(tmp_path: Path, opened: list[str]) -> None:
    for number in range(12):
        photo(tmp_path / "only" / f"{number:02}.png", 24, 24, number)
    batches = folder(tmp_path).load("test").batches(2)
    next(batches)
    assert len(opened) <= 2 * (1 + BATCHES_AHEAD)
    batches.close()  # type: ignore[attr-defined]
    assert len(opened) <= 2 * (1 + BATCHES_AHEAD)


# ─ keys ─


def key_of(data: Dataset) -> str:
    from workbench import train

    task = train(dataset=data)
    assert isinstance(task, Train)
    forget()
    return canonical(task)


def test_other_files_change_the_key(root: Path) -> None:
    before = key_of(folder(root))
    assert key_of(folder(root)) == before
    photo(root / "newt" / "9.png", 30, 30, seed=0)
    assert key_of(folder(root)) != before


def test_a_published_set_needs_no_files_for_its_key_and_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    data = methods.make("dataset", "imagenet", {})
    assert isinstance(data, Dataset)
    assert (data.classes, data.count("train"), data.count("test"), data.shape) == (
        1000,
        1281167,
        50000,
        (3, 224, 224),
    )
    assert "reads" not in data.identity


SPEC = """\
title: a data set that is elsewhere
datasets: {NAME: {}}
models: {linear: {}}
defences: {untrained: {}}
attacks: {identity: {sample: {limit: 10}}}
measures: {accuracy: {of: identity}}
train: [{dataset: NAME, model: linear, defence: untrained}]
checks: none
"""


@pytest.mark.parametrize("name", ["imagenet", "imagenet_sample"])
def test_imagenet_validates_and_plans_without_its_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    path = tmp_path / "x.yaml"
    path.write_text(SPEC.replace("NAME", name))
    assert call("validate", path) == 0
    (tmp_path / "store").mkdir()
    assert call("plan", path, "--store", tmp_path / "store") == 0
    assert "1 cell, 3 tasks" in capsys.readouterr().out


def test_a_missing_folder_is_refused_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    path = tmp_path / "x.yaml"
    path.write_text(
        SPEC.replace("{NAME: {}}", "{image_folder: {folder: birds}}").replace(
            "NAME", "image_folder"
        )
    )
    assert call("validate", path) == 2
    told = capsys.readouterr().err
    where = f"{path}:2: datasets.image_folder"
    expected = f"{where}: {tmp_path}/birds/train cannot be read: No such file or directory"
    assert (
        told
        == f"error: {expected}\nhint: expected a folder with one subfolder of images per class\n"
    )


# ─ refused ─


def refusal(data: ImageFolder) -> InvspecError:
    with pytest.raises(InvspecError) as problem:
        read(data.load("test"))
    return problem.value


def test_a_damaged_image_is_named(root: Path) -> None:
    whole = (root / "newt" / "0.jpg").read_bytes()
    for content in (whole[: len(whole) // 2], b"no image", b""):
        (root / "newt" / "0.jpg").write_bytes(content)
        problem = refusal(folder(root))
        assert problem.message.startswith(f"{root}/newt/0.jpg cannot be read as an image: ")
        assert "\n" not in problem.message


@pytest.mark.parametrize(
    ("mode", "kind"), [("I;16", np.uint16), ("I", np.int32), ("F", np.float32)]
)
def test_pixels_of_more_than_8_bits_are_refused(root: Path, mode: str, kind: Any) -> None:
    path = root / "adder" / "0.tif"
    Image.fromarray(np.full((30, 30), 3000, kind)).save(path)
    assert (
        refusal(folder(root)).message
        == f"{path} has pixels of mode {mode}, expected 8 bits per channel"
    )


def test_a_strip_is_refused_before_it_fills_the_memory(root: Path) -> None:
    path = root / "adder" / "0.png"
    for size in ((20000, 2), (2, 202)):
        Image.new("RGB", size).save(path)
        assert refusal(folder(root)).message.startswith(
            f"{path} is {size[0]}x{size[1]}, expected at most 100 times"
        )
    Image.new("RGB", (200, 2)).save(path)
    assert len(read(folder(root).load("test"))) == 7


def test_a_file_of_another_format_is_refused_whatever_its_name(root: Path) -> None:
    path = root / "adder" / "0.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 30 30\n%%EndComments\nshowpage\n")
    with Image.open(path) as image:
        assert image.format == "EPS"
    assert "cannot be read as an image: cannot identify" in refusal(folder(root)).message


def test_transparency_is_dropped_without_a_warning(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    image = Image.fromarray(colours).quantize(8)
    photo_of = tmp_path / "photo.png"
    image.save(photo_of)
    plain = decoded(photo_of, 24, 28)
    for transparency in (3, bytes(range(8))):
        image.save(photo_of, transparency=transparency)
        assert np.array_equal(decoded(photo_of, 24, 28), plain)


def test_a_class_without_images_is_named(root: Path) -> None:
    (root / "bat").mkdir()
    assert refusal(folder(root)).message == f"{root}/bat holds no images"


def test_a_folder_without_folders_is_refused(tmp_path: Path) -> None:
    assert refusal(folder(tmp_path)).message == f"{tmp_path} holds no folders"
    (tmp_path / "file").touch()
    assert "cannot be read: Not a directory" in refusal(folder(tmp_path / "file")).message


def test_other_numbers_than_given_are_refused(root: Path) -> None:
    assert (
        "holds 6 images, expected 7" in refusal(folder(root, classes=3, counts=(7, 7, 7))).message
    )
    assert (
        "holds 3 classes, expected 4" in refusal(folder(root, classes=4, counts=(6, 6, 6))).message
    )
    assert len(folder(root, classes=3, counts=(6, 6, 6)).load("test")) == 6


def test_splits_of_different_classes_are_refused(root: Path) -> None:
    for name in ("heron", "newt", "otter"):
        photo(root.parent / "more" / name / "a.png", 30, 30, seed=0)
    problem = refusal(folder(root.parent, train="photos", val="photos", test="more"))
    assert problem.message.endswith("hold different classes: only one of them has adder")


@pytest.mark.parametrize("part", ["val", "test"])
def test_validate_refuses_splits_of_different_classes(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    for each in ("train", "val", "test"):
        for name in ("adder", "newt"):
            photo(tmp_path / "birds" / each / name / "a.png", 30, 30, seed=0)
    path = tmp_path / "x.yaml"
    fields = "{folder: birds, size: 24, resize: 28}"
    path.write_text(
        SPEC.replace("{NAME: {}}", f"{{image_folder: {fields}}}").replace("NAME", "image_folder")
    )
    assert call("validate", path) == 0
    (tmp_path / "birds" / part / "otter").mkdir()
    capsys.readouterr()
    assert call("validate", path) == 2
    root = tmp_path / "birds"
    found = f"{root}/{part} and {root}/train hold different classes: only one of them has otter"
    assert capsys.readouterr().err.startswith(
        f"error: {path}:2: datasets.image_folder: {found}\nhint: a label is "
    )


def test_a_relative_folder_needs_invspec_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    assert (
        "birds is relative to INVSPEC_DATA, which is not set"
        in refusal(ImageFolder(folder="birds")).message
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 300}, "size 300 is too large for images of resize 28"),
        ({"classes": 3}, "expected both classes and counts or neither"),
        ({"counts": (1, 2, 3)}, "expected both classes and counts or neither"),
    ],
)
def test_contradictory_fields_are_refused(root: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        folder(root, **fields)


# ─ the real sample ─


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder")
def test_the_sample_of_imagenet_has_one_photo_per_class_in_order() -> None:
    sample = methods.make("dataset", "imagenet_sample", {})
    assert isinstance(sample, ImageFolder)
    data = sample.load("test")
    assert data.labels().equal(torch.arange(1000))
    assert data.images.classes[:2] == ("n01440764", "n01443537")
    x: Tensor = read(data.head(8)).x
    assert x.shape == (8, 3, 64, 64)
    assert 0.1 < x.std() < 0.5


def test_a_listing_is_cached(root: Path) -> None:
    assert listing(root) is listing(root)
