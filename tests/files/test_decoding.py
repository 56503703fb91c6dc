"""Image files are resized and cropped as torchvision does; unusable ones are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photos import photo
from PIL import Image
from torchvision import transforms

from invspec.errors import InvspecError
from invspec.files.decoding import MAX_RATIO, decoded


@pytest.mark.parametrize(("width", "height"), [(40, 30), (30, 41), (33, 33), (24, 9), (7, 300)])
@pytest.mark.parametrize(("size", "resize"), [(16, 20), (15, 20), (20, 20)])
def test_pixels_are_those_of_torchvision(
    width: int, height: int, size: int, resize: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    photo(path, width, height)
    steps = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(size)])
    assert np.array_equal(decoded(path, size, resize), np.asarray(steps(Image.open(path))))


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK"])
def test_every_mode_with_8_bits_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(path)
    pixels = decoded(path, 8, 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.min() >= 254


def test_deep_pixels_are_refused_and_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((8, 8), 3000, np.uint16)).save(path)
    with pytest.raises(InvspecError) as problem:
        decoded(path, 8, 8)
    assert problem.value.message == f"{path} has pixels of mode I;16, expected 8 bits per channel"
    assert problem.value.hint == "convert it to 8 bits per channel with the scale that you intend"


def test_the_longest_strip_is_read_and_a_longer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo(path, 1, MAX_RATIO)
    assert decoded(path, 2, 2).shape == (2, 2, 3)
    photo(path, MAX_RATIO + 1, 1)
    with pytest.raises(InvspecError, match=r"a\.png is 101x1, expected at most 100 times as long"):
        decoded(path, 2, 2)


def test_a_missing_or_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(InvspecError, match=r"a\.png cannot be read as an image: .*No such file"):
        decoded(path, 8, 8)
    photo(path, 8, 8)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InvspecError) as problem:
        decoded(path, 8, 8)
    assert problem.value.message.startswith(f"{path} cannot be read as an image: ")
    assert "\n" not in problem.value.message
