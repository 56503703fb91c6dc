"""Files of whole splits, decoded from bytes that are written by hand."""

from __future__ import annotations

import gzip
import pickle
from io import BytesIO

import numpy as np
import pytest
from scipy.io import savemat

from invspec.files.image_arrays import (
    decode_cifar,
    decode_idx,
    decode_svhn,
    decode_zipped_idx,
    parse_idx,
)

# two images of 1 x 2 pixels, and their labels: zeros, type, axes, lengths, values
IMAGES = bytes([0, 0, 8, 3, *(0, 0, 0, 2), *(0, 0, 0, 1), *(0, 0, 0, 2), *(1, 2, 3, 255)])
LABELS = bytes([0, 0, 8, 1, *(0, 0, 0, 2), *(7, 4)])


def test_an_idx_file_is_read_by_its_header() -> None:
    values = parse_idx(IMAGES)
    assert values.tolist() == [[[1, 2]], [[3, 255]]]
    assert values.flags.writeable  # torch warns otherwise


def test_an_idx_file_of_another_type_is_refused() -> None:
    with pytest.raises(AssertionError, match="expected an IDX file of unsigned bytes, found one"):
        parse_idx(IMAGES.replace(b"\x08", b"\x0d", 1))


def test_idx_images_get_a_channel_zipped_or_not() -> None:
    for images, labels in (
        decode_idx([IMAGES, LABELS]),
        decode_zipped_idx([gzip.compress(IMAGES), gzip.compress(LABELS)]),
    ):
        assert images.tolist() == [[[[1, 2]]], [[[3, 255]]]]
        assert labels.tolist() == [7, 4]


@pytest.mark.parametrize("name", ["labels", "fine_labels"])
def test_cifars_batches_are_joined(name: str) -> None:
    pixels = np.arange(3072, dtype=np.uint8)[None]
    batches = [pickle.dumps({"data": pixels, name: [label]}, protocol=2) for label in (5, 6)]
    images, labels = decode_cifar(batches)
    assert images.shape == (2, 3, 32, 32)
    # channel by channel, and row by row within one
    assert images[1, 2, 31, 31] == pixels[0, 3071]
    assert images[1, 0, 1, 0] == pixels[0, 32]
    assert labels.tolist() == [5, 6]


def test_svhns_label_10_is_the_digit_0() -> None:
    file, stored = BytesIO(), np.zeros((32, 32, 3, 2), np.uint8)
    stored[1, 2, 0, 1] = 9
    savemat(file, {"X": stored, "y": np.array([[10], [3]], np.uint8)})
    images, labels = decode_svhn([file.getvalue()])
    assert images.shape == (2, 3, 32, 32)
    assert images[1, 0, 1, 2] == 9
    assert labels.tolist() == [0, 3]
