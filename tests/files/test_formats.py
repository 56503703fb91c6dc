"""Files that are not weights, named by their first bytes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from invspec.files.formats import failed_download, foreign, is_safetensors

WEIGHTS = {"weight": torch.ones(2)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"


def saved(archive: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(WEIGHTS, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def numpy_archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.ones(2))
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pth"))
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [saved(), saved(archive=False), safetensors.torch.save(WEIGHTS), bytes(range(256))]
)
def test_weights_and_unknown_bytes_are_not_foreign(content: bytes) -> None:
    assert foreign(content) is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "it is blank"),
        (b"<!DOCTYPE html><html>Virus scan warning</html>", "a web page"),
        (b"\xef\xbb\xbf\r\n<HTML lang='en'>", "a web page"),
        (b"<?xml version='1.0'?><Error>NoSuchKey</Error>", "a web page"),
        ("<html>é</html>".encode("utf-16"), "a web page"),
        (POINTER, "a pointer of Git LFS"),
        (b"/annex/objects/SHA256E-s1--00.pth\n", "a link of git-annex"),
        (b"../.git/annex/objects/f8/7z/SHA256E-s1--00.pth", "a link of git-annex"),
        (json.dumps({"message": "Bad credentials"}).encode(), "JSON text"),
        (b"Quota exceeded\n", "text that begins with 'Quota exceeded'"),
        (gzip.compress(saved()), "a gzip archive"),
        (tarred(), "a tar archive"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
        (numpy_archive(), "a NumPy archive"),
        (zipped(a_pth=saved(), b_txt=b""), "a ZIP archive that holds a.pth, b.txt"),
        (saved()[:-100], f"cut off or damaged, after {len(saved()) - 100:,} bytes"),
        (zipped(net__constants_pkl=b"", net__data_pkl=b""), "a TorchScript program"),
    ],
)
def test_other_files_are_named_with_what_to_do(content: bytes, what: str) -> None:
    found = foreign(content)
    assert found is not None
    assert what in found.what
    assert found.hint


def test_failed_downloads_are_empty_or_text() -> None:
    assert failed_download(POINTER) is not None
    assert failed_download(b"") is not None
    assert failed_download(gzip.compress(b"")) is None


def test_safetensors_are_known_by_the_length_of_their_header() -> None:
    assert is_safetensors(safetensors.torch.save(WEIGHTS))
    assert not is_safetensors(b"{" * 20)
