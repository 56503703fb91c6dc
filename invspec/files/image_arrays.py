"""Decoding files that hold all images and labels of a split: IDX, CIFAR's pickles, MATLAB's."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

# images (N, C, H, W), labels (N,)
Decoded = tuple[NDArray[np.uint8], NDArray[Any]]


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes.

    The format is two zeros, type 8, the number of axes, their lengths, then the values.
    """
    assert content[:3] == b"\0\0\x08", (
        f"expected an IDX file of unsigned bytes, found one that starts with {content[:4].hex()}"
    )
    axes = content[3]
    lengths = np.frombuffer(content, ">i4", count=axes, offset=4)
    # a bytearray, because torch warns about arrays that cannot be written to
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * axes).reshape(lengths)


def decode_idx(contents: Sequence[bytes]) -> Decoded:
    """A file of images (N, H, W) and one of labels (N,)."""
    images, labels = map(parse_idx, contents)
    return images[:, None], labels


def decode_zipped_idx(contents: Sequence[bytes]) -> Decoded:
    """As `decode_idx`, from gzip files."""
    return decode_idx([gzip.decompress(content) for content in contents])


def decode_cifar(contents: Sequence[bytes]) -> Decoded:
    """Python 2 pickles of images (N, 3072) and labels; for CIFAR-100, the fine labels.

    Unpickling can run code: pass only files whose digest was checked.
    """
    batches = [pickle.loads(content, encoding="latin1") for content in contents]
    labels = [batch.get("labels", batch.get("fine_labels")) for batch in batches]
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return images, np.concatenate(labels)


def decode_svhn(contents: Sequence[bytes]) -> Decoded:
    """One MATLAB file of images (32, 32, 3, N) and labels (N, 1) in 1..10."""
    # scipy is slow to import.
    from scipy.io import loadmat

    (content,) = contents
    arrays = loadmat(BytesIO(content))
    images = np.ascontiguousarray(arrays["X"].transpose(3, 2, 0, 1))
    # the file has label 10 for the digit 0
    return images, arrays["y"].squeeze(1) % 10
