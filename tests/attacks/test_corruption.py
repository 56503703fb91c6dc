"""The attack by common corruptions: draws, benchmarks, stored images, photographs of frost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from invspec.attacks.corruption import Corruption
from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.ops.draws import PerExample

N = 6


def batch_of(side: int = 16, channels: int = 3) -> Batch:
    x = torch.rand(N, channels, side, side, generator=torch.Generator().manual_seed(1))
    return Batch((255 * x).floor() / 255, torch.arange(N) % 3, torch.arange(N))


def attacked(batch: Batch, name: str = "task", **fields: Any) -> Perturbed:
    return Corruption(**fields).perturb(nn.Identity(), batch, PerExample(name, batch.index))


def test_all_tasks_and_batches_meet_the_same_images_and_no_model_runs() -> None:
    batch = batch_of()
    together = attacked(batch, corruption="fog")
    assert (together.forwards.sum(), together.backwards.sum()) == (0, 0)
    parts = [
        attacked(batch.take(rows), "another task", corruption="fog").x_adv
        for rows in torch.arange(N).split(4)
    ]
    assert torch.equal(torch.cat(parts), together.x_adv)
    assert not torch.equal(attacked(batch, corruption="fog", draw=1).x_adv, together.x_adv)


def test_severities_share_their_draws() -> None:
    batch = batch_of()
    mild, strong = (
        attacked(batch, corruption="impulse_noise", severity=severity).x_adv != batch.x
        for severity in (1, 5)
    )
    assert (mild <= strong).all()
    assert 0 < mild.sum() < strong.sum()


@pytest.mark.parametrize(
    ("side", "own", "other"), [(64, "cifar10_c", "imagenet_c"), (72, "imagenet_c", "cifar10_c")]
)
def test_the_benchmark_follows_the_size_of_the_images_unless_given(
    side: int, own: str, other: str
) -> None:
    auto, by_own, by_other = (
        attacked(batch_of(side), corruption="contrast", benchmark=benchmark).x_adv
        for benchmark in ("auto", own, other)
    )
    assert torch.equal(auto, by_own)
    assert not torch.equal(auto, by_other)


@pytest.mark.parametrize(
    ("batch", "fields", "message"),
    [
        (batch_of(channels=1), {"corruption": "saturate"}, "saturate takes images of 3 channels"),
        (batch_of(channels=2), {"corruption": "snow"}, "snow takes images of 1 or 3 channels"),
        (
            Batch(batch_of().x, torch.zeros(N), torch.arange(N), bounds=(-torch.inf, torch.inf)),
            {},
            r"images in \[0, 1\]",
        ),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(batch: Batch, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        attacked(batch, **fields)


# ─ stored images ─


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like CIFAR-10-C: every pixel is ten times the severity, plus the image's place."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    values = [10 * severity + place for severity in range(1, 6) for place in range(N)]
    images = np.broadcast_to(np.array(values, np.uint8)[:, None, None, None], (5 * N, 16, 16, 3))
    np.save(folder / "fog.npy", np.ascontiguousarray(images))
    np.save(folder / "labels.npy", np.tile(batch_of().y.numpy(), 5).astype(np.uint8))
    return folder


def test_an_image_is_replaced_by_its_version_of_the_severity(stored: Path) -> None:
    batch = batch_of().take(torch.tensor([4, 1]))
    x_adv = attacked(batch, corruption="fog", folder="CIFAR-10-C", severity=3).x_adv
    assert x_adv.shape == batch.x.shape
    assert (255 * x_adv[:, 0, 0, 0]).round().tolist() == [34, 31]


def test_files_are_in_the_identity_and_a_smoke_run_reads_none(stored: Path) -> None:
    attack = Corruption(corruption="fog", folder="CIFAR-10-C")
    reads = attack.identity["reads"]
    assert set(reads) == {"CIFAR-10-C/fog.npy", "CIFAR-10-C/labels.npy"}
    np.save(stored / "labels.npy", np.zeros(5 * N, np.uint8))
    assert attack.identity["reads"] != reads
    assert "reads" not in attack.smoke().identity
    assert "reads" not in Corruption(corruption="frost").smoke().identity


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels", np.zeros(5 * N, np.uint8), "its labels are not those of the images"),
        ("labels", np.zeros(3, np.uint8), "five severities and a label for each image, found 3"),
        ("fog", np.zeros((5 * N, 8, 8, 3), np.uint8), r"expected uint8 \(N, 16, 16, 3\)"),
        ("fog", np.zeros((5 * N, 16, 16, 3)), r"found float64"),
        ("fog", np.zeros((5, 16, 16, 3), np.uint8), "five severities and a label"),
    ],
)
def test_files_of_other_images_are_refused(
    stored: Path, name: str, content: Any, message: str
) -> None:
    np.save(stored / f"{name}.npy", content)
    with pytest.raises(InvspecError, match=message):
        attacked(batch_of(), corruption="fog", folder="CIFAR-10-C")


def test_a_missing_file_is_one_message_with_its_path(stored: Path) -> None:
    fields = {"corruption": "snow", "folder": "CIFAR-10-C"}
    message = r"CIFAR-10-C/snow.npy cannot be read: No such file.*\nhint: unpack"
    with pytest.raises(InvspecError, match=message):
        attacked(batch_of(), **fields)
    with pytest.raises(InvspecError, match=message):
        _ = Corruption.model_validate(fields).identity


# ─ frost ─


@pytest.fixture
def frost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "frost").mkdir()
    for name in ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"):
        PIL.Image.new("RGB", (400, 300), (90, 120, 150)).save(tmp_path / "frost" / name)
    return tmp_path / "frost"


@pytest.mark.parametrize("channels", [1, 3])
def test_frost_adds_photographs(frost: Path, channels: int) -> None:
    batch = batch_of(channels=channels)
    x_adv = attacked(batch, corruption="frost", severity=1).x_adv
    assert x_adv.shape == batch.x.shape
    # severity 1 of CIFAR-10-C: the image and a fifth of the frost
    assert (x_adv >= batch.x).all()
    assert len(Corruption(corruption="frost").reads) == 5


def test_frost_without_photographs_is_one_message(frost: Path) -> None:
    (frost / "frost4.jpg").unlink()
    with pytest.raises(InvspecError, match=r"frost4.jpg cannot be read.*\nhint: copy the photo"):
        _ = Corruption(corruption="frost").identity


def test_photographs_must_be_larger_than_the_images(frost: Path) -> None:
    with pytest.raises(InvspecError, match="must be larger than 64 x 64 pixels"):
        attacked(batch_of(64), corruption="frost")
